"""Matrix products of the shapes that weight gradients have."""

import numpy

from minigan.device import module_of

# OpenBLAS multiplies matrices directly where rows * columns * length stays below a million, and
# copies them into its own order first where it is more. For a product of few rows and columns
# over a great length the copying is most of the time: in pieces it takes a quarter of it.
DIRECT = 1_000_000
FEW = 4096


def outer_product(a, b):
    """a (M,L) @ b.T for b (K,L)."""
    M, L = a.shape
    K = b.shape[0]
    if L == 1:
        return a * b.T  # a quarter of the time of the matrix product
    if module_of(a) is not numpy or M * K > FEW or M * K * L <= DIRECT:
        return a @ b.T
    piece = DIRECT // (M * K)
    pieces = L // piece
    end = pieces * piece
    parts = numpy.matmul(a[:, :end].reshape(M, pieces, piece).transpose(1, 0, 2),
                         b[:, :end].reshape(K, pieces, piece).transpose(1, 2, 0))
    return parts.sum(axis=0) + a[:, end:] @ b[:, end:].T
