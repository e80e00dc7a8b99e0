"""The stand-in for a GPU: it catches what it is meant to, and has no name that CuPy lacks."""

import importlib.util
import json
import subprocess
import sys

import numpy
import pytest

import standin
from standin import array, random
from standin.streams import CUDARuntimeError, counts, no_host_reads

pytestmark = pytest.mark.skipif(not standin.has_compiler(), reason="the stand-in needs g++")


@pytest.fixture
def cupy():
    with standin.in_place_of_cupy() as module:
        yield module


HOST = numpy.ones(3)

MIXED = {
    "x + host array": lambda x: x + HOST,
    "host array + x": lambda x: HOST + x,
    "x += host array": lambda x: x.__iadd__(HOST),
    "x == host array": lambda x: x == HOST,
    "numpy.exp(x)": lambda x: numpy.exp(x),
    "numpy.concatenate": lambda x: numpy.concatenate([x, x]),
    "numpy.asarray(x)": lambda x: numpy.asarray(x),
    "numpy.array([x])": lambda x: numpy.array([x, x]),
    "x + list": lambda x: x + [1, 2, 3],
    "list + x": lambda x: [1, 2, 3] + x,
    "x == list": lambda x: x == [1, 2, 3],
    "exp of a list": lambda x: sys.modules["cupy"].exp([1.0]),
    "sum of a list": lambda x: sys.modules["cupy"].sum([1.0]),
    "concatenate with a list": lambda x: sys.modules["cupy"].concatenate([x, [1.0]]),
    "host array[...] = x": lambda x: HOST.__setitem__(..., x),
    "out=host array": lambda x: sys.modules["cupy"].add(x, x, out=HOST),
    "as_strided": lambda x: numpy.lib.stride_tricks.as_strided(x),
}


@pytest.mark.parametrize("name", MIXED)
def test_arrays_of_host_and_device_do_not_mix(name, cupy):
    with pytest.raises(TypeError):
        MIXED[name](cupy.ones(3))


@pytest.mark.parametrize("wrong", [
    lambda x: x.sum(where=x > 0), lambda x: x.max(initial=0), lambda x: x.mystery(),
    lambda x: sys.modules["cupy"].einsum("i->", x), lambda x: sys.modules["cupy"].errstate(),
    lambda x: sys.modules["cupy"].maximum.reduce(x), lambda x: sys.modules["cupy"].exp(x, where=x > 0)])
def test_what_cupy_has_not_is_not_there(wrong, cupy):
    with pytest.raises((AttributeError, TypeError)):
        wrong(cupy.ones(3))


@pytest.mark.parametrize("value", [[1, 2, 3], (1, 2, 3), HOST, [4.0]], ids=repr)
def test_sequences_are_not_assigned(value, cupy):
    x = cupy.zeros(3)
    for assign in (lambda: x.__setitem__(..., value), lambda: x.__setitem__(slice(0, 3), value),
                   lambda: x.fill(value)):
        with pytest.raises(ValueError, match="non-scalar"):
            assign()
    x[cupy.arange(len(value))] = value  # but with an index that is an array
    assert x.tolist()[:len(value)] == list(value)


def test_memory_that_a_copy_from_the_host_does_not_fill(cupy):
    with pytest.raises(RuntimeError, match="non-contiguous"):
        cupy.zeros((4, 2))[::2].set(numpy.ones((2, 2)))
    with pytest.raises(TypeError, match="float32 array cannot be set to float64"):
        cupy.zeros(2).set(numpy.ones(2, "float32"))


@pytest.mark.parametrize("dtype", ["str", "object", ">f4", "longdouble"])
def test_dtypes_that_no_gpu_has(dtype, cupy):
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cupy.asarray(numpy.zeros(2, dtype))


def test_flags_say_nothing_of_alignment(cupy):
    flags = cupy.zeros((2, 3)).T.flags
    assert flags.f_contiguous and flags.forc and not flags.c_contiguous
    for missing in ("carray", "aligned", "writeable"):
        assert not hasattr(flags, missing)


def test_random_numbers_of_any_dtype_are_drawn_in_silence(cupy):
    """As CuPy does: minigan has to look at the dtype before."""
    drawn = cupy.random.default_rng(0).random(3, dtype="int64")
    assert drawn.dtype == "int64" and drawn.tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="standard_normal"):
        cupy.random.default_rng(0).standard_normal(3, dtype="int64")


