"""Batch and layer normalization: shift and scale to mean 0 and variance 1, then learn both anew.

With xhat = (x - mean) / sqrt(var + eps) over a group of P numbers and y = xhat * weight + bias,

    dL/dx = (h - mean(h) - xhat * mean(h * xhat)) / sqrt(var + eps),   h = dL/dy * weight

S. Ioffe and C. Szegedy, Batch normalization, 2015; J. L. Ba et al., Layer normalization, 2016.
"""

import functools

import numpy

from minigan.autograd import Tensor, node
from minigan.device import module_of
from minigan.errors import operation
from minigan.kernels.rows import column_sum, row_dot, row_mean, row_sum


def check_affine(name, x, shape, weight, bias):
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: input must be floating-point, got {x.dtype}")
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.array.shape != shape:
            raise ValueError(f"{name}: {argument} must have shape {shape}, got {value.shape}")
        if value is not None and value.array.dtype != x.dtype:
            raise TypeError(f"{name}: {argument} has dtype {value.dtype}, input has {x.dtype}")


def given(*tensors):
    return tuple(x for x in tensors if x is not None)


def check_batch_norm(x, weight, bias, running):
    """x (N,C,...), weight and bias (C,) or None; running {name: (C,) or None}."""
    if x.ndim < 2:
        raise ValueError(f"batch_norm: input must have shape (N,C,...), got {x.shape}")
    shape = x.shape[1:2]
    check_affine("batch_norm", x, shape, weight, bias)
    for argument, value in running.items():
        if value is not None and value.requires_grad:
            raise ValueError(f"batch_norm: {argument} is changed in place, it cannot require a "
                             f"gradient")
        if value is not None and value.array.shape != shape:
            raise ValueError(f"batch_norm: {argument} must have shape {shape}, got {value.shape}")


@functools.cache
def batch_last(ndim):
    """The axes of (N,C,H,W) as (C,H,W,N), and the way back, for any number of dimensions."""
    return (*range(1, ndim), 0), (ndim - 1, *range(ndim - 1))


@operation
def batch_norm(input: Tensor, running_mean=None, running_var=None, weight=None, bias=None,
               training=False, momentum=0.1, eps=1e-5):
    """Each channel normalized over the batch (and image), or by the running statistics.

    input  (N,C) or (N,C,...); running_mean, running_var, weight, bias (C,) or None
    In training the running statistics move towards this batch's by `momentum`, the variance as
    its unbiased estimate. ValueError for shapes, and in training for one value a channel.
    """
    x = input.array
    check_batch_norm(x, weight, bias, {"running_mean": running_mean, "running_var": running_var})
    xp = module_of(x)
    # (N,C,H,W) -> (C,H,W,N) -> (C,P): a convolution's result already lies like that in memory.
    order, back = batch_last(x.ndim)
    rows = x.transpose(order)
    shape = rows.shape
    C = shape[0]
    P = x.size // C if C else 0
    rows = rows.reshape(C, P)

    if training:
        if P < 2:
            raise ValueError(f"batch_norm: training needs more than one value a channel, "
                             f"got input of shape {x.shape}")
        mean = row_mean(rows)
        centred = rows - mean[:, None]
        squares = row_dot(centred, centred)
        var = squares * (1 / P)
        if running_mean is not None:
            blend(running_mean, momentum, mean, momentum)
        if running_var is not None:
            blend(running_var, momentum, squares, momentum / (P - 1))
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: evaluation needs running_mean and running_var")
        centred = rows - running_mean.array.astype(x.dtype, copy=False)[:, None]
        var = running_var.array.astype(x.dtype, copy=False)
    deviation = xp.sqrt(var + float(eps))  # (C,)
    a = (1 if weight is None else weight.array) / deviation
    y = centred * a[:, None]
    if bias is not None:
        y += bias.array[:, None]

    def backward(g):
        g = g.transpose(order).reshape(C, P)
        g_sum, g_xhat = row_sum(g), row_dot(g, centred)
        g_xhat /= deviation
        gx = None
        if input.requires_grad:
            gx = g * a[:, None]
            if training:  # the formula above, h being g * weight
                share = a / P
                gx -= (share * g_sum)[:, None]
                gx -= centred * (share * g_xhat / deviation)[:, None]
            gx = gx.reshape(shape).transpose(back)
        gradients = [gx]
        if weight is not None:
            gradients.append(g_xhat)
        if bias is not None:
            gradients.append(g_sum)
        return gradients

    return node(y.reshape(shape).transpose(back), given(input, weight, bias), backward)


def blend(running, momentum, value, share):
    """running = (1 - momentum) * running + share * value, in place."""
    running.array *= 1 - momentum
    running.array += share * value
    running.changed()


@operation
def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Each item normalized over its last dimensions.

    input (...,*normalized_shape); normalized_shape a whole number or a tuple; weight and bias of
    that shape or None. ValueError for shapes that do not fit.
    """
    x = input.array
    if isinstance(normalized_shape, (int, numpy.integer)):
        normalized_shape = (normalized_shape,)
    tail = tuple(normalized_shape)
    if not tail or x.shape[-len(tail):] != tail:
        raise ValueError(f"layer_norm: input of shape {x.shape} does not end in {tail}")
    check_affine("layer_norm", x, tail, weight, bias)
    P = 1
    for size in tail:
        P *= size
    if P == 0:
        raise ValueError(f"layer_norm: normalized_shape {tail} holds no element")
    rows = x.reshape(x.size // P, P)
    xhat = rows - row_mean(rows)[:, None]
    scale = 1 / module_of(x).sqrt(row_dot(xhat, xhat)[:, None] / P + float(eps))  # (R,1)
    xhat *= scale
    w = None if weight is None else weight.array.reshape(P)
    y = xhat * w if w is not None else xhat.copy()
    if bias is not None:
        y += bias.array.reshape(P)

    def backward(g):
        before, g = g.shape, g.reshape(-1, P)
        gx = None
        if input.requires_grad:
            h = g if w is None else g * w
            gx = h - row_mean(h)[:, None]
            gx -= xhat * (row_dot(h, xhat)[:, None] / P)
            gx *= scale
            gx = gx.reshape(before)
        gradients = [gx]
        if weight is not None:
            gradients.append(column_sum(g * xhat).reshape(tail))
        if bias is not None:
            gradients.append(column_sum(g).reshape(tail))
        return gradients

    return node(y.reshape(x.shape), given(input, weight, bias), backward)
