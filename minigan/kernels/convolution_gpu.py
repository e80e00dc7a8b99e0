"""The three products of a convolution on a GPU: products with columns, by cuBLAS.

Columns repeat each pixel KH * KW times. They are made for some channels at a time, and again in the
backward pass: to make them is quick, and a GPU's memory is dear.
"""

import functools
import math

import numpy

from minigan import backends
from minigan.device import array_module
from minigan.kernels.blas import product
from minigan.kernels.launch import contiguous, launch, launch_rows, THREADS

PART = 1 << 26  # numbers in the columns that are made at a time, or as many as the image has
LONG = 1 << 13  # so many numbers of a channel are added up by more than one block


def correlate(x, w, bias, geometry):
    """x (C,H,W,N), w (O,C,KH,KW), bias (O,) or None -> (O,OH,OW,N)."""
    O, N = len(w), x.shape[3]
    matrix = w.reshape(O, -1)
    y = None
    for part, columns in parts_of(x, geometry):
        y = product(matrix[:, part], columns, y, y is not None, allows_tf32())
    y = y.reshape(O, *geometry.output, N)
    if bias is not None:
        y += bias[:, None, None, None]
    return y


def scatter(w, g, bias, geometry):
    """w (O,C,KH,KW), g (O,OH,OW,N), bias (C,) or None -> (C,H,W,N)."""
    O, C, KH, KW = w.shape
    N = g.shape[3]
    check_size(N, geometry)
    matrix, g = w.reshape(O, -1), contiguous(g).reshape(O, -1)
    x = array_module(g).empty((C, *geometry.size, N), g.dtype)
    (H, W), step = geometry.size, channels_at_a_time(C, N, geometry)
    for start in range(0, C, step):
        part = x[start:start + step]
        rows = slice(start * KH * KW, (start + len(part)) * KH * KW)
        columns = product(matrix[:, rows].T, g, tf32=allows_tf32())
        launch("col2im", x, H, min(W * N, THREADS),
               (columns, None if bias is None else bias[start:start + step], part,
                *numbers(len(part), N, geometry), *taps_apart(geometry)), len(part))
    return x


def outer(x, g, geometry, out):
    """x (C,H,W,N), g (O,OH,OW,N) -> their product in out (O,C,KH,KW)."""
    O = len(out)
    check_size(x.shape[3], geometry)
    matrix, g = out.reshape(O, -1), contiguous(g).reshape(O, -1)
    for part, columns in parts_of(x, geometry):
        product(g, columns.T, matrix[:, part], tf32=allows_tf32())


def sum_of_images(g, out):
    """The sum of each channel of g (C,H,W,N), in out (C,)."""
    C, H, W, N = g.shape
    g = contiguous(g)
    if H * W * N > LONG:  # first each row, since a GPU is idle where blocks are few
        rows = array_module(g).empty((C, H), g.dtype)
        launch_rows("row_sum", C * H, W * N, g, rows)
        g = rows
    launch_rows("row_sum", C, g.size // C, g, out)


def parts_of(x, geometry):
    """The columns of x, some channels' at a time: (which of all columns, these columns)."""
    C, _, _, N = x.shape
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    check_size(N, geometry)
    step = channels_at_a_time(C, N, geometry)
    strides = [stride // x.itemsize for stride in x.strides]
    for start in range(0, C, step):
        part = x[start:start + step]
        rows = len(part) * KH * KW
        columns = array_module(x).empty((rows, OH * OW * N), x.dtype)
        launch("im2col", x, OH, min(OW * N, THREADS),
               (part, columns, *numbers(len(part), N, geometry), *strides),
               len(part) * KH)
        yield slice(start * KH * KW, start * KH * KW + rows), columns


def check_size(N, geometry):
    """ValueError for more than the 32-bit integers of cuBLAS and of lowering.cu can count: places
    in a row of the columns, or pixels in a row of the images."""
    OH, OW = geometry.output
    if N * max(OH * OW, geometry.size[1]) >= 1 << 31:
        raise ValueError(f"a batch of {N} images of {geometry.size} and outputs of {geometry.output} "
                         f"is too large for a GPU")


def channels_at_a_time(C, N, geometry):
    """Where the image is large its columns may be: each product adds to all of the result, which
    takes longer than the product itself if that is of few columns."""
    (H, W), (KH, KW), (OH, OW) = geometry.size, geometry.kernel, geometry.output
    part = max(PART, C * H * W * N)
    return min(C, max(1, part // (KH * KW * OH * OW * N)))


@functools.lru_cache(maxsize=256)
def numbers(C, N, geometry):
    """The geometry as lowering.cu's kernels take it: CuPy passes numpy.int32 as an int."""
    (H, W), (KH, KW), (SH, SW), ((top, _), (left, _)), (DH, DW), (OH, OW) = geometry
    return tuple(map(numpy.int32, (C, N, H, W, KH, KW, OH, OW, SH, SW, top, left, DH, DW)))


@functools.lru_cache(maxsize=256)
def taps_apart(geometry):
    """Along each axis: every how many taps one reaches the same pixel, and how many places before."""
    (SH, SW), (DH, DW) = geometry.stride, geometry.dilation
    h, w = math.gcd(SH, DH), math.gcd(SW, DW)
    return tuple(map(numpy.int32, (SH // h, SW // w, DH // h, DW // w)))


def allows_tf32():
    return backends.cudnn.allow_tf32
