"""Batch and layer normalization: shift and scale to mean 0 and variance 1, then learn both anew.

With xhat = (x - mean) / sqrt(var + eps) over a group of P numbers and y = xhat * weight + bias,

    dL/dx = (h - mean(h) - xhat * mean(h * xhat)) / sqrt(var + eps),   h = dL/dy * weight

S. Ioffe and C. Szegedy, Batch normalization, 2015; J. L. Ba et al., Layer normalization, 2016.
"""

import numpy

from minigan.autograd import Tensor, node
from minigan.device import module_of
from minigan.errors import operation


def normalized(rows, eps):
    """Rows (R,P) shifted and scaled each: xhat (R,P), 1/sqrt(var + eps), mean and var (R,1)."""
    xp = module_of(rows)
    per_item = rows.dtype.type(1 / rows.shape[1])
    mean = rows.sum(axis=1, keepdims=True) * per_item
    xhat = rows - mean
    # A row's product with itself: the sum of squares without an array of squares.
    var = xp.einsum("ij,ij->i", xhat, xhat)[:, None] * per_item
    scale = 1 / xp.sqrt(var + rows.dtype.type(eps))
    xhat *= scale
    return xhat, scale, mean, var


def normalized_backward(h, xhat, scale):
    """The formula above for rows (R,P); h is dL/dxhat."""
    xp = module_of(h)
    per_item = h.dtype.type(1 / h.shape[1])
    along = xp.einsum("ij,ij->i", h, xhat)[:, None] * per_item
    gx = h - h.sum(axis=1, keepdims=True) * per_item
    gx -= xhat * along
    gx *= scale
    return gx


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


@operation
def batch_norm(input: Tensor, running_mean=None, running_var=None, weight=None, bias=None,
               training=False, momentum=0.1, eps=1e-5):
    """Each channel normalized over the batch (and image), or by the running statistics.

    input  (N,C) or (N,C,...); running_mean, running_var, weight, bias (C,) or None
    In training the running statistics move towards this batch's by `momentum`, the variance as
    its unbiased estimate. ValueError for shapes, and in training for one value a channel.
    """
    x = input.array
    if x.ndim < 2:
        raise ValueError(f"batch_norm: input must have shape (N,C,...), got {x.shape}")
    C = x.shape[1]
    check_affine("batch_norm", x, (C,), weight, bias)
    for argument, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is not None and value.array.shape != (C,):
            raise ValueError(f"batch_norm: {argument} must have shape ({C},), got {value.shape}")
    # (N,C,H,W) -> (C,H,W,N) -> (C,P): a convolution's result already lies like that in memory.
    order = tuple(range(1, x.ndim)) + (0,)
    rows = x.transpose(order)
    shape = rows.shape
    back = (x.ndim - 1,) + tuple(range(x.ndim - 1))
    rows = rows.reshape(C, x.size // C if C else 0)
    P = rows.shape[1]
    w = None if weight is None else weight.array[:, None]

    if training:
        if P < 2:
            raise ValueError(f"batch_norm: training needs more than one value a channel, "
                             f"got input of shape {x.shape}")
        xhat, scale, mean, var = normalized(rows, eps)
        if running_mean is not None:
            blend(running_mean, mean[:, 0], momentum)
        if running_var is not None:
            blend(running_var, var[:, 0] * (P / (P - 1)), momentum)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: evaluation needs running_mean and running_var")
        scale = (1 / module_of(x).sqrt(running_var.array + eps))[:, None].astype(x.dtype)
        xhat = (rows - running_mean.array[:, None].astype(x.dtype)) * scale
    y = xhat * w if w is not None else xhat.copy()
    if bias is not None:
        y += bias.array[:, None]

    def backward(g):
        g = g.transpose(order).reshape(C, P)
        gx = None
        if input.requires_grad:
            h = g * w if w is not None else g
            gx = normalized_backward(h, xhat, scale) if training else h * scale
            gx = gx.reshape(shape).transpose(back)
        gradients = [gx]
        if weight is not None:
            gradients.append(module_of(g).einsum("ij,ij->i", g, xhat))
        if bias is not None:
            gradients.append(g.sum(axis=1))
        return gradients

    return node(y.reshape(shape).transpose(back), given(input, weight, bias), backward)


def blend(running, value, momentum):
    """running = (1 - momentum) * running + momentum * value, in place."""
    running.array *= 1 - momentum
    running.array += (momentum * value).astype(running.array.dtype, copy=False)
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
    xhat, scale, _, _ = normalized(x.reshape(x.size // P, P), eps)
    w = None if weight is None else weight.array.reshape(P)
    y = xhat * w if w is not None else xhat.copy()
    if bias is not None:
        y += bias.array.reshape(P)

    def backward(g):
        before, g = g.shape, g.reshape(-1, P)
        gx = None
        if input.requires_grad:
            gx = normalized_backward(g * w if w is not None else g, xhat, scale).reshape(before)
        gradients = [gx]
        if weight is not None:
            gradients.append((g * xhat).sum(axis=0).reshape(tail))
        if bias is not None:
            gradients.append(g.sum(axis=0).reshape(tail))
        return gradients

    return node(y.reshape(x.shape), given(input, weight, bias), backward)
