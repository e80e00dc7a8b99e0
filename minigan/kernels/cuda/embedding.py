"""Rows of a weight by index."""

import numpy

from minigan.device import array_module
from minigan.kernels.cuda.source import THREADS, launch, launch_for_each


def embedding(index, weight):
    """weight (V,D) by index (...): (...,D); nan for an index out of range."""
    xp = array_module(weight)
    V, D = weight.shape
    y = xp.empty((*index.shape, D), weight.dtype)
    launch_for_each("embedding", y, y.size, xp.ascontiguousarray(weight), whole(index), y,
                    index.size, V, D)
    return y


def embedding_backward(g, index, V, padding):
    """g (...,D) summed into (V,D); the row `padding` (None for none) stays 0."""
    xp = array_module(g)
    D = g.shape[-1]
    g_weight = xp.empty((V, D), g.dtype)
    launch("embedding_backward", g, (V,), THREADS, xp.ascontiguousarray(g), whole(index), g_weight,
           index.size, D, -1 if padding is None else padding % V)
    return g_weight


def whole(index):
    return array_module(index).ascontiguousarray(index, dtype=numpy.int64)
