"""The three products of a convolution, as im2col does them and, for large images, by bands.

    lower       what the kernel sees of an image, in the form that the products take
    correlate   weight * image: the forward pass of conv2d
    outer       gradient * image: the gradient of the weight
    scatter     weight * gradient: the gradient of the image, and conv_transpose2d

Plainly they are products with the columns of im2col. Columns repeat each pixel KH * KW times, and
for large images copying them takes longer than multiplying. *Bands* are lowered along the width
only: bands[c,kw,r,q,ow,n] is pixel (q * stride + r, ow * stride + kw * dilation) of the padded
image. What kernel row kh sees is then one block, r and q from kh * dilation on, which a product
can read where it lies: one product for each row of the kernel, on a KH-th of the memory.

Shapes as in functional/convolution.py; images are (C,H,W,N), outputs (O, OH*OW*N).
"""

from minigan.device import module_of
from minigan.kernels.lowering import col2im, im2col, padded, view_of, without_padding
from minigan.kernels.products import outer_product

# From this many numbers in the columns on, bands are faster. Measured on CPUs.
LARGE = 1 << 20


def takes_bands(C, N, geometry):
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    return KH > 1 and C * KH * KW * OH * OW * N >= LARGE


def lower(x, geometry):
    """The image x (C,H,W,N) as columns (C*KH*KW, OH*OW*N) or as bands (six dimensions)."""
    C, _, _, N = x.shape
    return (bands if takes_bands(C, N, geometry) else im2col)(x, geometry)


def correlate(w, lowered, geometry):
    """w (O,C,KH,KW) and a lowered image -> (O, OH*OW*N)."""
    O, C, KH, KW = w.shape
    if lowered.ndim == 2:
        return w.reshape(O, C * KH * KW) @ lowered
    rows = kernel_rows(w)
    y = rows[0] @ seen_by(0, lowered, geometry)
    for kh in range(1, KH):
        y += rows[kh] @ seen_by(kh, lowered, geometry)
    return y


def outer(g, lowered, shape, geometry):
    """g (O, OH*OW*N) and a lowered image -> (O,C,KH,KW), the shape that is given."""
    if lowered.ndim == 2:
        return outer_product(g, lowered).reshape(shape)
    O, C, KH, KW = shape
    result = module_of(g).empty(shape, g.dtype)
    for kh in range(KH):
        result[:, :, kh] = outer_product(g, seen_by(kh, lowered, geometry)).reshape(O, C, KW)
    return result


def scatter(w, g, N, geometry):
    """w (O,C,KH,KW) and g (O, OH*OW*N) -> the image (C,H,W,N): the adjoint of lower, correlate."""
    O, C, KH, KW = w.shape
    if not takes_bands(C, N, geometry):
        return col2im(w.reshape(O, C * KH * KW).T @ g, N, geometry)
    OH, OW = geometry.output
    xp = module_of(g)
    total = xp.zeros(bands_shape(C, N, geometry), g.dtype)
    rows = kernel_rows(w)
    for kh in range(KH):
        r, q = divmod_of(kh, geometry)
        total[:, :, r, q:q + OH] += (rows[kh].T @ g).reshape(C, KW, OH, OW, N)
    return summed_bands(total, geometry)


def kernel_rows(w):
    """w (O,C,KH,KW) as (KH, O, C*KW)."""
    O, C, KH, KW = w.shape
    return w.transpose(2, 0, 1, 3).reshape(KH, O, C * KW)


def divmod_of(kh, geometry):
    """(r, q) of the row of pixels that kernel row kh meets first."""
    q, r = divmod(kh * geometry.dilation[0], geometry.stride[0])
    return r, q


def seen_by(kh, lowered, geometry):
    """What kernel row kh sees: a view (C*KW, OH*OW*N) of the bands."""
    C, KW, _, _, OW, N = lowered.shape
    OH = geometry.output[0]
    r, q = divmod_of(kh, geometry)
    return lowered[:, :, r, q:q + OH].reshape(C * KW, OH * OW * N)


def bands_shape(C, N, geometry):
    stride = geometry.stride[0]
    H, _ = geometry.padded_size()
    return C, geometry.kernel[1], stride, -(-H // stride), geometry.output[1], N


def bands(x, geometry):
    """x (C,H,W,N) -> (C,KW,stride,rows,OW,N), see above."""
    (top, bottom), sides = geometry.padding
    shape = C, KW, stride, rows, OW, N = bands_shape(x.shape[0], x.shape[3], geometry)
    # As many rows as the stride divides: at most stride - 1 more, of zeros, which no kernel meets.
    below = bottom + stride * rows - geometry.padded_size()[0]
    x = padded(x, ((top, below), sides))
    c, h, w, n = x.strides
    return module_of(x).ascontiguousarray(view_of(x, shape, (
        c, w * geometry.dilation[1], h, h * stride, w * geometry.stride[1], n)))


def summed_bands(total, geometry):
    """The adjoint of `bands`: summed back along the width, (C,H,W,N)."""
    C, KW, stride, rows, OW, N = total.shape
    _, W = geometry.padded_size()
    x = module_of(total).zeros((C, rows, stride, W, N), total.dtype)
    in_order = x.transpose(0, 2, 1, 3, 4)  # (C,stride,rows,W,N), as the bands have it
    for kw in range(KW):
        start = kw * geometry.dilation[1]
        end = start + OW * geometry.stride[1]
        in_order[:, :, :, start:end:geometry.stride[1]] += total[:, kw]
    return without_padding(x.reshape(C, rows * stride, W, N), geometry)
