"""Random programs, run by minigan and by PyTorch: values, gradients and errors must be the same.

    python tests/random_programs.py                          1000 programs
    python tests/random_programs.py --count 20000 --seed 7

A program is a list of statements in which `torch` is one of the two. It is written statement by
statement from the forms in FORMS, and run by PyTorch as it grows, so that shapes mostly fit. A
program that fails is shrunk and printed as code that runs as it stands; the exit status is then 1.
Which programs they are follows from the seed alone.
"""

import ast
import collections
import functools
import math
import re
import sys
import warnings
from dataclasses import dataclass
from random import Random

import numpy

import minigan
from minigan.training import ArgumentParser, Progress, positive_int, run

# Differences that the README's list "What differs" has, and how to know them from what a program
# came to here and in PyTorch. Where one is met, nothing more of the program is compared.
DIFFERENCES = {
    "what a graph recorded may not change, even where its backward pass does not need the value":
        lambda ours, theirs: ours.says("was changed in place"),
    "a graph is freed whole, even where nothing in it was kept for the backward pass":
        lambda ours, theirs: ours.says("already walked"),
    "`view` copies where the layout asks for it":
        lambda ours, theirs: theirs.says("view size is not compatible"),
    "in PyTorch a view of a leaf requires a gradient as soon as the leaf does, though it was made "
    "before or with no_grad(); here it is what it was when it was made":
        lambda ours, theirs: any(
            x.requires_grad and is_leaf(x) and is_view(x) and name in ours.names
            and not ours.variables[name].requires_grad for name, x in theirs.tensors()),
}

