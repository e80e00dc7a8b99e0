"""Twins of functional/loss.py: losses that are reduced, forward in one launch (on a GPU at most
two) and backward in one."""

import math

import numpy

from minigan import functional as F
from minigan.autograd import node, twin_of
from minigan.checks import check_class_indices
from minigan.device import array_module
from minigan.hooks import look
from minigan.kernels.launch import (
    MOST_THREADS, contiguous, covered, dense, empty_like, in_order_of, launch, launch_each, whole)
from minigan.tensor import Tensor

MOST_BLOCKS = 256  # of a GPU, for one sum


@twin_of(F.mse_loss)
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    return reduced("mse_loss", input, target, (size_average, reduce), reduction)


@twin_of(F.binary_cross_entropy)
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None,
                         reduction="mean"):
    options = weight, size_average, reduce
    result = reduced("binary_cross_entropy", input, target, options, reduction)
    if result is not NotImplemented and isinstance(result.array, numpy.ndarray) and (
            math.isnan(numpy.asarray(result.array))):
        return NotImplemented  # perhaps no probabilities: that is explained there
    return result


@twin_of(F.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None,
                                     reduction="mean", pos_weight=None):
    options = weight, size_average, reduce, pos_weight
    return reduced("binary_cross_entropy_with_logits", input, target, options, reduction)


def reduced(kernel, input, target, options, reduction):
    """The mean or sum of losses of each element of input and target. Other options: all None."""
    if not isinstance(input, Tensor) or not isinstance(target, Tensor) or target.requires_grad or (
            reduction not in ("mean", "sum") or any([option is not None for option in options])):
        return NotImplemented
    x, t = input.array, target.array
    if not covered(x) or t.shape != x.shape or t.dtype != x.dtype or type(t) is not type(x):
        return NotImplemented
    x = dense(x)
    t = in_order_of(x, t)
    n = x.size
    share = 1 / n if reduction == "mean" else 1.0
    blocks = blocks_for(x, n)
    xp = array_module(x)
    loss = xp.empty((), x.dtype)
    sums = loss if blocks == 1 else xp.empty(blocks, x.dtype)
    launch(kernel, x, blocks, MOST_THREADS, (x, t, sums, share, n))
    if blocks > 1:
        launch("total", x, 1, MOST_THREADS, (sums, loss, blocks))

    def backward(g):
        gx = empty_like(x)
        launch_each(f"{kernel}_backward", n, whole(g), x, t, gx, share)
        return gx, None

    return node(loss, (input, target), backward, kernel)


def check_none_outside(sums, t, C, ignore_index):
    """For class indices, of which the kernel has counted those that are out of range."""
    if sums[2, 0]:
        check_class_indices("cross_entropy", t, C, ignore_index)


def blocks_for(x, n):
    """How many blocks add up n numbers: on a CPU one."""
    return 1 if isinstance(x, numpy.ndarray) else min(MOST_BLOCKS, -(-n // MOST_THREADS))


@twin_of(F.cross_entropy)
def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None,
                  reduction="mean", label_smoothing=0.0):
    if not isinstance(input, Tensor) or not isinstance(target, Tensor) or weight is not None or (
            size_average is not None or reduce is not None or label_smoothing != 0
            or type(ignore_index) is not int):
        return NotImplemented
    x, t = input.array, target.array
    if reduction not in ("mean", "sum") or not covered(x) or x.ndim != 2 or (
            t.dtype != "int64" or t.shape != x.shape[:1] or type(t) is not type(x)):
        return NotImplemented
    x, t = contiguous(x), contiguous(t)
    N, C = x.shape
    xp, blocks = array_module(x), blocks_for(x, N)
    largest, log_sum = (xp.empty(N, x.dtype) for _ in range(2))
    loss, share = (xp.empty((), x.dtype) for _ in range(2))
    sums = xp.empty((3, blocks), "float64")
    launch("cross_entropy", x, blocks, C, (x, t, largest, log_sum, sums, ignore_index, N, C))
    launch("cross_entropy_total", x, 1, 1, (loss, share, sums, int(reduction == "mean"), blocks))
    if isinstance(x, numpy.ndarray):
        look(check_none_outside, sums, t, C, ignore_index)

    def backward(g):
        gx = empty_like(x)
        launch("cross_entropy_backward", x, N, C,
               (whole(g), x, largest, log_sum, share, t, gx, ignore_index, N, C))
        return gx, None

    return node(loss, (input, target), backward)
