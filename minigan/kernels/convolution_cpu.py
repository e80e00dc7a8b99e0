"""The three products of a convolution on a CPU, by convolution.cpp."""

import functools

import numpy

from minigan.device import array_module
from minigan.functional.convolution import col2im, im2col
from minigan import threads
from minigan.hooks import run
from minigan.kernels.launch import contiguous, launch, whole

# Up to how many lanes scatter takes longer than a product and col2im: a vector has 16 or 8.
FEW_LANES = 4


def correlate(x, w, bias, geometry):
    """x (C,H,W,N), w (O,C,KH,KW), bias (O,) or None -> (O,OH,OW,N)."""
    (O, C), N = w.shape[:2], x.shape[3]
    xp = array_module(x)
    y = xp.empty((O, *geometry.output, N), x.dtype)
    done = xp.empty((), "int64")
    x = whole(x)
    launch("correlate", x, 1, 1, (x, w, bias, y, numbers(N, C, O, geometry), steps(x), done,
                                  y.size, threads.threads()))
    if geometry.padding != ((0, 0), (0, 0)):
        run(correlate_by_columns, (done, x, w, bias, geometry, y), writes=(y,))
    return y


def correlate_by_columns(done, x, w, bias, geometry, y):
    """For numbers that are not finite, beside the zeros of a padding."""
    if not done:
        with numpy.errstate(all="ignore"):
            y[...] = (w.reshape(len(w), -1) @ im2col(x, geometry)).reshape(y.shape)
            if bias is not None:
                y += bias[:, None, None, None]


def scatter(w, g, bias, geometry):
    """w (O,C,KH,KW), g (O,OH,OW,N), bias (C,) or None -> (C,H,W,N)."""
    (O, C), N = w.shape[:2], g.shape[3]
    xp = array_module(g)
    if lanes_of_scatter(C, geometry) <= FEW_LANES:
        with numpy.errstate(all="ignore"):
            x = col2im(w.reshape(O, -1).T @ g.reshape(O, -1), N, geometry)
        return contiguous(x if bias is None else x + bias[:, None, None, None])
    x = xp.empty((C, *geometry.size, N), g.dtype)
    done = xp.empty((), "int64")
    g = whole(g)
    launch("scatter", g, 1, 1, (g, w, bias, x, numbers(N, C, O, geometry), steps(g), done,
                                x.size, threads.threads()))
    run(scatter_by_columns, (done, w, g, bias, geometry, x), writes=(x,))
    return x


def scatter_by_columns(done, w, g, bias, geometry, x):
    """For numbers that are not finite, where the kernel multiplies with zeros beside g."""
    if not done:
        O, N = len(w), g.shape[3]
        with numpy.errstate(all="ignore"):
            x[...] = col2im(w.reshape(O, -1).T @ g.reshape(O, -1), N, geometry)
            if bias is not None:
                x += bias[:, None, None, None]


def outer(x, g, geometry, out):
    """x (C,H,W,N), g (O,OH,OW,N) -> their product in out (O,C,KH,KW)."""
    O, C = out.shape[:2]
    x, g = whole(x), whole(g)
    launch("outer", x, 1, 1, (x, g, out, None, numbers(x.shape[3], C, O, geometry), steps(x, g),
                              x.size, threads.threads()))


def sum_of_images(g, out):
    """The sum of each channel of g (C,H,W,N), in out (C,)."""
    g = contiguous(g)
    launch("row_sum", g, 1, 1, (g, out, len(g), g.size // len(g)))


def lanes_of_scatter(C, geometry):
    """How many outputs it computes side by side: channels, times pixels that see the same taps."""
    together = [s if d == 1 and k % s == 0 else 1
                for k, s, d in zip(geometry.kernel, geometry.stride, geometry.dilation)]
    return C * together[0] * together[1]


@functools.lru_cache(maxsize=256)
def numbers(N, C, O, geometry):
    """The struct Geometry of convolution.cpp."""
    (H, W), (KH, KW), (SH, SW), ((top, _), (left, _)), (DH, DW), (OH, OW) = geometry
    return numpy.array([N, C, O, H, W, KH, KW, OH, OW, SH, SW, top, left, DH, DW], "int64")


def steps(*arrays):
    """Their strides, in elements."""
    return in_elements(arrays[0].itemsize, *[array.strides for array in arrays])


@functools.lru_cache(maxsize=256)
def in_elements(itemsize, *strides):
    return numpy.array(strides, "int64").ravel() // itemsize