READS = {
    "item": lambda x: x[0].item(), "float": lambda x: float(x[0]), "int": lambda x: int(x[0]),
    "bool": lambda x: bool(x[0] > 0), "if": lambda x: 1 if x[0] else 2, "repr": repr, "str": str,
    "format": lambda x: f"{x[0]:.1f}", "get": lambda x: x.get(), "tolist": lambda x: x.tolist(),
    "asnumpy": lambda x: sys.modules["cupy"].asnumpy(x), "mask": lambda x: x[x > 0],
    "writing with a mask": lambda x: x.__setitem__(x > 0, 1.0),
    "adding with a mask": lambda x: sys.modules["cupy"].add.at(x, x > 0, 1.0),
    "nonzero": lambda x: x.nonzero(), "in": lambda x: 1 in x,
    "synchronize": lambda x: sys.modules["cupy"].cuda.Device().synchronize(),
}


@pytest.mark.parametrize("name", READS)
def test_what_makes_the_host_wait_is_counted_and_can_be_forbidden(name, cupy):
    x = cupy.ones(3)
    before = counts.host_reads
    READS[name](x)
    assert counts.host_reads > before
    with no_host_reads(), pytest.raises(AssertionError, match="wait for the device"):
        READS[name](x)
    READS[name](x)


def test_computing_makes_nobody_wait(cupy):
    x = cupy.arange(12, dtype="float32").reshape(3, 4)
    with no_host_reads():
        y = (x.T @ x).sum(axis=0, keepdims=True) * 2 - x.max()
        y[0, 1:] = cupy.exp(x[1, :3]).astype("float32")
        x += 1
        cupy.concatenate([x, x])[cupy.arange(2)]
    assert y.get().shape == (1, 4)


@pytest.mark.parametrize("name", READS)
def test_a_capture_refuses_to_wait_and_is_broken_by_it(name, cupy):
    x = cupy.ones(3)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(CUDARuntimeError, match="not permitted when stream is capturing"):
            READS[name](x)
        with pytest.raises(CUDARuntimeError, match="StreamCaptureInvalidated"):
            stream.end_capture()


@pytest.mark.parametrize("wrong, error", [
    (lambda cupy: cupy.asarray(HOST), CUDARuntimeError),
    (lambda cupy: cupy.zeros(3).set(HOST), CUDARuntimeError),
    (lambda cupy: cupy.random.default_rng(0).random(3), NotImplementedError),
    (lambda cupy: cupy.zeros((2, 2)) @ cupy.zeros((2, 2)), NotImplementedError)])
def test_a_capture_refuses_what_cupy_refuses(wrong, error, cupy):
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(error):
            wrong(cupy)
        with pytest.raises(CUDARuntimeError, match="StreamCaptureInvalidated"):
            stream.end_capture()


def test_the_null_stream_cannot_capture(cupy):
    with pytest.raises(RuntimeError, match="default"):
        cupy.cuda.Stream.null.begin_capture()


def test_a_graph_does_at_each_launch_what_was_recorded(cupy):
    x, total = cupy.ones(2), cupy.zeros(2)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        y = x * 3
        total += y
        graph = stream.end_capture()
    assert total.tolist() == [0, 0]  # captured, not run
    for launch in range(1, 4):
        x[...] = launch
        graph.launch(stream)
        assert y.tolist() == [3 * launch] * 2
    assert total.tolist() == [18, 18]


def test_memory_is_nan_before_anybody_writes_to_it(cupy):
    assert numpy.isnan(cupy.empty((2, 3), "float32").get()).all()


def test_indices_out_of_range_wrap(cupy):
    x, i = cupy.arange(3), cupy.asarray([3, -1, 4])
    assert x[i].tolist() == cupy.take(x, i).tolist() == [0, 2, 1]
    assert cupy.take_along_axis(x, i, 0).tolist() == [0, 2, 1]


def test_layouts_are_those_of_cupy(cupy):
    x = cupy.zeros((4, 5, 6)).transpose(2, 0, 1)
    assert cupy.empty_like(x).strides == x.strides
    assert (x + 1).flags.c_contiguous and cupy.exp(x).flags.c_contiguous
    flipped = cupy.zeros((3, 4)).T
    assert (flipped + 1).flags.f_contiguous


# Kernels

def kernel(cupy, body, parameters="const float* x, float* y, long long n"):
    code = f'extern "C" __global__ void tried({parameters})\n{{\n{body}\n}}\n'
    return cupy.RawModule(code=code).get_function("tried")


ONE_EACH = "long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; if (i < n) y[i] = 2 * x[i];"


