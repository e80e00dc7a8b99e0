"""Matrix products of the shapes that a linear layer and weight gradients have."""

import numpy

from minigan.device import module_of

# OpenBLAS multiplies matrices directly where rows * columns * length stays below a million, and
# copies them into its own order first where it is more. For a product of few rows and columns
# over a great length the copying is most of the time: in pieces it takes a quarter of it.
DIRECT = 1_000_000
FEW = 4096
# Up to how many rows x @ w.T takes longer than w @ x.T, and from which size of w that matters.
FEW_ROWS = 64
LARGE = 100_000


def rows_product(x, w, b=None):
    """x (...,K) @ w.T + b for w (M,K) and b (M,) or None: (...,M)."""
    if x.ndim == 2 and 1 < len(x) <= FEW_ROWS and w.size >= LARGE and module_of(x) is numpy:
        # At 8 rows nearly twice as fast. Adding the bias turns the result round on the way.
        y = numpy.empty((len(x), len(w)), x.dtype)
        return numpy.add((w @ x.T).T, 0 if b is None else b, out=y)
    y = x @ w.T
    if b is not None:
        y += b
    return y


def outer_product(a, b, out=None):
    """a (M,L) @ b.T for b (K,L); into `out` (M,K) where it is given."""
    M, L = a.shape
    K = b.shape[0]
    xp = module_of(a)
    if out is None:
        out = xp.empty((M, K), a.dtype)
    if L == 1 and M * K > FEW and xp is numpy:
        # A third of the time of `multiply`, whose inner loops set out anew for every row. The
        # columns of zeros make it a product that NumPy leaves to OpenBLAS.
        left, right = numpy.zeros((M, 2), a.dtype), numpy.zeros((2, K), b.dtype)
        left[:, :1], right[:1] = a, b.T
        return numpy.matmul(left, right, out=out)
    if L == 1:
        return xp.multiply(a, b.T, out=out)
    if xp is numpy and M * K <= FEW and M * K * L > DIRECT:
        piece = DIRECT // (M * K)
        pieces = L // piece
        end = pieces * piece
        parts = numpy.matmul(a[:, :end].reshape(M, pieces, piece).transpose(1, 0, 2),
                             b[:, :end].reshape(K, pieces, piece).transpose(1, 2, 0))
        return numpy.add(parts.sum(axis=0), a[:, end:] @ b[:, end:].T, out=out)
    return xp.matmul(a, b.T, out=out)