# The forms of expressions, by weight. {x} is a variable or another expression; what else stands in
# braces is one of Writer's methods, which sees the value of {x}.
FORMS = [
    (12, ["({x} + {y})", "({x} - {y})", "({x} * {y})", "({x} / {y})", "({y} - {x})",
          "({x} + {c})", "({c} - {x})", "({x} * {c})", "({x} / {c})", "({c} / {x})",
          "{x} ** 2", "{x} ** {c}", "{x}.abs() ** 0.5", "2 ** {x}", "{x}.abs() ** {y}", "(-{x})",
          "torch.add({x}, {y}, alpha=2)", "{x}.sub({y})", "torch.mul({x}, {y})", "{x}.div({y})"]),
    (10, ["{x}.sum()", "{x}.sum({d})", "{x}.sum(dim={d}, keepdim={k})", "{x}.sum({dims})",
          "torch.sum({x}, {dims}, keepdim={k})", "{x}.mean()", "{x}.mean({d}, keepdim={k})",
          "torch.mean({x}, {dims})", "{x}.max()", "{x}.min()", "{x}.max({d})[0]",
          "{x}.max({d}, keepdim={k}).values", "{x}.min({d}).values", "torch.min({x}, {d})[0]",
          "{x}.max({d})[1]", "{x}.argmax()", "{x}.argmax({d}, keepdim={k})"]),
    (12, ["{x}.reshape({shape})", "{x}.view({shape})", "{x}.permute({order})", "{x}.t()", "{matrix}.T",
          "{x}.transpose({d}, {d})", "{x}.flatten()", "torch.flatten({x}, {d})", "{x}.squeeze()",
          "{x}.squeeze({d})", "{x}.unsqueeze({d})", "{x}.contiguous()", "{x}.clone()",
          "{x}.detach()", "{x}.data", "{g}", "({g} * {x})"]),
    (14, ["{x}[{index}]"]),
    (4, ["torch.cat([{x}, {beside}], {d})", "torch.cat(({x}, {x}, {x}), dim={d})",
         "torch.stack([{x}, {same}], {d})", "torch.stack([{x}, {same}, {x}])"]),
    (10, ["torch.exp({x})", "{x}.log()", "torch.log({x}.abs() + 1)", "torch.sqrt({x})",
          "torch.sqrt({x}.clamp(min=0))", "{x}.abs()", "{x}.sigmoid()", "torch.tanh({x})",
          "torch.relu({x})", "F.relu({x})", "F.leaky_relu({x}, 0.1)", "F.gelu({x})",
          "F.softplus({x})", "torch.softmax({x}, {d})", "{x}.log_softmax({d})",
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
    (3, ["F.conv2d({image}, {kernel}, padding={p})", "F.conv2d({image}, {kernel}, {bias}, stride=2)",
         "F.conv_transpose2d({image}, {kernel}.transpose(0, 1), stride={s})",
         "F.max_pool2d({image}, 2)", "F.avg_pool2d({image}, 2, stride={s})",
         "F.batch_norm({image}, None, None, training=True)"]),
]
# Statements that are no expressions; {r} is what requires a gradient, {x} a leaf.
BACKWARD = ["{r}.sum().backward()", "{r}.sum().backward(retain_graph=True)",
            "{r}.mean().backward(retain_graph=True)", "{r}.backward(torch.ones_like({r}))",
            "{r}.backward({r}.detach(), retain_graph=True)", "({r} * {c}).sum().backward()",
            "({r}.sum() + {r}.sum()).backward()", "({r}.mean() * {r}.sum()).backward()"]
CHANGES = ["{x}.grad = None", "{x}.grad.zero_()", "{x}.grad *= 0.5", "{x}.data.mul_({c})",
           "{x}.data += {c}", "{x}.data = {x}.data * 2", "{x}.data[{index}] = {c}",
           "{x}.add_({c})", "{x} *= {c}", "{x}[{index}] = {c}", "{x}.detach().zero_()",
           "with torch.no_grad(): {x}.add_({y})", "with torch.no_grad(): {x} -= {x}.grad",
           "with torch.no_grad(): {x}.copy_({y})", "with torch.no_grad(): {x}.clamp_({c})",
           "{x}.requires_grad_(False)", "{x}.requires_grad = True"]
OPTIMISERS = ["o = torch.optim.SGD([{parameters}], lr=0.5, momentum=0.5)",
              "o = torch.optim.Adam([{parameters}], lr=0.1)"]
CONSTANTS = [2, 0.5, -1.5, 3, 1, 0, -1]
MOST = 1e3  # numbers beyond are rarely kept: errors of rounding would grow with them
REFUSED_KEPT = 0.04  # of the statements that PyTorch refuses, as the last one of a program


# What stands in braces, from the writer w and the value x of {x}.
FIELDS = {
    "c": lambda w, x: w.random.choice(CONSTANTS),
    "k": lambda w, x: w.random.random() < 0.5,
    "p": lambda w, x: w.random.choice([0, 1, "'same'"]),
    "s": lambda w, x: w.random.choice([1, 2]),
    "d": lambda w, x: w.random.randrange(-max(x.ndim, 1), max(x.ndim, 1)),
    "dims": lambda w, x: tuple(w.random.sample(range(x.ndim), w.random.randint(1, x.ndim))),
    "order": lambda w, x: ", ".join(map(str, w.random.sample(range(x.ndim), x.ndim))) or "()",
    "shape": lambda w, x: w.sizes(x.numel()),
    "index": lambda w, x: w.index(x),
    "last": lambda w, x: x.shape[-1],
    # variables of a kind
    "r": lambda w, x: w.pick(lambda y: y.requires_grad),
    "matrix": lambda w, x: w.pick(lambda y: y.ndim <= 2),
    "target": lambda w, x: w.pick(lambda y: y.shape == x.shape and y.dtype == x.dtype),
    "g": lambda w, x: w.pick(lambda y: is_leaf(y) and y.grad is not None) + ".grad",
    "same": lambda w, x: w.pick(lambda y: y.shape == x.shape),
    "y": lambda w, x: w.pick(lambda y: all(a == b or 1 in (a, b) for a, b in
                                           zip(x.shape[::-1], y.shape[::-1]))),
    "beside": lambda w, x: w.pick(lambda y: y.ndim == x.ndim and sum(
        a != b for a, b in zip(x.shape, y.shape)) <= 1),
    "right": lambda w, x: w.pick(lambda y: y.ndim and x.shape[-1] == y.shape[max(y.ndim - 2, 0)]),
    "left": lambda w, x: w.pick(lambda y: y.ndim and y.shape[-1] == x.shape[max(x.ndim - 2, 0)]),
    "parameters": lambda w, x: ", ".join(dict.fromkeys(
        w.pick(lambda y: is_leaf(y) and y.requires_grad) for _ in "12")),
    # leaves made for the purpose
    "row": lambda w, x: w.leaf(x.shape[-1:]),
    "weight": lambda w, x: w.leaf((2, x.shape[-1])),
    "bias": lambda w, x: w.leaf((2,)),
    "kernel": lambda w, x: w.leaf((2, 2, w.random.randint(1, 3), w.random.randint(1, 3))),
    "image": lambda w, x: w.leaf((w.random.choice([0, 1, 1, 2, 2, 2]), 2, 4, w.random.choice([3, 4]))),
    "classes": lambda w, x: f"""torch.tensor({[w.random.randrange(x.shape[-1])
                                               for _ in range(x.numel() // x.shape[-1])]})""",
}


# Running and comparing

compiled = functools.lru_cache(10000)(functools.partial(compile, filename="program", mode="exec"))


class Execution:
    """A program run as far as it goes: its variables, how many statements, and the error."""

    def __init__(self, statements, torch, nudged=False):
        self.variables = {"torch": torch, "F": torch.nn.functional}
        self.names = {}  # of the variables, as they came
        self.done, self.error = 0, None
        for statement in statements:
            if not self.run(statement):
                break
            if nudged:
                for _, x in self.tensors():
                    nudge(x)

    def run(self, statement):
        """Whether it was taken. What NumPy or PyTorch warn of does not matter here."""
        try:
            with warnings.catch_warnings(action="ignore"):
                exec(compiled(statement), self.variables)
        except Exception as error:
            self.error = error
            return False
        self.done += 1
        name = ASSIGNMENT.match(statement)
        if name:
            self.names[name[1]] = True
        return True

    def tensors(self):
        variables = ((name, self.variables[name]) for name in self.names)
        return [(name, x) for name, x in variables if hasattr(x, "requires_grad")]

    def says(self, pattern):
        return self.error is not None and re.search(pattern, str(self.error)) is not None

    def facts(self):
        """Yields (what, value): what all tensors are and hold, then the gradients of leaves."""
        yield "names", str([name for name, _ in self.tensors()])
        for name, x in self.tensors():
            yield f"{name}.dtype", str(x.dtype).rpartition(".")[2]
            yield f"{name}.shape", tuple(x.shape)
            yield f"{name}.requires_grad", x.requires_grad
            yield f"{name}.is_leaf", is_leaf(x)
            yield name, x.detach().numpy()
        for name, x in self.tensors():
            if is_leaf(x):
                yield f"{name}.grad", None if x.grad is None else x.grad.detach().numpy()


ASSIGNMENT = re.compile(r"(?:with torch.no_grad\(\):\s+)?(\w+) = ")


def is_leaf(x):
    try:
        return x.is_leaf
    except RuntimeError:  # PyTorch's of views made with no_grad(), once changed
        return True


def is_view(x):
    return hasattr(x, "_is_view") and x._is_view()  # PyTorch's


def nudge(x):
    """Moves numbers by what rounding may, all but those so round that they were not rounded."""
    if str(x.dtype).endswith(("float32", "float64")):
        values = x.detach().numpy()
        rounded = (values * 1024 != numpy.rint(values * 1024)) & numpy.isfinite(values)
        values[rounded] *= 1 + 4 * numpy.finfo(values.dtype).eps


@dataclass
class Outcome:
    """kind    "same", "refused" by both, "documented" or "unstable" difference, or "failure"
    what       that differs, in a failure: an expression, or "error"
    sort       two failures of the same sort may well have the same cause
    """
    kind: str
    what: str = ""
    sort: tuple = ()
    ours: object = None
    theirs: object = None


def outcome(statements, ours, theirs):
    """What running a program by two engines comes to: `ours` in the part of minigan, `theirs`."""
    tolerance = 1e-4 if re.search(r"float32|float\(", "".join(statements)) else 1e-9
    a, b = Execution(statements, ours), Execution(statements, theirs)
    failure = differing(a, b, tolerance)
    if failure is None:
        return Outcome("same" if a.error is None else "refused")
    if any(documented(a, b) for documented in DIFFERENCES.values()):
        return Outcome("documented")
    if isinstance(failure.theirs, numpy.ndarray):
        # Where rounding alone changes the result, the program proves nothing: the larger of two
        # numbers that should be equal, say.
        c = Execution(statements, theirs, nudged=True)
        if c.error is None and not same(dict(c.facts())[failure.what], failure.theirs, tolerance):
            return Outcome("unstable")
    return failure


def differing(a, b, tolerance):
    """The first difference of two executions, or None."""
    if (a.error is None, a.done) != (b.error is None, b.done):
        side, first = min(("minigan", a), ("PyTorch", b), key=lambda pair: pair[1].done)
        sort = (side, type(first.error), str(first.error).partition(":")[0])
        return Outcome("failure", "error", sort, *(repr(e.error) if e is first else "no error"
                                                   for e in (a, b)))
    for (what, value), (_, other) in zip(a.facts(), b.facts(), strict=True):
        if not same(value, other, tolerance):
            sort = [what.partition(".")[2]]
            sort += [v is None or bool(numpy.isfinite(v).all()) for v in (value, other)
                     if not isinstance(v, (str, tuple))]
            return Outcome("failure", what, tuple(sort), value, other)
    return None


def same(value, other, tolerance):
    if not (isinstance(value, numpy.ndarray) and isinstance(other, numpy.ndarray)):
        return value is other if value is None or other is None else value == other
    if value.shape != other.shape or value.dtype != other.dtype:
        return False
    if other.dtype.kind != "f":
        return numpy.array_equal(value, other)
    scale = abs(other[numpy.isfinite(other)]).max(initial=1)
    return numpy.allclose(value, other, tolerance, tolerance * scale, equal_nan=True)


# Writing

class Writer(Execution):
    """Writes a program and runs it on the way, by PyTorch or what stands for it."""

    def __init__(self, random, torch):
        super().__init__([], torch)
        self.random = random
        self.statements = []
        self.leaves = []
        self.spent = set()
        self.dtype = random.choice(["float64"] * 5 + ["float32"])
        self.base = tuple(random.choice([1, 2, 2, 3, 3, 4]) for _ in range(3))

    def program(self):
        for _ in range(self.random.choice([1, 2, 3])):
            self.leaf(self.some_shape())
        most = self.random.randint(5, 40)
        kinds = [self.assignment, self.backward, self.change, self.another_leaf, self.optimiser]
        for _ in range(6 * most):  # what PyTorch refuses is mostly left out
            if len(self.statements) >= most - 1:
                break
            kind, = self.random.choices(kinds, [70, 12, 12, 3, 3])
            statement = self.written(kind)
            if statement and not self.add(statement) and self.random.random() < REFUSED_KEPT:
                return self.statements + [statement]
        statement = self.written(lambda: self.filled("{r}.sum().backward()"))
        self.add(statement or "pass")
        return self.statements

    def written(self, write):
        """A statement, or None: an expression in it is refused, or nothing fits."""
        try:
            with warnings.catch_warnings(action="ignore"):
                return write()
        except Exception:
            return None

    def add(self, statement):
        if statement != "pass" and self.run(statement):
            self.statements.append(statement)
            return True
        return False

    def filled(self, form, x=None):
        """The form with its braces filled in, {x} by that text."""
        value = eval(x, self.variables) if x else None
        return re.sub(r"\{(\w+)\}", lambda field: x if field[1] == "x" else
                      str(FIELDS[field[1]](self, value)), form)

    # Statements

    def leaf(self, shape, dtype=None):
        name = f"a{len(self.leaves)}"
        coarse = self.random.random() < 0.6  # ties and zeros
        values = [self.random.randint(-6, 6) / 2 if coarse else round(self.random.gauss(0, 1), 2)
                  for _ in range(math.prod(shape))]
        grad = ", requires_grad=True" if self.random.random() < 0.8 else ""
        self.add(tensor_statement(name, numpy.array(values).reshape(shape),
                                  f", dtype=torch.{dtype or self.dtype}{grad}"))
        self.leaves.append(name)
        return name

    def another_leaf(self):
        self.leaf(self.some_shape(), self.random.choice([self.dtype, "float32", "int64"]))

    def optimiser(self):
        if "o" in self.variables:
            return self.random.choice(["o.step()", "o.zero_grad()"])
        return self.filled(self.random.choice(OPTIMISERS))

    def assignment(self):
        expression = self.expression(2)
        value = eval(expression, self.variables)
        largest = abs(value.detach().double().numpy()).max(initial=0)
        if value.numel() > 500 or not largest <= MOST and self.random.random() < 0.9:
            return None
        no_grad = "with torch.no_grad(): " if self.random.random() < 0.05 else ""
        if no_grad and is_view(value):  # see the last of DIFFERENCES
            return None
        return f"{no_grad}t{len(self.names)} = {expression}"

    def expression(self, depth):
        forms, = self.random.choices([forms for _, forms in FORMS], [weight for weight, _ in FORMS])
        nested = depth > 1 and self.random.random() < 0.3
        return self.filled(self.random.choice(forms),
                           self.expression(depth - 1) if nested else self.pick())

    def backward(self):
        statement = self.filled(self.random.choice(BACKWARD))
        if "retain_graph" not in statement:
            self.spend()
        return statement

    def change(self):
        self.spend()
        return self.filled(self.random.choice(CHANGES), self.pick(is_leaf))

    def spend(self):
        """Mostly leave alone what has a graph that was freed, or whose leaves were changed."""
        if self.random.random() < 0.9:
            self.spent.update(name for name, x in self.tensors() if not is_leaf(x))

    # What stands in braces

    def pick(self, fits=lambda value: True):
        """The name of a variable, rather a late one. IndexError if there is none that fits."""
        found = [name for name, value in self.tensors() if fits(value) and name not in self.spent]
        return self.random.choice(found[-4:] if self.random.random() < 0.5 else found)

    def some_shape(self):
        if self.random.random() < 0.1:
            return tuple(self.random.choice([0, 1, 2, 3]) for _ in range(self.random.randint(1, 4)))
        shape = self.base[self.random.randint(0, 3):]
        return tuple(size if self.random.random() < 0.8 else 1 for size in shape)

    def sizes(self, left):
        """Sizes with this product, one of them perhaps -1."""
        sizes, product = [], left
        while left > 1 and len(sizes) < 3:
            sizes.append(self.random.choice([k for k in range(1, left + 1) if left % k == 0]))
            left //= sizes[-1]
        sizes.append(left)
        if product and self.random.random() < 0.3:
            sizes[self.random.randrange(len(sizes))] = -1
        return ", ".join(map(str, sizes))

    def index(self, x):
        """What stands in brackets: numbers, slices, lists, Tensors, masks, None and ..."""
        common = self.random.choice([1, 2, 3])  # how long lists are
        parts, axis = [], 0
        for size in x.shape[:self.random.randint(0, x.ndim)]:
            at = [self.random.randrange(-size, size) for _ in range(common)] if size else []
            parts.append(self.random.choice([
                ":", "1:", ":-1", "::2", "-2:", f"{self.random.randint(0, 2)}:3",
                at[0] if at else ":", at[0] if at else ":", at, f"torch.tensor({at})" if at else at,
                f"torch.tensor({[[k] for k in at]})" if at else at,
                f"torch.tensor({[self.random.random() < 0.6 for _ in range(size)]})"]))
        if x.ndim and self.random.random() < 0.15:
            parts = [f"torch.tensor({numpy.array([self.random.random() < 0.5 for _ in range(x.numel())]).reshape(x.shape).tolist()})"]
        for extra in ("None", "..."):
            if self.random.random() < 0.2:
                parts.insert(self.random.randint(0, len(parts)), extra)
        return ", ".join(map(str, parts)) or "..."


def tensor_statement(name, values, rest):
    """`name = torch.tensor(...)`, and for no numbers at all torch.zeros."""
    made = f"torch.tensor({values.tolist()}" if values.size else f"torch.zeros({values.shape}"
    return f"{name} = {made}{rest})"


# Shrinking

def shrunk(statements, fails):
    """A shorter program for which `fails` is true as well, as it is for this one."""
    simpler = True
    while simpler:
        simpler = next(filter(fails, simpler_programs(statements)), None)
        statements = simpler or statements
    return statements


def simpler_programs(statements):
    """Programs a step simpler, the boldest steps first."""
    size = len(statements)
    while size:
        for start in range(len(statements) - size, -1, -size):
            yield statements[:start] + statements[start + size:]
        size //= 2
    for i, statement in enumerate(statements):
        alias = re.fullmatch(r"(\w+) = (\w+)", statement)
        if alias:  # a name of the same thing
            yield [re.sub(rf"\b{alias[1]}\b", alias[2], s)
                   for s in statements[:i] + statements[i + 1:]]
        for text in simpler_statements(statement):
            yield statements[:i] + [text] + statements[i + 1:]
    for size in (4, 3, 2):  # that size in all leaves at once
        cut = [smaller_leaf(statement, size) for statement in statements]
        if cut != statements:
            yield cut


LEAF = re.compile(r"(a\d+) = torch\.tensor\((\[.*\])(, .*)\)")


def smaller_leaf(statement, size):
    leaf = LEAF.fullmatch(statement)
    if not leaf:
        return statement
    values = numpy.array(ast.literal_eval(leaf[2]))
    for axis in range(values.ndim):
        if values.shape[axis] == size:
            values = values.take(range(size - 1), axis)
    return tensor_statement(leaf[1], values, leaf[3])


def simpler_statements(statement):
    """Other texts of a statement: an expression replaced by a part of it, an argument left out."""
    leaf = LEAF.fullmatch(statement)
    if leaf:
        values = numpy.array(ast.literal_eval(leaf[2]))
        for axis, size in enumerate(values.shape):
            if size > 1:
                for kept in ([0], [size - 1], range(size - 1)):
                    yield tensor_statement(leaf[1], values.take(kept, axis), leaf[3])
        others = [tensor_statement(leaf[1], new, leaf[3])
                  for new in (numpy.ones_like(values), numpy.rint(values))]
        others.append(statement.replace(", requires_grad=True", ""))
        yield from (other for other in others if other != statement and other not in others[:0])
        return
    tree = ast.parse(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            yield ast.unparse(node.body)
        for field, old in ast.iter_fields(node):
            several = isinstance(old, list)
            for i, part in enumerate(old if several else [old]):
                if not isinstance(part, (ast.expr, ast.keyword)) or field == "targets":
                    continue
                news = [[]] if several else []
                news += [[new] for new in ast.walk(part) if new is not part
                         and isinstance(new, ast.expr) and not isinstance(new, ast.Constant)]
                for new in news:
                    setattr(node, field, old[:i] + new + old[i + 1:] if several else new[0])
                    try:
                        text = ast.unparse(tree)
                        ast.parse(text)
                    except Exception:  # no Python any more
                        continue
                    if len(text) < len(statement):
                        yield text
                setattr(node, field, old)


# The command

def check(count, seed, ours, theirs, report, advance=lambda: None):
    """Counts of the kinds of outcomes of so many programs; failures are shrunk and reported."""
    counts = collections.Counter()
    for number in range(count):
        statements = Writer(Random(f"{seed} {number}"), theirs).program()
        result = outcome(statements, ours, theirs)
        counts[result.kind] += 1
        if result.kind == "failure":
            statements = shrunk(statements, lambda program: outcome(
                program, ours, theirs).sort == result.sort)
            report(as_code(number, statements, outcome(statements, ours, theirs)))
        advance()
    return counts


def as_code(number, statements, result):
    lines = [f"# program {number}", "import minigan as torch  # or: import torch",
             "F = torch.nn.functional", *statements]
    if result.what != "error":
        lines.append(f"print({result.what})")
    for name, value in (("PyTorch", result.theirs), ("minigan", result.ours)):
        text = str(value.tolist() if isinstance(value, numpy.ndarray) else value)
        lines.append(f"# {name}: {' '.join(text.split())}")
    return "\n".join(lines) + "\n"


def main():
    parser = ArgumentParser("Run random programs by minigan and by PyTorch and compare.")
    parser.add_argument("--count", type=positive_int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="decides the programs")
    args = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        parser.error(f"PyTorch is not installed: {error}")
    torch.set_num_threads(1)
    with Progress(args.count, "random programs", unit="programs") as progress:
        counts = check(args.count, args.seed, minigan, torch, print, progress.advance)
    print(f"{args.count} programs: {counts['same']} the same, {counts['refused']} refused by both, "
          f"{counts['documented']} with a documented difference, {counts['unstable']} that rounding "
          f"changes, {counts['failure']} failures")
    sys.exit(1 if counts["failure"] else 0)


if __name__ == "__main__":
    run(main)
