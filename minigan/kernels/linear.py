"""Twins of functional/linear.py."""

import numpy

from minigan import backends
from minigan import functional as F
from minigan.autograd import gradient_buffer, node, twin_of
from minigan.checks import check_numbers_in_range
from minigan.device import array_module, is_on_gpu
from minigan.hooks import look
from minigan.kernels import blas
from minigan.kernels.launch import (
    contiguous, covered, fits, launch, launch_columns, launch_rows, MOST_BLOCKS, THREADS)
from minigan.kernels.product import product
from minigan.tensor import Tensor

ROWS = 64  # that a thread of a GPU adds up, most often


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
    y = product(x2, w.T, None if bias is None else contiguous(bias.array))
    inputs = (input, weight) if bias is None else (input, weight, bias)

    def backward(g):
        g = contiguous(g).reshape(R, O)
        gx = product(g, w).reshape(x.shape) if input.requires_grad else None
        gw = None
        if weight.requires_grad:
            gw = gradient_buffer(weight, inputs)
            if R == 1:
                launch_rows("outer_product", O, I, g, contiguous(x2), gw)
            else:
                product(g.T, x2, out=gw)
        if bias is None:
            return gx, gw
        gb = None
        if bias.requires_grad:
            gb = gradient_buffer(bias, inputs)
            launch_sums("column_sum", R, O, (g,), (gb,))
        return gx, gw, gb

    return node(y if x.ndim == 2 else y.reshape(*x.shape[:-1], O), inputs, backward)


def launch_sums(name, R, P, inputs, outputs):
    """Run a kernel that adds up R rows of P columns. On a GPU columns are fewer than it has threads:
    where there are many rows, threads share a column, and their sums are added up.

    inputs   arrays; outputs  (P,) or None for one that is not there
    """
    if R <= ROWS or isinstance(inputs[0], numpy.ndarray):
        launch_columns(name, R, P, *inputs, *outputs)
        return
    parts = min(-(-R // ROWS), MOST_BLOCKS)
    sums = [None if out is None else array_module(out).empty((parts, P), out.dtype)
            for out in outputs]
    launch(name, inputs[0], -(-P // THREADS), THREADS, (*inputs, *sums, R, P), parts)
    for part_sums, out in zip(sums, outputs):
        if out is not None:
            launch_columns("column_sum", parts, P, part_sums, out)


@twin_of(F.matmul)
def matmul(input, other):
    """On a GPU, where `cupy.matmul` cannot be captured; on a CPU NumPy's is as good as any."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        return NotImplemented
    x, y = input.array, other.array
    if not (is_on_gpu(x) and is_on_gpu(y) and covered(x) and covered(y)) or x.dtype != y.dtype or (
            not x.ndim or not y.ndim or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]):
        return NotImplemented
    rows = x[None, :] if x.ndim == 1 else x        # (...,I,K)
    columns = y[:, None] if y.ndim == 1 else y     # (...,K,J)
    result = stacked_product(rows, columns)        # (...,I,J)
    result = result[..., 0, :] if x.ndim == 1 else result
    result = result[..., 0] if y.ndim == 1 else result

    def backward(g):
        g = g[..., None] if y.ndim == 1 else g
        g = g[..., None, :] if x.ndim == 1 else g
        gx = gy = None
        if input.requires_grad:
            gx = stacked_product(g, columns.swapaxes(-1, -2))
            gx = gx[..., 0, :] if x.ndim == 1 else gx
        if other.requires_grad:
            gy = stacked_product(rows.swapaxes(-1, -2), g)
            gy = gy[..., 0] if y.ndim == 1 else gy
        return gx, gy

    return node(result, (input, other), backward)


def stacked_product(a, b):
    """a (...,I,K) @ b (...,K,J) on a GPU, their stacks broadcast."""
    if a.ndim == b.ndim == 2:
        return product(a, b)
    (I, K), J = a.shape[-2:], b.shape[-1]
    if b.ndim == 2:  # one matrix for all rows
        return product(a.reshape(-1, K), b).reshape(*a.shape[:-1], J)
    stack = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (array_module(x).broadcast_to(x, (*stack, *x.shape[-2:])).reshape(-1, *x.shape[-2:])
            for x in (a, b))
    return blas.stacked_product(a, b, backends.cuda.matmul.allow_tf32).reshape(*stack, I, J)


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
    index = contiguous(i.astype("int64"))  # a copy: the backward relies on it
    y = xp.empty((*i.shape, D), w.dtype)
    outside = xp.zeros((), "int64") if on_cpu else None
    launch("embedding", w, index.size, D, (contiguous(w), index, y, outside, V, index.size, D))
    if on_cpu:
        look(check_none_outside, outside, index, V)

    def backward(g):
        gw = gradient_buffer(weight, (input, weight))
        name = "embedding_backward_in_order" if on_cpu else "embedding_backward"
        launch(name, g, V, D, (contiguous(g), index, gw, padding, index.size, V, D))
        return None, gw

    return node(y, (input, weight), backward)


def check_none_outside(outside, index, V):
    """For indices, of which the kernel has counted those that are out of range."""
    if outside:
        check_numbers_in_range("embedding", "indices", index, V)
