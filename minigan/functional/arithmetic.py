"""Arithmetic with broadcasting, reductions, comparisons and the matrix product.

The backward pass sums a gradient over broadcast axes (`unbroadcast` in autograd.py), so a backward
here returns it as it comes.
Types combine by PyTorch's rules: a Python number or a 0-d tensor never widens a tensor of the
same kind, and integers become float32 where a formula needs fractions.
"""

import math
import operator
from typing import NamedTuple

import numpy

from minigan.autograd import sum_in_float64, node, operation
from minigan.checks import check_axes, check_axis, check_bounds
from minigan.device import array_module
from minigan.tensor import Tensor, from_array


@operation
def add(input, other, *, alpha=1):
    """input + alpha * other, broadcast."""
    a, b = operands(input, scaled(input, other, alpha))
    return node(a.array + b.array, (a, b), lambda g: (g, g))


@operation
def sub(input, other, *, alpha=1):
    """input - alpha * other, broadcast."""
    a, b = operands(input, scaled(input, other, alpha))
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
    """input / other, broadcast; integers are divided as float32."""
    a, b = operands(input, other)
    a, b = floating(a), floating(b)
    x, y = a.array, b.array

    def backward(g):
        gx = g / y
        return gx, -gx * (x / y) if b.requires_grad else None

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
    if x.dtype == "bool" and isinstance(input, Tensor) and isinstance(exponent, Tensor):
        raise TypeError("pow: not defined for two bool Tensors")
    result = (x ** y).astype(x.dtype, copy=False)  # NumPy makes int8 of bool

    def backward(g):
        gx = gy = None
        if a.requires_grad:
            # x^(y-1) at x = 0, y = 0 would be infinite; the derivative of x^0 is 0.
            gx = xp.where(y == 0, 0, g * y * x ** xp.where(y == 0, 1, y - 1))
        if b.requires_grad:
            gy = g * xp.where((x == 0) & (y >= 0), 0, result * xp.log(x))
        return gx, gy

    return node(result, (a, b), backward)


@operation
def exp(input: Tensor):
    """e ** input."""
    x = floating(input).array
    y = array_module(x).exp(x)
    return node(y, (input,), lambda g: (g * y,))


@operation
def log(input: Tensor):
    """The natural logarithm; -inf at 0 and nan below, as IEEE 754 has it."""
    x = floating(input).array
    return node(array_module(x).log(x), (input,), lambda g: (g / x,))


@operation
def sqrt(input: Tensor):
    """The square root; nan below 0."""
    x = floating(input).array
    y = array_module(x).sqrt(x)
    return node(y, (input,), lambda g: (g / (2 * y),))


@operation
def abs(input: Tensor):
    """|input|; the gradient at 0 is 0."""
    x = input.array
    xp = array_module(x)
    sign = (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)  # 0 of nan, as in PyTorch
    return node(xp.abs(x), (input,), lambda g: (g * sign,))


@operation
def clamp(input: Tensor, min=None, max=None):
    """The input limited to min..max, numbers (None: no limit); no gradient outside."""
    min, max = check_bounds("clamp", min, max)
    if isinstance(min, float) or isinstance(max, float):
        input = floating(input)
    x = input.array
    xp = array_module(x)
    y = xp.clip(x, min, max)
    # Selected, not multiplied: an infinite gradient times 0 would be nan.
    inside = (x >= (y if min is None else min)) & (x <= (y if max is None else max))
    y = xp.where(inside, x, y)  # -0.0 stays what it is between 0 and 1
    return node(y, (input,), lambda g: (xp.where(inside, g, 0),))


