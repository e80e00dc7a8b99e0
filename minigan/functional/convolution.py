"""conv2d and conv_transpose2d: each is the other's adjoint, both are one product after im2col.

    conv2d            columns = im2col(x);  y = weight @ columns
    conv_transpose2d  columns = weight.T @ x;  y = col2im(columns)

(kernels/convolution.py has these products, and a form of them that copies less.)

Shapes: N batch, C channels in, O channels out, H W image, KH KW kernel, OH OW output. Inside,
images lie in memory as (C,H,W,N), and results are handed on as transposed views of that: the next
layer turns them back without moving anything.

Formulas: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016.
"""

import functools
from numbers import Integral

from minigan.autograd import Tensor, node, weight_gradient
from minigan.device import array_module
from minigan.checks import describe, operation
from minigan.kernels.convolution import correlate, lower, outer, scatter
from minigan.kernels.lowering import Geometry


def pair(name, argument, value, least):
    """A whole number or a pair of them as a pair, each at least `least`."""
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int and (
            value[0] >= least <= value[1]):
        return value  # as layers hand it on, in every step
    both = (value, value) if isinstance(value, Integral) else value
    if not isinstance(both, (tuple, list)) or not 1 <= len(both) <= 2 or not all(
            isinstance(v, Integral) and not isinstance(v, bool) for v in both):
        raise TypeError(f"{name}: {argument} must be a whole number or a pair, "
                        f"got {describe(value)}")
    both = (int(both[0]), int(both[-1]))
    if min(both) < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, got {describe(value)}")
    return both


def check_images(name, x, w, channels, b, outputs, groups):
    """What NumPy would let pass, or would explain in its own terms only."""
    if groups == 1 and w.ndim == 4 and 3 <= x.ndim <= 4 and x.shape[-3] == channels and (
            x.dtype is w.dtype and x.dtype.kind == "f") and (
            b is None or b.shape == (outputs,) and b.dtype is x.dtype):
        return
    if groups != 1:
        raise NotImplementedError(f"{name}: groups={groups} is not supported, only 1")
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: input must have shape (N,C,H,W) or (C,H,W), got {x.shape}")
    if w.ndim != 4:
        raise ValueError(f"{name}: weight must have 4 dimensions, got shape {w.shape}")
    if x.shape[-3] != channels:
        raise ValueError(f"{name}: input of shape {x.shape} has {x.shape[-3]} channels, weight of "
                         f"shape {w.shape} needs {channels}")
    if b is not None and b.shape != (outputs,):
        raise ValueError(f"{name}: bias must have shape ({outputs},), got {b.shape}")
    if x.dtype != w.dtype or x.dtype.kind != "f" or (b is not None and b.dtype != x.dtype):
        raise TypeError(f"{name}: input, weight and bias must share a floating-point dtype, got "
                        f"{x.dtype}, {w.dtype}" + ("" if b is None else f", {b.dtype}"))


def paddings(padding, kernel, stride, dilation):
    """((top, bottom), (left, right)) of a pair, 'valid' or 'same'."""
    if padding == "valid":
        padding = (0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"conv2d: padding='same' needs stride 1, got {stride}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, str):
        raise ValueError(f"conv2d: padding must be numbers, 'same' or 'valid', "
                         f"got {describe(padding)}")
    return tuple((p, p) for p in padding)


@functools.lru_cache(maxsize=256)
def conv2d_geometry(size, kernel, stride, padding, dilation):
    """Worked out and checked once for each layer, not in every step."""
    padding = paddings(padding, kernel, stride, dilation)
    padded_size = tuple(n + sum(p) for n, p in zip(size, padding))
    output = tuple((n - d * (k - 1) - 1) // s + 1
                   for n, k, s, d in zip(padded_size, kernel, stride, dilation))
    if min(output) < 1 or not all(kernel):
        raise ValueError(f"conv2d: the kernel {kernel} with dilation {dilation} is larger than the "
                         f"padded image {padded_size}")
    return Geometry(size, kernel, stride, padding, dilation, output)


@functools.lru_cache(maxsize=256)
def conv_transpose2d_geometry(size, kernel, stride, padding, extra, dilation):
    """The geometry of the convolution that leads back: from the output to the input."""
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation)):
        raise ValueError(f"conv_transpose2d: output_padding {extra} must be smaller than stride "
                         f"{stride} or dilation {dilation}")
    output = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, s, p, d, k, e in zip(
        size, stride, padding, dilation, kernel, extra))
    if min(output) < 1 or not all(kernel):
        # Without the operation's name: `operation` adds it, and the shapes that were given.
        raise ValueError(f"the output would have size {output}, with kernel {kernel} and padding "
                         f"{padding}")
    return Geometry(output, kernel, stride, tuple((p, p) for p in padding), dilation, size)


def inputs_of(input, weight, bias):
    return (input, weight) if bias is None else (input, weight, bias)


