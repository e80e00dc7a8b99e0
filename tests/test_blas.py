"""Matrix products by cuBLAS: imitated by the stand-in, and on a GPU where there is one."""

import functools
import itertools

import numpy
import pytest

from minigan.device import array_module, to_device
from minigan.kernels import blas, launch

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}

pytestmark = pytest.mark.usefixtures("gpu")


def there(array):
    return array if not isinstance(array, numpy.ndarray) else to_device(array, "cuda")


def agree(function, *args, tolerance=1.0):
    """function(*args) of arrays on the GPU and on the CPU, for float32 and float64.

    The CPU computes in float64 from the same numbers, so that only the kernel's error is seen.
    """
    for dtype in DTYPES:
        given = [a.astype(dtype) if isinstance(a, numpy.ndarray) and a.dtype.kind == "f" else a
                 for a in args]
        wide = [a.astype("float64") if isinstance(a, numpy.ndarray) and a.dtype.kind == "f" else a
                for a in given]
        expected = function(*wide)
        found = function(*map(there, given))
        pairs = zip(found, expected) if isinstance(expected, tuple) else [(found, expected)]
        for ours, theirs in pairs:
            if theirs is None or ours is None:
                continue
            assert array_module(ours) is not numpy and ours.dtype == dtype
            scale = max(1.0, abs(theirs[numpy.isfinite(theirs)]).max(initial=0))
            numpy.testing.assert_allclose(
                to_device(ours, "cpu"), theirs, rtol=0,
                atol=tolerance * TOLERANCE[dtype] * scale, equal_nan=True)


def random(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape)


def operands(m, n):
    """A matrix (m,n) lying in memory in all the ways that products meet."""
    x = random(m, n)
    yield x
    yield x.T.copy().T
    yield random(m, n + 3)[:, 2:n + 2]
    yield random(n + 3, m).T[:, 2:n + 2]
    yield random(2 * m, n)[::2]
    yield random(2 * m, 2 * n)[::2, ::2]
    yield random(m, n)[::-1]
    yield numpy.broadcast_to(random(1, n), (m, n))
    yield numpy.broadcast_to(random(m, 1), (m, n))


SIZES = [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1), (1, 7, 1), (2, 0, 3), (0, 2, 3)]


@pytest.mark.parametrize("m, k, n", SIZES)
def test_products(m, k, n):
    for a, b in itertools.product(operands(m, k), operands(k, n)):
        agree(lambda a, b: a @ b if isinstance(a, numpy.ndarray) else blas.product(a, b), a, b)


@pytest.mark.parametrize("m, k, n", SIZES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_products_into_memory_that_is_given(m, k, n, accumulate):
    a, b = random(m, k), random(k, n, seed=1)
    for place in itertools.islice(operands(m, n), 7):
        def product(a, b, place):
            if isinstance(a, numpy.ndarray):
                return a @ b + (place if accumulate else 0)
            before = place.copy() if place.flags.c_contiguous else place
            assert blas.product(a, b, before, accumulate) is before
            return before

        agree(product, a, b, place)


def test_products_are_written_where_they_belong():
    whole = there(numpy.zeros((4, 9)))
    blas.product(there(random(4, 3)), there(random(3, 2)), whole[:, 5:7])
    assert (to_device(whole, "cpu")[:, [0, 1, 2, 3, 4, 7, 8]] == 0).all()
    assert (to_device(whole, "cpu")[:, 5:7] != 0).all()


@pytest.mark.parametrize("B, m, k, n", [(3, 2, 4, 5), (1, 3, 2, 1), (2, 1, 1, 3), (2, 3, 0, 1)])
def test_stacked_products(B, m, k, n):
    lefts = [random(B, m, k), random(B, k, m).swapaxes(1, 2), random(B, 2 * m, 2 * k)[:, ::2, ::2],
             numpy.broadcast_to(random(m, k), (B, m, k)), random(m, B, k).swapaxes(0, 1)]
    rights = [random(B, k, n), random(B, n, k).swapaxes(1, 2),
              numpy.broadcast_to(random(k, n), (B, k, n))]
    for a, b in itertools.product(lefts, rights):
        agree(lambda a, b: a @ b if isinstance(a, numpy.ndarray) else blas.stacked_product(a, b),
              a, b)


def test_tf32_is_used_for_float32_alone_and_only_where_it_is_asked_for():
    a, b = random(256, 512), random(512, 128)  # cuBLAS takes TF32 where rows are aligned
    errors = {}
    for dtype, tf32 in itertools.product(DTYPES, (False, True)):
        x, y = a.astype(dtype), b.astype(dtype)
        exact = x.astype("float64") @ y.astype("float64")
        found = to_device(blas.product(there(x), there(y), tf32=tf32), "cpu")
        errors[dtype, tf32] = abs(found - exact).max() / abs(exact).max()
    assert errors["float32", False] < 1e-6 and errors["float64", True] < 1e-14
    assert 1e-5 < errors["float32", True] < 1e-2


def test_without_cublas_cupy_multiplies(monkeypatch):
    def missing():
        raise OSError("libcublas.so.12: cannot open shared object file")

    monkeypatch.setattr(blas, "loaded_library", missing)
    # A cache of its own, so that nothing of this stays.
    monkeypatch.setattr(blas, "library", functools.cache(blas.library.__wrapped__))
    assert blas.library() is None
    agree(lambda a, b, out: a @ b + out if isinstance(a, numpy.ndarray) else blas.product(
        a, b, out.copy(), accumulate=True), random(3, 4), random(4, 5), random(3, 5))


def test_a_refusal_of_cublas_is_told(monkeypatch):
    with pytest.raises(RuntimeError, match="cublasSetStream_v2: cuBLAS returned status"):
        blas.call("cublasSetStream_v2", None, None)


def test_that_kernels_are_compiled_is_reported(capsys):
    launch.gpu_module.cache_clear()
    launch.gpu_kernel.cache_clear()
    x, y = there(random(3)), there(random(3))
    launch.launch_each("sigmoid", 3, x, y)
    said = capsys.readouterr().err
    assert said.startswith("minigan: compiling GPU kernels for float64") and said.endswith(" s\n")
    launch.launch_each("gelu", 3, x, y)
    assert not capsys.readouterr().err
