"""What a step may change that is Python's own: numbers and containers that its code can reach."""

from collections import deque
from numbers import Number
from types import ModuleType

from minigan.capture.listing import names_found
from minigan.nn import Module
from minigan.optim import Optimizer
from minigan.tensor import Tensor

SIMPLE = str, bytes, Number, type(None)
LONGEST = 1000  # containers are looked at up to here, longer ones only at their length


def state_of_python(step):
    """{name: what it holds} of simple values among the step's globals, closure variables and what
    `self` has, and one level below."""
    state = {}
    for name, value in names_found(step).items():
        state[name] = simple(value)
        if hasattr(value, "__dict__") and not callable(value) and not isinstance(
                value, (ModuleType, Module, Optimizer, Tensor)):
            state |= {f"{name}.{key}": simple(part) for key, part in vars(value).items()}
    return state


def simple(value):
    """Something that is equal as long as the value holds the same."""
    if isinstance(value, SIMPLE):
        return repr(value)  # nan is not equal to itself
    if isinstance(value, (list, tuple, set, deque)):
        return len(value), tuple(map(plain, list(value)[:LONGEST]))
    if isinstance(value, dict):
        return len(value), tuple((plain(k), plain(v)) for k, v in list(value.items())[:LONGEST])
    return None


def plain(value):
    return repr(value) if isinstance(value, SIMPLE) else id(value)


def difference_of_states(before, after):
    """The name of something that differs, or ""."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            return name
    return ""
