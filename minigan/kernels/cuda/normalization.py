"""Batch and layer normalization: a launch forward, one or two backward."""

from minigan.device import array_module
from minigan.kernels.cuda.source import launch, launch_for_each, threads_for


def pointer(array):
    """The array as a kernel takes it: contiguous, or 0 for None."""
    return 0 if array is None else array_module(array).ascontiguousarray(array)


def batch_norm(rows, running_mean, running_var, weight, bias, training, momentum, eps):
    xp = array_module(rows)
    C, P = rows.shape
    rows = pointer(rows)
    y, mean, deviation = xp.empty_like(rows), *xp.empty((2, C), rows.dtype)
    running = [(r, 0 if r is None else xp.ascontiguousarray(r, dtype=rows.dtype))
               for r in (running_mean, running_var)]
    launch("batch_norm", rows, (C,), threads_for(P), rows, pointer(weight), pointer(bias), y, mean,
           deviation, *[own for _, own in running], P, eps, float(momentum), int(training))
    for given, own in running:
        if given is not None and given.data.ptr != own.data.ptr:  # it was of another dtype
            given[...] = own
    return y, (rows, mean, deviation)


def batch_norm_backward(g, saved, weight, training, needs_input):
    rows, mean, deviation = saved
    xp = array_module(g)
    C, P = rows.shape
    g_weight, g_bias = xp.empty((2, C), g.dtype)
    gx = xp.empty_like(rows) if needs_input else None
    launch("batch_norm_backward", g, (C,), threads_for(P), pointer(g), rows, pointer(weight), mean,
           deviation, pointer(gx), g_weight, g_bias, P, int(training))
    return gx, g_weight, g_bias


def layer_norm(rows, weight, bias, eps):
    xp = array_module(rows)
    R, P = rows.shape
    rows = pointer(rows)
    y, mean, scale = xp.empty_like(rows), *xp.empty((2, R), rows.dtype)
    launch("layer_norm", rows, (R,), threads_for(P), rows, pointer(weight), pointer(bias), y, mean,
           scale, P, eps)
    return y, (rows, mean, scale)


def layer_norm_backward(g, saved, weight, needs_input, needs_affine):
    rows, mean, scale = saved
    xp = array_module(g)
    R, P = rows.shape
    g = pointer(g)
    gx = g_weight = g_bias = None
    if needs_input:
        gx = xp.empty_like(rows)
        launch("layer_norm_backward", g, (R,), threads_for(P), g, rows, pointer(weight), mean,
               scale, gx, P)
    if needs_affine:
        g_weight, g_bias = xp.empty((2, P), g.dtype)
        launch_for_each("layer_norm_backward_affine", g, P, g, rows, mean, scale, g_weight, g_bias,
                        R, P)
    return gx, g_weight, g_bias
