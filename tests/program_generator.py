"""Random programs: lists of statements that run with any engine that has PyTorch's names.

A program is generated from the templates below, a statement at a time, and executed by a reference
as it grows, so that shapes fit and results stay of a moderate size.
"""

import functools
import itertools
import math
import re
import warnings

import numpy

# Templates of expressions, by weight. {x} is a variable or another expression; the other fields
# are filled in by FIELDS, which see the value of {x}.
EXPRESSIONS = [
    (12, ["({x} + {y})", "({x} - {y})", "({x} * {y})", "({x} / {y})", "({y} - {x})",
          "({x} + {c})", "({c} - {x})", "({x} * {c})", "({x} / {c})", "({c} / {x})",
          "{x} ** 2", "{x} ** {c}", "{x}.abs() ** 0.5", "2 ** {x}", "{x}.abs() ** {y}", "(-{x})",
          "torch.add({x}, {y}, alpha=2)", "{x}.sub({y})", "torch.mul({x}, {y})", "{x}.div({y})"]),
    (10, ["{x}.sum()", "{x}.sum({d})", "{x}.sum(dim={d}, keepdim={k})", "{x}.sum({dims})",
          "torch.sum({x}, {dims}, keepdim={k})", "{x}.mean()", "{x}.mean({d}, keepdim={k})",
          "torch.mean({x}, {dims})", "{x}.max()", "{x}.min()", "{x}.max({d})[0]",
          "{x}.max({d}, keepdim={k}).values", "{x}.min({d}).values", "torch.min({x}, {d})[0]",
          "{x}.max({d})[1]", "{x}.argmax()", "{x}.argmax({d}, keepdim={k})"]),
    (12, ["{x}.reshape({shape})", "{x}.view({shape})", "{x}.permute({order})", "{x}.t()",
          "{matrix}.T", "{x}.transpose({d}, {d})", "{x}.flatten()", "torch.flatten({x}, {d})",
          "{x}.squeeze()", "{x}.squeeze({d})", "{x}.unsqueeze({d})", "{x}.contiguous()",
          "{x}.clone()", "{x}.detach()", "{x}.data", "{g}", "({g} * {x})"]),
    (14, ["{x}[{index}]"]),
    (4, ["torch.cat([{x}, {beside}], {d})", "torch.cat(({x}, {x}, {x}), dim={d})",
         "torch.stack([{x}, {same}], {d})", "torch.stack([{x}, {same}, {x}])"]),
    (14, ["torch.exp({x})", "{x}.log()", "torch.log({x}.abs() + 1)", "torch.sqrt({x})",
          "torch.sqrt({x}.clamp(min=0))", "{x}.abs()", "{x}.sigmoid()", "torch.tanh({x})",
          "torch.relu({x})", "F.relu({x})", "F.leaky_relu({x}, 0.1)", "F.gelu({x})",
          "F.softplus({x})", "torch.softmax({x} * 1.0, {d})", "({x} + 0.5).log_softmax({d})",
          "{x}.clamp({c})", "{x}.clamp(-1, 1)", "torch.clamp({x}, max={c})"]),
    (3, ["({x} > {y})", "({x} == {y})", "({x} <= {c})", "{x}.double()", "{x}.float()",
         "{x}.to(torch.float64)", "{x}.long()", "torch.zeros_like({x})"]),
    (6, ["({x} @ {x}.t())", "torch.matmul({x}, {right})", "({left} @ {x})",
         "F.linear({x}, {weight})", "F.linear({x}, {weight}, {bias})",
         "F.layer_norm({x}, ({last},))", "F.layer_norm({x}, ({last},), {row}, {row})",
         "F.mse_loss({x}, {target})", "F.l1_loss({x}, {target}, reduction='none')",
         "F.mse_loss({x}, {target}, reduction='sum')",
         "F.binary_cross_entropy({x}.sigmoid(), {target}.detach().sigmoid())",
         "F.binary_cross_entropy_with_logits({x}, {target}.detach().sigmoid())",
         "F.cross_entropy({x}.reshape(-1, {last}), {classes})",
         "F.nll_loss({x}.reshape(-1, {last}).log_softmax(1), {classes}, reduction='sum')"]),
    (3, ["F.conv2d({image}, {kernel}, padding={p})",
         "F.conv2d({image}, {kernel}, {bias}, stride=2)",
         "F.conv_transpose2d({image}, {kernel}.transpose(0, 1), stride={s})",
         "F.max_pool2d({image}, 2)", "F.avg_pool2d({image}, 2, stride={s})",
         "F.batch_norm({image}, None, None, training=True)"]),
]
# Templates of scalars for a backward pass, and of statements; {x} in CHANGES is a leaf.
ROOTS = ["{x}.sum()", "({x} ** 2).mean()", "({x} * {x}).sum()"]
BACKWARD = ["{r}.sum().backward()", "{r}.sum().backward(retain_graph=True)",
            "{r}.mean().backward(retain_graph=True)", "{r}.backward(torch.ones_like({r}))",
            "{r}.backward({r}.detach() * 2, retain_graph=True)", "({r} * {c}).sum().backward()",
            "({r}.sum() + {r}.sum()).backward()", "({r}.mean() * {r}.sum()).backward()"]
