"""Twins of functional/arithmetic.py's sum and mean, for all numbers of an array on a CPU: NumPy
copies float32 in pieces to add it up in float64. On a GPU CuPy does not."""

import numpy

from minigan import functional as F
from minigan.autograd import node, twin_of
from minigan.device import array_module
from minigan.kernels.launch import covered, dense, launch
from minigan.tensor import Tensor


@twin_of(F.sum)
def sum(input, dim=None, keepdim=False):
    return sum_of_all("sum", input, dim, keepdim)


@twin_of(F.mean)
def mean(input, dim=None, keepdim=False):
    return sum_of_all("mean", input, dim, keepdim)


def sum_of_all(name, input, dim, keepdim):
    if dim is not None or not isinstance(input, Tensor):
        return NotImplemented
    x = input.array
    if not isinstance(x, numpy.ndarray) or not covered(x):
        return NotImplemented
    xp = array_module(x)
    count = float(x.size) if name == "mean" else 1.0
    y = xp.empty((1,) * x.ndim if keepdim else (), x.dtype)
    launch("sum_all", x, 1, 1, (dense(x), y, count, x.size))

    def backward(g):
        gx = xp.empty(x.shape, x.dtype)
        launch("sum_all_backward", gx, 1, 1, (g, gx, count, x.size))
        return (gx,)

    return node(y, (input,), backward, name)
