"""conv2d and conv_transpose2d: each is the other's adjoint, both are one product after im2col.

    conv2d            columns = im2col(x);  y = weight @ columns
    conv_transpose2d  columns = weight.T @ x;  y = col2im(columns)

Shapes: N batch, C channels in, O channels out, H W image, KH KW kernel, OH OW output. Inside,
images lie in memory as (C,H,W,N), batch last: copying a window then runs over neighbouring memory
whatever the stride, and a product's result (O, OH*OW*N) is such an image already. Results are
returned as transposed views of that, which the next layer transposes back without copying.

Formulas: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016.
"""

from minigan.autograd import sum_in_float64, node, operation
from minigan.checks import check_convolution
from minigan.device import array_module
from minigan.functional.geometry import conv2d_geometry, conv_transpose2d_geometry
from minigan.functional.shape import cat, chunk
from minigan.tensor import Tensor


@operation
def conv2d(input: Tensor, weight: Tensor, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images with kernels.

    y[n,o,i,j] = bias[o] + the sum over c, k, l of
                 weight[o,c,k,l] * x[n, c, i * stride + k * dilation - padding, j * ... + l * ...]

    input   (N,C,H,W) or (C,H,W)
    weight  (O,C,KH,KW), bias (O,) or None
    stride, dilation, padding  integers or pairs; padding also 'same' (stride 1) or 'valid'

    Gives (N,O,OH,OW) or (O,OH,OW) with OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1.
    With groups, weight (O,C/groups,KH,KW): the first outputs see the first channels alone, and so
    on. Raises ValueError for shapes that do not fit, TypeError for dtypes that differ.
    """
    x, w = input.array, weight.array
    b = None if bias is None else bias.array
    check_convolution("conv2d", x, w, b, groups, channels=1, outputs=0)
    if groups != 1:  # each group of channels has outputs, and a part of the weight, of its own
        parts = parts_of(input, weight, bias, groups)
        return cat([conv2d(*part, stride, padding, dilation) for part in parts], -3)
    batch = x if x.ndim == 4 else x[None]                   # (N,C,H,W)
    geometry = conv2d_geometry(batch.shape[2:], w.shape[2:], stride, padding, dilation)
    O, (OH, OW), N = w.shape[0], geometry.output, len(batch)

    columns = im2col(batch.transpose(1, 2, 3, 0), geometry)  # (C*KH*KW, OH*OW*N)
    y = w.reshape(O, -1) @ columns                           # (O, OH*OW*N)
    if b is not None:
        y += b[:, None]

    def backward(g):
        g = g if x.ndim == 4 else g[None]
        g = g.transpose(1, 2, 3, 0).reshape(O, OH * OW * N)
        gx = gw = None
        if input.requires_grad:
            gx = col2im(w.reshape(O, -1).T @ g, N, geometry).transpose(3, 0, 1, 2)
            gx = gx.reshape(x.shape)
        if weight.requires_grad:
            gw = (g @ columns.T).reshape(w.shape)
        return [gx, gw] if b is None else [gx, gw, sum_in_float64(g, 1)]

    y = y.reshape(O, OH, OW, N).transpose(3, 0, 1, 2)        # (N,O,OH,OW)
    return node(y if x.ndim == 4 else y[0], present(input, weight, bias), backward)


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
    With groups, weight (C,O/groups,KH,KW). Errors as conv2d.
    """
    x, w = input.array, weight.array
    b = None if bias is None else bias.array
    check_convolution("conv_transpose2d", x, w, b, groups, channels=0, outputs=1)
    if groups != 1:
        parts = parts_of(input, weight, bias, groups)
        return cat([conv_transpose2d(*part, stride, padding, output_padding, 1, dilation)
                    for part in parts], -3)
    batch = x if x.ndim == 4 else x[None]                    # (N,C,H,W)
    geometry = conv_transpose2d_geometry(batch.shape[2:], w.shape[2:], stride, padding,
                                         output_padding, dilation)
    N, C, H, W = batch.shape

    x2 = batch.transpose(1, 2, 3, 0).reshape(C, H * W * N)
    y = col2im(w.reshape(C, -1).T @ x2, N, geometry)         # (O,OH,OW,N)
    if b is not None:
        y = y + b[:, None, None, None]

    def backward(g):
        g = g if x.ndim == 4 else g[None]
        columns = im2col(g.transpose(1, 2, 3, 0), geometry)  # (O*KH*KW, H*W*N)
        gx = gw = None
        if input.requires_grad:
            gx = (w.reshape(C, -1) @ columns).reshape(C, H, W, N).transpose(3, 0, 1, 2)
            gx = gx.reshape(x.shape)
        if weight.requires_grad:
            gw = (x2 @ columns.T).reshape(w.shape)
        return [gx, gw] if b is None else [gx, gw, sum_in_float64(g, (0, 2, 3))]

    y = y.transpose(3, 0, 1, 2)                              # (N,O,OH,OW)
    return node(y if x.ndim == 4 else y[0], present(input, weight, bias), backward)


def parts_of(input, weight, bias, groups):
    """(input, weight, bias) of each group; a transposed convolution's weight is parted alike."""
    biases = (None,) * groups if bias is None else chunk(bias, groups)
    return zip(chunk(input, groups, -3), chunk(weight, groups), biases)


def present(*tensors):
    """Those that are not None."""
    return tuple(x for x in tensors if x is not None)


def im2col(x, geometry):
    """x (C,H,W,N) -> columns (C*KH*KW, OH*OW*N): each holds what the kernel sees at one place."""
    (KH, KW), (OH, OW), (SH, SW), (DH, DW) = (
        geometry.kernel, geometry.output, geometry.stride, geometry.dilation)
    x = padded(x, geometry)
    C, _, _, N = x.shape
    columns = array_module(x).empty((C, KH, KW, OH, OW, N), x.dtype)
    for kh in range(KH):
        for kw in range(KW):
            columns[:, kh, kw] = x[:, kh * DH:kh * DH + SH * (OH - 1) + 1:SH,
                                   kw * DW:kw * DW + SW * (OW - 1) + 1:SW]
    return columns.reshape(C * KH * KW, OH * OW * N)


def col2im(columns, N, geometry):
    """The adjoint: columns (C*KH*KW, OH*OW*N) added up where they were read, (C,H,W,N)."""
    (KH, KW), (OH, OW), (SH, SW), (DH, DW) = (
        geometry.kernel, geometry.output, geometry.stride, geometry.dilation)
    C = columns.shape[0] // (KH * KW)
    columns = columns.reshape(C, KH, KW, OH, OW, N)
    (top, bottom), (left, right) = geometry.padding
    H, W = geometry.size
    x = array_module(columns).zeros((C, top + H + bottom, left + W + right, N), columns.dtype)
    for kh in range(KH):
        for kw in range(KW):
            x[:, kh * DH:kh * DH + SH * (OH - 1) + 1:SH,
              kw * DW:kw * DW + SW * (OW - 1) + 1:SW] += columns[:, kh, kw]
    return x[:, top:top + H, left:left + W]


def padded(x, geometry):
    """x (C,H,W,N) with zeros around it."""
    (top, bottom), (left, right) = geometry.padding
    if not (top or bottom or left or right):
        return x
    C, H, W, N = x.shape
    result = array_module(x).zeros((C, top + H + bottom, left + W + right, N), x.dtype)
    result[:, top:top + H, left:left + W] = x
    return result
