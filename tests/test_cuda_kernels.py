"""The CUDA kernels against their NumPy twins: on the stand-in, which compiles their text for the
CPU, and on a GPU where there is one."""

import functools
import itertools

import numpy
import pytest

from minigan.device import array_module, to_device
from minigan.functional.arithmetic import quiet
from minigan.kernels import activation, lowering, normalization
from minigan.kernels.cuda import blas, source
from minigan.kernels.cuda import embedding as embedding_on_gpu
from minigan.kernels.cuda import loss as loss_on_gpu
from minigan.kernels.cuda import optim as optim_on_gpu
from test_kernels import geometries

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
        with quiet():
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


SHAPES = [(0,), (1,), (255,), (256,), (257,), (3, 5, 7), (2, 0, 3), (1, 1), (3000,)]


def layouts(shape):
    """The same numbers, lying in memory in several ways."""
    x = 3 * random(*shape)
    yield x
    yield x.T.copy().T
    if x.ndim == 3:
        yield x.transpose(1, 2, 0).copy().transpose(2, 0, 1)  # batch last, as convolutions leave it
        yield numpy.repeat(x, 2, axis=1)[:, ::2]              # with gaps
        yield numpy.broadcast_to(x[:, :1], x.shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_activations(shape):
    for x, g in itertools.product(layouts(shape), layouts(shape)):
        agree(activation.sigmoid, x)
        agree(activation.sigmoid_backward, g, 1 / (1 + numpy.exp(-x)))
        agree(activation.tanh_backward, g, numpy.tanh(x))
        agree(lambda x: activation.gelu(x)[0], x)
        agree(lambda g, x: activation.gelu_backward(g, x, activation.gelu(x)[1]), g, x)
        for slope in (0.02, 0.0, 1.0, 1.5, -0.5):
            agree(lambda x: activation.leaky_relu(x, slope), x)
            agree(lambda g, x: activation.leaky_relu_backward(g, x, slope), g, x)


def test_activations_of_extremes():
    x = numpy.array([numpy.inf, -numpy.inf, numpy.nan, 0, -0.0, 1e30, -1e30, 100, -100, 1e-30])
    agree(activation.sigmoid, x)
    for slope in (0.0, 0.02):
        agree(lambda x: activation.leaky_relu(x, slope), x)
    finite = numpy.array([0, -0.0, 1e30, -1e30, 100, -100, 1e-30, 6, -6])
    agree(lambda x: activation.gelu(x)[0], finite)
    agree(lambda g, x: activation.gelu_backward(g, x, activation.gelu(x)[1]), finite[::-1] * 0 + 1,
          finite)


def test_results_lie_in_memory_as_what_they_were_made_from():
    for dtype in DTYPES:
        x = there(random(4, 5, 6).astype(dtype)).transpose(2, 0, 1)
        assert activation.gelu(x)[0].strides == x.strides
        g = there(random(6, 4, 5).astype(dtype))
        assert activation.gelu_backward(g, x, None).strides == x.strides


@pytest.mark.parametrize("N", [0, 1, 3])
@pytest.mark.parametrize("C", [1, 2])
def test_lowering(N, C):
    for geometry in geometries():
        x = random(C, *geometry.size, N)
        batch_first = random(N, C, *geometry.size).transpose(1, 2, 3, 0)
        for image in (x, batch_first):
            agree(lambda x: lowering.im2col(x, geometry), image)
        (KH, KW), (OH, OW) = geometry.kernel, geometry.output
        columns = random(C * KH * KW, OH * OW * N)
        agree(lambda columns: lowering.col2im(columns, N, geometry), columns)


def test_col2im_is_the_adjoint_of_im2col():
    for geometry in geometries():
        x, (KH, KW), (OH, OW) = random(2, *geometry.size, 3), geometry.kernel, geometry.output
        columns = random(2 * KH * KW, OH * OW * 3, seed=1)
        lowered = to_device(lowering.im2col(there(x), geometry), "cpu")
        back = to_device(lowering.col2im(there(columns), 3, geometry), "cpu")
        assert (lowered * columns).sum() == pytest.approx((x * back).sum(), rel=1e-12)


def test_a_batch_too_large_for_31_bits_is_refused():
    geometry = next(geometries())._replace(output=(1 << 16, 1 << 15))
    with pytest.raises(ValueError, match="too large for a GPU"):
        lowering.im2col(there(random(1, 9, 9, 1)), geometry)


ROWS = [(1, 2), (3, 2), (2, 33), (5, 144), (2, 1024), (3, 1025), (2, 5000)]


@pytest.mark.parametrize("C, P", ROWS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine, running", [(True, True), (False, True), (True, False)])
def test_batch_norm(C, P, training, affine, running):
    if not training and not running:
        return
    x, g = 2 * random(C, P) + 5, random(C, P, seed=1)
    w, b = (random(C, seed=2), random(C, seed=3)) if affine else (None, None)
    stats = (random(C, seed=4), random(C, seed=5) ** 2 + 0.1) if running else (None, None)

    def forward_and_backward(x, g, w, b, mean, var):
        mean, var = (None if s is None else s.copy() for s in (mean, var))
        y, saved = normalization.batch_norm(x, mean, var, w, b, training, 0.3, 1e-5)
        return y, mean, var, *normalization.batch_norm_backward(g, saved, w, training, True)

    agree(forward_and_backward, x, g, w, b, *stats, tolerance=20)
    saved = normalization.batch_norm(there(x), *map(there, stats), there(w), there(b), training,
                                     0.3, 1e-5)[1]
    assert normalization.batch_norm_backward(there(g), saved, there(w), training, False)[0] is None


def test_batch_norm_with_running_statistics_of_another_dtype():
    x = random(3, 50).astype("float64")
    results = []
    for move in (there, lambda a: a):
        mean, var = (move(numpy.full(3, v, "float32")) for v in (0, 1))
        normalization.batch_norm(move(x), mean, var, None, None, True, 0.5, 1e-5)
        results.append([to_device(a, "cpu") for a in (mean, var)])
    numpy.testing.assert_allclose(*results, rtol=1e-6)


@pytest.mark.parametrize("R, P", [*ROWS, (0, 3), (4, 1)])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(R, P, affine):
    x, g = 2 * random(R, P) + 5, random(R, P, seed=1)
    w, b = (random(P, seed=2), random(P, seed=3)) if affine else (None, None)

    def forward_and_backward(x, g, w, b):
        y, saved = normalization.layer_norm(x, w, b, 1e-3)
        return y, *normalization.layer_norm_backward(g, saved, w, True, affine)

    agree(forward_and_backward, x, g, w, b, tolerance=20)


@pytest.mark.parametrize("n", [1, 2, 1023, 1025, 300_000])
def test_binary_cross_entropy(n):
    p, t = numpy.random.default_rng(0).random((2, n))
    p[:1], share = 0, 1 / n

    def plain(p, t):
        with quiet():
            losses = (t - 1) * numpy.maximum(numpy.log1p(-p), -100) - t * numpy.maximum(
                numpy.log(p), -100)
        return losses.sum() * share, 0.7 * share * (p - t) / numpy.maximum(p * (1 - p), 1e-12)

    for dtype in DTYPES:
        p, t = p.astype(dtype), t.astype(dtype)
        loss, gradient = plain(p.astype("float64"), t.astype("float64"))
        ours = loss_on_gpu.binary_cross_entropy(there(p), there(t), share)
        back = loss_on_gpu.binary_cross_entropy_backward(
            there(numpy.array(0.7, dtype)), there(p), there(t), share)
        assert ours.shape == () and ours.item() == pytest.approx(loss, rel=20 * TOLERANCE[dtype])
        numpy.testing.assert_allclose(to_device(back, "cpu"), gradient,
                                      rtol=20 * TOLERANCE[dtype])


def test_binary_cross_entropy_of_no_probabilities_is_nan():
    for wrong in (-0.1, 1.1, numpy.nan):
        p = there(numpy.array([0.5, wrong]))
        assert numpy.isnan(loss_on_gpu.binary_cross_entropy(p, p, 1.0).item())


@pytest.mark.parametrize("n, V, D", [(0, 3, 2), (1, 1, 1), (7, 4, 3), (300, 5, 300)])
def test_embedding(n, V, D):
    index = numpy.random.default_rng(0).integers(V, size=n)
    weight, g = random(V, D), random(n, D, seed=1)
    agree(lambda index, weight: weight[index] if isinstance(weight, numpy.ndarray) else
          embedding_on_gpu.embedding(index, weight), index, weight)
    for padding in (None, 0, -1):
        def backward(g, index):
            if not isinstance(g, numpy.ndarray):
                return embedding_on_gpu.embedding_backward(g, index, V, padding)
            result = numpy.zeros((V, D))
            numpy.add.at(result, index, g)
            if padding is not None:
                result[padding] = 0
            return result

        agree(backward, g, index, tolerance=20)


def test_an_index_out_of_range_gives_nan():
    rows = to_device(embedding_on_gpu.embedding(
        there(numpy.array([0, -1, 3, 1])), there(random(3, 2))), "cpu")
    assert numpy.isnan(rows[1:3]).all() and numpy.isfinite(rows[[0, 3]]).all()


@pytest.mark.parametrize("n", [1, 256, 1000])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(n, decay):
    p, g, m, v = random(n), random(n, seed=1), random(n, seed=2), random(n, seed=3) ** 2

    def step(p, g, m, v):
        on_cpu = isinstance(p, numpy.ndarray)
        p, m, v = p.copy(), m.copy(), v.copy()
        if on_cpu:
            from minigan.optim import Adam
            group = dict(lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=decay)
            Adam.update(None, group, 3, numpy.empty(n), p, g, m, v)
        else:
            options, count = there(numpy.array([0.01, 0.9, 0.99, 1e-6, decay])), numpy.array([3])
            optim_on_gpu.adam(options, there(count), p, g, m, v)
        return p, m, v

    agree(step, p, g, m, v)


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(momentum, nesterov, decay):
    p, g, b = random(300), random(300, seed=1), random(300, seed=2)

    def step(p, g, b):
        p, b = p.copy(), b.copy()
        if isinstance(p, numpy.ndarray):
            from minigan.optim import SGD
            group = dict(lr=0.1, momentum=momentum, weight_decay=decay, nesterov=nesterov)
            SGD.update(None, group, 1, numpy.empty(300), p, g, b)
        else:
            numbers = [0.1, momentum, decay, float(nesterov)]
            optim_on_gpu.sgd(there(numpy.array(numbers)), p, g, b)
        return p, b

    agree(step, p, g, b)


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


def test_the_first_kernel_says_that_it_takes_time(capsys):
    source.module.cache_clear()
    source.kernel.cache_clear()
    activation.sigmoid(there(random(3)))
    said = capsys.readouterr().err
    assert said.startswith("minigan: preparing CUDA kernels for double") and said.endswith(" s\n")
    activation.gelu(there(random(3)))
    assert not capsys.readouterr().err