@operation
def sum(input: Tensor, dim=None, keepdim=False):
    """The sum over one, several or (None, ()) all dimensions; integers give int64."""
    x = input.array
    xp = array_module(x)
    axes = check_axes("sum", dim, x.ndim)
    over = axes if x.ndim else None
    if x.dtype.kind == "f":
        y = sum_in_float64(x, over, keepdim)
    else:
        y = xp.asarray(x.sum(axis=over, dtype=numpy.int64, keepdims=keepdim))

    def backward(g):
        return (xp.broadcast_to(g.reshape(with_ones(x.shape, axes)), x.shape),)

    return node(y, (input,), backward)


@operation
def mean(input: Tensor, dim=None, keepdim=False):
    """The mean over one, several or (None, ()) all dimensions. TypeError for integers."""
    x = input.array
    if x.dtype.kind != "f":
        raise TypeError(f"mean: expected a floating-point tensor, got {x.dtype}")
    xp = array_module(x)
    axes = check_axes("mean", dim, x.ndim)
    count = 1
    for axis in axes if x.ndim else ():
        count *= x.shape[axis]
    # In float64, as sum_in_float64: a sum of half-precision numbers may exceed what they can hold.
    total = x.sum(axis=axes if x.ndim else None, dtype=numpy.float64, keepdims=keepdim)
    y = xp.asarray(total / (count or math.nan), dtype=x.dtype)  # the mean of nothing is nan

    def backward(g):
        return (xp.broadcast_to(g.reshape(with_ones(x.shape, axes)) / count, x.shape),)

    return node(y, (input,), backward)


class Extreme(NamedTuple):
    """What max and min give along one dimension: the values and their indices."""
    values: Tensor
    indices: Tensor


@operation
def max(input: Tensor, dim=None, keepdim=False):
    """The largest value; along one dimension as (values, indices).

    With dim None, () or several, equal elements share the gradient evenly; along one dimension
    the first of them has it all.
    """
    return extreme("max", input, dim, keepdim)


@operation
def min(input: Tensor, dim=None, keepdim=False):
    """The smallest value; as `max`."""
    return extreme("min", input, dim, keepdim)


def extreme(name, input, dim, keepdim):
    x = input.array
    axes = check_axes(name, dim, x.ndim)
    if x.ndim and not all(x.shape[axis] for axis in axes):
        raise ValueError(f"{name}: expected at least one element, got shape {x.shape}")
    if dim is None or isinstance(dim, (tuple, list)):
        return extreme_of_all(name, input, axes, keepdim)
    return extreme_along(name, input, axes[0] if x.ndim else 0, keepdim)


def extreme_along(name, input, axis, keepdim):
    """The values and the indices along one axis; the first of equal elements has the gradient."""
    x = input.array
    xp = array_module(x)
    rows = x if x.ndim else x.reshape(1)
    where = xp.expand_dims(rows.argmax(axis) if name == "max" else rows.argmin(axis), axis)
    shape = with_ones(x.shape, (axis,)) if keepdim else x.shape[:axis] + x.shape[axis + 1:]
    values = xp.take_along_axis(rows, where, axis).reshape(shape)

    def backward(g):
        positions = xp.arange(rows.shape[axis]).reshape(
            [-1 if a == axis else 1 for a in range(rows.ndim)])
        gx = xp.where(positions == where, g.reshape(where.shape), 0)
        return (gx.reshape(x.shape),)

    return Extreme(node(values, (input,), backward, name), from_array(where.reshape(shape)))


def extreme_of_all(name, input, axes, keepdim):
    """The value over some axes; equal elements share the gradient."""
    x = input.array
    xp = array_module(x)
    over = axes if x.ndim else None
    y = xp.asarray(x.max(over, keepdims=True) if name == "max" else x.min(over, keepdims=True))
    result = y if keepdim else y.reshape([n for a, n in enumerate(x.shape) if a not in axes])

    def backward(g):
        largest = (x == y) | (x != x)  # where there is a nan, that is the result
        count = largest.sum(axis=over, keepdims=True)
        return (xp.where(largest, g.reshape(y.shape) / count, 0),)

    return node(result.copy(), (input,), backward, name)


