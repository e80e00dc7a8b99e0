"""Optimisers: SGD and Adam over parameters that lie side by side in one flat array.

An optimiser moves its parameters into one array per group (and dtype), and gives each a place in
a second one for its gradient. The parameters stay what they were, as views. A step is then a
handful of array calls whatever the number of layers; on a GPU it is one launch.
"""

import math
from numbers import Real
from typing import NamedTuple

import numpy

from minigan.autograd import Tensor
from minigan.capturing import capturing
from minigan.device import module_of
from minigan.errors import check_options, describe, explained
from minigan.kernels.cuda import optim as on_gpu
from minigan.kernels.cuda.source import has_kernels_for
from minigan.walk import clear_gradients
from minigan.watching import watching


# An update is a dozen passes over its arrays: on the CPU over pieces that stay in the cache.
PIECE = 1 << 18


# PyTorch's further options: those for how it computes change nothing here, and are accepted; those
# for what it computes are accepted only where they are off.
OPTIONS = {"maximize": (False,), "differentiable": (False,), "foreach": (None, False, True),
           "fused": (None, False, True)}


class Run(NamedTuple):
    """Neighbours in a block that have had equally many steps: nearly always all of it."""
    first: int  # of the parameters
    last: int   # exclusive
    start: int  # of the numbers
    end: int
    step: int


class Block:
    """Parameters of one group, dtype and device, side by side.

    values, gradients  the flat arrays; views, slots: their parts in the parameters' shapes
    moments            name -> flat array of what the optimiser remembers, such as 'exp_avg'
    steps              how many steps each parameter has had

    On a GPU also `counters`, the steps as an array there, and `options`, the optimiser's options
    there: a recorded launch reads them anew each time.
    """

    def __init__(self, parameters, names, options):
        self.parameters = parameters
        self.shapes = [p.array.shape for p in parameters]
        first = parameters[0].array
        xp = module_of(first)
        self.ends = []
        total = 0
        for p in parameters:
            total += p.array.size
            self.ends.append(total)
        self.values, self.gradients = (xp.empty(total, first.dtype) for _ in range(2))
        self.moments = {name: xp.zeros(total, first.dtype) for name in names}
        self.steps = [0] * len(parameters)
        self.has_kernels = has_kernels_for(self.values)
        if self.has_kernels:
            self.counters = xp.zeros(len(parameters), numpy.int64)
            self.options = xp.empty(len(options), numpy.float64)
            self.uploaded = None  # what `options` holds
        else:
            self.scratch = xp.empty(min(total, PIECE) if xp is numpy else total, first.dtype)
        self.views, self.slots = self.parts(self.values), self.parts(self.gradients)
        for p, view, slot in zip(parameters, self.views, self.slots):
            view[...] = p.array
            p.array = view
            p.slot = slot

    def parts(self, flat):
        """A flat array as views in the parameters' shapes."""
        return [flat[start:end].reshape(shape)
                for start, end, shape in zip([0, *self.ends], self.ends, self.shapes)]

    def is_in_place(self):
        """Whether the parameters still lie here: `to`, `data = ` or another optimiser move them."""
        return all(p.array is view for p, view in zip(self.parameters, self.views))

    def flats(self):
        return self.values, self.gradients, *self.moments.values()

    def advance(self):
        """Count a step for each parameter that has a gradient; the runs of them."""
        runs = []
        start = 0
        for i, p in enumerate(self.parameters):
            end = self.ends[i]
            gradient = p.gradient
            if gradient is not None:
                if gradient is not self.slots[i]:  # set by hand, or in another's slot
                    self.slots[i][...] = gradient
                self.steps[i] += 1
                p.changed()
                step = self.steps[i]
                if runs and runs[-1].last == i and runs[-1].step == step:
                    runs[-1] = runs[-1]._replace(last=i + 1, end=end)
                else:
                    runs.append(Run(i, i + 1, start, end, step))
            start = end
        return runs

    def set_steps(self, steps):
        self.steps = steps
        if self.has_kernels:
            self.counters.set(numpy.array(steps, numpy.int64))

    def set_options(self, options):
        """Copy the options to the GPU if they are others than before."""
        if options != self.uploaded:
            self.options.set(numpy.array(options, numpy.float64))
            self.uploaded = options


