"""Matrix products: any, and of the shapes that a linear layer and weight gradients have.

Products with `convolution` set use TF32 on a GPU where `backends.cudnn` allows it, others where
`backends.cuda.matmul` does.
"""

import numpy

from minigan import backends
from minigan.device import array_module
from minigan.kernels.cuda import blas

# OpenBLAS multiplies matrices directly where rows * columns * length stays below a million, and
# copies them into its own order first where it is more. For a product of few rows and columns
# over a great length the copying is most of the time: in pieces it takes a quarter of it.
DIRECT = 1_000_000
FEW = 4096
# Up to how many rows x @ w.T takes longer than w @ x.T, and from which size of w that matters.
FEW_ROWS = 64
LARGE = 100_000


def allows_tf32(convolution):
    return (backends.cudnn if convolution else backends.cuda.matmul).allow_tf32


def product(a, b, out=None, accumulate=False, convolution=False):
    """a (M,L) @ b (L,K): (M,K), written or added to `out` where it is given."""
    if array_module(a) is not numpy:
        return blas.product(a, b, out, accumulate, allows_tf32(convolution))
    if accumulate:
        out += a @ b
        return out
    return numpy.matmul(a, b, out=out)


def stacked_product(a, b):
    """a (...,M,L) @ b (...,L,K), their stacks broadcast."""
    xp = array_module(a)
    if xp is numpy:
        return numpy.matmul(a, b)
    if a.ndim == b.ndim == 2:
        return product(a, b)
    (M, L), K = a.shape[-2:], b.shape[-1]
    if b.ndim == 2:  # one matrix for all rows
        return product(a.reshape(-1, L), b).reshape(*a.shape[:-1], K)
    stack = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (xp.broadcast_to(x, (*stack, *x.shape[-2:])).reshape(-1, *x.shape[-2:]) for x in (a, b))
    return blas.stacked_product(a, b, allows_tf32(False)).reshape(*stack, M, K)


def rows_product(x, w, b=None):
    """x (...,K) @ w.T + b for w (M,K) and b (M,) or None: (...,M)."""
    if array_module(x) is not numpy:
        y = array_module(x).empty((*x.shape[:-1], w.shape[0]), x.dtype)
        if b is not None:
            y[...] = b
        product(x.reshape(-1, w.shape[1]), w.T, y.reshape(-1, w.shape[0]), b is not None)
        return y
    if x.ndim == 2 and 1 < len(x) <= FEW_ROWS and w.size >= LARGE:
        # At 8 rows nearly twice as fast. Adding the bias turns the result round on the way.
        y = numpy.empty((len(x), len(w)), x.dtype)
        return numpy.add((w @ x.T).T, 0 if b is None else b, out=y)
    y = x @ w.T
    if b is not None:
        y += b
    return y


def outer_product(a, b, out=None, convolution=False):
    """a (M,L) @ b.T for b (K,L); into `out` (M,K) where it is given."""
    if array_module(a) is not numpy:
        return product(a, b.T, out, convolution=convolution)
    M, L = a.shape
    K = b.shape[0]
    if out is None:
        out = numpy.empty((M, K), a.dtype)
    if L == 1 and M * K > FEW:
        # A third of the time of `multiply`, whose inner loops set out anew for every row. The
        # columns of zeros make it a product that NumPy leaves to OpenBLAS.
        left, right = numpy.zeros((M, 2), a.dtype), numpy.zeros((2, K), b.dtype)
        left[:, :1], right[:1] = a, b.T
        return numpy.matmul(left, right, out=out)
    if L == 1:
        return numpy.multiply(a, b.T, out=out)
    if M * K <= FEW and M * K * L > DIRECT:
        piece = DIRECT // (M * K)
        pieces = L // piece
        end = pieces * piece
        parts = numpy.matmul(a[:, :end].reshape(M, pieces, piece).transpose(1, 0, 2),
                             b[:, :end].reshape(K, pieces, piece).transpose(1, 2, 0))
        return numpy.add(parts.sum(axis=0), a[:, end:] @ b[:, end:].T, out=out)
    return numpy.matmul(a, b.T, out=out)
