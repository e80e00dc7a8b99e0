"""Changing shape, order and selection: nothing here computes, so every backward undoes it."""

import functools
import itertools

import numpy

from minigan.autograd import sum_in_float64, node, operation
from minigan.checks import check_axis, check_sizes
from minigan.device import array_module
from minigan.indexing import numbers_first, plain_index
from minigan.tensor import Tensor


@operation
def reshape(input: Tensor, *shape):
    """The same elements in the same order under another shape; one -1 is worked out.

    Shares memory where the layout allows it and copies where it does not.
    """
    return reshaped("reshape", input, check_sizes("reshape", shape))


@operation
def view(input: Tensor, *shape):
    """As `reshape`; but where it had to copy, a change of the result in place is an error."""
    result = reshaped("view", input, check_sizes("view", shape))
    if result.version is not input.version:
        result.read_only = "view"
    return result


@operation
def flatten(input: Tensor, start_dim=0, end_dim=-1):
    """Dimensions start_dim to end_dim (included) made one."""
    shape = input.array.shape
    first = check_axis("flatten", start_dim, len(shape))
    last = check_axis("flatten", end_dim, len(shape))
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if first == last and shape:
        return input
    size = 1
    for n in shape[first:last + 1]:
        size *= n
    return reshaped("flatten", input, shape[:first] + (size,) + shape[last + 1:])


@operation
def squeeze(input: Tensor, dim=None):
    """Without dimensions of size 1: all of them, or those of dim that are."""
    shape = input.shape
    dims = range(len(shape)) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    gone = {check_axis("squeeze", d, len(shape)) for d in dims}
    return reshaped("squeeze", input, tuple(
        n for axis, n in enumerate(shape) if n != 1 or axis not in gone))


@operation
def unsqueeze(input: Tensor, dim):
    """With a new dimension of size 1 at position dim."""
    shape = input.shape
    axis = check_axis("unsqueeze", dim, len(shape) + 1)
    return reshaped("unsqueeze", input, shape[:axis] + (1,) + shape[axis:])


def reshaped(name, input, shape):
    x = input.array
    y = x.reshape(shape)
    shares = not x.size or array_module(x).may_share_memory(x, y)
    return node(y, (input,), lambda g: (g.reshape(x.shape),), name, input if shares else None)


@operation
def permute(input: Tensor, *dims):
    """The dimensions in another order, without moving memory."""
    x = input.array
    order = tuple(check_axis("permute", d, x.ndim) for d in check_sizes("permute", dims))
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims {dims} must name each of {x.ndim} dimensions once")
    back = tuple(order.index(axis) for axis in range(x.ndim))
    return node(x.transpose(order), (input,), lambda g: (g.transpose(back),), view_of=input)


@operation
def transpose(input: Tensor, dim0, dim1):
    """Two dimensions exchanged, without moving memory."""
    x = input.array
    a, b = check_axis("transpose", dim0, x.ndim), check_axis("transpose", dim1, x.ndim)
    if not x.ndim:
        return node(x, (input,), lambda g: (g,), view_of=input)
    return node(x.swapaxes(a, b), (input,), lambda g: (g.swapaxes(a, b),), view_of=input)


@operation
def t(input: Tensor):
    """A matrix transposed; a vector or number as it is."""
    if input.array.ndim > 2:
        raise ValueError(f"t: expected at most 2 dimensions, got shape {input.shape}")
    return node(input.array.T, (input,), lambda g: (g.T,), view_of=input)


@operation
def clone(input: Tensor):
    """A copy of the memory that passes its gradient on."""
    return node(input.array.copy(), (input,), lambda g: (g,))


@operation
def contiguous(input: Tensor):
    """The tensor itself if its elements lie in memory in order, otherwise a copy of it."""
    x = input.array
    return input if x.flags.c_contiguous else node(x.copy(), (input,), lambda g: (g,))


