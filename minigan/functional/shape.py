"""Changing shape, order and selection: nothing here computes, so every backward undoes it."""

import functools
import itertools

import numpy

from minigan.autograd import Tensor, node, view_node
from minigan.device import array_module
from minigan.checks import describe, operation
from minigan.functional.arithmetic import axis_of
from minigan.indexing import numbers_first, plain_index


def sizes_of(name, sizes):
    """(2, 3), ((2, 3),) and ([2, 3],) all as a tuple of whole numbers."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, numpy.integer)):
            raise TypeError(f"{name}: expected whole numbers, got {describe(size)}")
    return sizes


@operation
def reshape(input: Tensor, *shape):
    """The same elements in the same order under another shape; one -1 is worked out.

    Shares memory where the layout allows it and copies where it does not.
    """
    return reshaped("reshape", input.array.reshape(sizes_of("reshape", shape)), input)


@operation
def view(input: Tensor, *shape):
    """As `reshape`: it never fails over memory layout."""
    return reshaped("view", input.array.reshape(sizes_of("view", shape)), input)


def reshaped(name, array, input):
    """The node of an operation that only changes the shape."""
    before = input.array.shape
    return view_node(array, input, lambda g: (g.reshape(before),), name)


@operation
def flatten(input: Tensor, start_dim=0, end_dim=-1):
    """Dimensions start_dim to end_dim (included) made one."""
    x = input.array
    first = axis_of("flatten", start_dim, x.ndim)
    last = axis_of("flatten", end_dim, x.ndim)
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    size = 1
    for n in x.shape[first:last + 1]:
        size *= n
    shape = x.shape[:first] + (size,) + x.shape[last + 1:]
    return reshaped("flatten", x.reshape(shape), input)


@operation
def squeeze(input: Tensor, dim=None):
    """Without dimensions of size 1: all of them, or those of dim that are."""
    x = input.array
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    gone = {axis_of("squeeze", d, x.ndim) for d in dims}
    shape = tuple(n for axis, n in enumerate(x.shape) if n != 1 or axis not in gone)
    return reshaped("squeeze", x.reshape(shape), input)


@operation
def unsqueeze(input: Tensor, dim):
    """With a new dimension of size 1 at position dim."""
    x = input.array
    axis = axis_of("unsqueeze", dim, x.ndim + 1)
    shape = x.shape[:axis] + (1,) + x.shape[axis:]
    return reshaped("unsqueeze", x.reshape(shape), input)


@operation
def permute(input: Tensor, *dims):
    """The dimensions in another order, without moving memory."""
    x = input.array
    order = tuple(axis_of("permute", d, x.ndim) for d in sizes_of("permute", dims))
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims {dims} must name each of {x.ndim} dimensions once")
    back = tuple(order.index(axis) for axis in range(x.ndim))
    return view_node(x.transpose(order), input, lambda g: (g.transpose(back),))


@operation
def transpose(input: Tensor, dim0, dim1):
    """Two dimensions exchanged, without moving memory."""
    x = input.array
    a, b = axis_of("transpose", dim0, x.ndim), axis_of("transpose", dim1, x.ndim)
    if not x.ndim:
        return view_node(x, input, lambda g: (g,))
    return view_node(x.swapaxes(a, b), input, lambda g: (g.swapaxes(a, b),))


@operation
def t(input: Tensor):
    """A matrix transposed; a vector or number as it is."""
    if input.array.ndim > 2:
        raise ValueError(f"t: expected at most 2 dimensions, got shape {input.shape}")
    return view_node(input.array.T, input, lambda g: (g.T,))


@operation
def cat(tensors, dim=0):
    """Tensors joined along a dimension that they have; the other sizes must agree."""
    tensors = _several("cat", tensors)
    arrays = [x.array for x in tensors]
    axis = axis_of("cat", dim, arrays[0].ndim)
    sizes = [a.shape[axis] for a in arrays]

    def parts(whole):
        before = (slice(None),) * axis
        return [whole[(*before, slice(end - size, end))]
                for size, end in zip(sizes, itertools.accumulate(sizes))]

    return node(joined(arrays, axis, parts), tensors, parts)


def joined(arrays, axis, parts):
    """Arrays beside each other along an axis; parts(whole) are where they go."""
    xp = array_module(arrays[0])
    if xp is numpy:
        return numpy.concatenate(arrays, axis=axis)
    # CuPy joins many by sending their addresses to the GPU, which cannot be recorded.
    first = arrays[0].shape
    for a in arrays:
        if a.shape[:axis] + a.shape[axis + 1:] != first[:axis] + first[axis + 1:]:
            raise ValueError("all sizes but that along dim must agree")
    total = sum(a.shape[axis] for a in arrays)
    whole = xp.empty((*first[:axis], total, *first[axis + 1:]), arrays[0].dtype)
    for part, a in zip(parts(whole), arrays):
        part[...] = a
    return whole


@operation
def stack(tensors, dim=0):
    """Tensors of one shape joined along a new dimension."""
    tensors = _several("stack", tensors)
    arrays = [x.array for x in tensors]
    axis = axis_of("stack", dim, arrays[0].ndim + 1)
    xp = array_module(arrays[0])

    def backward(g):
        return [g[(slice(None),) * axis + (i,)] for i in range(len(arrays))]

    if xp is numpy:
        return node(numpy.stack(arrays, axis=axis), tensors, backward)
    rows = [xp.expand_dims(a, axis) for a in arrays]
    y = joined(rows, axis, lambda whole: [xp.expand_dims(part, axis) for part in backward(whole)])
    return node(y, tensors, backward)


def _several(name, tensors):
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)) or not tensors:
        raise TypeError(f"{name}: expected a list or tuple of at least one Tensor, got "
                        f"{type(tensors).__name__}")
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected Tensors, found {type(x).__name__}")
    if len({x.array.dtype for x in tensors}) > 1:
        dtype = functools.reduce(numpy.promote_types, (x.dtype for x in tensors))
        for x in tensors:  # PyTorch's rule: whole numbers do not widen fractions
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
    index, then = numbers_first(plain_index(index))
    if then is not None:
        return take(take(input, index), then)
    return take(input, index)


def take(input, index):
    """input[index] by NumPy's rules."""
    x = input.array
    xp = array_module(x)
    parts = index if isinstance(index, tuple) else (index,)
    shares_memory = all(
        part is None or part is Ellipsis or isinstance(part, (int, slice))
        and not isinstance(part, bool) for part in parts)
    if shares_memory and Ellipsis not in parts:
        index = (*parts, ...)  # so that NumPy gives a single element as a view, not a scalar
    shape, dtype = x.shape, x.dtype

    def backward(g):
        gx = xp.zeros(shape, dtype)
        if shares_memory:
            gx[index] = g
        else:
            xp.add.at(gx, index, g)
        return (gx,)

    y = xp.asarray(x[index])
    backward.__qualname__ = "index"
    return view_node(y, input, backward) if shares_memory else node(y, (input,), backward)


@operation
def interpolate(input: Tensor, size=None, scale_factor=None, mode="nearest"):
    """(N,C,H,W) -> (N,C,H*s,W*s): each pixel repeated, for a whole scale factor s (or a pair)."""
    if mode != "nearest" or size is not None:
        raise NotImplementedError("interpolate: only mode='nearest' with a whole scale_factor "
                                  "is supported")
    x = input.array
    if x.ndim != 4:
        raise ValueError(f"interpolate: input must have shape (N,C,H,W), got {x.shape}")
    sh, sw = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * 2
    if sh != int(sh) or sw != int(sw) or sh < 1 or sw < 1:
        raise ValueError(f"interpolate: scale_factor must be whole and at least 1, "
                         f"got {scale_factor}")
    sh, sw = int(sh), int(sw)
    N, C, H, W = x.shape
    xp = array_module(x)
    y = xp.broadcast_to(x[:, :, :, None, :, None], (N, C, H, sh, W, sw)).reshape(
        N, C, H * sh, W * sw)

    def backward(g):
        return (g.reshape(N, C, H, sh, W, sw).sum(axis=(3, 5)),)

    return node(y, (input,), backward)
