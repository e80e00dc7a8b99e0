"""Which arrays a value holds, and which memory they lie in."""

from types import FunctionType, MethodType

import numpy

from minigan.tensor import Tensor


NUMBERS = {bool, int, float}


def arrays_within(value):
    """All plain arrays in a value, some perhaps several times.

    Those of Tensors with their gradients, in tuples and lists, and what a
    function closes over, as an operation's backward does.
    """
    waiting, functions = [value], set()
    while waiting:
        value = waiting.pop()
        if value is None or type(value) in NUMBERS:  # most of what a function closes over
            continue
        if isinstance(value, (tuple, list)):
            waiting += value
        elif isinstance(value, Tensor):
            waiting += value.array, value.grad_buffer, value._grad
        elif isinstance(value, FunctionType):
            if value not in functions:  # one may close over itself
                functions.add(value)
                waiting += closed_over(value)
        elif isinstance(value, MethodType):
            waiting.append(value.__self__)
        elif is_array(value):
            yield value


def is_array(value):
    return isinstance(value, numpy.ndarray) or hasattr(value, "__cuda_array_interface__")


def closed_over(function):
    """The values of the names that a function has from the function around it."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the name has no value
            pass


def owner(array):
    """The array whose memory this one shows: itself unless it is a view."""
    while array.base is not None and is_array(array.base):
        array = array.base
    return array


def tensors_within(value):
    """The Tensors that a forward gives: alone or in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors_within(part)


def in_words(size):
    """A number of bytes as people read it: '12.3 MiB'."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