@operation
def cat(tensors, dim=0):
    """Tensors joined along a dimension that they have; the other sizes must agree."""
    tensors = checked_tensors("cat", tensors)
    arrays = [x.array for x in tensors]
    axis = check_axis("cat", dim, arrays[0].ndim)
    ends = list(itertools.accumulate(a.shape[axis] for a in arrays))

    def backward(g):
        return [g[(slice(None),) * axis + (slice(start, end),)]
                for start, end in zip([0, *ends], ends)]

    return node(array_module(arrays[0]).concatenate(arrays, axis=axis), tensors, backward)


@operation
def stack(tensors, dim=0):
    """Tensors of one shape joined along a new dimension."""
    tensors = checked_tensors("stack", tensors)
    arrays = [x.array for x in tensors]
    axis = check_axis("stack", dim, arrays[0].ndim + 1)

    def backward(g):
        return [g[(slice(None),) * axis + (i,)] for i in range(len(arrays))]

    return node(array_module(arrays[0]).stack(arrays, axis=axis), tensors, backward)


def checked_tensors(name, tensors):
    """A tuple of at least one Tensor, all made one dtype."""
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)) or not tensors:
        raise TypeError(f"{name}: expected a list or tuple of at least one Tensor, got "
                        f"{type(tensors).__name__}")
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected Tensors, found {type(x).__name__}")
    if len({x.array.dtype for x in tensors}) > 1:
        dtype = functools.reduce(numpy.promote_types, (x.dtype for x in tensors))
        for x in tensors:  # PyTorch's rule: integers do not widen floating-point numbers
            if x.dtype.kind == "f" and not any(
                    y.dtype.kind == "f" and y.dtype.itemsize > x.dtype.itemsize for y in tensors):
                dtype = x.dtype
        tensors = [x.to(dtype=dtype) for x in tensors]
    return tuple(tensors)


@operation
def index(input: Tensor, index):
    """input[index]: integers, slices, None, ..., arrays and Tensors of integers or booleans.

    An element taken twice gets both gradients.
    """
    index, then = numbers_first(plain_index(index, input.array.ndim))
    taken = take(input, index)
    return taken if then is None else take(taken, then)


def take(input, index):
    """input[index] by NumPy's rules."""
    x = input.array
    xp = array_module(x)
    parts = index if isinstance(index, tuple) else (index,)
    is_view = all(part is None or part is Ellipsis or isinstance(part, (int, slice))
                  and not isinstance(part, bool) for part in parts)
    if is_view and Ellipsis not in parts:
        index = (*parts, ...)  # so that NumPy gives a single element as a view, not a scalar

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        if is_view:
            gx[index] = g
        else:
            xp.add.at(gx, index, g)
        return (gx,)

    return node(xp.asarray(x[index]), (input,), backward, "index", input if is_view else None)


@operation
def interpolate(input: Tensor, size=None, scale_factor=None, mode="nearest"):
    """(N,C,H,W) -> (N,C,H*s,W*s): each pixel repeated, for an integer scale factor s (or a pair)."""
    if mode != "nearest" or size is not None:
        raise NotImplementedError("interpolate: only mode='nearest' with an integer scale_factor "
                                  "is supported")
    x = input.array
    if x.ndim != 4:
        raise ValueError(f"interpolate: input must have shape (N,C,H,W), got {x.shape}")
    sh, sw = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * 2
    if sh != int(sh) or sw != int(sw) or sh < 1 or sw < 1:
        raise ValueError(f"interpolate: scale_factor must be an integer of at least 1, "
                         f"got {scale_factor}")
    sh, sw = int(sh), int(sw)
    N, C, H, W = x.shape
    xp = array_module(x)
    y = xp.empty((N, C, H, sh, W, sw), x.dtype)
    y[...] = x[:, :, :, None, :, None]

    def backward(g):
        return (sum_in_float64(g.reshape(N, C, H, sh, W, sw), (3, 5)),)

    return node(y.reshape(N, C, H * sh, W * sw), (input,), backward)
