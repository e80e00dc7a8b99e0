"""How a convolution's kernel moves over an image, and how large the output is."""

import functools
from typing import NamedTuple

from minigan.checks import check_pair, describe


class Geometry(NamedTuple):
    """How a convolution's kernel moves over the image; pairs are (height, width)."""
    size: tuple      # H, W of the image
    kernel: tuple    # KH, KW
    stride: tuple
    padding: tuple   # ((top, bottom), (left, right))
    dilation: tuple
    output: tuple    # OH, OW


def conv2d_geometry(size, kernel, stride, padding, dilation):
    stride = check_pair("conv2d", "stride", stride, 1)
    dilation = check_pair("conv2d", "dilation", dilation, 1)
    if not isinstance(padding, str):
        padding = check_pair("conv2d", "padding", padding, 0)
    return checked_conv2d_geometry(size, kernel, stride, padding, dilation)


@functools.lru_cache(maxsize=256)
def checked_conv2d_geometry(size, kernel, stride, padding, dilation):
    """Cached: computed once for each combination of sizes."""
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"conv2d: padding='same' needs stride 1, got {stride}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        padding = tuple((t // 2, t - t // 2) for t in total)
    elif isinstance(padding, str) and padding != "valid":
        raise ValueError(f"conv2d: padding must be integers, 'same' or 'valid', "
                         f"got {describe(padding)}")
    else:
        padding = tuple((p, p) for p in ((0, 0) if padding == "valid" else padding))
    padded_size = tuple(n + sum(p) for n, p in zip(size, padding))
    output = tuple((n - d * (k - 1) - 1) // s + 1
                   for n, k, s, d in zip(padded_size, kernel, stride, dilation))
    if min(output) < 1 or not all(kernel):
        raise ValueError(f"conv2d: the kernel {kernel} with dilation {dilation} is larger than the "
                         f"padded image {padded_size}")
    return Geometry(size, kernel, stride, padding, dilation, output)


def conv_transpose2d_geometry(size, kernel, stride, padding, output_padding, dilation):
    return checked_conv_transpose2d_geometry(size, kernel, *(
        check_pair("conv_transpose2d", name, value, least) for name, value, least in (
            ("stride", stride, 1), ("padding", padding, 0),
            ("output_padding", output_padding, 0), ("dilation", dilation, 1))))


@functools.lru_cache(maxsize=256)
def checked_conv_transpose2d_geometry(size, kernel, stride, padding, output_padding, dilation):
    """The geometry of the convolution that leads back: from the output to the input."""
    if any(e >= s and e >= d for e, s, d in zip(output_padding, stride, dilation)):
        raise ValueError(f"conv_transpose2d: output_padding {output_padding} must be smaller than "
                         f"stride {stride} or dilation {dilation}")
    output = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, s, p, d, k, e in zip(
        size, stride, padding, dilation, kernel, output_padding))
    if min(output) < 1 or not all(kernel):
        # Without the operation's name: `operation` adds it, and the shapes that were given.
        raise ValueError(f"the output would have size {output}, with kernel {kernel} and padding "
                         f"{padding}")
    return Geometry(output, kernel, stride, tuple((p, p) for p in padding), dilation, size)
