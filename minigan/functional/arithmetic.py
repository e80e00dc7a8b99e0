"""Arithmetic with broadcasting, reductions and the matrix product.

The walk back sums a gradient over broadcast axes, so a backward here gives it as it comes.
Types combine by PyTorch's rules: a Python number or a 0-d tensor never widens a tensor of the
same kind, and whole numbers become float32 where a formula needs fractions.
"""

import builtins
from numbers import Real
from typing import NamedTuple

import numpy

from minigan.autograd import Tensor, node
from minigan.device import array_module
from minigan.checks import describe, operation
from minigan.kernels.products import stacked_product

KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def operands(input, other):
    """Two Tensors of one dtype out of Tensors, arrays and numbers (at least one a Tensor)."""
    if not isinstance(other, Tensor):
        if not isinstance(input, Tensor):
            raise TypeError("one of the two must be a Tensor")
        other = like(other, input)
    elif not isinstance(input, Tensor):
        input = like(input, other)
    if input.array.dtype is other.array.dtype:
        return input, other
    dtype = promoted(input.array, other.array)
    return input.to(dtype=dtype), other.to(dtype=dtype)


def like(value, tensor_):
    """A number or array as a Tensor that combines with `tensor_`."""
    array = tensor_.array
    xp = array_module(array)
    if isinstance(value, numpy.generic):
        value = value.item()
    if isinstance(value, (builtins.bool, int, float)):
        dtype = array.dtype
        if isinstance(value, float) and dtype.kind != "f":
            dtype = numpy.dtype("float32")
        elif dtype.kind == "b" and not isinstance(value, builtins.bool):
            dtype = numpy.dtype("int64")
        if xp is not numpy:  # filled there: a copy from the host could not be recorded
            return Tensor(xp.full((), value, dtype))
        return Tensor(numpy.asarray(value, dtype=dtype))
    if isinstance(value, (numpy.ndarray, type(array))):
        return Tensor(xp.asarray(value))
    raise TypeError(f"expected a Tensor, an array or a number, got {type(value).__name__}")


def promoted(a, b):
    """PyTorch's result type: the higher kind wins; within a kind, arrays win over 0-d ones."""
    if KINDS[a.dtype.kind] != KINDS[b.dtype.kind]:
        return a.dtype if KINDS[a.dtype.kind] > KINDS[b.dtype.kind] else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return b.dtype if a.ndim == 0 else a.dtype
    return numpy.promote_types(a.dtype, b.dtype)


def quiet():
    """Where infinities and nan are results like others, as IEEE 754 and PyTorch have it."""
    return numpy.errstate(all="ignore")


def fractional(input):
    """The tensor itself, or as float32 if it holds whole numbers."""
    return input if input.array.dtype.kind == "f" else input.to(dtype="float32")


@operation
def add(input, other, *, alpha=1):
    """input + alpha * other, broadcast."""
    if not isinstance(alpha, int) or alpha != 1:
        other = mul(other, alpha) if isinstance(other, Tensor) else other * alpha
    a, b = operands(input, other)
    return node(a.array + b.array, (a, b), lambda g: (g, g))


@operation
def sub(input, other, *, alpha=1):
    """input - alpha * other, broadcast."""
    if not isinstance(alpha, int) or alpha != 1:
        other = mul(other, alpha) if isinstance(other, Tensor) else other * alpha
    a, b = operands(input, other)
    return node(a.array - b.array, (a, b), lambda g: (g, -g))


@operation
def mul(input, other):
    """input * other, broadcast."""
    a, b = operands(input, other)
    x, y = a.array, b.array

    def backward(g):
        return (g * y if a.requires_grad else None, g * x if b.requires_grad else None)

    return node(x * y, (a, b), backward)


@operation
def div(input, other):
    """input / other, broadcast; whole numbers are divided as float32."""
    a, b = operands(input, other)
    a, b = fractional(a), fractional(b)
    x, y = a.array, b.array

    def backward(g):
        with quiet():
            gx = g / y
            return gx, -gx * (x / y) if b.requires_grad else None

    with quiet():
        return node(x / y, (a, b), backward)


@operation
def neg(input: Tensor):
    """-input."""
    return node(-input.array, (input,), lambda g: (-g,))


