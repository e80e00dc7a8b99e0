"""Twins of functional/linear.py."""

import numpy

from minigan import backends
from minigan import functional as F
from minigan.autograd import gradient_buffer, node, twin_of
from minigan.device import array_module
from minigan.kernels import blas
from minigan.kernels.launch import (
    contiguous, covered, fits, launch, launch_columns, launch_rows)
from minigan.tensor import Tensor

# Up to how many rows x @ w.T takes longer than w @ x.T, and from which size of w that matters.
FEW_ROWS = 64
LARGE = 100_000


@twin_of(F.linear)
def linear(input, weight, bias=None):
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        return NotImplemented
    x, w = input.array, weight.array
    if not covered(x) or w.ndim != 2 or not x.ndim or x.shape[-1] != w.shape[1] or not w.size or (
            w.dtype != x.dtype or type(w) is not type(x) or not fits(x, bias, w.shape[:1])):
        return NotImplemented
    O, I = w.shape
    x2 = x if x.ndim == 2 else x.reshape(-1, I)
    R = x2.shape[0]
    y = product(x2, w.T)
    inputs = (input, weight)
    if bias is not None:
        launch_rows("add_bias", R, O, y, contiguous(bias.array))
        inputs += (bias,)

    def backward(g):
        g = contiguous(g).reshape(R, O)
        gx = product(g, w).reshape(x.shape) if input.requires_grad else None
        gw = None
        if weight.requires_grad:
            gw = gradient_buffer(weight, inputs)
            if R == 1:
                launch_rows("outer_product", O, I, g, contiguous(x2), gw)
            else:
                product(g.T, x2, gw)
        if bias is None:
            return gx, gw
        gb = None
        if bias.requires_grad:
            gb = gradient_buffer(bias, inputs)
            launch_columns("column_sum", R, O, g, gb)
        return gx, gw, gb

    return node(y if x.ndim == 2 else y.reshape(*x.shape[:-1], O), inputs, backward)


def product(a, b, out=None):
    """The matrix product a @ b, into `out` if it is given; by rows in memory."""
    if isinstance(a, numpy.ndarray):
        R, I = a.shape
        with numpy.errstate(all="ignore"):  # infinity and nan are results like others
            if out is None and 1 < R <= FEW_ROWS and b.size >= LARGE and b.flags.f_contiguous:
                return numpy.ascontiguousarray((b.T @ a.T).T)  # at 8 rows nearly twice as fast
            return numpy.matmul(a, b, out=out)
    return blas.product(a, b, out, tf32=backends.cuda.matmul.allow_tf32)


@twin_of(F.embedding)
def embedding(input, weight, padding_idx=None):
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        return NotImplemented
    i, w = input.array, weight.array
    if i.dtype.kind not in "iu" or not i.size or not covered(w) or w.ndim != 2 or (
            isinstance(i, numpy.ndarray) is not isinstance(w, numpy.ndarray)):
        return NotImplemented
    xp, (V, D), on_cpu = array_module(w), w.shape, isinstance(w, numpy.ndarray)
    if padding_idx is None:
        padding = -1
    elif type(padding_idx) is int and -V <= padding_idx < V:
        padding = padding_idx % V
    else:
        return NotImplemented
    index = contiguous(i.astype("int64", copy=False))
    y = xp.empty((*i.shape, D), w.dtype)
    outside = numpy.zeros((), "int64") if on_cpu else None
    launch("embedding", w, index.size, D, (contiguous(w), index, y, outside, V, index.size, D))
    if on_cpu and outside.item():
        return NotImplemented

    def backward(g):
        gw = gradient_buffer(weight, (input, weight))
        name = "embedding_backward_in_order" if on_cpu else "embedding_backward"
        launch(name, g, V, D, (contiguous(g), index, gw, padding, index.size, V, D))
        return None, gw

    return node(y, (input, weight), backward)
