"""Batch and layer normalization: to mean 0 and variance 1, then by a learned scale and shift.

With xhat = (x - mean) / sqrt(var + eps) over P numbers and y = xhat * weight + bias,

    dL/dx = (h - mean(h) - xhat * mean(h * xhat)) / sqrt(var + eps),   h = dL/dy * weight

as mean and var depend on x too. In batch-norm the P numbers are those of a channel, which has one
weight and bias; in layer-norm those of an item, and each has a weight and bias of its own.

S. Ioffe and C. Szegedy, Batch normalization, 2015; J. L. Ba et al., Layer normalization, 2016.
"""

import numpy

from minigan.autograd import sum_in_float64, node, operation
from minigan.checks import check_batch_norm, check_layer_norm
from minigan.device import array_module
from minigan.functional.convolution import present
from minigan.tensor import Tensor


@operation
def batch_norm(input: Tensor, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5):
    """Each channel normalized over the batch (and image), or by the running statistics.

    (x - mean) / sqrt(var + eps) * weight + bias

    input  (N,C) or (N,C,...); running_mean, running_var, weight, bias (C,) or None
    In training the running statistics move towards this batch's by `momentum`, the variance as
    its unbiased estimate. ValueError for shapes, and in training for one value a channel.
    """
    momentum, eps = float(momentum), float(eps)
    check_batch_norm(input.array, running_mean, running_var, weight, bias, training, momentum, eps)
    x = at_least_single(input.array)
    axes = (0, *range(2, x.ndim))                     # all but the channels'
    channels = (1, -1) + (1,) * (x.ndim - 2)          # a shape that broadcasts along them
    P = x.size / max(x.shape[1], 1)
    if training:
        mean = mean_over(x, axes)
        centred = x - mean                            # (N,C,...)
        var = mean_over(centred * centred, axes)
        for running, batch in ((running_mean, mean), (running_var, var * (P / (P - 1)))):
            if running is not None and x.size:
                running.array[...] = ((1 - momentum) * running.array
                                      + momentum * batch.reshape(-1))
                running.changed()
    else:
        mean, var = (running.array.reshape(channels).astype(x.dtype)
                     for running in (running_mean, running_var))
        centred = x - mean
    scale = 1 / array_module(x).sqrt(var + eps)
    xhat = centred * scale
    w = 1 if weight is None else weight.array.reshape(channels)
    y = xhat * w
    if bias is not None:
        y += bias.array.reshape(channels)

    def backward(g):
        gx, gw, gb = None, sum_in_float64(g * xhat, axes), sum_in_float64(g, axes)
        if input.requires_grad:
            h = g * w
            if training:
                h = h - mean_over(h, axes) - xhat * mean_over(h * xhat, axes)
            gx = h * scale                            # the formula above
        return present_gradients(gx, (weight, gw), (bias, gb))

    return node(y.astype(input.dtype, copy=False), present(input, weight, bias), backward)


@operation
def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Each item normalized over its last dimensions.

    (x - mean) / sqrt(var + eps) * weight + bias

    input (...,*normalized_shape); normalized_shape an integer or a tuple; weight and bias of
    that shape or None. ValueError for shapes that do not fit.
    """
    if isinstance(normalized_shape, (int, numpy.integer)):
        normalized_shape = (normalized_shape,)
    shape, eps = tuple(normalized_shape), float(eps)
    check_layer_norm(input.array, shape, weight, bias, eps)
    x = at_least_single(input.array)
    axes = tuple(range(x.ndim - len(shape), x.ndim))  # of an item
    items = tuple(range(x.ndim - len(shape)))         # all others
    centred = x - mean_over(x, axes)
    centred = centred - mean_over(centred, axes)      # again, for what rounding left of the mean
    scale = 1 / array_module(x).sqrt(mean_over(centred * centred, axes) + eps)
    xhat = centred * scale
    w = 1 if weight is None else weight.array
    y = xhat * w
    if bias is not None:
        y += bias.array

    def backward(g):
        gx = None
        if input.requires_grad:
            h = g * w
            gx = (h - mean_over(h, axes) - xhat * mean_over(h * xhat, axes)) * scale
        gw, gb = sum_in_float64(g * xhat, items), sum_in_float64(g, items)
        return present_gradients(gx, (weight, gw), (bias, gb))

    return node(y.astype(input.dtype, copy=False), present(input, weight, bias), backward)


def present_gradients(gx, *others):
    """The gradients of the input and of those other inputs that there are."""
    return [gx, *[g for tensor, g in others if tensor is not None]]


def mean_over(x, axes):
    """The mean over some axes, which keep size 1."""
    total = x.sum(axis=axes, dtype="float64", keepdims=True)
    return (total / (x.size / max(total.size, 1))).astype(x.dtype)


def at_least_single(x):
    """Half precision as float32: squares of its numbers may exceed what it can hold."""
    return x.astype("float32") if x.dtype == "float16" else x
