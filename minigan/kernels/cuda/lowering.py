"""im2col and col2im as gathers: each element of the result is written by one thread alone."""

from minigan.device import array_module
from minigan.kernels.cuda.source import MOST_ROWS, THREADS, blocks_for, dense, launch


def numbers_of(N, geometry):
    """GEOMETRY in lowering.cu. ValueError for images whose places do not fit into 31 bits."""
    if N * geometry.output[0] * geometry.output[1] >= 1 << 31:
        raise ValueError(f"a batch of {N} outputs of {geometry.output} is too large for a GPU")
    (top, _), (left, _) = geometry.padding
    return (N, *geometry.size, *geometry.kernel, *geometry.output, *geometry.stride, top, left,
            *geometry.dilation)


def im2col(x, geometry):
    C, _, _, N = x.shape
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    rows, places = C * KH * KW, OH * OW * N
    numbers = numbers_of(N, geometry)
    columns = array_module(x).empty((rows, places), x.dtype)
    strides = [stride // x.itemsize for stride in x.strides]
    launch("im2col", x, (blocks_for(places), min(rows, MOST_ROWS)), THREADS, x, columns, rows,
           *numbers, *strides)
    return columns


def col2im(columns, N, geometry):
    (KH, KW), (H, W) = geometry.kernel, geometry.size
    C = columns.shape[0] // (KH * KW)
    numbers = numbers_of(N, geometry)
    x = array_module(columns).empty((C, H, W, N), columns.dtype)
    launch("col2im", x, (blocks_for(W * N), min(C * H, MOST_ROWS)), THREADS, dense(columns), x, C,
           *numbers)
    return x
