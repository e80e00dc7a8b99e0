"""cuBLAS as far as minigan calls it: over addresses, by columns, with its rules for arguments."""

import ctypes
import types

import numpy

from standin.streams import get_current_stream, run

SUCCESS, NOT_INITIALIZED, INVALID_VALUE, EXECUTION_FAILED, NOT_SUPPORTED = 0, 1, 7, 13, 15
DTYPES = {0: numpy.float32, 1: numpy.float64}
COMPUTES = {(0, 68), (0, 77), (1, 70)}  # data type, compute type
FAST_TF32 = 77


class Function:
    """Called as ctypes would call it: not before its argument types are declared."""

    def __init__(self, function):
        self.function = function
        self.argtypes = self.restype = None

    def __call__(self, *args):
        if self.argtypes is None or len(args) != len(self.argtypes):
            raise TypeError(f"{self.function.__name__}: {len(args)} arguments for {self.argtypes}")
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *self.argtypes)
        # Through a C function pointer, so that the conversions are those of ctypes.
        return prototype(lambda *converted: self.function(*converted))(*args)


handles = {}
calls = []


def cublasCreate_v2(place):
    number = 1 + len(handles)
    place[0] = number
    handles[number] = types.SimpleNamespace(stream=0, workspace=0)
    return SUCCESS


def cublasSetStream_v2(handle, stream):
    if handle not in handles:
        return NOT_INITIALIZED
    handles[handle].stream, handles[handle].workspace = stream or 0, 0
    return SUCCESS


def cublasSetWorkspace_v2(handle, workspace, size):
    if handle not in handles:
        return NOT_INITIALIZED
    handles[handle].workspace = size if workspace else 0
    return SUCCESS


def at(address, dtype, rows, columns, ld):
    """The matrix that lies by columns at an address, as a view."""
    item = numpy.dtype(dtype).itemsize
    size = (ld * (columns - 1) + rows) * item
    flat = numpy.frombuffer((ctypes.c_byte * size).from_address(address), dtype)
    return numpy.lib.stride_tricks.as_strided(flat, (rows, columns), (item, item * ld))


def rounded(x, compute):
    """float32 as TF32, with 10 bits after the point."""
    if compute != FAST_TF32:
        return x
    return ((x.view(numpy.uint32) + 0x1000) & 0xFFFFE000).view(numpy.float32)


def gemm(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, step_a, b, b_type, ldb, step_b, beta, c,
         c_type, ldc, step_c, count, compute, algorithm):
    if handle not in handles:
        return NOT_INITIALIZED
    rows_a, columns_a = (m, k) if op_a == 0 else (k, m)
    rows_b, columns_b = (k, n) if op_b == 0 else (n, k)
    if min(m, n, k, count) < 0 or op_a not in (0, 1) or op_b not in (0, 1) or (
            lda < max(1, rows_a) or ldb < max(1, rows_b) or ldc < max(1, m)):
        return INVALID_VALUE
    if not a_type == b_type == c_type or (a_type, compute) not in COMPUTES:
        return NOT_SUPPORTED
    stream = get_current_stream()
    if stream.ptr != handles[handle].stream or stream.is_capturing() and (
            not handles[handle].workspace):
        return EXECUTION_FAILED  # on another stream, or it would have to allocate
    dtype = DTYPES[a_type]
    item = numpy.dtype(dtype).itemsize
    alpha, beta = (numpy.frombuffer((ctypes.c_byte * item).from_address(p), dtype)[0]
                   for p in (alpha, beta))
    calls.append(types.SimpleNamespace(m=m, n=n, k=k, count=count, compute=compute, beta=beta))

    def action():
        for i in range(count):
            left = rounded(at(a + i * step_a * item, dtype, rows_a, columns_a, lda).copy(), compute)
            right = rounded(at(b + i * step_b * item, dtype, rows_b, columns_b, ldb).copy(), compute)
            result = at(c + i * step_c * item, dtype, m, n, ldc)
            product = (left.T if op_a else left) @ (right.T if op_b else right)
            result[...] = alpha * product + (beta * result if beta else 0)

    result = at(c, dtype, m, n, ldc)
    arrays = [at(a, dtype, rows_a, columns_a, lda), at(b, dtype, rows_b, columns_b, ldb), result]
    run(action, "product", count * [*arrays, *[result] * bool(beta)], (m, n, k, count))
    return SUCCESS


def cublasGemmEx(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type,
                 ldc, compute, algorithm):
    return gemm(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                c_type, ldc, 0, 1, compute, algorithm)


def cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, step_a, b, b_type,
                               ldb, step_b, beta, c, c_type, ldc, step_c, count, compute, algorithm):
    return gemm(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, step_a, b, b_type, ldb, step_b,
                beta, c, c_type, ldc, step_c, count, compute, algorithm)


cublas = types.SimpleNamespace(calls=calls, **{
    function.__name__: Function(function) for function in (
        cublasCreate_v2, cublasSetStream_v2, cublasSetWorkspace_v2, cublasGemmEx,
        cublasGemmStridedBatchedEx)})
