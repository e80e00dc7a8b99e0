"""Matrix products by cuBLAS, on a handle of minigan's own.

`cupy.matmul` refuses to be recorded into a CUDA graph, copies strided operands and cannot add to
its result. This calls the library that CuPy has loaded, by ctypes, and can do all three. Where the
library cannot be had, `cupy.matmul` takes its place.

NVIDIA, cuBLAS documentation: cublasGemmEx, cublasGemmStridedBatchedEx, cublasSetWorkspace.
"""

import ctypes
import functools
import sys
import threading
from ctypes import POINTER, c_int, c_longlong, c_size_t, c_void_p

from minigan.device import array_module

# From cublas_api.h and library_types.h
OP_N, OP_T = 0, 1
DATA_TYPES = {"f": 0, "d": 1}            # CUDA_R_32F, CUDA_R_64F
COMPUTE_TYPES = {"f": 68, "d": 70}       # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F
COMPUTE_FAST_TF32 = 77
SCALARS = {"f": ctypes.c_float, "d": ctypes.c_double}
DEFAULT_ALGORITHM = -1

WORKSPACE = 32 << 20  # bytes; what NVIDIA advises for its largest GPUs

ARGUMENTS = {
    "cublasCreate_v2": [POINTER(c_void_p)],
    "cublasSetStream_v2": [c_void_p, c_void_p],
    "cublasSetWorkspace_v2": [c_void_p, c_void_p, c_size_t],
    "cublasGemmEx": [
        c_void_p, c_int, c_int, c_int, c_int, c_int,          # handle, op a, op b, m, n, k
        c_void_p, c_void_p, c_int, c_int,                     # alpha, a, type, ld
        c_void_p, c_int, c_int,                               # b, type, ld
        c_void_p, c_void_p, c_int, c_int,                     # beta, c, type, ld
        c_int, c_int],                                        # compute type, algorithm
    "cublasGemmStridedBatchedEx": [
        c_void_p, c_int, c_int, c_int, c_int, c_int,
        c_void_p, c_void_p, c_int, c_int, c_longlong,         # alpha, a, type, ld, stride
        c_void_p, c_int, c_int, c_longlong,
        c_void_p, c_void_p, c_int, c_int, c_longlong,
        c_int, c_int, c_int],                                 # count, compute type, algorithm
}


def loaded_library():
    """cuBLAS as CuPy has loaded it. OSError or ImportError if it cannot be had."""
    from cupy.cuda import runtime
    from cupy_backends.cuda.libs import cublas  # noqa: F401 (loads the library)
    major = runtime.runtimeGetVersion() // 1000  # there may be one for another CUDA beside it
    return ctypes.CDLL(f"cublas64_{major}.dll" if sys.platform == "win32" else
                       f"libcublas.so.{major}")


@functools.cache
def library():
    """The library with its functions declared, or None if it cannot be had."""
    try:
        found = loaded_library()
        for name, types in ARGUMENTS.items():
            getattr(found, name).argtypes = types
            getattr(found, name).restype = c_int
    except (OSError, ImportError, AttributeError):
        return None
    return found


def call(name, *args):
    status = getattr(library(), name)(*args)
    if status:
        raise RuntimeError(f"{name}: cuBLAS returned status {status}")


class _Handles(threading.local):
    """A thread's handle for each stream, with a workspace of its own.

    Without one cuBLAS allocates, which a recording does not allow. Handles are kept, and used by
    one stream alone: setting the stream of a handle takes its workspace away.
    """

    def __init__(self):
        self.of_streams = {}

    def of(self, cupy):
        stream = cupy.cuda.get_current_stream()
        key = cupy.cuda.Device().id, stream.ptr
        if key not in self.of_streams:
            handle = c_void_p()
            call("cublasCreate_v2", ctypes.byref(handle))
            call("cublasSetStream_v2", handle, stream.ptr)
            workspace = cupy.empty(WORKSPACE, "uint8")
            call("cublasSetWorkspace_v2", handle, workspace.data.ptr, WORKSPACE)
            # The stream too is kept: another one at the same address would not be the same.
            self.of_streams[key] = handle, workspace, stream
        return self.of_streams[key][0]


handles = _Handles()