class RecordedStep:
    """An optimiser's step over one block within a recording: what the host does at its replays."""

    def __init__(self, optimiser, group, block, runs):
        self.optimiser, self.group, self.block, self.runs = optimiser, group, block, runs

    def fits(self):
        """Whether the block is still in use, and its parameters lie there."""
        return any(block is self.block for _, block in self.optimiser.blocks) and (
            self.block.is_in_place())

    def before(self):
        self.block.set_options(self.optimiser.options(self.group))

    def after(self, steps=1):
        for run in self.runs:
            for i in range(run.first, run.last):
                self.block.steps[i] += steps

    def undo(self):
        self.after(-1)


class Optimizer:
    """What optimisers have in common: groups of parameters, laid flat, stepped and saved.

    A subclass names what it remembers of each parameter (`remembers`) and which options are
    numbers. It defines `update(group, step, scratch, values, gradients, *moments)` for flat arrays,
    and for a GPU `options(group)`, a tuple of numbers, and `launch(options, step, values, gradients,
    *moments)` with both as arrays there.
    """

    remembers = ()
    numbers = ()
    counts_steps = False  # whether an update uses the number of the step

    @explained
    def __init__(self, params, defaults):
        self.name = type(self).__name__
        self.defaults = defaults
        self.param_groups = []
        self.blocks = []  # (group, Block)
        if isinstance(params, (Tensor, dict)):  # both iterable, neither what is meant
            raise TypeError(f"{self.name}: params must be an iterable of parameters or of dicts, "
                            f"got {describe(params)}")
        try:
            params = list(params)
        except TypeError:
            raise TypeError(f"{self.name}: params must be an iterable of parameters or of dicts, "
                            f"got {describe(params)}") from None
        groups = params if params and isinstance(params[0], dict) else [{"params": params}]
        for group in groups:
            self.add_param_group(group)

    @explained
    def add_param_group(self, group):
        """Take on more parameters: {'params': [...], 'lr': 0.1, ...}."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{self.name}: a parameter group must be a dict with 'params', "
                            f"got {describe(group)}")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if not params:
            raise ValueError(f"{self.name}: no parameters given (a generator can be used once)")
        known = {id(p) for before in self.param_groups for p in before["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{self.name}: expected parameters, got {describe(p)}")
            if not p.is_leaf or p.dtype.kind != "f":
                raise ValueError(f"{self.name}: only floating-point leaves can be trained, not "
                                 f"{describe(p)}" + ("" if p.is_leaf else " made by an operation"))
            if id(p) in known:
                raise ValueError(f"{self.name}: a parameter of shape {p.shape} is given twice")
            known.add(id(p))
        unknown = set(group) - {"params"} - set(self.defaults)
        if unknown:
            raise ValueError(f"{self.name}: unknown options {', '.join(sorted(unknown))}")
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        self.param_groups.append(group)
        self._lay_out()

    def check(self, group):
        """ValueError for an option that is no number of at least 0; subclasses check theirs."""
        for option in self.numbers:
            value = group[option]
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < math.inf:
                raise ValueError(f"{self.name}: {option} must be a finite number of at least 0, "
                                 f"got {describe(value)}")

    def _lay_out(self):
        """Move all parameters into blocks, carrying along what is remembered of them."""
        remembered = self._remembered()
        self.blocks = []
        for group in self.param_groups:
            alike = {}
            for p in group["params"]:
                alike.setdefault((p.dtype, p.device), []).append(p)
            self.blocks += [(group, Block(params, self.remembers, self.options(group)))
                            for params in alike.values()]
        for group, block in self.blocks:
            parts = {name: block.parts(flat) for name, flat in block.moments.items()}
            for i, p in enumerate(block.parameters):
                if id(p) in remembered:
                    block.steps[i], moments = remembered[id(p)]
                    for name, moment in moments.items():
                        if moment.shape != p.shape:
                            raise ValueError(f"{self.name}: a parameter's shape changed from "
                                             f"{moment.shape} to {p.shape}; make a new optimiser")
                        parts[name][i][...] = Tensor(moment).to(p.device).array
            block.set_steps(block.steps)

    def _remembered(self):
        """id(parameter) -> (steps, {name: array}) for each that has had a step."""
        remembered = {}
        for _, block in self.blocks:
            parts = {name: block.parts(flat) for name, flat in block.moments.items()}
            for i, p in enumerate(block.parameters):
                if block.steps[i]:
                    remembered[id(p)] = (block.steps[i], {n: parts[n][i] for n in parts})
        return remembered

    def zero_grad(self, set_to_none=True):
        """Forget all gradients, or with set_to_none=False fill them with zeros.

        Each parameter's next gradient takes the same memory again.
        """
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    def step(self):
        """Change every parameter that has a gradient."""
        if watching.observer is None:
            self._step()
        else:
            watching.observer.run("step", self.name, self._step, (), {})

    def _step(self):
        if not all(block.is_in_place() for _, block in self.blocks):
            self._lay_out()
        for group, block in self.blocks:
            if block.has_kernels:
                self._step_on_gpu(group, block)
                continue
            flats = block.flats()
            for _, _, start, end, step in block.advance():
                for piece in range(start, end, block.scratch.size):
                    until = min(piece + block.scratch.size, end)
                    self.update(group, step, block.scratch[:until - piece],
                                *[flat[piece:until] for flat in flats])

    def _step_on_gpu(self, group, block):
        block.set_options(self.options(group))
        runs = block.advance()
        if capturing.recording is not None:
            capturing.recording.steps.append(RecordedStep(self, group, block, runs))
        for first, last, start, end, _ in runs:
            steps = block.counters[first:last]
            steps += 1
            self.launch(block.options, steps, *[flat[start:end] for flat in block.flats()])

    def state_dict(self):
        """{'state': {i: {'step': int, name: Tensor}}, 'param_groups': [...]}, as PyTorch's.

        i counts the parameters over all groups; the Tensors share the optimiser's memory.
        """
        remembered = self._remembered()
        state, groups, number = {}, [], 0
        for group in self.param_groups:
            numbers = list(range(number, number + len(group["params"])))
            for i, p in zip(numbers, group["params"]):
                if id(p) in remembered:
                    step, moments = remembered[id(p)]
                    state[i] = {"step": step, **{n: Tensor(m) for n, m in moments.items()}}
            groups.append({**group, "params": numbers})
            number += len(numbers)
        return {"state": state, "param_groups": groups}

    @explained
    def load_state_dict(self, state_dict):
        """Take over a copy of another's state. ValueError if groups or shapes do not fit."""
        try:
            groups, states = state_dict["param_groups"], state_dict["state"]
            sizes = [len(group["params"]) for group in groups]
        except (KeyError, TypeError):
            raise ValueError(f"load_state_dict: {self.name}: expected a dict with 'state' and "
                             f"'param_groups', got {describe(state_dict)}") from None
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise ValueError(f"load_state_dict: {self.name} has groups of {own} parameters, the "
                             f"state has {sizes}")
        params = [p for group in self.param_groups for p in group["params"]]
        numbers = [i for group in groups for i in group["params"]]
        state = {id(p): states[i] for p, i in zip(params, numbers) if i in states}
        steps = {}
        for p in params:
            if id(p) not in state:
                continue
            steps[id(p)] = int(state[id(p)].get("step", 1))
            if steps[id(p)] < 0:
                raise ValueError(f"load_state_dict: {self.name}: step must be at least 0, "
                                 f"got {steps[id(p)]}")
            if self.counts_steps and "step" not in state[id(p)]:
                raise ValueError(f"load_state_dict: {self.name}: step of a parameter of shape "
                                 f"{p.shape} is missing")
            for name in self.remembers:
                moment = state[id(p)].get(name)
                if moment is None and not self.counts_steps:
                    continue  # PyTorch's SGD without momentum remembers None
                if moment is None or tuple(moment.shape) != p.shape:
                    found = "is missing" if moment is None else f"has shape {tuple(moment.shape)}"
                    raise ValueError(f"load_state_dict: {self.name}: {name} of a parameter of "
                                     f"shape {p.shape} {found}")
                if moment.dtype.kind not in "biuf":
                    raise TypeError(f"load_state_dict: {self.name}: {name} must be numbers, "
                                    f"got {describe(moment)}")
        loaded = [{**group, **{k: v for k, v in saved.items() if k in self.defaults}}
                  for group, saved in zip(self.param_groups, groups)]
        for group in loaded:
            self.check(group)
        for group, options in zip(self.param_groups, loaded):
            group.update(options)
        self._lay_out()
        for _, block in self.blocks:
            for name, flat in block.moments.items():
                for p, part in zip(block.parameters, block.parts(flat)):
                    moment = state.get(id(p), {}).get(name)
                    if moment is not None:
                        moment = moment if isinstance(moment, Tensor) else Tensor(moment)
                        part[...] = moment.to(p.device).array
                    else:
                        part[...] = 0
            block.set_steps([steps.get(id(p), 0) for p in block.parameters])

    def __repr__(self):
        lines = [f"Parameter group {i}: " + ", ".join(
            f"{option}={group[option]}" for option in self.defaults)
            for i, group in enumerate(self.param_groups)]
        return f"{self.name}(\n  " + "\n  ".join(lines) + "\n)"