def test_a_kernel_runs(cupy):
    x, y = cupy.arange(300, dtype="float32"), cupy.empty(300, "float32")
    kernel(cupy, ONE_EACH)((2,), (256,), (x, y, 300))
    assert y.tolist() == (2 * x).tolist()


@pytest.mark.parametrize("wrong, message", [
    (lambda x: (x, x.astype("float64"), 3), "y is float \\*, got an array of float64"),
    (lambda x: (x.get(), x, 3), "x is float \\*, got ndarray"),
    (lambda x: (x, x, 3.0), "n is long long, got float 3.0"),
    (lambda x: (x, x, numpy.int32(3)), "n is long long, got int32"),
    (lambda x: (x, 1, 3), "y is float \\*, got int 1"),
    (lambda x: (x, x), "3 parameters, 2 arguments")])
def test_arguments_that_a_gpu_would_misread(wrong, message, cupy):
    with pytest.raises(TypeError, match=message):
        kernel(cupy, ONE_EACH)((1,), (32,), wrong(cupy.ones(3, "float32")))


@pytest.mark.parametrize("place", [-1, 3])
def test_a_kernel_that_writes_outside(place, cupy):
    x = cupy.ones(3, "float32")
    with pytest.raises(AssertionError, match="tried: wrote outside of y"):
        kernel(cupy, f"y[{place}] = 1;")((1,), (1,), (x, cupy.ones(3, "float32"), 3))


def test_a_kernel_that_reads_outside_gets_nan(cupy):
    y = cupy.ones(1, "float32")
    kernel(cupy, "y[0] = x[3];")((1,), (1,), (cupy.ones(3, "float32"), y, 3))
    assert numpy.isnan(y.item())


@pytest.mark.parametrize("grid, block", [((0,), (32,)), ((1,), (2048,)), ((1, 1 << 16), (1,))])
def test_launches_that_cuda_refuses(grid, block, cupy):
    x = cupy.ones(3, "float32")
    with pytest.raises(ValueError, match="CUDA_ERROR_INVALID_VALUE"):
        kernel(cupy, ONE_EACH)(grid, block, (x, x, 3))


def test_the_threads_of_a_block_meet_at_barriers(cupy):
    body = """
    __shared__ float parts[64];
    parts[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    y[blockIdx.x * blockDim.x + threadIdx.x] = parts[0];"""
    x, y = cupy.arange(192, dtype="float32"), cupy.empty(192, "float32")
    kernel(cupy, body)((3,), (64,), (x, y, 192))
    sums = x.get().reshape(3, 64).sum(axis=1)
    assert y.tolist() == numpy.repeat(sums, 64).tolist()


def test_threads_that_miss_a_barrier(cupy):
    body = "if (threadIdx.x == 0)\n        return;\n    __syncthreads();"
    x = cupy.ones(3, "float32")
    with pytest.raises(AssertionError, match="ended before a barrier"):
        kernel(cupy, body)((1,), (4,), (x, x, 3))


def test_a_missing_barrier_shows(cupy):
    body = """
    __shared__ float parts[8];
    parts[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = parts[(threadIdx.x + 1) % 8];"""
    x, y = cupy.arange(1, 9, dtype="float32"), cupy.empty(8, "float32")
    kernel(cupy, body)((1,), (8,), (x, y, 8))
    assert y.tolist() != [2, 3, 4, 5, 6, 7, 8, 1]


def test_a_kernel_that_does_not_compile(cupy):
    with pytest.raises(RuntimeError, match="do not compile"):
        kernel(cupy, "y[0] = nobody;")


# Names

COMPARE = """
import json, sys, cupy
names, methods, generator = json.load(sys.stdin)
print(json.dumps([[n for n in names if not hasattr(cupy, n)],
                  [n for n in methods if not hasattr(cupy.ndarray, n)],
                  [n for n in generator if not hasattr(cupy.random.Generator, n)]]))
"""


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_has_every_name_of_the_stand_in():
    own = {"host", "buffer", "view_of"}
    names = [n for n in vars(array.module) if not n.startswith("__")]
    methods = [n for n in vars(array.ndarray) if n not in own and not n.startswith("__")]
    generator = [n for n in vars(random.Generator) if not n.startswith("_")]
    result = subprocess.run([sys.executable, "-c", COMPARE], text=True, capture_output=True,
                            input=json.dumps([names, methods, generator]), check=True)
    assert json.loads(result.stdout) == [[], [], []]
    assert len(names) > 60 and len(methods) > 20
