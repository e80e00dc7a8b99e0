"""Twins of functional/shape.py's cat and stack. For a GPU: to join arrays, CuPy copies their
addresses there from the host, which cannot be captured. On a CPU of two arrays, the usual case;
of others NumPy's are as good as any."""

import itertools
import math

import numpy

from minigan import functional as F
from minigan.autograd import node, twin_of
from minigan.checks import check_axis
from minigan.device import array_module, is_on_gpu
from minigan.functional.shape import checked_tensors
from minigan.kernels.launch import contiguous, covered, launch, switch, switched_off
from minigan.tensor import Tensor


@twin_of(F.cat)
def cat(tensors, dim=0):
    if is_pair(tensors):
        return pair_joined(*tensors, dim)
    if not takes(tensors):
        return NotImplemented
    tensors = checked_tensors("cat", tensors)
    first = tensors[0].shape
    axis = check_axis("cat", dim, len(first))
    before, after = first[:axis], first[axis + 1:]
    if any(x.shape[:axis] != before or x.shape[axis + 1:] != after for x in tensors):
        return NotImplemented
    ends = list(itertools.accumulate(x.shape[axis] for x in tensors))

    def parts(whole):
        return [whole[(slice(None),) * axis + (slice(start, end),)]
                for start, end in zip([0, *ends], ends)]

    return joined("cat", tensors, (*before, ends[-1], *after), parts)


@twin_of(F.stack)
def stack(tensors, dim=0):
    if not takes(tensors):
        return NotImplemented
    tensors = checked_tensors("stack", tensors)
    first = tensors[0].shape
    axis = check_axis("stack", dim, len(first) + 1)
    if any(x.shape != first for x in tensors):
        return NotImplemented

    def parts(whole):
        return [whole[(slice(None),) * axis + (i,)] for i in range(len(tensors))]

    return joined("stack", tensors, (*first[:axis], len(tensors), *first[axis:]), parts)


def is_pair(tensors):
    """Whether these are two arrays of a CPU that the kernels can take, of one dtype."""
    if not isinstance(tensors, (tuple, list)) or len(tensors) != 2:
        return False
    a, b = tensors
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return False
    x, y = a.array, b.array
    return isinstance(x, numpy.ndarray) and isinstance(y, numpy.ndarray) and (
        x.dtype == y.dtype and y.size and covered(x))


def pair_joined(a, b, dim):
    x, y = a.array, b.array
    if type(dim) is not int or not -x.ndim <= dim < x.ndim:
        return NotImplemented
    axis = dim % x.ndim
    before, after = x.shape[:axis], x.shape[axis + 1:]
    if y.shape[:axis] != before or y.shape[axis + 1:] != after or y.ndim != x.ndim or not (
            x.flags.carray and y.flags.carray):
        return NotImplemented
    R = math.prod(before)
    P, Q = x.size // R, y.size // R
    xp = array_module(x)
    joined = xp.empty((*before, x.shape[axis] + y.shape[axis], *after), x.dtype)
    launch("join", x, 1, 1, (x, y, joined, R, P, Q))

    def backward(g):
        gx = xp.empty(x.shape, x.dtype) if a.requires_grad else None
        gy = xp.empty(y.shape, y.dtype) if b.requires_grad else None
        launch("split", g, 1, 1, (contiguous(g), gx, gy, R, P, Q))
        return gx, gy

    return node(joined, (a, b), backward, "cat")


def takes(tensors):
    """Whether these are arrays of a GPU, of whatever dtype, and twins are not disabled."""
    return isinstance(tensors, (tuple, list)) and bool(tensors) and all(
        isinstance(x, Tensor) and is_on_gpu(x.array) for x in tensors) and (
        not switch.disabled and not switched_off())


def joined(name, tensors, shape, parts):
    """The tensors copied into an array of this shape, each to its one of parts(array)."""
    first = tensors[0].array
    y = array_module(first).empty(shape, first.dtype)
    for part, x in zip(parts(y), tensors):
        part[...] = x.array
    return node(y, tensors, parts, name)