CHANGES = ["{x}.grad = None", "{x}.grad.zero_()", "{x}.grad *= 0.5", "{x}.data.mul_({c})",
           "{x}.data += {c}", "{x}.data = {x}.data * 2", "{x}.data[{index}] = {c}",
           "{x}.add_({c})", "{x} *= {c}", "{x}[{index}] = {c}", "{x}.detach().zero_()",
           "with torch.no_grad(): {x}.add_({y})", "with torch.no_grad(): {x} -= {x}.grad",
           "with torch.no_grad(): {x}.copy_({y})", "with torch.no_grad(): {x}.clamp_({c})",
           "{x}.requires_grad_(False)", "{x}.requires_grad = True"]
OPTIMISERS = ["o = torch.optim.SGD([{parameters}], lr=0.5, momentum=0.5)",
              "o = torch.optim.Adam([{parameters}], lr=0.1, eps=0.01)"]
STEPS = ["o.step()", "o.zero_grad()"]
CONSTANTS = [2, 0.5, -1.5, 3, 1, 0, -1]
LARGEST = 1e3  # results beyond it are mostly left out: rounding errors would grow with them
REFUSED = 0.02  # how many of the statements that PyTorch refuses are kept, each ending its program

# Fields of templates, from the generator g and the value x of {x}.
FIELDS = {
    "c": lambda g, x: g.random.choice(CONSTANTS),
    "k": lambda g, x: g.random.random() < 0.5,
    "p": lambda g, x: g.random.choice([0, 1, "'same'"]),
    "s": lambda g, x: g.random.choice([1, 2]),
    "d": lambda g, x: g.random.randrange(-max(x.ndim, 1), max(x.ndim, 1)),
    "dims": lambda g, x: tuple(g.random.sample(range(x.ndim), g.random.randint(1, x.ndim))),
    "order": lambda g, x: ", ".join(map(str, g.random.sample(range(x.ndim), x.ndim))) or "()",
    "shape": lambda g, x: g.sizes(x.numel()),
    "index": lambda g, x: g.index(x),
    "last": lambda g, x: x.shape[-1],
    # variables that fit
    "r": lambda g, x: g.pick(lambda y: y.requires_grad),
    "g": lambda g, x: g.pick(lambda y: y.is_leaf and y.grad is not None) + ".grad",
    "matrix": lambda g, x: g.pick(lambda y: y.ndim <= 2),
    "same": lambda g, x: g.pick(lambda y: y.shape == x.shape),
    "target": lambda g, x: g.pick(lambda y: y.shape == x.shape and y.dtype == x.dtype
                                  and is_floating(y)),
    "y": lambda g, x: g.pick(lambda y: all(a == b or 1 in (a, b) for a, b in
                                           zip(x.shape[::-1], y.shape[::-1]))),
    "beside": lambda g, x: g.pick(lambda y: y.ndim == x.ndim and sum(
        a != b for a, b in zip(x.shape, y.shape)) <= 1),
    "right": lambda g, x: g.pick(lambda y: y.ndim and x.shape[-1] == y.shape[max(y.ndim - 2, 0)]),
    "left": lambda g, x: g.pick(lambda y: y.ndim and y.shape[-1] == x.shape[max(x.ndim - 2, 0)]),
    "parameters": lambda g, x: ", ".join(dict.fromkeys(
        g.pick(lambda y: y.is_leaf and y.requires_grad) for _ in range(2))),
    # new leaves
    "row": lambda g, x: g.leaf(x.shape[-1:]),
    "weight": lambda g, x: g.leaf((2, x.shape[-1])),
    "bias": lambda g, x: g.leaf((2,)),
    "kernel": lambda g, x: g.leaf((2, 2, g.random.randint(1, 3), g.random.randint(1, 3))),
    "image": lambda g, x: g.leaf((g.random.choice([0, 1, 1, 2, 2, 2]), 2, 4,
                                  g.random.randint(3, 4))),
    "classes": lambda g, x: f"torch.tensor({g.integers(x.numel() // x.shape[-1], x.shape[-1])})",
}


