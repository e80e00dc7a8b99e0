"""Changing shape, order and selection: nothing here computes, so every backward undoes it."""

import functools
import itertools

import numpy

from minigan.autograd import sum_in_float64, node, operation
from minigan.checks import check_axis, check_int, check_sizes
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


@operation
def view_as(input: Tensor, other: Tensor):
    """As `view`, under another Tensor's shape."""
    return view(input, other.array.shape)


@operation
def expand(input: Tensor, *sizes):
    """Dimensions of size 1 repeated, and new ones put in front, without moving memory.

    sizes  of the result; -1 for a dimension that stays as it is
    ValueError for a size that is not the input's and for which that is not 1.
    """
    x = input.array
    shape = check_sizes("expand", sizes)
    new = len(shape) - x.ndim
    shape = tuple(x.shape[a - new] if n == -1 and a >= new else n for a, n in enumerate(shape))
    y = array_module(x).broadcast_to(x, shape)
    # The backward pass sums the gradient over what was repeated.
    result = node(y, (input,), lambda g: (g,), view_of=input)
    if shape != x.shape:
        result.read_only = "expand"
    return result


@operation
def expand_as(input: Tensor, other: Tensor):
    """As `expand`, to another Tensor's shape."""
    return expand(input, other.array.shape)


@operation
def repeat(input: Tensor, *repeats):
    """The input laid side by side, so often along each dimension; new ones stand in front."""
    x = input.array
    times = check_sizes("repeat", repeats)
    if len(times) < x.ndim or min(times, default=0) < 0:
        raise ValueError(f"repeat: expected a number of at least 0 for each dimension of an input "
                         f"of shape {x.shape}, got {times}")
    shape = (1,) * (len(times) - x.ndim) + x.shape
    pairs = [n for pair in zip(times, shape) for n in pair]            # t0, n0, t1, n1, ...
    ones = [n for size in shape for n in (1, size)]                    # 1, n0, 1, n1, ...
    xp = array_module(x)
    y = xp.empty(pairs, x.dtype)
    y[...] = x.reshape(ones)

    def backward(g):
        g = sum_in_float64(g.reshape(pairs), tuple(range(0, len(pairs), 2)))
        return (g.reshape(x.shape),)

    return node(y.reshape([t * n for t, n in zip(times, shape)]), (input,), backward)


@operation
def pixel_shuffle(input: Tensor, upscale_factor):
    """(...,C*r*r,H,W) -> (...,C,H*r,W*r): r*r channels become the pixels of a square.

    W. Shi et al., Real-time single image and video super-resolution, 2016.
    """
    r = check_int("pixel_shuffle", "upscale_factor", upscale_factor)
    if input.ndim < 3 or input.shape[-3] % (r * r):
        raise ValueError(f"pixel_shuffle: input must have shape (...,C,H,W) with C a multiple of "
                         f"{r * r}, got {input.array.shape}")
    *batch, C, H, W = input.shape
    d = len(batch)
    parts = reshape(input, *batch, C // (r * r), r, r, H, W)
    parts = permute(parts, *range(d), d, d + 3, d + 1, d + 4, d + 2)   # (...,C,H,r,W,r)
    return reshape(parts, *batch, C // (r * r), H * r, W * r)


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
        raise ValueError(f"t: expected at most 2 dimensions, got shape {input.array.shape}")
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
    """Tensors joined along a dimension that they have; the other sizes must agree. As in PyTorch
    an empty tensor of one dimension, torch.zeros(0), fits any others."""
    tensors = checked_tensors("cat", tensors)
    tensors = [x for x in tensors if x.array.shape != (0,)] or tensors[:1]
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


@operation
def chunk(input: Tensor, chunks, dim=0):
    """At most so many parts along a dimension, of one size but for the last: views."""
    axis = check_axis("chunk", dim, input.ndim)
    chunks = check_int("chunk", "chunks", chunks)
    if not input.shape[axis]:
        return tuple(slice_along(input, axis, 0, 0) for _ in range(chunks))
    return parts_along(input, -(-input.shape[axis] // chunks), axis)


@operation
def split(tensor: Tensor, split_size_or_sections, dim=0):
    """Parts along a dimension, of one size but for the last or of the sizes in a list: views."""
    axis = check_axis("split", dim, tensor.ndim)
    size = split_size_or_sections
    if not isinstance(size, (tuple, list)):
        return parts_along(tensor, check_int("split", "split_size_or_sections", size), axis)
    size = [check_int("split", "split_size_or_sections", n, least=0) for n in size]
    if sum(size) != tensor.shape[axis]:
        raise ValueError(f"split: the sizes {size} do not add up to {tensor.shape[axis]}, "
                         f"dimension {axis} of {tensor.array.shape}")
    ends = list(itertools.accumulate(size))
    return tuple(slice_along(tensor, axis, end - n, end) for n, end in zip(size, ends))


def parts_along(input, size, axis):
    length = input.shape[axis]
    return tuple(slice_along(input, axis, start, min(start + size, length))
                 for start in range(0, max(length, 1), size))


def slice_along(input, axis, start, end):
    return take(input, (slice(None),) * axis + (slice(start, end),))


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
