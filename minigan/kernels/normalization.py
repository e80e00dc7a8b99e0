"""Twins of functional/normalization.py."""

import functools

import numpy

from minigan import functional as F
from minigan.autograd import gradient_buffer, node, twin_of
from minigan.device import array_module
from minigan.kernels.launch import (
    contiguous, covered, empty_like, fits, is_plain, launch, launch_rows)
from minigan.kernels.linear import launch_sums
from minigan.tensor import Tensor

PART = 1 << 13     # entries of a channel that a block of a GPU has, most often
MOST_PARTS = 1024  # of a channel


@functools.cache
def batch_last(ndim):
    """The axes of (N,C,H,W) as (C,H,W,N), and the way back, for any number of dimensions."""
    return (*range(1, ndim), 0), (ndim - 1, *range(ndim - 1))


@twin_of(F.batch_norm)
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1,
               eps=1e-5):
    if not isinstance(input, Tensor) or not covered(input.array) or input.array.ndim < 2 or (
            not (eps >= 0 and 0 <= momentum <= 1)):
        return NotImplemented
    x = input.array
    C = x.shape[1]
    if not all(fits(x, tensor, (C,)) for tensor in (running_mean, running_var, weight, bias)):
        return NotImplemented
    for running in (running_mean, running_var):
        if running is None and not training or running is not None and (
                running.requires_grad or not is_plain(running.array)):
            return NotImplemented
    P = x.size // C
    if training and P < 2:
        return NotImplemented
    # (N,C,H,W) -> (C,H,W,N) -> (C,P): a convolution's result already lies like that in memory.
    order, back = batch_last(x.ndim)
    x = x.transpose(order)
    x = contiguous(x)
    y = empty_like(x)
    mean, deviation = array_module(x).empty((2, C), x.dtype)
    w, b, m, v = (None if tensor is None else contiguous(tensor.array)
                  for tensor in (weight, bias, running_mean, running_var))
    training = int(bool(training))
    blocks = blocks_of(x, P)
    sums = sums_of_blocks("batch_norm_sums", blocks, C, P, x) if blocks > 1 and training else None
    launch("batch_norm", x, blocks, P, (x, w, b, y, mean, deviation, m, v, sums, float(eps),
                                        float(momentum), training, C, P), C)
    if training:
        for running in (running_mean, running_var):
            if running is not None:
                running.changed()
    inputs = tuple([tensor for tensor in (input, weight, bias) if tensor is not None])

    def backward(g):
        g = contiguous(g.transpose(order))
        gx = empty_like(x) if input.requires_grad else None
        gw = None if weight is None else gradient_buffer(weight, inputs)
        gb = None if bias is None else gradient_buffer(bias, inputs)
        sums = None
        if blocks > 1:
            sums = sums_of_blocks("batch_norm_backward_sums", blocks, C, P, g, x, mean)
        launch("batch_norm_backward", x, blocks, P, (g, x, w, mean, deviation, gx, gw, gb, sums,
                                                     training, C, P), C)
        return [None if gx is None else gx.transpose(back),
                *[gw] * (weight is not None), *[gb] * (bias is not None)]

    return node(y.transpose(back), inputs, backward)


def blocks_of(x, P):
    """How many blocks of a GPU share a channel; each has something of it."""
    return 1 if isinstance(x, numpy.ndarray) else min(-(-P // PART), MOST_PARTS)


def sums_of_blocks(name, blocks, C, P, *args):
    """Two sums for each block of each channel, (2,C,blocks) of float64, by a kernel of this name.
    What adds them up does so in their order: results do not vary from run to run."""
    sums = array_module(args[0]).empty((2, C, blocks), "float64")
    launch(name, args[0], blocks, P, (*args, sums, C, P), C)
    return sums


@twin_of(F.layer_norm)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    if not isinstance(input, Tensor) or not covered(input.array) or not eps >= 0:
        return NotImplemented
    x = input.array
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape):] != shape or not (
            fits(x, weight, shape) and fits(x, bias, shape)):
        return NotImplemented
    x = contiguous(x)
    P = 1
    for size in shape:
        P *= size
    R = x.size // P
    y = empty_like(x)
    xp = array_module(x)
    mean, scale = xp.empty(R, x.dtype), xp.empty(R, x.dtype)
    w = None if weight is None else contiguous(weight.array)
    b = None if bias is None else contiguous(bias.array)
    launch_rows("layer_norm", R, P, x, w, b, y, mean, scale, float(eps))
    inputs = tuple([tensor for tensor in (input, weight, bias) if tensor is not None])

    def backward(g):
        g = contiguous(g)
        gx = gw = gb = None
        if input.requires_grad:
            gx = empty_like(x)
            launch_rows("layer_norm_backward", R, P, g, x, w, mean, scale, gx)
        if weight is not None:
            gw = gradient_buffer(weight, inputs)
        if bias is not None:
            gb = gradient_buffer(bias, inputs)
        if len(inputs) > 1:
            launch_sums("layer_norm_backward_affine", R, P, (g, x, mean, scale), (gw, gb))
        return [gx, *[gw] * (weight is not None), *[gb] * (bias is not None)]

    return node(y, inputs, backward)
