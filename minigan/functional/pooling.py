"""max_pool2d and avg_pool2d: one number for each window of an image.

Both go over the places within a window, not over the windows: the pixels that lie at one place in
all windows are a strided view of the images, so that a step is one array call.
"""

from minigan.autograd import Tensor, node
from minigan.device import array_module
from minigan.checks import operation
from minigan.functional.convolution import pair


def places(name, x, kernel_size, stride):
    """(index of the pixels at one place in all windows, for each place; the result's shape)."""
    KH, KW = pair(name, "kernel_size", kernel_size, 1)
    SH, SW = pair(name, "stride", kernel_size if stride is None else stride, 1)
    if x.ndim not in (3, 4) or x.dtype.kind != "f":
        raise ValueError(f"{name}: input must be floating-point of shape (N,C,H,W) or (C,H,W), "
                         f"got {x.dtype} of shape {x.shape}")
    H, W = x.shape[-2:]
    OH, OW = (H - KH) // SH + 1, (W - KW) // SW + 1
    if min(OH, OW) < 1:
        raise ValueError(f"{name}: the window {(KH, KW)} is larger than the image {(H, W)}")
    indices = [(..., slice(kh, kh + SH * (OH - 1) + 1, SH), slice(kw, kw + SW * (OW - 1) + 1, SW))
               for kh in range(KH) for kw in range(KW)]
    return indices, (*x.shape[:-2], OH, OW)


@operation
def max_pool2d(input: Tensor, kernel_size, stride=None):
    """The largest pixel of each window: (N,C,H,W) -> (N,C,OH,OW), unbatched too.

    kernel_size, stride  whole numbers or pairs; stride None: windows side by side

    OH = (H - KH) // stride + 1: windows lie inside the image. The first of equal pixels gets the
    gradient. ValueError for other shapes and windows larger than the image.
    """
    x = input.array
    xp = array_module(x)
    indices, shape = places("max_pool2d", x, kernel_size, stride)
    y = x[indices[0]].copy()  # a window of one pixel would leave it a view
    for index in indices[1:]:
        y = xp.maximum(y, x[index])

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        waiting = xp.ones(shape, bool)
        for index in indices:
            found = waiting & (x[index] == y)
            gx[index] += g * found
            waiting &= ~found
        return (gx,)

    return node(y, (input,), backward)


@operation
def avg_pool2d(input: Tensor, kernel_size, stride=None):
    """The mean of each window; shapes and errors as max_pool2d."""
    x = input.array
    xp = array_module(x)
    indices, shape = places("avg_pool2d", x, kernel_size, stride)
    y = xp.zeros(shape, x.dtype)
    for index in indices:
        y += x[index]
    y /= len(indices)

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        for index in indices:
            gx[index] += g / len(indices)
        return (gx,)

    return node(y, (input,), backward)
