"""The product of two matrices: by product.cpp on a CPU, by cuBLAS on a GPU."""

import numpy

from minigan import backends
from minigan.device import array_module
from minigan.kernels import blas, threads
from minigan.kernels.launch import launch, launch_rows, whole

LARGE = 1 << 18    # elements of a matrix; NumPy's own product is faster for larger ones,
FEW_ROWS = 64      # except for up to so many rows times a transposed matrix.
LONG = 1 << 20     # multiplications; fewer are not worth starting threads


def product(a, b, bias=None, out=None):
    """a (M,K) @ b (K,N) + bias (N,), of one dtype and not empty -> (M,N), C-contiguous, or in `out`.

    On a CPU covered by kernels, which way it takes depends on shapes and strides alone.
    """
    (M, K), N = a.shape, b.shape[1]
    if not isinstance(a, numpy.ndarray):
        out = blas.product(a, b, out, tf32=backends.cuda.matmul.allow_tf32)
    elif is_for_kernel(M, N, K, b):
        a, b = whole(a), whole(b)
        if out is None:
            out = array_module(a).empty((M, N), a.dtype)
        launch("product", a, 1, 1, (a, b, bias, out, M, N, K, *a.strides, *b.strides,
                                    threads.threads() if M * N * K >= LONG else 1))
        return out
    else:
        out = numpy.matmul(a, b, out=out)
    if bias is not None:
        launch_rows("add_bias", M, N, out, bias)
    return out


def is_for_kernel(M, N, K, b):
    """Whether the kernel takes less time than NumPy's product."""
    return M * K <= LARGE and K * N <= LARGE and M * N <= LARGE or (
        1 < M <= FEW_ROWS and b.flags.f_contiguous)
