"""Products of a convolution by bands, for large images and few outputs.

Bands are an image lowered along the width only (`lower`). What kernel row kh sees is
one block of them, from row kh * dilation on, which a product can read where it lies: one product
for each kernel row, on a KH-th of the memory of columns.

Kernel rows of the same r see nearly the same block, each a little further down. As a product with
few rows (O) is slow, they are taken together: one product with O rows for each of them, over all
that any of them sees.

Shapes as in kernels/convolution.py.
"""

import math
from typing import NamedTuple

from minigan.device import array_module
from minigan.kernels.lowering import (
    add_columns, in_order, padded, sorted_image, view_of, without_padding)
from minigan.kernels.products import outer_product


def lower(x, geometry):
    """x (C,H,W,N) -> (C,KW,SH,rows,OW,N): what the kernel's columns see, its rows sorted by stride.

    [c,kw,r,q,ow,n] is pixel (q * SH + r, ow * SW + kw * dilation) of the padded image.
    """
    (top, bottom), sides = geometry.padding
    C, _, _, N = x.shape
    stride, (H, _) = geometry.stride[0], geometry.padded_size()
    rows = -(-H // stride)
    # As many rows as the stride divides: at most stride - 1 more, of zeros, which no kernel meets.
    x = padded(x, ((top, bottom + stride * rows - H), sides))
    c, h, w, n = x.strides
    shape = (C, geometry.kernel[1], stride, rows, geometry.output[1], N)
    return array_module(x).ascontiguousarray(view_of(x, shape, (
        c, w * geometry.dilation[1], h, h * stride, w * geometry.stride[1], n)))


def correlate(w, lowered, geometry):
    """w (O,C,KH,KW) and bands -> (O, OH*OW*N)."""
    O, C, KH, KW = w.shape
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


def outer(g, lowered, geometry, out):
    """g (O, OH*OW*N) and bands -> out (O,C,KH,KW)."""
    O, C, KH, KW = out.shape
    by_row = out.transpose(2, 0, 1, 3)  # (KH,O,C,KW)
    for group in groups(O, C, geometry):
        seen = lowered[:, :, group.r, group.q:group.q + group.height]
        product = outer_product(shifted(g, group, geometry), seen.reshape(C * KW, -1))
        by_row[group.kernel_rows] = product.reshape(-1, O, C, KW)


def scatter(w, g, N, geometry):
    """w (O,C,KH,KW) and g (O, OH*OW*N) -> the image (C,H,W,N)."""
    O, C, KH, KW = w.shape
    rows = by_kernel_row(w)
    image = sorted_image(array_module(g), C, N, geometry, g.dtype)
    for group in groups(O, C, geometry):
        product = rows[group.kernel_rows].reshape(-1, C * KW).T @ shifted(g, group, geometry)
        add_columns(product.reshape(C, KW, group.height, -1, N),
                    image[:, group.r, group.q:group.q + group.height], geometry)
    return without_padding(in_order(image, geometry), geometry)


def by_kernel_row(w):
    """w (O,C,KH,KW) as (KH,O,C,KW)."""
    return array_module(w).ascontiguousarray(w.transpose(2, 0, 1, 3))


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
    if O > C * KW:  # moving g several times would take longer than what it saves
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
    result = array_module(g).zeros((len(group.shifts), O, group.height, L // OH), g.dtype)
    for part, q in zip(result, group.shifts):
        part[:, q:q + OH] = g.reshape(O, OH, L // OH)
    return result.reshape(-1, group.height * (L // OH))


