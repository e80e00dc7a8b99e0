"""What optimisers have in common: groups of parameters, their state, and memory for gradients."""

import functools
import math
from numbers import Real

from minigan.autograd import clear_gradients
from minigan.checks import check_callable, describe, explain_errors
from minigan.creation import tensor
from minigan.device import aligned_starts, array_module
from minigan.hooks import hooks
from minigan.tensor import Tensor, changed, from_array

# PyTorch's further options: those for how it computes change nothing here, and are accepted; those
# for what it computes are accepted only where they are off.
OPTIONS = {"maximize": (False,), "differentiable": (False,), "foreach": (None, False, True),
           "fused": (None, False, True)}


class Optimizer:
    """Groups of parameters that are stepped together.

    param_groups  a list of dicts of options, each with its 'params'; they may be edited
    state         {parameter: {'step': Tensor, ...}}, what is remembered of each that has had a step

    Parameters stay where they are. Their gradients lie side by side in one flat array for each
    dtype and device, from which `zero_grad` only takes them away: the next backward pass writes
    into the same memory.

    A subclass names its state, 'step' first (`state_names`), and the options that are numbers of
    at least 0 (`numbers`). It defines `update(group, params, grads, steps, ...)`, which changes
    lists of arrays in place; each of `steps` is a 0-d int64 array. It may return True where a
    captured step follows changes of the group's options: otherwise such a step is captured anew.
    """

    state_names = ("step",)
    numbers = ()
    needs_state = False  # whether a saved state without moments is incomplete

    @explain_errors
    def __init__(self, params, defaults):
        self.name = type(self).__name__
        self.defaults = defaults
        self.param_groups = []
        self.state = {}
        self._laid_out = []  # the parameters that have a place for their gradients
        self._step_pre_hooks = []
        if isinstance(params, (Tensor, dict)):  # both iterable, neither what is meant
            raise TypeError(f"{self.name}: params must be an iterable of parameters or of dicts, "
                            f"got {describe(params)}")
        params = list(params)
        groups = params if params and isinstance(params[0], dict) else [{"params": params}]
        for group in groups:
            self.add_param_group(group)

    @explain_errors
    def add_param_group(self, param_group):
        """Add more parameters: {'params': [...], 'lr': 0.1, ...}."""
        group = param_group
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{self.name}: a parameter group must be a dict with 'params', "
                            f"got {describe(group)}")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if not params:
            raise ValueError(f"{self.name}: no parameters given (a generator can be used once)")
        known = {id(p) for p in self._parameters()}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{self.name}: expected parameters, got {describe(p)}")
            if not p.is_leaf or p.dtype.kind != "f":
                raise ValueError(f"{self.name}: only floating-point leaves can be trained, not "
                                 f"{describe(p)}" + ("" if p.is_leaf else " made by an operation"))
            if id(p) in known:
                raise ValueError(f"{self.name}: a parameter of shape {p.array.shape} is given twice")
            known.add(id(p))
        unknown = set(group) - {"params", "initial_lr"} - set(self.defaults)
        if unknown:
            raise ValueError(f"{self.name}: unknown options {', '.join(sorted(unknown))}")
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        self.param_groups.append(group)
        self._lay_out_gradients()

    def check(self, group):
        """ValueError for an option that is no number of at least 0; subclasses check theirs."""
        for option in self.numbers:
            value = group[option]
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < math.inf:
                raise ValueError(f"{self.name}: {option} must be a finite number of at least 0, "
                                 f"got {describe(value)}")

    def _parameters(self):
        return [p for group in self.param_groups for p in group["params"]]

    def _lay_out_gradients(self):
        """Give each parameter a place for its gradient, unless all have theirs already."""
        params = self._parameters()
        if len(params) == len(self._laid_out) and all(
                [p is q and p.grad_buffer is not None for p, q in zip(params, self._laid_out)]):
            return
        alike = {}
        for p in params:
            alike.setdefault((p.dtype, p.device), []).append(p)
        for parts in alike.values():
            starts = aligned_starts([p.array for p in parts])
            first = parts[0].array
            flat = array_module(first).zeros(starts[-1], first.dtype)
            for p, start in zip(parts, starts):
                p.grad_buffer = from_array(flat[start:start + p.array.size].reshape(p.array.shape))
        self._laid_out = params

    def zero_grad(self, set_to_none=True):
        """Forget all gradients, or with set_to_none=False fill them with zeros.

        Each parameter's next gradient takes the same memory again.
        """
        self._lay_out_gradients()
        clear_gradients(self._laid_out, set_to_none)

    def register_step_pre_hook(self, hook):
        """Call hook(optimizer, args, kwargs) at the beginning of each step, as PyTorch does."""
        self._step_pre_hooks.append(check_callable("register_step_pre_hook", "hook", hook))

    def step(self):
        """Change every parameter that has a gradient."""
        for hook in self._step_pre_hooks:
            hook(self, (), {})
        if hooks.observer is None:
            self._step()
        else:
            hooks.observer.run("step", self.name, self._step, (), {})

    def _step(self):
        self._lay_out_gradients()
        captured = hooks.capture
        if captured is not None:
            captured.optimisers.append(self)
            for p in self._parameters():
                captured.uses_gradient(p)
        for group in self.param_groups:
            params = [p for p in group["params"] if p._grad is not None]
            if not params:
                continue
            states = [self._state_of(p) for p in params]
            if captured is not None:
                for state in states:
                    captured.watch(*state.values())
            follows = self.update(
                group, [p.array for p in params], [p._grad.array for p in params],
                *[[state[name].array for state in states] for name in self.state_names])
            if captured is not None and not follows:
                options = functools.partial(options_of, group)
                captured.constants.append((options, options()))
            changed(params)
            for state in states:
                changed(state.values())

    def _parts(self):
        """The groups, parameters and arrays of states: a captured step is for these alone."""
        return [part for group in self.param_groups for part in (group, *group["params"])] + [
            x.array for p in self._parameters() if p in self.state for x in self.state[p].values()]

    def _state_of(self, p):
        """What is remembered of a parameter: zeros at first."""
        state = self.state.get(p)
        if state is None:
            xp = array_module(p.array)
            self.state[p] = state = {
                name: from_array(
                    xp.zeros((), "int64") if name == "step" else xp.zeros_like(p.array))
                for name in self.state_names}
            return state
        moment, array = state[self.state_names[-1]].array, p.array
        is_moment = len(self.state_names) > 1  # and not the number of steps alone
        if is_moment and moment.shape != array.shape:
            raise ValueError(f"{self.name}: a parameter's shape changed from {moment.shape} to "
                             f"{array.shape}; make a new optimiser")
        if is_moment and moment.dtype is not array.dtype or type(moment) is not type(array):
            for name in self.state_names:  # the parameter was moved to another device or dtype
                state[name] = state[name].to(p.device, None if name == "step" else p.dtype)
        return state

    def state_dict(self):
        """{'state': {i: {'step': Tensor, ...}}, 'param_groups': [...]}, as PyTorch's.

        i counts the parameters over all groups; the Tensors are the optimiser's own, and go on
        with it: copy.deepcopy what is to stay.
        """
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        return {"state": {numbers[id(p)]: dict(self.state[p]) for p in self._parameters()
                          if p in self.state},
                "param_groups": [{**group, "params": [numbers[id(p)] for p in group["params"]]}
                                 for group in self.param_groups]}

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
        numbers = [i for group in groups for i in group["params"]]
        loaded = {p: self._loaded(p, states[i])
                  for p, i in zip(self._parameters(), numbers) if i in states}
        options = [{**group, **{k: v for k, v in saved.items()
                                if k in self.defaults or k == "initial_lr"}}
                   for group, saved in zip(self.param_groups, groups)]
        for group in options:
            self.check(group)
        for group, new in zip(self.param_groups, options):
            group.update(new)
        self.state = loaded

    def _loaded(self, p, saved):
        """A copy of a parameter's saved state."""
        if "step" not in saved and self.needs_state:
            raise ValueError(f"load_state_dict: {self.name}: step of a parameter of shape "
                             f"{p.array.shape} is missing")
        step = int(saved.get("step", 1))
        if step < 0:
            raise ValueError(f"load_state_dict: {self.name}: step must be at least 0, got {step}")
        xp = array_module(p.array)
        state = {"step": from_array(xp.full((), step, "int64"))}
        for name in self.state_names[1:]:
            moment = saved.get(name)
            if moment is None and not self.needs_state:
                state[name] = from_array(xp.zeros_like(p.array))  # PyTorch's, without momentum
                continue
            if moment is None or tuple(moment.shape) != p.shape:
                found = "is missing" if moment is None else f"has shape {tuple(moment.shape)}"
                raise ValueError(f"load_state_dict: {self.name}: {name} of a parameter of "
                                 f"shape {p.array.shape} {found}")
            state[name] = tensor(moment, dtype=p.dtype, device=p.device)
        return state

    def __getstate__(self):
        """For copies and pickles: places for gradients are a matter of this process."""
        return {**vars(self), "_laid_out": []}

    def __repr__(self):
        lines = [f"Parameter group {i}: " + ", ".join(
            f"{option}={group[option]}" for option in self.defaults)
            for i, group in enumerate(self.param_groups)]
        return f"{self.name}(\n  " + "\n  ".join(lines) + "\n)"


def options_of(group):
    """A group without its parameters; lists as they are now."""
    return {name: tuple(value) if isinstance(value, list) else value
            for name, value in group.items() if name != "params"}