# Executing

compiled = functools.lru_cache(10000)(functools.partial(compile, filename="program", mode="exec"))
ASSIGNMENT = re.compile(r"(?:with torch.no_grad\(\):\s+)?(\w+) = ")


class Execution:
    """A program executed as far as it goes.

    variables  by name; `names` are those that statements assigned
    done       how many statements were executed
    error      that ended it, or None
    noise      None, or a seed: every result then has errors as by rounding
    facts      {what: value}: what all tensors are and hold, then the gradients of the leaves
    """

    def __init__(self, statements, torch, noise=None):
        self.statements = statements
        self.variables = {"torch": torch, "F": torch.nn.functional}
        self.names = {}  # a dict as an ordered set
        self.done, self.error, self.facts = 0, None, {}
        generator = numpy.random.default_rng(noise)
        try:
            for statement in statements:
                if not self.execute(statement):
                    break
                for array in self.arrays() if noise is not None else ():
                    perturb(array, generator)
            self.facts.update(self.all_facts())
        except RuntimeError as error:  # PyTorch refuses to say whether some views are leaves
            self.error = error

    def execute(self, statement):
        """True unless the engine refuses the statement. Its warnings are ignored."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compiled(statement), self.variables)
        except Exception as error:
            self.error = error
            return False
        self.done += 1
        assignment = ASSIGNMENT.match(statement)
        if assignment:
            self.names[assignment[1]] = True
        return True

    def tensors(self):
        variables = ((name, self.variables[name]) for name in self.names)
        return [(name, x) for name, x in variables if hasattr(x, "requires_grad")]

    def arrays(self):
        for _, x in self.tensors():
            yield x.detach().numpy()
            if x.is_leaf and x.grad is not None:
                yield x.grad.detach().numpy()

    def all_facts(self):
        for name, x in self.tensors():
            yield f"{name}.dtype", str(x.dtype).rpartition(".")[2]
            yield f"{name}.shape", tuple(x.shape)
            yield f"{name}.requires_grad", x.requires_grad
            yield f"{name}.is_leaf", x.is_leaf
            yield name, x.detach().numpy()
        for name, x in self.tensors():
            if x.is_leaf:
                yield f"{name}.grad", None if x.grad is None else x.grad.detach().numpy()

    def says(self, pattern):
        return self.error is not None and re.search(pattern, str(self.error)) is not None

    def shares_gradients(self):
        gradients = {id(x): x.grad.detach().numpy() for _, x in self.tensors()
                     if x.is_leaf and x.grad is not None}
        return any(numpy.shares_memory(a, b) for a, b in itertools.combinations(
            gradients.values(), 2))

    def reads_gradients(self):
        """Whether a leaf's gradient is a value in the program."""
        return any(re.search(r"[=(].*\.grad\b", statement) for statement in self.statements)