@operation
def conv2d(input: Tensor, weight: Tensor, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images with kernels.

    y[n,o,i,j] = bias[o] + the sum over c, k, l of
                 weight[o,c,k,l] * x[n, c, i * stride + k * dilation - padding, j * ... + l * ...]

    input   (N,C,H,W) or (C,H,W)
    weight  (O,C,KH,KW), bias (O,) or None
    stride, dilation, padding  whole numbers or pairs; padding also 'same' (stride 1) or 'valid'

    Gives (N,O,OH,OW) or (O,OH,OW) with OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1.
    Raises ValueError for shapes that do not fit, TypeError for dtypes that differ,
    NotImplementedError for groups other than 1.
    """
    x, w = input.array, weight.array
    b = None if bias is None else bias.array
    check_images("conv2d", x, w, w.shape[1] if w.ndim == 4 else 0, b, w.shape[0], groups)
    unbatched = x.ndim == 3
    if unbatched:
        x = x[None]
    O, C, KH, KW = w.shape
    N, _, H, W = x.shape
    if not isinstance(padding, str):
        padding = pair("conv2d", "padding", padding, 0)
    geometry = conv2d_geometry((H, W), (KH, KW), pair("conv2d", "stride", stride, 1), padding,
                               pair("conv2d", "dilation", dilation, 1))
    OH, OW = geometry.output

    lowered = lower(x.transpose(1, 2, 3, 0), O, geometry)
    y = correlate(w, lowered, geometry)  # (O, OH*OW*N)
    if b is not None:
        y += b[:, None]
    y = y.reshape(O, OH, OW, N).transpose(3, 0, 1, 2)

    def weight_product(g, lowered, place):
        return outer(g, lowered, w.shape, geometry, place)

    def backward(g):
        given = g
        g = g[None] if unbatched else g
        g = g.transpose(1, 2, 3, 0).reshape(O, OH * OW * N)
        gx = gw = None
        if input.requires_grad:
            gx = scatter(w, g, N, geometry).transpose(3, 0, 1, 2)
            gx = gx[0] if unbatched else gx
        if weight.requires_grad:
            gw = weight_gradient(weight, input, w.size * OH * OW * N, weight_product,
                                 (g, given), (lowered, x))
        return gx, gw, g.sum(axis=1) if b is not None else None

    return node(y[0] if unbatched else y, inputs_of(input, weight, bias), backward)


@operation
def conv_transpose2d(input: Tensor, weight: Tensor, bias=None, stride=1, padding=0,
                     output_padding=0, groups=1, dilation=1):
    """The adjoint of conv2d with the same weight: each pixel adds its kernel to the output.

    y[n,o,...] = bias[o] everywhere; then, for all c, i, j, k, l,
    y[n, o, i * stride + k * dilation - padding, j * ... + l * ...] += weight[c,o,k,l] * x[n,c,i,j]

    input   (N,C,H,W) or (C,H,W)
    weight  (C,O,KH,KW), bias (O,) or None
    output_padding  extra rows and columns at the lower and right edge, less than stride or dilation

    Gives (N,O,OH,OW) with OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1.
    Errors as conv2d.
    """
    x, w = input.array, weight.array
    b = None if bias is None else bias.array
    check_images("conv_transpose2d", x, w, w.shape[0], b, w.shape[1] if w.ndim == 4 else 0, groups)
    unbatched = x.ndim == 3
    if unbatched:
        x = x[None]
    C, O, KH, KW = w.shape
    N, _, H, W = x.shape
    name = "conv_transpose2d"
    geometry = conv_transpose2d_geometry(
        (H, W), (KH, KW), pair(name, "stride", stride, 1), pair(name, "padding", padding, 0),
        pair(name, "output_padding", output_padding, 0), pair(name, "dilation", dilation, 1))

    x2 = x.transpose(1, 2, 3, 0).reshape(C, H * W * N)
    y = array_module(x).ascontiguousarray(scatter(w, x2, N, geometry))  # (O,OH,OW,N)
    if b is not None:
        y += b[:, None, None, None]
    y = y.transpose(3, 0, 1, 2)

    def weight_product(x2, lowered, place):
        return outer(x2, lowered, w.shape, geometry, place)

    def backward(g):
        given = g
        g = (g[None] if unbatched else g).transpose(1, 2, 3, 0)
        lowered = lower(g, C, geometry)
        gx = gw = None
        if input.requires_grad:
            gx = correlate(w, lowered, geometry).reshape(C, H, W, N).transpose(3, 0, 1, 2)
            gx = gx[0] if unbatched else gx
        if weight.requires_grad:
            gw = weight_gradient(weight, input, w.size * H * W * N, weight_product,
                                 (x2, x), (lowered, given))
        return gx, gw, g.sum(axis=(1, 2, 3)) if b is not None else None

    return node(y[0] if unbatched else y, inputs_of(input, weight, bias), backward)
