"""Reductions along the rows and columns of a matrix: products with a vector where that is quicker."""

import functools

import numpy

from minigan.device import array_module


def row_sum(x):
    """The sum of each row of x (R,P): (R,)."""
    if array_module(x) is numpy:
        return x.dot(filled(x.shape[1], 1, x.dtype))  # for short rows a third of the time of `sum`
    return x.sum(axis=1)


def row_mean(x):
    """The mean of each row of x (R,P): (R,)."""
    if array_module(x) is numpy:
        return x.dot(filled(x.shape[1], 1 / x.shape[1], x.dtype))
    return x.mean(axis=1)


def column_sum(x):
    """The sum of each column of x (R,P): (P,)."""
    if array_module(x) is numpy:
        return filled(x.shape[0], 1, x.dtype).dot(x)
    return x.sum(axis=0)


def row_dot(x, y):
    """The product of each row of x (R,P) with the same row of y: (R,)."""
    if array_module(x) is numpy:
        return numpy.vecdot(x, y)  # one BLAS call a row, and no array of products
    return (x * y).sum(axis=1)


@functools.lru_cache(maxsize=64)
def filled(size, value, dtype):
    """The same vector every time."""
    result = numpy.full(size, value, dtype)
    result.flags.writeable = False
    return result
