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

Kernel rows of the same r see nearly the same block, each a little further down. Where O is small,
and a product with O rows therefore slow, they are taken together: one product with O rows for each
of them, over all that any of them sees.

Shapes as in functional/convolution.py; images are (C,H,W,N), outputs (O, OH*OW*N).
"""

import math
from typing import NamedTuple

from minigan.device import module_of
from minigan.kernels.lowering import col2im, im2col, padded, view_of, without_padding
from minigan.kernels.products import outer_product

# From this many numbers in the columns on, bands are faster; up to this many outputs, kernel rows
# are taken together. Measured on CPUs.
LARGE = 1 << 20
FEW_OUTPUTS = 64
CACHED = 1 << 18  # numbers of a weight that are put in order at a time


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
    OH, OW = geometry.output
    N = lowered.shape[5]
    rows = by_kernel_row(w)
    y = None
    for group in groups(O, C, geometry):
        seen = lowered[:, :, group.r, group.q:group.q + group.height]
        product = rows[group.kernel_rows].reshape(-1, C * KW) @ seen.reshape(C * KW, -1)
        for part, q in zip(product.reshape(-1, O, group.height, OW * N), group.shifts):
            if y is None:
                y = part[:, q:q + OH].copy()
            else:
                y += part[:, q:q + OH]
    return y.reshape(O, OH * OW * N)


def outer(g, lowered, shape, geometry, out=None):
    """g (O, OH*OW*N) and a lowered image -> (O,C,KH,KW), the shape that is given; into `out`."""
    O, C, KH, KW = shape
    xp = module_of(g)
    result = xp.empty(shape, g.dtype) if out is None else out
    if lowered.ndim == 2:
        outer_product(g, lowered, out=result.reshape(O, C * KH * KW))
        return result
    by_row = result.transpose(2, 0, 1, 3)  # (KH,O,C,KW)
    for group in groups(O, C, geometry):
        seen = lowered[:, :, group.r, group.q:group.q + group.height]
        product = outer_product(shifted(g, group, geometry), seen.reshape(C * KW, -1))
        by_row[group.kernel_rows] = product.reshape(-1, O, C, KW)
    return result


def scatter(w, g, N, geometry):
    """w (O,C,KH,KW) and g (O, OH*OW*N) -> the image (C,H,W,N): the adjoint of lower, correlate."""
    O, C, KH, KW = w.shape
    if not takes_bands(C, N, geometry):
        return col2im(w.reshape(O, C * KH * KW).T @ g, N, geometry)
    # The image with its pixels sorted by what their row and column leave, divided by the stride:
    # there what a kernel column adds is one block of neighbours.
    (SH, SW), (H, W) = geometry.stride, geometry.padded_size()
    sorted_image = module_of(g).zeros((C, SH, -(-H // SH), SW, -(-W // SW), N), g.dtype)
    OW = geometry.output[1]
    rows = by_kernel_row(w)
    for group in groups(O, C, geometry):
        product = rows[group.kernel_rows].reshape(-1, C * KW).T @ shifted(g, group, geometry)
        product = product.reshape(C, KW, group.height, OW, N)
        at = sorted_image[:, group.r, group.q:group.q + group.height]
        for kw in range(KW):
            q, r = divmod(kw * geometry.dilation[1], SW)
            at[:, :, r, q:q + OW] += product[:, kw]
    image = sorted_image.transpose(0, 2, 1, 4, 3, 5).reshape(
        C, sorted_image.shape[2] * SH, sorted_image.shape[4] * SW, N)
    return without_padding(image, geometry)


def by_kernel_row(w):
    """w (O,C,KH,KW) as (KH,O,C,KW)."""
    O, C, KH, KW = w.shape
    result = module_of(w).empty((KH, O, C, KW), w.dtype)
    in_order = w.transpose(2, 0, 1, 3)
    # A part at a time: the copy takes from it KH times, which a cache should still hold.
    step = max(1, CACHED // (C * KH * KW))
    for start in range(0, O, step):
        result[:, start:start + step] = in_order[:, start:start + step]
    return result


class Group(NamedTuple):
    """Kernel rows whose products are taken together, and the rows of the bands that they see."""
    kernel_rows: slice
    r: int
    q: int          # the first of the bands' rows
    height: int     # how many
    shifts: list    # for each kernel row, how many of them lie above those it sees


def groups(O, C, geometry):
    """Every kernel row, in one group or another."""
    KH, KW = geometry.kernel
    dilation, stride = geometry.dilation[0], geometry.stride[0]
    OH = geometry.output[0]
    # The kernel rows `apart` from each other have the same r.
    apart = stride // math.gcd(stride, dilation)
    if not O <= min(FEW_OUTPUTS, C * KW):
        apart = KH
    for first in range(min(apart, KH)):
        starts = [divmod(kh * dilation, stride) for kh in range(first, KH, apart)]
        q, r = starts[0]
        shifts = [start - q for start, _ in starts]
        yield Group(slice(first, KH, apart), r, q, shifts[-1] + OH, shifts)


def shifted(g, group, geometry):
    """g (O, OH*OW*N) once for each kernel row, where that row sees it: (rows*O, height*OW*N)."""
    if len(group.shifts) == 1:
        return g
    OH, _ = geometry.output
    O, L = g.shape
    result = module_of(g).zeros((len(group.shifts), O, group.height, L // OH), g.dtype)
    for part, q in zip(result, group.shifts):
        part[:, q:q + OH] = g.reshape(O, OH, L // OH)
    return result.reshape(-1, group.height * (L // OH))


def bands(x, geometry):
    """x (C,H,W,N) -> (C,KW,stride,rows,OW,N), see above."""
    (top, bottom), sides = geometry.padding
    C, _, _, N = x.shape
    stride, (H, _) = geometry.stride[0], geometry.padded_size()
    rows = -(-H // stride)
    # As many rows as the stride divides: at most stride - 1 more, of zeros, which no kernel meets.
    x = padded(x, ((top, bottom + stride * rows - H), sides))
    c, h, w, n = x.strides
    shape = (C, geometry.kernel[1], stride, rows, geometry.output[1], N)
    return module_of(x).ascontiguousarray(view_of(x, shape, (
        c, w * geometry.dilation[1], h, h * stride, w * geometry.stride[1], n)))