@operation
def maximum(input, other):
    """The larger of both, broadcast; where they are equal each has half the gradient."""
    a, b = operands(input, other)
    x, y = a.array, b.array
    return node(array_module(x).maximum(x, y), (a, b), lambda g: to_the_larger(g, x, y))


@operation
def minimum(input, other):
    """The smaller of both; as `maximum`."""
    a, b = operands(input, other)
    x, y = a.array, b.array
    return node(array_module(x).minimum(x, y), (a, b), lambda g: to_the_larger(g, y, x))


def to_the_larger(g, x, y):
    """The gradient for the larger of x and y, half of it for each where they are equal."""
    xp = array_module(g)
    share = xp.where(x == y, g / 2, g)  # the whole for both where one is nan, as in PyTorch
    return xp.where(x < y, 0, share), xp.where(y < x, 0, share)


@operation
def argmin(input: Tensor, dim=None, keepdim=False):
    """Where the smallest value stands; as `argmax`."""
    if dim is None:
        shape = (1,) * input.array.ndim if keepdim else ()
        return from_array(array_module(input.array).asarray(input.array.argmin()).reshape(shape))
    axis = check_axis("argmin", dim, input.array.ndim)
    return extreme_along("min", input.detach(), axis, keepdim).indices


@operation
def argmax(input: Tensor, dim=None, keepdim=False):
    """Where the largest value stands: in the flattened tensor, or along one dimension."""
    if dim is None:
        shape = (1,) * input.array.ndim if keepdim else ()
        return from_array(array_module(input.array).asarray(input.array.argmax()).reshape(shape))
    axis = check_axis("argmax", dim, input.array.ndim)
    return extreme_along("max", input.detach(), axis, keepdim).indices


@operation
def matmul(input, other):
    """The matrix product, with NumPy's and PyTorch's rules for vectors and stacks of matrices.

    y[...,i,j] = the sum over k of input[...,i,k] * other[...,k,j]

    ValueError for shapes that do not fit, TypeError for dtypes that differ.
    """
    a, b = tensors_of(input, other)
    x, y = a.array, b.array
    if x.dtype != y.dtype:
        raise TypeError(f"matmul: expected two of one dtype, got {x.dtype} and {y.dtype}")
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit; the last of the "
                         f"first must equal the {'second to last' if y.ndim > 1 else 'only'} of "
                         f"the second")
    # A vector is a matrix of one row (left) or one column (right).
    rows = x[None, :] if x.ndim == 1 else x        # (...,I,K)
    columns = y[:, None] if y.ndim == 1 else y     # (...,K,J)
    result = rows @ columns                        # (...,I,J)
    result = result[..., 0, :] if x.ndim == 1 else result
    result = result[..., 0] if y.ndim == 1 else result

    def backward(g):
        g = g[..., None] if y.ndim == 1 else g
        g = g[..., None, :] if x.ndim == 1 else g
        gx = gy = None
        if a.requires_grad:
            gx = g @ columns.swapaxes(-1, -2)
            gx = gx[..., 0, :] if x.ndim == 1 else gx
        if b.requires_grad:
            gy = rows.swapaxes(-1, -2) @ g
            gy = gy[..., 0] if y.ndim == 1 else gy
        return gx, gy

    return node(array_module(x).asarray(result), (a, b), backward)


