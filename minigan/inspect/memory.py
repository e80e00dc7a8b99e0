"""Which arrays a value refers to, and which memory they share."""

from types import FunctionType, MethodType

import numpy

from minigan.tensor import Tensor

NUMBERS = {bool, int, float}


def arrays_within(value):
    """All plain arrays that a value refers to, some perhaps several times: those of Tensors and
    their gradients, in tuples and lists, and in the closures of functions, as an operation's
    backward has them."""
    waiting, functions = [value], set()
    while waiting:
        value = waiting.pop()
        if value is None or type(value) in NUMBERS:  # most of the values in closures
            continue
        if isinstance(value, (tuple, list)):
            waiting += value
        elif isinstance(value, Tensor):
            waiting += value.array, value.grad_buffer, value._grad
        elif isinstance(value, FunctionType):
            if value not in functions:  # a function may close over itself
                functions.add(value)
                waiting += closure_values(value)
        elif isinstance(value, MethodType):
            waiting.append(value.__self__)
        elif is_array(value):
            yield value


def is_array(value):
    return isinstance(value, numpy.ndarray) or hasattr(value, "__cuda_array_interface__")


def closure_values(function):
    """The values of the variables that a function closes over."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the variable has no value
            pass


def owner(array):
    """The array that owns the memory of this one: itself, unless it is a view."""
    while array.base is not None and is_array(array.base):
        array = array.base
    return array


def tensors_within(value):
    """The Tensors in a forward's result: alone or in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors_within(part)


def format_bytes(size):
    """A number of bytes with a unit: '12.3 MiB'."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
