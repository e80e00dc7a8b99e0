"""What optimisers have in common: groups of parameters, laid flat, stepped, saved and loaded."""

import math
from numbers import Real

from minigan.autograd import Tensor
from minigan.capturing import capturing
from minigan.checks import describe, explain_errors
from minigan.optim.blocks import Block, RecordedStep
from minigan.walk import clear_gradients
from minigan.hooks import hooks

# PyTorch's further options: those for how it computes change nothing here, and are accepted; those
# for what it computes are accepted only where they are off.
OPTIONS = {"maximize": (False,), "differentiable": (False,), "foreach": (None, False, True),
           "fused": (None, False, True)}


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

    @explain_errors
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

    @explain_errors
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
        if hooks.observer is None:
            self._step()
        else:
            hooks.observer.run("step", self.name, self._step, (), {})

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

    @explain_errors
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