@operation
def mm(input: Tensor, mat2: Tensor):
    """The product of two matrices: `matmul` that takes nothing else."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise ValueError(f"mm: expected two matrices, got shapes {input.array.shape} and "
                         f"{mat2.array.shape}")
    return matmul(input, mat2)


@operation
def bmm(input: Tensor, mat2: Tensor):
    """The products of matrices in pairs, (B,I,K) and (B,K,J)."""
    if input.ndim != 3 or mat2.ndim != 3 or len(input) != len(mat2):
        raise ValueError(f"bmm: expected two stacks of as many matrices, got shapes "
                         f"{input.array.shape} and {mat2.array.shape}")
    return matmul(input, mat2)


# Comparisons and logic, element by element: bool Tensors without a gradient

@operation
def eq(input, other):
    """input == other."""
    return compared(operator.eq, input, other)


@operation
def ne(input, other):
    """input != other."""
    return compared(operator.ne, input, other)


@operation
def lt(input, other):
    """input < other."""
    return compared(operator.lt, input, other)


@operation
def le(input, other):
    """input <= other."""
    return compared(operator.le, input, other)


@operation
def gt(input, other):
    """input > other."""
    return compared(operator.gt, input, other)


@operation
def ge(input, other):
    """input >= other."""
    return compared(operator.ge, input, other)


@operation
def bitwise_and(input, other):
    """input & other, for booleans and integers."""
    return compared(operator.and_, input, other)


@operation
def bitwise_or(input, other):
    """input | other, for booleans and integers."""
    return compared(operator.or_, input, other)


@operation
def bitwise_xor(input, other):
    """input ^ other, for booleans and integers."""
    return compared(operator.xor, input, other)


@operation
def bitwise_not(input: Tensor):
    """~input, for booleans and integers."""
    return from_array(~input.array)


def compared(compare, input, other):
    if isinstance(input, Tensor) and isinstance(other, (bool, int, float)):
        return from_array(compare(input.array, other))  # also numbers that its dtype cannot hold
    a, b = operands(input, other)
    return from_array(compare(a.array, b.array))


# What the operations above share

def operands(input, other):
    """Two Tensors of one dtype out of Tensors, arrays and numbers (at least one a Tensor)."""
    input, other = tensors_of(input, other)
    if input.array.dtype is other.array.dtype:
        return input, other
    dtype = promoted(input.array, other.array)
    return input.to(dtype=dtype), other.to(dtype=dtype)


def tensors_of(input, other):
    """Two Tensors out of Tensors, arrays and numbers (at least one a Tensor)."""
    if not isinstance(other, Tensor):
        if not isinstance(input, Tensor):
            raise TypeError("one of the two must be a Tensor")
        return input, as_operand(other, input)
    return input if isinstance(input, Tensor) else as_operand(input, other), other


def as_operand(value, tensor):
    """A number or array as a Tensor that combines with `tensor`."""
    array = tensor.array
    xp = array_module(array)
    if isinstance(value, numpy.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        dtype = array.dtype
        if isinstance(value, float) and dtype.kind != "f":
            dtype = numpy.dtype("float32")
        elif dtype.kind == "b" and not isinstance(value, bool):
            dtype = numpy.dtype("int64")
        return from_array(xp.full((), value, dtype))
    if isinstance(value, (numpy.ndarray, type(array))) and value.dtype.kind in KINDS:
        return from_array(xp.asarray(value))
    raise TypeError(f"expected a Tensor, an array of numbers or a number, got {type(value).__name__}")


KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def promoted(a, b):
    """PyTorch's result type: the higher kind wins; within a kind, arrays win over 0-d ones."""
    if KINDS[a.dtype.kind] != KINDS[b.dtype.kind]:
        return a.dtype if KINDS[a.dtype.kind] > KINDS[b.dtype.kind] else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return b.dtype if a.ndim == 0 else a.dtype
    return numpy.promote_types(a.dtype, b.dtype)


def floating(input):
    """The tensor itself, or as float32 if it holds integers."""
    return input if input.array.dtype.kind == "f" else input.to(dtype="float32")


def scaled(input, other, alpha):
    """alpha * other, in the dtype in which that combines with input; other itself for alpha 1."""
    if isinstance(alpha, int) and alpha == 1:
        return other
    other = operands(input, other)[1]
    return mul(other, bool(alpha) if other.array.dtype == "bool" else alpha)


def with_ones(shape, axes):
    """The shape with 1 for each of the axes: broadcasts against the unreduced shape."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
