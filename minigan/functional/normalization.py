"""Batch and layer normalization: shift and scale to mean 0 and variance 1, then learn both anew.

The formulas, and where they come from, are in kernels/normalization.py.
"""

import functools

import numpy

from minigan.autograd import Tensor, node
from minigan.checks import describe, operation
from minigan.kernels import normalization as kernels


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


def arrays_of(*tensors):
    return [None if x is None else x.array for x in tensors]


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

    (x - mean) / sqrt(var + eps) * weight + bias

    input  (N,C) or (N,C,...); running_mean, running_var, weight, bias (C,) or None
    In training the running statistics move towards this batch's by `momentum`, the variance as
    its unbiased estimate. ValueError for shapes, and in training for one value a channel.
    """
    if not (eps >= 0 and 0 <= momentum <= 1):
        raise ValueError(f"batch_norm: eps must be at least 0 and momentum lie in 0..1, got "
                         f"{describe(eps)} and {describe(momentum)}")
    x = input.array
    check_batch_norm(x, weight, bias, {"running_mean": running_mean, "running_var": running_var})
    # (N,C,H,W) -> (C,H,W,N) -> (C,P): a convolution's result already lies like that in memory.
    order, back = batch_last(x.ndim)
    rows = x.transpose(order)
    shape = rows.shape
    C = shape[0]
    P = x.size // C if C else 0
    rows = rows.reshape(C, P)
    if training and P < 2:
        raise ValueError(f"batch_norm: training needs more than one value a channel, "
                         f"got input of shape {x.shape}")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("batch_norm: evaluation needs running_mean and running_var")
    mean, var, w, b = arrays_of(running_mean, running_var, weight, bias)
    y, saved = kernels.batch_norm(rows, mean, var, w, b, training, momentum, float(eps))
    if training:
        for running in given(running_mean, running_var):
            running.changed()

    def backward(g):
        g = g.transpose(order).reshape(C, P)
        gx, gw, gb = kernels.batch_norm_backward(g, saved, w, training, input.requires_grad)
        gradients = [None if gx is None else gx.reshape(shape).transpose(back)]
        if weight is not None:
            gradients.append(gw)
        if bias is not None:
            gradients.append(gb)
        return gradients

    return node(y.reshape(shape).transpose(back), given(input, weight, bias), backward)


@operation
def layer_norm(input: Tensor, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Each item normalized over its last dimensions.

    (x - mean) / sqrt(var + eps) * weight + bias

    input (...,*normalized_shape); normalized_shape a whole number or a tuple; weight and bias of
    that shape or None. ValueError for shapes that do not fit.
    """
    if not eps >= 0:
        raise ValueError(f"layer_norm: eps must be at least 0, got {describe(eps)}")
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
    w, b = (None if a is None else a.reshape(P) for a in arrays_of(weight, bias))
    y, saved = kernels.layer_norm(x.reshape(x.size // P, P), w, b, float(eps))

    def backward(g):
        gx, gw, gb = kernels.layer_norm_backward(
            g.reshape(-1, P), saved, w, input.requires_grad, w is not None or b is not None)
        gradients = [None if gx is None else gx.reshape(g.shape)]
        if weight is not None:
            gradients.append(gw.reshape(tail))
        if bias is not None:
            gradients.append(gb.reshape(tail))
        return gradients

    return node(y.reshape(x.shape), given(input, weight, bias), backward)
