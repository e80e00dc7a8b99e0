"""What stands in the brackets of x[...], made ready for NumPy."""

import numpy


def plain_index(index, ndim):
    """An index into `ndim` dimensions with the Tensors in it as arrays, integers as Python's.

    An Ellipsis that stands for no dimension is left out, as in PyTorch: NumPy would take the
    arrays on both sides of it for separate ones.
    TypeError for uint8, a mask to some and numbers to others, and for a nested list alone.
    """
    if isinstance(index, list) and any(isinstance(part, (list, tuple)) for part in index):
        raise TypeError("index: a nested list may mean an array or a tuple; use a Tensor or "
                        "a tuple")
    if not isinstance(index, tuple):
        return plain_part(index)
    parts = tuple(plain_part(part) for part in index)
    if any(part is Ellipsis for part in parts) and sum(map(dimensions_of, parts)) == ndim:
        parts = tuple(part for part in parts if part is not Ellipsis)
    return parts


def plain_part(index):
    if hasattr(index, "array"):  # a Tensor
        index = index.array
    if isinstance(index, list):
        index = numpy.asarray(index) if index else numpy.zeros(0, dtype="int64")
    if hasattr(index, "dtype"):
        if index.dtype == "uint8" and index.ndim:
            raise TypeError("index: a uint8 array may mean a mask or numbers; use bool or int64")
        if not index.ndim and index.dtype.kind in "iu":
            return index.item()
    return index


def dimensions_of(part):
    """How many dimensions this part of an index stands for, an Ellipsis aside."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if hasattr(part, "dtype") and part.dtype.kind == "b" else 1


def numbers_first(index):
    """(index, None), or the two steps that PyTorch takes for numbers and arrays together.

    It takes the numbers first: x[0, :, [1, 1]] is x[0][:, [1, 1]]. NumPy counts a number among
    the arrays, which puts their common dimension elsewhere.
    """
    parts = index if isinstance(index, tuple) else (index,)
    is_array = [hasattr(part, "ndim") and part.ndim > 0 for part in parts]
    is_number = [isinstance(part, int) and not isinstance(part, bool) for part in parts]
    if not (any(is_array) and any(is_number)):
        return index, None
    first, then = [], []
    for part, array, number in zip(parts, is_array, is_number):
        whole = [slice(None)] * (part.ndim if array and part.dtype.kind == "b" else 1)
        first += whole if array else [part]
        if not number:
            then += [part] if array or part is Ellipsis else whole
    return tuple(first), tuple(then)