@operation
def pow(input, exponent):
    """input ** exponent, broadcast; both have gradients.

    Where the input is 0 and the exponent is not negative, the exponent's gradient is 0, as in
    PyTorch.
    """
    a, b = operands(input, exponent)
    x, y = a.array, b.array
    xp = array_module(x)
    with quiet():
        result = x ** y

    def backward(g):
        gx = gy = None
        with quiet():
            if a.requires_grad:
                # x^(y-1) at x = 0, y = 0 would be infinite; the derivative of x^0 is 0.
                gx = g * xp.where(y == 0, 0, y * x ** xp.where(y == 0, 1, y - 1)).astype(x.dtype)
            if b.requires_grad:
                gy = g * xp.where((x == 0) & (y >= 0), 0, result * xp.log(x)).astype(y.dtype)
        return gx, gy

    return node(result, (a, b), backward)


@operation
def exp(input: Tensor):
    """e ** input."""
    input = fractional(input)
    with quiet():
        y = array_module(input.array).exp(input.array)
    return node(y, (input,), lambda g: (g * y,))


@operation
def log(input: Tensor):
    """The natural logarithm; -inf at 0 and nan below, as IEEE 754 has it."""
    input = fractional(input)
    x = input.array
    with quiet():
        y = array_module(x).log(x)

    def backward(g):
        with quiet():
            return (g / x,)

    return node(y, (input,), backward)


@operation
def sqrt(input: Tensor):
    """The square root; nan below 0."""
    input = fractional(input)
    with quiet():
        y = array_module(input.array).sqrt(input.array)

    def backward(g):
        with quiet():
            return (g / (2 * y),)

    return node(y, (input,), backward)


@operation
def abs(input: Tensor):
    """|input|; the gradient at 0 is 0."""
    x = input.array
    xp = array_module(x)
    return node(xp.abs(x), (input,), lambda g: (g * xp.sign(x),))


@operation
def clamp(input: Tensor, min=None, max=None):
    """The input held within numbers min and max (None: unbounded); no gradient outside."""
    for bound in (min, max):
        if isinstance(bound, Tensor):
            raise NotImplementedError("clamp: min and max must be numbers, Tensors are not "
                                      "supported")
        if bound is not None and not isinstance(bound, Real):
            raise TypeError(f"clamp: min and max must be numbers, got {describe(bound)}")
    min, max = (b.item() if isinstance(b, numpy.generic) else b for b in (min, max))
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max is needed")
    if isinstance(min, float) or isinstance(max, float):
        input = fractional(input)
    x = input.array
    y = array_module(x).clip(x, min, max)
    inside = (x >= (y if min is None else min)) & (x <= (y if max is None else max))
    return node(y, (input,), lambda g: (g * inside,))


def reduced_axes(name, dim, ndim):
    """A tuple of distinct axes counted from 0; all of them for None and ()."""
    dims = dim if isinstance(dim, (tuple, list)) else () if dim is None else (dim,)
    axes = tuple(axis_of(name, d, ndim) for d in dims)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dim {dim} names an axis twice")
    return axes or tuple(range(ndim))


def axis_of(name, dim, ndim):
    """An axis counted from 0. ValueError if it is out of range, TypeError if no whole number."""
    if isinstance(dim, builtins.bool) or not isinstance(dim, (int, numpy.integer)):
        raise TypeError(f"{name}: dim must be a whole number, got {describe(dim)}")
    # A 0-d tensor takes 0 and -1, as in PyTorch.
    if not -builtins.max(ndim, 1) <= dim < builtins.max(ndim, 1):
        raise ValueError(f"{name}: dim {dim} is out of range for {ndim} dimensions")
    return int(dim) % builtins.max(ndim, 1)