def matrix(x):
    """x (m,n) as cuBLAS reads it: (array, its memory read column by column is x transposed, ld).

    Copied only if neither rows nor columns lie in one piece.
    """
    (m, n), item = x.shape, x.itemsize
    down, right = x.strides
    if (right == item or n == 1) and (down >= n * item or m == 1) and down % item == 0:
        return x, True, max(down // item if m > 1 else n, n)
    if (down == item or m == 1) and (right >= m * item or n == 1) and right % item == 0:
        return x, False, max(right // item if n > 1 else m, m)
    return array_module(x).ascontiguousarray(x), True, n


def product(a, b, out=None, accumulate=False, tf32=False):
    """a (m,k) @ b (k,n), written or added to `out` (m,n), which may have strides of its own."""
    cupy = array_module(a)
    (m, k), n = a.shape, b.shape[1]
    if out is None:
        out = cupy.empty((m, n), a.dtype)
    if a.dtype.char not in DATA_TYPES or library() is None:
        return by_cupy(a, b, out, accumulate)
    if not m * n * k:
        if not accumulate:
            out.fill(0)
        return out
    c, by_rows, ldc = matrix(out)
    if c is not out:  # neither its rows nor its columns lie in one piece
        c, by_rows, ldc = cupy.empty((m, n), a.dtype), True, n
        c[...] = out
    # cuBLAS writes columns. A result by rows is the transposed one by columns, b.T @ a.T.
    left, right, rows, columns = (b.T, a.T, n, m) if by_rows else (a, b, m, n)
    left, left_turned, lda = matrix(left)
    right, right_turned, ldb = matrix(right)
    char = a.dtype.char
    scalar = SCALARS[char]
    kind = DATA_TYPES[char]
    alpha, beta = scalar(1), scalar(accumulate)
    call("cublasGemmEx", handles.of(cupy), OP_T if left_turned else OP_N,
         OP_T if right_turned else OP_N, rows, columns, k, ctypes.byref(alpha), left.data.ptr, kind,
         lda, right.data.ptr, kind, ldb, ctypes.byref(beta), c.data.ptr, kind, ldc,
         compute_type(char, tf32), DEFAULT_ALGORITHM)
    if c is not out:
        out[...] = c
    return out


def stacked_product(a, b, tf32=False):
    """a (B,m,k) @ b (B,k,n) -> (B,m,n), each operand contiguous or repeated along B."""
    cupy = array_module(a)
    (B, m, k), n = a.shape, b.shape[2]
    if a.dtype.char not in DATA_TYPES or library() is None:
        return cupy.matmul(a, b)
    if not B * m * n * k:
        return cupy.zeros((B, m, n), a.dtype)
    out = cupy.empty((B, m, n), a.dtype)
    char = a.dtype.char
    kind, scalar = DATA_TYPES[char], SCALARS[char]
    alpha, beta = scalar(1), scalar(0)
    (left, left_turned, lda, left_step), (right, right_turned, ldb, right_step) = (
        stack(b.swapaxes(1, 2)), stack(a.swapaxes(1, 2)))
    call("cublasGemmStridedBatchedEx", handles.of(cupy), OP_T if left_turned else OP_N,
         OP_T if right_turned else OP_N, n, m, k, ctypes.byref(alpha), left.data.ptr, kind, lda,
         left_step, right.data.ptr, kind, ldb, right_step, ctypes.byref(beta), out.data.ptr, kind,
         n, m * n, B, compute_type(char, tf32), DEFAULT_ALGORITHM)
    return out


def stack(x):
    """x (B,m,n) as cuBLAS reads it: as `matrix` has it, and the step from one to the next."""
    first, turned, ld = matrix(x[0])
    if first.data.ptr != x.data.ptr or x.strides[0] % x.itemsize:  # it had to be copied
        x = array_module(x).ascontiguousarray(x)
        first, turned, ld = matrix(x[0])
    return first, turned, ld, x.strides[0] // x.itemsize


def compute_type(char, tf32):
    return COMPUTE_FAST_TF32 if tf32 and char == "f" else COMPUTE_TYPES[char]


def by_cupy(a, b, out, accumulate):
    """The plain form."""
    if accumulate:
        out += a @ b
    else:
        out[...] = a @ b
    return out