class SGD(Optimizer):
    """p -= lr * d, where d is the gradient (plus weight_decay * p), or with momentum its sum
    b = momentum * b + d; nesterov looks one step ahead, d + momentum * b.

    I. Sutskever et al., On the importance of initialization and momentum, 2013 (PyTorch's form).
    """

    remembers = ("momentum_buffer",)
    numbers = ("lr", "momentum", "weight_decay")

    @explained
    def __init__(self, params, lr=1e-3, momentum=0, weight_decay=0, nesterov=False, **options):
        check_options("SGD", options, OPTIONS | {"dampening": (0,)})
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay,
                                      nesterov=nesterov))

    def check(self, group):
        super().check(group)
        if not isinstance(group["nesterov"], int):
            raise ValueError(f"SGD: nesterov must be True or False, "
                             f"got {describe(group['nesterov'])}")
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov needs a momentum above 0")

    def options(self, group):
        return group["lr"], group["momentum"], group["weight_decay"], float(group["nesterov"])

    def launch(self, options, step, p, g, b):
        on_gpu.sgd(options, p, g, b)

    def update(self, group, step, d, p, g, b):
        momentum = group["momentum"]
        xp = module_of(p)
        if group["weight_decay"]:
            xp.multiply(p, group["weight_decay"], out=d)
            d += g
        else:
            d[...] = g
        if momentum:
            b *= momentum
            b += d
            if group["nesterov"]:
                d += momentum * b
            else:
                d[...] = b
        d *= group["lr"]
        p -= d


