"""The three products of a convolution.

    correlate   weight * image: the forward pass of conv2d
    outer       gradient * image: the gradient of the weight
    scatter     weight * gradient: the gradient of the image, and conv_transpose2d

Plainly they are products with the columns of im2col. Columns repeat each pixel KH * KW times; where
that makes them large, they are made for a few channels at a time, so that they are used while a
cache still holds them. And where besides the outputs are few, the products are done by bands
(kernels/bands.py). On a GPU there are no bands, and columns are never kept for the backward: to
make them again is quick, and its memory is dear.

Shapes as in functional/convolution.py; images are (C,H,W,N), outputs (O, OH*OW*N).
"""

import numpy

from minigan.device import array_module
from minigan.kernels import bands
from minigan.kernels.lowering import col2im, im2col
from minigan.kernels.products import outer_product, product

# Numbers in the columns that are made at a time, and up to how many outputs bands are faster.
# Measured on CPUs.
PART = 3 << 18
PART_ON_GPU = 1 << 26
FEW_OUTPUTS = 64


def channels_at_a_time(x, C, N, geometry):
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    part = PART if array_module(x) is numpy else PART_ON_GPU
    return min(C, max(1, part // max(1, KH * KW * OH * OW * N)))


def takes_bands(x, O, C, N, geometry):
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    return O <= FEW_OUTPUTS and KH > 1 and C * KH * KW * OH * OW * N > PART and (
        array_module(x) is numpy)


def lower(x, O, geometry):
    """The image x (C,H,W,N) in the form that products with O outputs take.

    That is its columns (C*KH*KW, OH*OW*N), its bands (six dimensions), or itself where its columns
    are to be made a part at a time.
    """
    C, _, _, N = x.shape
    if takes_bands(x, O, C, N, geometry):
        return bands.lower(x, geometry)
    if array_module(x) is numpy and channels_at_a_time(x, C, N, geometry) == C:
        return im2col(x, geometry)
    return x


def correlate(w, lowered, geometry):
    """w (O,C,KH,KW) and a lowered image -> (O, OH*OW*N)."""
    O, C, KH, KW = w.shape
    if lowered.ndim == 6:
        return bands.correlate(w, lowered, geometry)
    w = w.reshape(O, C * KH * KW)
    if lowered.ndim == 2:
        return w @ lowered
    y = None
    for part, columns in parts(lowered, geometry):
        y = product(w[:, part], columns, y, accumulate=y is not None, convolution=True)
    return y


def outer(g, lowered, shape, geometry, out=None):
    """g (O, OH*OW*N) and a lowered image -> (O,C,KH,KW), the shape that is given; into `out`."""
    O, C, KH, KW = shape
    if out is None:
        out = array_module(g).empty(shape, g.dtype)
    if lowered.ndim == 6:
        bands.outer(g, lowered, geometry, out)
        return out
    matrix = out.reshape(O, C * KH * KW)
    if lowered.ndim == 2:
        outer_product(g, lowered, matrix)
        return out
    for part, columns in parts(lowered, geometry):
        outer_product(g, columns, matrix[:, part], convolution=True)
    return out


def scatter(w, g, N, geometry):
    """w (O,C,KH,KW) and g (O, OH*OW*N) -> the image (C,H,W,N): the adjoint of lower, correlate."""
    O, C, KH, KW = w.shape
    if takes_bands(g, O, C, N, geometry):
        return bands.scatter(w, g, N, geometry)
    step = channels_at_a_time(g, C, N, geometry)
    w = w.reshape(O, C * KH * KW)
    if step == C:
        return col2im(product(w.T, g, convolution=True), N, geometry)
    x = array_module(g).empty((C, *geometry.size, N), g.dtype)
    for start in range(0, C, step):
        part = w[:, start * KH * KW:(start + step) * KH * KW]
        x[start:start + step] = col2im(product(part.T, g, convolution=True), N, geometry)
    return x


def parts(x, geometry):
    """The columns of x, some channels' at a time: (which of all columns, these columns)."""
    C, _, _, N = x.shape
    KH, KW = geometry.kernel
    step = channels_at_a_time(x, C, N, geometry)
    for start in range(0, C, step):
        columns = im2col(x[start:start + step], geometry)
        yield slice(start * KH * KW, start * KH * KW + columns.shape[0]), columns
