"""Batch and layer normalization of the rows of a matrix.

With xhat = (x - mean) / sqrt(var + eps) over a row of P numbers and y = xhat * weight + bias,

    dL/dx = (h - mean(h) - xhat * mean(h * xhat)) / sqrt(var + eps),   h = dL/dy * weight

In batch-norm a row is a channel, with one weight and bias; in layer-norm it is an item, and each of
its numbers has its own.

S. Ioffe and C. Szegedy, Batch normalization, 2015; J. L. Ba et al., Layer normalization, 2016.
"""

from minigan.device import array_module
from minigan.kernels.cuda import normalization as on_gpu
from minigan.kernels.cuda.source import has_kernels_for
from minigan.kernels.rows import column_sum, row_dot, row_mean, row_sum


def batch_norm(rows, running_mean, running_var, weight, bias, training, momentum, eps):
    """rows (C,P) -> y (C,P), and what the backward needs.

    The running statistics (C,), or None, are moved in training and used otherwise.
    """
    if has_kernels_for(rows):
        return on_gpu.batch_norm(rows, running_mean, running_var, weight, bias, training, momentum,
                                 eps)
    P = rows.shape[1]
    if training:
        mean = row_mean(rows)
        centred = rows - mean[:, None]
        squares = row_dot(centred, centred)
        var = squares * (1 / P)
        if running_mean is not None:
            blend(running_mean, momentum, mean, momentum)
        if running_var is not None:
            blend(running_var, momentum, squares, momentum / (P - 1))  # the unbiased estimate
    else:
        centred = rows - running_mean.astype(rows.dtype, copy=False)[:, None]
        var = running_var.astype(rows.dtype, copy=False)
    deviation = array_module(rows).sqrt(var + eps)  # (C,)
    a = (1 if weight is None else weight) / deviation
    y = centred * a[:, None]
    if bias is not None:
        y += bias[:, None]
    return y, (centred, deviation, a)


def blend(running, momentum, value, share):
    """running = (1 - momentum) * running + share * value, in place."""
    running *= 1 - momentum
    running += share * value


def batch_norm_backward(g, saved, weight, training, needs_input):
    """g (C,P) -> the gradients of x (C,P) (or None), of weight (C,) and of bias (C,)."""
    if has_kernels_for(g):
        return on_gpu.batch_norm_backward(g, saved, weight, training, needs_input)
    centred, deviation, a = saved
    g_sum, g_xhat = row_sum(g), row_dot(g, centred)
    g_xhat /= deviation
    gx = None
    if needs_input:
        gx = g * a[:, None]
        if training:  # the formula above, h being g * weight
            share = a / g.shape[1]
            gx -= (share * g_sum)[:, None]
            gx -= centred * (share * g_xhat / deviation)[:, None]
    return gx, g_xhat, g_sum


def layer_norm(rows, weight, bias, eps):
    """rows (R,P), weight and bias (P,) or None -> y (R,P), and what the backward needs."""
    if has_kernels_for(rows):
        return on_gpu.layer_norm(rows, weight, bias, eps)
    P = rows.shape[1]
    xhat = rows - row_mean(rows)[:, None]
    scale = 1 / array_module(rows).sqrt(row_dot(xhat, xhat)[:, None] / P + eps)  # (R,1)
    xhat *= scale
    y = xhat * weight if weight is not None else xhat.copy()
    if bias is not None:
        y += bias
    return y, (xhat, scale)


def layer_norm_backward(g, saved, weight, needs_input, needs_affine):
    """g (R,P) -> the gradients of x (R,P), of weight (P,) and of bias (P,), None where not needed."""
    if has_kernels_for(g):
        return on_gpu.layer_norm_backward(g, saved, weight, needs_input, needs_affine)
    xhat, scale = saved
    gx = g_weight = g_bias = None
    if needs_input:
        h = g if weight is None else g * weight
        gx = h - row_mean(h)[:, None]
        gx -= xhat * (row_dot(h, xhat)[:, None] / g.shape[1])
        gx *= scale
    if needs_affine:
        g_weight, g_bias = column_sum(g * xhat), column_sum(g)
    return gx, g_weight, g_bias
