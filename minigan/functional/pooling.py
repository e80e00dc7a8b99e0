"""max_pool2d, avg_pool2d, adaptive_avg_pool2d: one number for each window of an image.

The first two go over the positions within a window, not over the windows: the pixels at one
position in all windows are a strided view of the images, so that a step is one array call.
"""

import math

from minigan.autograd import node, operation
from minigan.checks import check_adaptive, check_options, check_pair
from minigan.device import array_module
from minigan.tensor import Tensor

POOLING_OPTIONS = {"dilation": (1, (1, 1)), "ceil_mode": (False,), "return_indices": (False,)}


@operation
def max_pool2d(input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest pixel of each window: (N,C,H,W) -> (N,C,OH,OW), unbatched too.

    kernel_size, stride  integers or pairs; stride None: windows side by side
    padding              rows and columns around the image that are never the largest; at most
                         half of the window

    OH = (H + 2 padding - KH) // stride + 1: windows lie inside the padded image. The first of equal
    pixels gets the gradient. ValueError for other shapes and windows larger than the image,
    NotImplementedError for the options of PyTorch's that are not off.
    """
    check_options("max_pool2d", {"dilation": dilation, "ceil_mode": ceil_mode,
                                 "return_indices": return_indices}, POOLING_OPTIONS)
    positions, shape, (PH, PW) = window_positions("max_pool2d", input.array, kernel_size, stride,
                                                  padding)
    x = with_edge(input.array, PH, PW, -math.inf)
    xp = array_module(x)
    inside = with_edge(xp.ones(input.shape[-2:], bool), PH, PW, False)
    y = x[positions[0]].copy()  # a window of one pixel would leave it a view
    for position in positions[1:]:
        y = xp.maximum(y, x[position])

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        waiting = xp.ones(shape, bool)  # windows whose largest pixel is still to be found
        for position in positions:
            pixels = x[position]
            largest = (pixels == y) | (pixels != pixels)  # a nan is
            found = waiting & inside[position] & largest
            gx[position] += xp.where(found, g, 0)
            waiting &= ~found
        return (without_edge(gx, PH, PW),)

    return node(y, (input,), backward)


@operation
def avg_pool2d(input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True):
    """The mean of each window; shapes and errors as max_pool2d.

    padding            rows and columns of zeros around the image
    count_include_pad  whether these zeros count in the mean
    """
    check_options("avg_pool2d", {"ceil_mode": ceil_mode}, {"ceil_mode": (False,)})
    positions, shape, (PH, PW) = window_positions("avg_pool2d", input.array, kernel_size, stride,
                                                  padding)
    x = with_edge(input.array, PH, PW, 0)
    xp = array_module(x)
    y = xp.zeros(shape, x.dtype)
    for position in positions:
        y += x[position]
    count = len(positions)
    if not count_include_pad and (PH or PW):
        inside = with_edge(xp.ones(input.shape[-2:], x.dtype), PH, PW, 0)
        count = sum(inside[position] for position in positions)      # (OH,OW)
    y /= count

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        for position in positions:
            gx[position] += g / count
        return (without_edge(gx, PH, PW),)

    return node(y, (input,), backward)


@operation
def adaptive_avg_pool2d(input: Tensor, output_size):
    """The mean of windows that cover the image: (N,C,H,W) -> (N,C,OH,OW), unbatched too.

    output_size  (OH, OW), or an integer for both; None: as many as the image has

    Window i of a side reaches from floor(i H / OH) up to ceil((i + 1) H / OH).
    """
    x = input.array
    OH, OW = check_adaptive(x, output_size)
    xp = array_module(x)
    y = xp.empty((*x.shape[:-2], OH, OW), x.dtype)
    H, W = x.shape[-2:]
    rows, columns = ([slice(i * size // parts, -(-(i + 1) * size // parts)) for i in range(parts)]
                     for size, parts in ((H, OH), (W, OW)))
    windows = [(..., r, c) for r in rows for c in columns]
    for n, window in enumerate(windows):
        y[..., n // OW, n % OW] = x[window].mean(axis=(-2, -1), dtype="float64")

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        for n, window in enumerate(windows):
            h, w = gx[window].shape[-2:]
            gx[window] += g[..., n // OW, n % OW, None, None] / (h * w)
        return (gx,)

    return node(y, (input,), backward)


def window_positions(name, x, kernel_size, stride, padding):
    """The index of the pixels at each position within all windows, the result's shape, and the
    padding as a pair."""
    KH, KW = check_pair(name, "kernel_size", kernel_size, 1)
    SH, SW = check_pair(name, "stride", kernel_size if stride is None else stride, 1)
    PH, PW = check_pair(name, "padding", padding, 0)
    if x.ndim not in (3, 4) or x.dtype.kind != "f":
        raise ValueError(f"{name}: input must be floating-point of shape (N,C,H,W) or (C,H,W), "
                         f"got {x.dtype} of shape {x.shape}")
    if 2 * PH > KH or 2 * PW > KW:
        raise ValueError(f"{name}: padding {(PH, PW)} is more than half of the window {(KH, KW)}")
    H, W = x.shape[-2] + 2 * PH, x.shape[-1] + 2 * PW
    OH, OW = (H - KH) // SH + 1, (W - KW) // SW + 1
    if min(OH, OW) < 1:
        raise ValueError(f"{name}: the window {(KH, KW)} is larger than the image {(H, W)}")
    positions = [(..., slice(kh, kh + SH * (OH - 1) + 1, SH), slice(kw, kw + SW * (OW - 1) + 1, SW))
                 for kh in range(KH) for kw in range(KW)]
    return positions, (*x.shape[:-2], OH, OW), (PH, PW)


def with_edge(x, PH, PW, value):
    """x (...,H,W) with rows and columns of one number around it."""
    if not PH and not PW:
        return x
    H, W = x.shape[-2:]
    y = array_module(x).full((*x.shape[:-2], H + 2 * PH, W + 2 * PW), value, x.dtype)
    y[..., PH:PH + H, PW:PW + W] = x
    return y


def without_edge(x, PH, PW):
    """The adjoint: (...,H,W) from within rows and columns around it."""
    H, W = x.shape[-2:]
    return x[..., PH:H - PH, PW:W - PW]
