"""Changes of a tensor in place: of the memory that it shares with its views.

Nothing that a graph recorded may be changed unnoticed: each change counts as a version, and one that
would lose a gradient is refused.
"""

import operator

import numpy

from minigan.checks import (
    check_axis, check_bounds, check_number, check_places, describe, explain_errors)
from minigan.device import array_module, float32, generator, is_on_gpu
from minigan.functional.arithmetic import clamp, operands, scaled
from minigan.functional.selection import masked_fill, places_along
from minigan.grad_mode import grad_mode, no_grad
from minigan.hooks import hooks
from minigan.indexing import numbers_first, plain_index
from minigan.tensor import Tensor


def check_changeable(name, tensor):
    """RuntimeError if a change in place would escape a recorded graph, or another tensor."""
    if hooks.capture is not None:
        hooks.capture.watch(tensor)
    if tensor.requires_grad and (tensor.node is not None or grad_mode.enabled):
        raise RuntimeError(f"{name}: a tensor that requires a gradient cannot be changed in "
                           f"place; use no_grad() for a leaf, a new tensor otherwise")
    if tensor.read_only == "expand":
        raise RuntimeError(f"{name}: several elements of this tensor, which expand made, share one "
                           f"place in memory; clone() it first")
    if tensor.read_only is not None:
        raise RuntimeError(f"{name}: {tensor.read_only} had to copy this tensor, as the memory "
                           f"it was to share is laid out otherwise; use contiguous() before, "
                           f"or clone() after")


def assign(name, tensor, index, value):
    """tensor[index] = value. ValueError for what does not fit."""
    check_changeable(name, tensor)
    if isinstance(value, Tensor) and value.requires_grad and grad_mode.enabled:
        raise NotImplementedError(f"{name}: the value requires a gradient; build the "
                                  f"tensor with cat or stack instead")
    array = getattr(value, "array", value)
    try:
        if not hasattr(array, "dtype"):
            array = numpy.asarray(array)
        if array.dtype.kind not in "biuf":
            raise TypeError("expected numbers")  # None would become nan
        if array.ndim == 0 and is_on_gpu(tensor.array) and not is_on_gpu(array):
            array = array.item()  # which a GPU takes, unlike an array of the host
        elif isinstance(array, numpy.ndarray):
            array = array_module(tensor.array).asarray(array)
        first, then = numbers_first(plain_index(index, tensor.array.ndim))
        if then is None:
            tensor.array[first] = array
        else:
            tensor.array[first][then] = array
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}; the tensor has shape {tensor.array.shape}, the value is "
                         f"{describe(value)}") from error
    tensor.changed()
    return tensor


@explain_errors
def copy_(input, src):
    """The numbers of another tensor, broadcast."""
    if len(getattr(src, "shape", ())) > input.ndim:
        raise ValueError(f"copy_: expected at most {input.ndim} dimensions, got {describe(src)}")
    return assign("copy_", input, ..., src)


@explain_errors
def add_(input, other, *, alpha=1):
    """input += alpha * other."""
    return changed_by("add_", operator.iadd, input, scaled(input, other, alpha))


@explain_errors
def sub_(input, other, *, alpha=1):
    """input -= alpha * other."""
    return changed_by("sub_", operator.isub, input, scaled(input, other, alpha))


@explain_errors
def mul_(input, other):
    """input *= other."""
    return changed_by("mul_", operator.imul, input, other)


@explain_errors
def div_(input, other):
    """input /= other."""
    return changed_by("div_", operator.itruediv, input, other)


def changed_by(name, change, input, other):
    """change(array, other) where the array lies, in its dtype."""
    if isinstance(other, Tensor) and other.requires_grad and grad_mode.enabled:
        raise RuntimeError(f"{name}: the other operand requires a gradient, which a change "
                           f"in place would lose; use {name[:-1]}")
    check_changeable(name, input)
    array = input.array  # `change` works on the array where it lies
    try:
        with numpy.errstate(all="ignore"):
            change(array, operands(input, other)[1].array)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}; the tensor is {describe(input)}, the other operand "
                   f"{describe(other)}") from None
    input.changed()
    return input


@explain_errors
def clamp_(input, min=None, max=None):
    """`clamp` in place."""
    min, max = check_bounds("clamp_", min, max)
    if input.dtype.kind != "f" and any(isinstance(bound, float) for bound in (min, max)):
        raise TypeError(f"clamp_: the bounds of {describe(input)} must be integers, got {min} and "
                        f"{max}")
    with no_grad():
        return assign("clamp_", input, ..., clamp(input, min, max))


@explain_errors
def masked_fill_(input, mask, value):
    """`masked_fill` in place."""
    with no_grad():
        return assign("masked_fill_", input, ..., masked_fill(input, mask, value))


@explain_errors
def scatter_(input, dim, index: Tensor, src=None, *, value=None):
    """Numbers put where an index points along one dimension: input[i, index[i,j]] = src[i,j] for
    dim 1; src or value, a number, means the same everywhere.

    index  int64, of as many dimensions as the input, none longer except along dim
    """
    axis = check_axis("scatter_", dim, input.ndim)
    check_places("scatter_", input.array, axis, index.array)
    if (src is None) == (value is None):
        raise TypeError("scatter_: expected either src or value")
    if isinstance(src, Tensor):
        if src.dtype != input.dtype:
            raise TypeError(f"scatter_: src is {src.dtype}, the tensor {input.dtype}")
        src = src[tuple(slice(n) for n in index.shape)]
    src = check_number("scatter_", "value", value) if src is None else src
    return assign("scatter_", input, places_along(index.array, axis), src)


@explain_errors
def uniform_(input, a=0.0, b=1.0):
    """Filled with uniform random numbers, a <= x < b."""
    check_number("uniform_", "a", a)
    check_number("uniform_", "b", b)
    sampled = generator(input.device).random(input.shape, dtype=random_dtype(input))
    return assign("uniform_", input, ..., a + (b - a) * sampled)


@explain_errors
def normal_(input, mean=0.0, std=1.0):
    """Filled with normal random numbers."""
    check_number("normal_", "mean", mean)
    check_number("normal_", "std", std, 0)
    sampled = generator(input.device).standard_normal(input.shape, dtype=random_dtype(input))
    return assign("normal_", input, ..., mean + std * sampled)


def random_dtype(tensor):
    """Generators sample float32 and float64 only."""
    return tensor.dtype if tensor.dtype == "float64" else float32
