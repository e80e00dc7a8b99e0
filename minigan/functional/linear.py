"""Products with a weight matrix: linear, and embedding, which picks its rows."""

from numbers import Integral

import numpy

from minigan.autograd import Tensor, node, weight_gradient
from minigan.device import array_module
from minigan.checks import describe, operation
from minigan.kernels.cuda import embedding as on_gpu
from minigan.kernels.cuda.source import has_kernels_for
from minigan.kernels.products import outer_product, product, rows_product
from minigan.kernels.rows import column_sum


@operation
def linear(input: Tensor, weight: Tensor, bias=None):
    """x @ weight.T + bias: (...,in) -> (...,out).

    input (...,in), weight (out,in), bias (out,) or None, all of one dtype. ValueError for shapes
    that do not fit, TypeError for dtypes that differ.
    """
    x, w = input.array, weight.array
    b = None if bias is None else bias.array
    if w.ndim != 2 or x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ValueError(f"linear: input of shape {x.shape} does not fit weight of shape "
                         f"{w.shape}; needed are (..., in) and (out, in)")
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"linear: bias must have shape {w.shape[:1]}, got {b.shape}")
    if x.dtype != w.dtype or x.dtype.kind != "f" or (b is not None and b.dtype != x.dtype):
        raise TypeError(f"linear: input, weight and bias must share a floating-point dtype, got "
                        f"{x.dtype}, {w.dtype}" + ("" if b is None else f", {b.dtype}"))
    y = rows_product(x, w, b)

    def weight_product(g, x, place):
        return outer_product(g.T, x.T, place)

    def backward(g):
        g2 = g.reshape(-1, w.shape[0]) if w.shape[0] else g.reshape(0, 0)
        gx = product(g2, w).reshape(x.shape) if input.requires_grad else None
        gw = None
        if weight.requires_grad:
            x2 = x.reshape(g2.shape[0], w.shape[1])
            gw = weight_gradient(weight, input, w.size * len(g2), weight_product, (g2, g), (x2, x))
        return gx, gw, column_sum(g2) if b is not None else None

    return node(y, (input, weight) if bias is None else (input, weight, bias), backward)


@operation
def embedding(input: Tensor, weight: Tensor, padding_idx=None):
    """Rows of weight (V,D) by whole-number indices (...), gives (...,D).

    The row of padding_idx gets no gradient. ValueError for an index out of range; on a GPU, which
    would have to be waited for, such a row is nan.
    """
    i, w = input.array, weight.array
    if i.dtype.kind not in "iu":
        raise TypeError(f"embedding: input must hold whole numbers, got {i.dtype}")
    if w.ndim != 2:
        raise ValueError(f"embedding: weight must have shape (V,D), got {w.shape}")
    if padding_idx is not None and not (isinstance(padding_idx, Integral)
                                        and -w.shape[0] <= padding_idx < w.shape[0]):
        raise ValueError(f"embedding: padding_idx must name one of {w.shape[0]} rows, "
                         f"got {describe(padding_idx)}")
    if has_kernels_for(w):
        return node(on_gpu.embedding(i, w), (input, weight), lambda g: (
            None, on_gpu.embedding_backward(g, i, w.shape[0], padding_idx)))
    if array_module(w) is numpy and i.size and (i.min() < 0 or i.max() >= w.shape[0]):
        raise ValueError(f"embedding: indices must lie in 0..{w.shape[0] - 1}, got "
                         f"{int(i.min())} to {int(i.max())}")
    xp = array_module(w)
    shape, dtype = w.shape, w.dtype

    def backward(g):
        gw = xp.zeros(shape, dtype)
        xp.add.at(gw, i, g)
        if padding_idx is not None:
            gw[padding_idx] = 0
        return None, gw

    return node(w[i], (input, weight), backward)
