"""max_pool2d and avg_pool2d: one number for each window of an image.

Both go over the positions within a window, not over the windows: the pixels at one position in
all windows are a strided view of the images, so that a step is one array call.
"""

from minigan.autograd import node, operation
from minigan.checks import check_pair
from minigan.device import array_module
from minigan.tensor import Tensor


@operation
def max_pool2d(input: Tensor, kernel_size, stride=None):
    """The largest pixel of each window: (N,C,H,W) -> (N,C,OH,OW), unbatched too.

    kernel_size, stride  integers or pairs; stride None: windows side by side

    OH = (H - KH) // stride + 1: windows lie inside the image. The first of equal pixels gets the
    gradient. ValueError for other shapes and windows larger than the image.
    """
    x = input.array
    xp = array_module(x)
    positions, shape = window_positions("max_pool2d", x, kernel_size, stride)
    y = x[positions[0]].copy()  # a window of one pixel would leave it a view
    for position in positions[1:]:
        y = xp.maximum(y, x[position])

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        waiting = xp.ones(shape, bool)  # windows whose largest pixel is still to be found
        for position in positions:
            pixels = x[position]
            found = waiting & ((pixels == y) | (pixels != pixels))  # a nan is the largest
            gx[position] += xp.where(found, g, 0)
            waiting &= ~found
        return (gx,)

    return node(y, (input,), backward)


@operation
def avg_pool2d(input: Tensor, kernel_size, stride=None):
    """The mean of each window; shapes and errors as max_pool2d."""
    x = input.array
    xp = array_module(x)
    positions, shape = window_positions("avg_pool2d", x, kernel_size, stride)
    y = xp.zeros(shape, x.dtype)
    for position in positions:
        y += x[position]
    y /= len(positions)

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        for position in positions:
            gx[position] += g / len(positions)
        return (gx,)

    return node(y, (input,), backward)


def window_positions(name, x, kernel_size, stride):
    """The index of the pixels at each position within all windows, and the result's shape."""
    KH, KW = check_pair(name, "kernel_size", kernel_size, 1)
    SH, SW = check_pair(name, "stride", kernel_size if stride is None else stride, 1)
    if x.ndim not in (3, 4) or x.dtype.kind != "f":
        raise ValueError(f"{name}: input must be floating-point of shape (N,C,H,W) or (C,H,W), "
                         f"got {x.dtype} of shape {x.shape}")
    H, W = x.shape[-2:]
    OH, OW = (H - KH) // SH + 1, (W - KW) // SW + 1
    if min(OH, OW) < 1:
        raise ValueError(f"{name}: the window {(KH, KW)} is larger than the image {(H, W)}")
    positions = [(..., slice(kh, kh + SH * (OH - 1) + 1, SH), slice(kw, kw + SW * (OW - 1) + 1, SW))
                 for kh in range(KH) for kw in range(KW)]
    return positions, (*x.shape[:-2], OH, OW)
