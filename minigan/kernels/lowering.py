"""im2col and its adjoint col2im: convolution as one matrix product.

Both work on images in the order (C,H,W,N), batch last: the innermost copies then run over
neighbouring memory whatever the stride, and a product's result (O, OH*OW*N) is already such an
image. Reading is done through a view of the padded image; it moves no memory and cannot leave it.
"""

import functools
from typing import NamedTuple

import numpy

from minigan.device import array_module
from minigan.kernels.cuda import lowering as on_gpu
from minigan.kernels.cuda.source import has_kernels_for


class Geometry(NamedTuple):
    """Where a convolution looks: output pixel (oh, ow) sees, through kernel entry (kh, kw),
    pixel (oh * stride + kh * dilation, ...) of the padded image."""
    size: tuple      # H, W of the image
    kernel: tuple    # KH, KW
    stride: tuple
    padding: tuple   # (top, bottom), (left, right)
    dilation: tuple
    output: tuple    # OH, OW

    def padded_size(self):
        (top, bottom), (left, right) = self.padding
        return top + self.size[0] + bottom, left + self.size[1] + right


def view_of(x, shape, strides):
    """A view of a contiguous array in another shape, by strides in bytes."""
    if isinstance(x, numpy.ndarray):
        # The array's own constructor: as_strided does the same five times slower, unchecked.
        return numpy.ndarray(shape, x.dtype, x, 0, strides)
    return array_module(x).lib.stride_tricks.as_strided(x, shape, strides)


def windows(x, geometry):
    """View of the padded image x (C,H,W,N) as (C,KH,KW,OH,OW,N)."""
    _, (KH, KW), stride, _, dilation, (OH, OW) = geometry
    C, H, W, N = x.shape
    c, h, w, n = x.strides
    if (OH - 1) * stride[0] + (KH - 1) * dilation[0] >= H or (
            OW - 1) * stride[1] + (KW - 1) * dilation[1] >= W:
        raise ValueError(f"windows of {(KH, KW)} do not fit into the image of {(H, W)}")
    return view_of(x, (C, KH, KW, OH, OW, N),
                   (c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], n))


def padded(x, padding):
    """x (C,H,W,N) with zeros around: padding ((top, bottom), (left, right)). Contiguous."""
    (top, bottom), (left, right) = padding
    xp = array_module(x)
    if not (top or bottom or left or right):
        return xp.ascontiguousarray(x)
    C, H, W, N = x.shape
    result = xp.zeros((C, top + H + bottom, left + W + right, N), x.dtype)
    result[:, top:top + H, left:left + W] = x
    return result


def without_padding(x, geometry):
    """The image within the padded one."""
    (top, _), (left, _) = geometry.padding
    H, W = geometry.size
    return x[:, top:top + H, left:left + W]


def im2col(x, geometry):
    """x (C,H,W,N) -> columns (C*KH*KW, OH*OW*N): each holds what the kernel sees at one place."""
    if has_kernels_for(x):
        return on_gpu.im2col(x, geometry)
    C, _, _, N = x.shape
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    return windows(padded(x, geometry.padding), geometry).reshape(C * KH * KW, OH * OW * N)


def col2im(columns, N, geometry):
    """The adjoint: columns (C*KH*KW, OH*OW*N) summed back where they were read, (C,H,W,N)."""
    if has_kernels_for(columns):
        return on_gpu.col2im(columns, N, geometry)
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    H, W = geometry.padded_size()
    C = columns.shape[0] // (KH * KW)
    if N == 1 and KH * KW * OH * OW * H * W <= SMALL and array_module(columns) is numpy:
        places = scatter_matrix(geometry, columns.dtype)
        x = (columns.reshape(C, KH * KW * OH * OW) @ places).reshape(C, H, W, 1)
    else:
        x = summed(columns, C, N, geometry)
    return without_padding(x, geometry)


def summed(columns, C, N, geometry):
    """Columns summed into the padded image (C,H,W,N).

    First along the width, then along the height: KW + KH additions of arrays instead of KH * KW.
    """
    _, (KH, KW), stride, _, dilation, (OH, OW) = geometry
    image = sorted_image(array_module(columns), C, N, geometry, columns.dtype)
    rows = array_module(columns).zeros((C, KH, OH, *image.shape[3:]), columns.dtype)
    columns = columns.reshape(C, KH, KW, OH, OW, N).transpose(0, 2, 1, 3, 4, 5)
    add_columns(columns, rows, geometry)
    for kh in range(KH):
        q, r = divmod(kh * dilation[0], stride[0])
        image[:, r, q:q + OH] += rows[:, kh]
    return in_order(image, geometry)


def sorted_image(xp, C, N, geometry, dtype):
    """Zeros (C,SH,rows,SW,cols,N), to become a padded image with its pixels sorted by stride.

    [c,r,q,s,p,n] is pixel (q * SH + r, p * SW + s): there what one kernel entry adds to lies side
    by side.
    """
    (SH, SW), (H, W) = geometry.stride, geometry.padded_size()
    return xp.zeros((C, SH, -(-H // SH), SW, -(-W // SW), N), dtype)


def in_order(image, geometry):
    """The sorted image (C,SH,rows,SW,cols,N) as (C,H,W,N)."""
    C, SH, rows, SW, cols, N = image.shape
    H, W = geometry.padded_size()
    return image.transpose(0, 2, 1, 4, 3, 5).reshape(C, rows * SH, cols * SW, N)[:, :H, :W]


def add_columns(columns, rows, geometry):
    """Add columns (C,KW,...,OW,N) along the width to rows (C,...,SW,cols,N) of a sorted image."""
    OW = geometry.output[1]
    for kw in range(geometry.kernel[1]):
        p, s = divmod(kw * geometry.dilation[1], geometry.stride[1])
        rows[..., s, p:p + OW, :] += columns[:, kw]


# Below this size of its matrix, summing back a single image is one product: a third of the time
# of `summed`, whose inner loops would run over a handful of numbers each.
SMALL = 1 << 16


@functools.lru_cache(maxsize=32)
def scatter_matrix(geometry, dtype):
    """`summed` for one channel of one image as a matrix of zeros and ones.

    (KH*KW*OH*OW, H*W): row, an entry of the columns; column, the pixel that it is added to.
    """
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    entries = KH * KW * OH * OW
    each = numpy.eye(entries, dtype=dtype)  # a batch with one entry in each column image
    return summed(each, 1, entries, geometry).reshape(-1, entries).T.copy()
