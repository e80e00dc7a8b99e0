"""Variance, standard deviation and norms over some dimensions."""

import math

from minigan.autograd import node, operation
from minigan.checks import check_axes, check_floating, check_norm, check_number
from minigan.device import array_module
from minigan.functional.arithmetic import with_ones
from minigan.tensor import Tensor


@operation
def var(input: Tensor, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """The variance over one, several or (None) all dimensions, the sum of squared distances from
    the mean over n - correction: nan where that is not above 0.

    correction  None: 1 if unbiased, else 0; var(input, False) is unbiased=False
    """
    y, centred, divisor, axes = variance("var", input, dim, unbiased, correction)
    x = input.array

    def backward(g):
        return (2 / divisor * g.reshape(with_ones(x.shape, axes)) * centred,)

    return node(y if keepdim else y.reshape(without(x.shape, axes)), (input,), backward)


@operation
def std(input: Tensor, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """The standard deviation, the square root of `var`; its gradient is 0 where it is 0."""
    y, centred, divisor, axes = variance("std", input, dim, unbiased, correction)
    x = input.array
    xp = array_module(x)
    y = xp.sqrt(y)

    def backward(g):
        share = xp.where(y == 0, 0, g.reshape(y.shape) / y)
        return (share * centred / divisor,)

    return node(y if keepdim else y.reshape(without(x.shape, axes)), (input,), backward)


def variance(name, input, dim, unbiased, correction):
    """(the variance with its axes kept, x - mean, what it was divided by, the axes)"""
    x = input.array
    check_floating(name, x)
    if isinstance(dim, bool):  # std(False): PyTorch has such a form, without dim
        dim, unbiased = None, dim
    axes = check_axes(name, dim, x.ndim)
    correction = bool(unbiased) if correction is None else check_number(name, "correction",
                                                                        correction)
    over = axes if x.ndim else None
    count = math.prod(x.shape[axis] for axis in axes) if x.ndim else 1
    mean = x.sum(axis=over, dtype="float64", keepdims=True) / (count or math.nan)
    centred = x - mean.astype(x.dtype)
    divisor = count - correction if count > correction else math.nan
    y = (centred * centred).sum(axis=over, dtype="float64", keepdims=True) / divisor
    return array_module(x).asarray(y, dtype=x.dtype), centred, divisor, axes


@operation
def norm(input: Tensor, p="fro", dim=None, keepdim=False):
    """(the sum of |x|^p)^(1/p) over one, several or (None) all dimensions.

    p  a number of at least 1, 'fro' for 2, or infinity: the largest |x|
    The gradient is 0 where the norm is 0; equal elements share that of the largest.
    """
    x = input.array
    check_floating("norm", x)
    p = check_norm(p)
    if p == math.inf:
        return abs(input).max(check_axes("norm", dim, x.ndim), keepdim)
    axes = check_axes("norm", dim, x.ndim)
    xp = array_module(x)
    size = xp.abs(x)
    y = (size ** p).sum(axis=axes if x.ndim else None, dtype="float64", keepdims=True) ** (1 / p)
    y = xp.asarray(y, dtype=x.dtype)

    def backward(g):
        # d y / d x = sign(x) (|x| / y)^(p-1)
        slope = xp.sign(x) * (size / xp.where(y == 0, 1, y)) ** (p - 1)
        return (g.reshape(y.shape) * slope,)

    return node(y if keepdim else y.reshape(without(x.shape, axes)), (input,), backward)


def without(shape, axes):
    """The shape without these axes."""
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)
