"""The product of two matrices: by product.cpp on a CPU, by cuBLAS on a GPU."""

import numpy

from minigan import backends
from minigan.device import array_module
from minigan import threads
from minigan.kernels import blas
from minigan.kernels.launch import launch, launch_rows, whole

# Of larger matrices NumPy's product takes less time than the kernel, except of up to so many rows
# with a transposed matrix, x @ w.T.
LARGE, FEW_ROWS = 1 << 18, 64
LONG = 1 << 20  # multiplications; fewer are not worth waking other threads


def product(a, b, bias=None, out=None):
    """a (M,K) @ b (K,N) + bias (N,), of one dtype and not empty -> (M,N), C-contiguous, or in `out`.

    On a CPU, arrays that kernels cover. Its choices depend on shapes and strides alone.
    """
    (M, K), N = a.shape, b.shape[1]
    if not isinstance(a, numpy.ndarray):
        out = blas.product(a, b, out, tf32=backends.cuda.matmul.allow_tf32)
    elif M * K <= LARGE and K * N <= LARGE and M * N <= LARGE or (
            1 < M <= FEW_ROWS and b.flags.f_contiguous):
        if out is None:
            out = array_module(a).empty((M, N), a.dtype)
        if not (a.flags.aligned and b.flags.aligned):
            a, b = whole(a), whole(b)
        launch("product", a, 1, 1, (a, b, bias, out, M, N, K, *a.strides, *b.strides,
                                    1 if M * N * K < LONG else threads.threads()))
        return out
    else:
        with numpy.errstate(all="ignore"):
            out = numpy.matmul(a, b, out=out)
    if bias is not None:
        launch_rows("add_bias", M, N, out, bias)
    return out
