"""The CPU's matrix product against NumPy's in float64, and where its numbers come from and go to."""

import itertools

import numpy
import pytest

import minigan
from minigan import kernels
from minigan import functional as F
from minigan import threads
from minigan.kernels import launch
from minigan.kernels import product as module
from minigan.kernels.product import product
from minigan.tensor import from_array

DTYPES = ("float32", "float64")
EPSILON = {dtype: numpy.finfo(dtype).eps for dtype in DTYPES}


@pytest.fixture(autouse=True)
def has_kernels():
    if not launch.load("f"):
        pytest.skip(kernels.status())


def random(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape)


def layouts(x):
    """The same matrix, lying in memory in all ways that products meet."""
    m, n = x.shape
    yield x
    yield x.T.copy().T
    yield numpy.repeat(numpy.pad(x, 2), 2, axis=1)[2:-2, 4:-4:2]  # with gaps in and between rows
    yield numpy.pad(x, ((0, 0), (0, 5)))[:, :n]
    yield numpy.pad(x.T, ((0, 0), (3, 0)))[:, 3:].T
    yield numpy.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]


def agree(a, b, bias=None, out=None):
    """Within what rounding may do to sums of this length."""
    found = product(a, b, bias, out)
    wide = [None if x is None else x.astype("float64") for x in (a, b, bias)]
    expected = wide[0] @ wide[1]
    bound = abs(wide[0]) @ abs(wide[1])
    if bias is not None:
        expected, bound = expected + wide[2], bound + abs(wide[2])
    assert found.dtype == a.dtype and found.shape == expected.shape
    bound *= 2 * EPSILON[a.dtype.name] * (4 + a.shape[1] ** 0.5)
    assert (abs(found - expected) <= bound).all()
    return found


SIZES = [(1, 1, 1), (1, 7, 1), (2, 3, 5), (1, 70, 33), (3, 1, 17), (4, 15, 16), (5, 16, 15),
         (7, 33, 1), (12, 9, 32), (13, 17, 31), (16, 64, 3), (25, 40, 70), (33, 8, 47), (64, 70, 2),
         (2, 600, 40), (70, 257, 65), (64, 794, 20), (3, 513, 16)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, k, n", SIZES)
def test_products(m, k, n, dtype):
    a, b, bias = (random(*shape).astype(dtype) for shape in ((m, k), (k, n), (n,)))
    for x, y in itertools.product(layouts(a), layouts(b)):
        agree(x, y)
        agree(x, y, bias)


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_small_sizes(dtype):
    numbers = random(70 * 70 * 2).astype(dtype)
    sizes = numpy.random.default_rng(0).integers(1, 71, (300, 3))
    for number, (m, k, n) in enumerate(sizes):
        a, b = numbers[:m * k], numbers[-k * n:]
        a = a.reshape(k, m).T if number % 2 else a.reshape(m, k)
        b = b.reshape(n, k).T if number % 3 else b.reshape(k, n)
        agree(a, b, numbers[:n] if number % 5 else None)


@pytest.mark.parametrize("m, k, n", [(20, 30, 40), (1, 300, 50), (600, 500, 600), (8, 300, 1200)])
def test_nothing_else_is_written(m, k, n):
    for b in (random(k, n), random(n, k).T):
        memory = numpy.full(m * n + 100, 7.0)
        out = memory[50:-50].reshape(m, n)
        assert agree(random(m, k), b, out=out) is out
        assert (memory[:50] == 7).all() and (memory[-50:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, k, n", SIZES)
def test_infinity_and_nan_stay_in_their_rows_and_columns(m, k, n, dtype):
    places = numpy.random.default_rng(1)
    for x, y in itertools.product(range(6), repeat=2):
        a, b = abs(random(m, k)).astype(dtype), abs(random(k, n)).astype(dtype)
        for array, value in ((a, numpy.inf), (b, -numpy.inf), (a, 0), (b, numpy.nan)):
            array[places.integers(len(array)), places.integers(array.shape[1])] = value
        a, b = (next(itertools.islice(layouts(array), number, None))
                for array, number in ((a, x), (b, y)))
        with numpy.errstate(invalid="ignore"):
            expected = (a[:, :, None].astype("float64") * b).sum(1)
            found = product(a, b)
        assert (numpy.isnan(found) == numpy.isnan(expected)).all()
        infinite = numpy.isinf(expected)
        assert (found[infinite] == expected[infinite]).all()
        assert (numpy.isfinite(found) == numpy.isfinite(expected)).all()


def placed(x, memory, start):
    """The matrix in this memory from there on, with the same strides."""
    order = x.T if x.flags.f_contiguous else x
    there = memory[start:start + x.size].reshape(order.shape)
    there[...] = order
    return there.T if x.flags.f_contiguous else there


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, k, n", SIZES)
def test_results_do_not_depend_on_where_matrices_lie(m, k, n, dtype):
    """Bit for bit: the same program must give the same numbers again."""
    memory = numpy.empty(2 * (m * k + k * n + m * n) + 100, dtype)
    a, b = random(m, k).astype(dtype), random(k, n, seed=1).astype(dtype)
    for x, y in itertools.product((a, numpy.asfortranarray(a)), (b, numpy.asfortranarray(b))):
        found = set()
        for start in (0, 1, 7, 16, 33):
            left = placed(x, memory, start)
            right = placed(y, memory, start + x.size + start % 3)
            out = memory[-m * n - start - 1:][:m * n].reshape(m, n)
            found.add(product(left, right, out=out).tobytes())
        assert len(found) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, k, n", [*SIZES, (200, 64, 150)])
def test_results_do_not_depend_on_the_number_of_threads(m, k, n, dtype, monkeypatch):
    monkeypatch.setattr(module, "LONG", 0)
    a, b, bias = (random(*shape).astype(dtype) for shape in ((m, k), (k, n), (n,)))
    for x, y in itertools.product(layouts(a), layouts(b)):
        found = set()
        for number in (1, 2, 3):
            monkeypatch.setattr(threads, "threads", lambda: number)
            found.add(product(x, y, bias).tobytes())
        assert len(found) == 1


def test_unaligned_matrices():
    memory = bytearray(8 * 20 * 30 + 1)
    a = numpy.frombuffer(memory, "float64", 600, 1).reshape(20, 30)
    a[...] = random(20, 30)
    assert not a.flags.aligned
    agree(a, random(30, 7))
    agree(a.T, random(20, 7))


@pytest.mark.parametrize("shape, out", [((64, 794), 200), ((9, 40), 33), ((1, 300), 20), ((3, 5), 1)])
def test_a_linear_layer_of_weights_that_are_not_numbers(shape, out):
    """Each bad weight spoils its own output, and its own input's gradient."""
    x, w = (from_array(random(*s).astype("float32")).requires_grad_() for s in (shape, (out, shape[1])))
    w.data[out // 2, 1] = numpy.nan
    y = F.linear(x, w)
    assert (numpy.isnan(y.detach().numpy()).any(0) == (numpy.arange(out) == out // 2)).all()
    y.backward(minigan.ones(*y.shape))
    assert (numpy.isnan(x.grad.numpy()).any(0) == (numpy.arange(shape[1]) == 1)).all()
    assert numpy.isfinite(w.grad.numpy()).all()


def test_dtypes_that_differ_are_refused():
    with pytest.raises(TypeError, match="matmul: .*float32 and float64"):
        F.matmul(minigan.ones(2, 3), minigan.ones(3, 2, dtype="float64"))
