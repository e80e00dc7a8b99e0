"""im2col and its adjoint col2im: convolution as one matrix product.

Both work on images in the order (C,H,W,N), batch last: the innermost copies then run over
neighbouring memory whatever the stride, and a product's result (O, OH*OW*N) is already such an
image. Reading is done through a view of the padded image; it moves no memory and cannot leave it.
"""

import functools

import numpy

from minigan.device import module_of


def windows(x, kernel, stride, dilation, output):
    """View of the padded image x (C,H,W,N) as (C,KH,KW,OH,OW,N): pixel (oh*s + kh*d, ...)."""
    KH, KW = kernel
    OH, OW = output
    C, H, W, N = x.shape
    c, h, w, n = x.strides
    if (OH - 1) * stride[0] + (KH - 1) * dilation[0] >= H or (
            OW - 1) * stride[1] + (KW - 1) * dilation[1] >= W:
        raise ValueError(f"windows of {kernel} do not fit into the image of {(H, W)}")
    strides = (c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], n)
    shape = (C, KH, KW, OH, OW, N)
    if isinstance(x, numpy.ndarray):
        # The array's own constructor: as_strided does the same five times slower, unchecked.
        return numpy.ndarray(shape, x.dtype, x, 0, strides)
    return module_of(x).lib.stride_tricks.as_strided(x, shape, strides)


def padded(x, padding):
    """x (C,H,W,N) with zeros around: padding ((top, bottom), (left, right)). Contiguous."""
    (top, bottom), (left, right) = padding
    xp = module_of(x)
    if not (top or bottom or left or right):
        return xp.ascontiguousarray(x)
    C, H, W, N = x.shape
    result = xp.zeros((C, top + H + bottom, left + W + right, N), x.dtype)
    result[:, top:top + H, left:left + W] = x
    return result


def im2col(x, kernel, stride, padding, dilation, output):
    """x (C,H,W,N) -> columns (C*KH*KW, OH*OW*N): each holds what the kernel sees at one place."""
    seen = windows(padded(x, padding), kernel, stride, dilation, output)
    return seen.reshape(x.shape[0] * kernel[0] * kernel[1], output[0] * output[1] * x.shape[3])


def col2im(columns, shape, kernel, stride, padding, dilation, output):
    """The adjoint: columns (C*KH*KW, OH*OW*N) summed back where they were read, (C,H,W,N)."""
    (top, bottom), (left, right) = padding
    C, H, W, N = shape
    full = (top + H + bottom, left + W + right)
    entries = kernel[0] * kernel[1] * output[0] * output[1]
    if N == 1 and entries * full[0] * full[1] <= SMALL and module_of(columns) is numpy:
        places = scatter_matrix(full, kernel, stride, dilation, output, columns.dtype)
        x = (columns.reshape(C, entries) @ places).reshape(C, *full, 1)
    else:
        x = summed(columns, (C, *full, N), kernel, stride, dilation, output)
    return x[:, top:top + H, left:left + W]


def summed(columns, shape, kernel, stride, dilation, output):
    """Columns summed into the padded image (C,H,W,N).

    First along the width, then along the height: KW + KH additions of arrays instead of KH * KW.
    """
    C, H, W, N = shape
    KH, KW = kernel
    OH, OW = output
    xp = module_of(columns)
    columns = columns.reshape(C, KH, KW, OH, OW, N)
    rows = xp.zeros((C, KH, OH, W, N), columns.dtype)
    for kw in range(KW):
        start = kw * dilation[1]
        rows[:, :, :, start:start + OW * stride[1]:stride[1]] += columns[:, :, kw]
    x = xp.zeros(shape, columns.dtype)
    for kh in range(KH):
        start = kh * dilation[0]
        x[:, start:start + OH * stride[0]:stride[0]] += rows[:, kh]
    return x


# Below this size of its matrix, summing back a single image is one product: a third of the time
# of `summed`, whose inner loops would run over a handful of numbers each.
SMALL = 1 << 16


@functools.lru_cache(maxsize=32)
def scatter_matrix(size, kernel, stride, dilation, output, dtype):
    """`summed` for one channel of one image as a matrix of zeros and ones.

    (KH*KW*OH*OW, H*W): row, an entry of the columns; column, the pixel that it is added to.
    """
    entries = kernel[0] * kernel[1] * output[0] * output[1]
    each = numpy.eye(entries, dtype=dtype)  # a batch with one entry in each column image
    return summed(each, (1, *size, entries), kernel, stride, dilation, output).reshape(
        size[0] * size[1], entries).T.copy()