class Adam(Optimizer):
    """Steps of equal size in all parameters: the mean of the gradient over the root of the mean
    of its square, both running means with their start at 0 corrected.

    D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015, in the order of
    section 2's last lines: the corrections go into the step size and eps.
    """

    remembers = ("exp_avg", "exp_avg_sq")
    numbers = ("lr", "eps", "weight_decay")
    counts_steps = True

    @explained
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, **options):
        check_options("Adam", options, OPTIONS | {
            "amsgrad": (False,), "capturable": (False, True), "decoupled_weight_decay": (False,)})
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def check(self, group):
        super().check(group)
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(
                isinstance(beta, Real) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam: betas must be two numbers, 0 <= beta < 1, "
                             f"got {describe(betas)}")

    def options(self, group):
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"]

    def launch(self, options, step, p, g, m, v):
        on_gpu.adam(options, step, p, g, m, v)

    def update(self, group, step, d, p, g, m, v):
        beta1, beta2 = group["betas"]
        xp = module_of(p)
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        m *= beta1
        xp.multiply(g, 1 - beta1, out=d)
        m += d
        v *= beta2
        xp.multiply(g, g, out=d)
        d *= 1 - beta2
        v += d
        # lr / c1 * m / (sqrt(v) / sqrt(c2) + eps), with sqrt(c2) brought out of the fraction
        c1, root = 1 - beta1 ** step, math.sqrt(1 - beta2 ** step)
        xp.sqrt(v, out=d)
        d += group["eps"] * root
        xp.divide(m, d, out=d)
        d *= group["lr"] * root / c1
        p -= d