def is_floating(x):
    return "float" in str(x.dtype)


def perturb(values, noise):
    """Add noise of the size of rounding errors, but not to round numbers: they are the results of
    exact arithmetic, and ties among them have to stay ties."""
    if values.dtype.kind == "f":
        rounded = (values * 1024 != numpy.rint(values * 1024)) & numpy.isfinite(values)
        scale = 64 * numpy.finfo(values.dtype).eps * numpy.maximum(1, abs(values[rounded]))
        values[rounded] += scale * noise.standard_normal(scale.shape)


def is_view(x):
    """Whether it is a view, which only PyTorch knows. There a view made with no_grad(), or before
    its base required a gradient, requires one as soon as its base does: this is not generated."""
    return hasattr(x, "_is_view") and x._is_view()


# Generating

class Generator(Execution):
    """Generates a program and executes it on the way."""

    def __init__(self, random, torch):
        super().__init__([], torch)
        self.random = random
        self.statements = []
        self.spent = set()  # names not to be used any more
        self.dtype = random.choice(["float64"] * 5 + ["float32"])
        self.base = tuple(random.choice([1, 2, 2, 3, 3, 4]) for _ in range(3))

    def program(self):
        for _ in range(self.random.randint(1, 3)):
            self.leaf(self.some_shape())
        length = self.random.randint(5, 40)
        kinds = [self.assignment, self.backward, self.change, self.another_leaf, self.optimiser]
        for _ in range(6 * length):  # most of what PyTorch refuses is left out
            if len(self.statements) >= length - 1:
                break
            kind, = self.random.choices(kinds, [75, 8, 8, 4, 3])
            statement = self.attempt(kind)
            if statement and not self.append(statement) and self.random.random() < REFUSED:
                return self.statements + [statement]
        self.append(self.backward_from_all())
        return self.statements

    def attempt(self, write):
        """A statement, or None where no variable fits or an expression in it is refused."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return write()
        except Exception:
            return None

    def append(self, statement):
        if self.execute(statement):
            self.statements.append(statement)
            return True
        return False

    def fill(self, template, x=None):
        value = eval(x, self.variables) if x else None
        return re.sub(r"\{(\w+)\}", lambda field: x if field[1] == "x" else
                      str(FIELDS[field[1]](self, value)), template)

    # Statements

    def leaf(self, shape, dtype=None):
        """The name of a new leaf."""
        name, dtype = f"a{len(self.names)}", dtype or self.dtype
        coarse = self.random.random() < 0.6  # numbers with ties and zeros among them
        values = [self.random.randint(-6, 6) / 2 if coarse else round(self.random.gauss(0, 1), 2)
                  for _ in range(math.prod(shape))]
        grad = ", requires_grad=True" if "float" in dtype and self.random.random() < 0.9 else ""
        self.append(leaf_statement(name, numpy.array(values).reshape(shape),
                                   f", dtype=torch.{dtype}{grad}"))
        return name

    def another_leaf(self):
        self.leaf(self.some_shape(), self.random.choice([self.dtype, "float32", "int64"]))

    def optimiser(self):
        return self.fill(self.random.choice(STEPS if "o" in self.names else OPTIMISERS))

    def assignment(self):
        expression = self.expression(2)
        statement = f"t{len(self.names)} = {expression}"
        try:
            value = eval(expression, self.variables)
        except Exception:
            return statement
        largest = abs(value.detach().double().numpy()).max(initial=0)
        if value.numel() > 500 or not largest <= LARGEST and self.random.random() < 0.9:
            return None
        if self.random.random() < 0.05 and not is_view(value) and not any(
                value is x for _, x in self.tensors()):  # contiguous() may copy here, and not there
            return f"with torch.no_grad(): {statement}"
        return statement

    def expression(self, depth):
        templates, = self.random.choices([group for _, group in EXPRESSIONS],
                                         [weight for weight, _ in EXPRESSIONS])
        nested = depth > 1 and self.random.random() < 0.3
        return self.fill(self.random.choice(templates),
                         self.expression(depth - 1) if nested else self.pick())

    def backward_from_all(self):
        """Nothing that Python can read if there is no root."""
        roots = [self.fill(self.random.choice(ROOTS), name) for name, x in self.tensors()
                 if x.requires_grad and name not in self.spent]
        return f"({' + '.join(roots)}).backward({self.random.choice(['', 'retain_graph=True'])})"

    def backward(self):
        statement = (self.backward_from_all() if self.random.random() < 0.5 else
                     self.fill(self.random.choice(BACKWARD)))
        if "retain_graph" not in statement:
            self.spend()
        return statement

    def change(self):
        statement = self.fill(self.random.choice(CHANGES), self.pick(lambda x: x.is_leaf))
        if statement.endswith("= True") and any(is_view(x) for _, x in self.tensors()):
            return None
        self.spend()
        return statement

    def spend(self):
        """Mostly leave alone what has a graph that was freed, or whose inputs were changed."""
        if self.random.random() < 0.9:
            self.spent.update(name for name, x in self.tensors() if not x.is_leaf)

    # What fields are filled with

    def pick(self, fits=lambda value: True):
        """The name of a variable, rather a late one that requires a gradient. IndexError if none
        fits."""
        found = [name for name, x in self.tensors() if fits(x) and name not in self.spent]
        if self.random.random() < 0.5:
            found = [name for name in found if self.variables[name].requires_grad] or found
        return self.random.choice(found[-4:] if self.random.random() < 0.5 else found)

    def integers(self, count, bound, least=0):
        return [self.random.randrange(least, bound) for _ in range(count)]

    def some_shape(self):
        if self.random.random() < 0.1:
            return tuple(self.integers(self.random.randint(1, 4), 4))
        shape = self.base[self.random.randint(0, 3):]
        return tuple(size if self.random.random() < 0.8 else 1 for size in shape)

    def sizes(self, product):
        """Sizes with this product, one of them perhaps -1."""
        sizes, left = [], product
        while left > 1 and len(sizes) < 3:
            sizes.append(self.random.choice([k for k in range(1, left + 1) if left % k == 0]))
            left //= sizes[-1]
        sizes.append(left)
        if product and self.random.random() < 0.3:
            sizes[self.random.randrange(len(sizes))] = -1
        return ", ".join(map(str, sizes))

    def index(self, x):
        """What stands in brackets: integers, slices, lists, Tensors, masks, None and Ellipsis."""
        count = self.random.randint(1, 3)  # the length of all lists
        parts = []
        for size in x.shape[:self.random.randint(0, x.ndim)]:
            at = self.integers(count, size, -size) if size else []
            mask = [bool(k) for k in self.integers(size, 2)]
            parts.append(self.random.choice([
                ":", "1:", ":-1", "::2", "-2:", "0:3", "2:3", *at[:1], *at[:1], at, mask,
                f"torch.tensor({at}, dtype=torch.int64)", f"torch.tensor({mask})",
                [[k] for k in at]]))
        if x.ndim and self.random.random() < 0.15:
            mask = numpy.array(self.integers(x.numel(), 2), bool).reshape(x.shape)
            parts = [f"torch.tensor({mask.tolist()})"]
        for extra in ("None", "..."):
            if self.random.random() < 0.2:
                parts.insert(self.random.randint(0, len(parts)), extra)
        return ", ".join(map(str, parts)) or "..."


def leaf_statement(name, values, options):
    made = f"torch.tensor({values.tolist()}" if values.size else f"torch.zeros({values.shape}"
    return f"{name} = {made}{options})"