def kept(shape, axes):
    """The shape with 1 for each of the axes: broadcasts against the unreduced shape."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


@operation
def sum(input: Tensor, dim=None, keepdim=False):
    """The sum over one, several or (None, ()) all dimensions; whole numbers give int64."""
    x = input.array
    dtype = None if x.dtype.kind == "f" else numpy.int64
    if dim is None:
        y, axes = x.sum(dtype=dtype, keepdims=keepdim), tuple(range(x.ndim))
    else:
        axes = reduced_axes("sum", dim, x.ndim)
        y = x.sum(axis=axes if x.ndim else None, dtype=dtype, keepdims=keepdim)
    xp = array_module(x)
    shape, kept_shape = x.shape, kept(x.shape, axes)

    def backward(g):
        return (xp.broadcast_to(g.reshape(kept_shape), shape),)

    return node(xp.asarray(y), (input,), backward)


@operation
def mean(input: Tensor, dim=None, keepdim=False):
    """The mean over one, several or (None, ()) all dimensions. TypeError for whole numbers."""
    x = input.array
    if x.dtype.kind != "f":
        raise TypeError(f"mean: expected a floating-point tensor, got {x.dtype}")
    axes = reduced_axes("mean", dim, x.ndim)
    xp = array_module(x)
    shape, kept_shape = x.shape, kept(x.shape, axes)
    count = 1
    for axis in axes if x.ndim else ():
        count *= shape[axis]
    count = count or float("nan")  # the mean of nothing is nan
    y = xp.asarray(x.sum(axis=axes if x.ndim else None, keepdims=keepdim)) / count

    def backward(g):
        return (xp.broadcast_to((g / count).reshape(kept_shape), shape),)

    return node(xp.asarray(y), (input,), backward)


class Extreme(NamedTuple):
    """What max and min give along one dimension: the values and where they stand."""
    values: Tensor
    indices: Tensor


def _extreme(name, input, dim, keepdim):
    x = input.array
    xp = array_module(x)
    axes = reduced_axes(name, dim, x.ndim)
    if x.ndim and not all(x.shape[axis] for axis in axes):
        raise ValueError(f"{name}: expected at least one element, got shape {x.shape}")
    single = dim is not None and not isinstance(dim, (tuple, list))
    if single and not x.ndim:
        return Extreme(node(x, (input,), lambda g: (g,), name), Tensor(xp.zeros((), numpy.int64)))
    shape = kept(x.shape, axes)
    if single:
        where = xp.expand_dims((x.argmax if name == "max" else x.argmin)(axis=axes[0]), axes[0])
        y = xp.take_along_axis(x, where, axis=axes[0])
    else:
        y = xp.asarray((x.max if name == "max" else x.min)(axis=axes or None)).reshape(shape)
    result = y if keepdim else y.reshape([n for a, n in enumerate(y.shape) if a not in axes])

    def backward(g):
        if single:
            places = xp.arange(x.shape[axes[0]]).reshape(
                [-1 if axis == axes[0] else 1 for axis in range(x.ndim)])
            return (g.reshape(shape) * (places == where),)
        ties = x == y
        count = ties.sum(axis=axes or None, keepdims=True)
        with quiet():  # where the largest is nan nothing equals it, and the gradient is nan
            return ((g.reshape(shape) / count) * ties,)

    values = node(result, (input,), backward, name)
    return Extreme(values, Tensor(where.reshape(result.shape))) if single else values


@operation
def max(input: Tensor, dim=None, keepdim=False):
    """The largest value; along one dimension as (values, indices).

    With dim None, () or several, tied elements share the gradient evenly; along one dimension
    the first of them has it all.
    """
    return _extreme("max", input, dim, keepdim)


@operation
def min(input: Tensor, dim=None, keepdim=False):
    """The smallest value; as `max`."""
    return _extreme("min", input, dim, keepdim)


@operation
def argmax(input: Tensor, dim=None, keepdim=False):
    """Where the largest value stands: in the flattened tensor, or along one dimension."""
    if dim is None:
        shape = (1,) * input.array.ndim if keepdim else ()
        return Tensor(array_module(input.array).asarray(input.array.argmax()).reshape(shape))
    axis_of("argmax", dim, input.array.ndim)
    return _extreme("max", input.detach(), dim, keepdim).indices


@operation
def matmul(input, other):
    """The matrix product, with NumPy's and PyTorch's rules for vectors and stacks of matrices.

    y[...,i,j] = the sum over k of input[...,i,k] * other[...,k,j]
    """
    a, b = operands(input, other)
    x, y = a.array, b.array
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit; the last of the "
                         f"first must equal the {'second to last' if y.ndim > 1 else 'only'} of "
                         f"the second")
    # A vector is a matrix of one row (left) or one column (right).
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    result = stacked_product(rows, columns)
    result = result[..., 0, :] if x.ndim == 1 else result
    result = result[..., 0] if y.ndim == 1 else result

    def backward(g):
        g = g[..., None] if y.ndim == 1 else g
        g = g[..., None, :] if x.ndim == 1 else g
        gx = gy = None
        if a.requires_grad:
            gx = stacked_product(g, columns.swapaxes(-1, -2))
            gx = gx[..., 0, :] if x.ndim == 1 else gx
        if b.requires_grad:
            gy = stacked_product(rows.swapaxes(-1, -2), g)
            gy = gy[..., 0] if y.ndim == 1 else gy
        return gx, gy

    return node(array_module(x).asarray(result), (a, b), backward)


def comparison(name, compare):
    """A function that compares element by element and gives a bool Tensor."""
    @operation
    def compared(input, other):
        if isinstance(input, Tensor) and isinstance(other, (builtins.bool, int, float)):
            return Tensor(compare(input.array, other))  # also numbers that its dtype cannot hold
        a, b = operands(input, other)
        return Tensor(compare(a.array, b.array))

    compared.__name__ = compared.__wrapped__.__name__ = name
    return compared


