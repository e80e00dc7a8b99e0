"""Kernels against the textbook: results and gradients, on every device.

The textbook runs on the CPU in float64, from the same numbers, so that only the kernels' errors are
seen.
"""

import contextlib
import inspect
import itertools
import pickle
import threading
import time

import numpy
import pytest

import minigan
from conftest import GPUS, on
from minigan import Tensor, kernels, optim
from minigan import functional as F
from minigan.autograd import twins
from minigan.device import to_device
from minigan.distributed import reduction
from minigan.kernels import launch, linear, normalization
from minigan.tensor import from_array

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}  # of the largest number, in a result of size 1

pytestmark = pytest.mark.usefixtures("seed")


@pytest.fixture(params=["cpu", *GPUS])
def device(request):
    """Each device in turn, with its kernels."""
    with on(request.param):
        yield "cpu" if request.param == "cpu" else "cuda"


@pytest.fixture(autouse=True)
def has_kernels(device):
    if launch.switched_off() or device == "cpu" and not launch.load("f"):
        pytest.skip(kernels.status())


def random(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape)


def tensor_of(array, dtype, device, requires_grad=True):
    """A Tensor that lies in memory as the array does."""
    if not isinstance(array, numpy.ndarray):
        return array  # None
    if array.dtype.kind != "f":
        return from_array(to_device(array, device))
    x = from_array(to_device(array.astype(dtype), device))  # keeps the order of axes
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        # `astype` has closed the gaps: open them again, by a larger array
        wide = to_device(numpy.repeat(array, 2, axis=-1).astype(dtype), device)
        x = from_array(wide[..., ::2])
    return x.requires_grad_(requires_grad)


def results(function, arrays, dtype, device, g=None):
    """The result and the gradients of all floating-point inputs, on the CPU in float64."""
    inputs = [tensor_of(a, dtype, device) for a in arrays]
    y = function(*inputs)
    assert y.dtype == dtype
    g = numpy.ones(y.shape) if g is None else g
    gradient = tensor_of(numpy.broadcast_to(g, y.shape), dtype, device, False)
    y.backward(gradient)
    found = [y, *[x.grad for x in inputs if isinstance(x, Tensor) and x.requires_grad]]
    return [None if x is None else to_device(x.detach().array, "cpu").astype("float64")
            for x in found]


def agree(device, function, *arrays, g=None, tolerance=1.0):
    for dtype in DTYPES:
        rounded = [numpy.asarray(a, dtype) if isinstance(a, numpy.ndarray) and a.dtype.kind == "f" else a
                   for a in arrays]
        g_rounded = None if g is None else numpy.asarray(g, dtype)
        with kernels.disabled():
            expected = results(function, rounded, "float64", "cpu", g_rounded)
        found = results(function, arrays, dtype, device, g)
        for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            assert (ours is None) == (theirs is None)
            if ours is None:
                continue
            scale = max(1.0, abs(theirs[numpy.isfinite(theirs)]).max(initial=0))
            numpy.testing.assert_allclose(
                ours, theirs, rtol=0, atol=tolerance * TOLERANCE[dtype] * scale, equal_nan=True,
                err_msg=f"{dtype}, result {number}")


SHAPES = [(), (1,), (31,), (257,), (3, 5, 7), (3000,)]
EXTREMES = numpy.array([numpy.inf, -numpy.inf, numpy.nan, 0, -0.0, 1e30, -1e30, 100, -100, 90, -90,
                        1e-30, 20, 20.1, 6, -6])


def layouts(shape):
    """The same numbers, lying in memory in several ways."""
    x = numpy.asarray(3 * random(*shape))
    yield x
    if x.ndim == 3:
        yield x.T.copy().T
        yield x.transpose(1, 2, 0).copy().transpose(2, 0, 1)  # batch last, as convolutions leave it
        yield numpy.repeat(x, 2, axis=-1)[..., ::2]           # with gaps
        yield numpy.broadcast_to(x[:, :1], x.shape)


ACTIVATIONS = {
    "sigmoid": F.sigmoid, "tanh": F.tanh, "relu": F.relu, "gelu": F.gelu,
    "leaky_relu": F.leaky_relu, "softplus": F.softplus,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu_0.2": lambda x: F.leaky_relu(x, 0.2), "leaky_relu_0": lambda x: F.leaky_relu(x, 0),
    "leaky_relu_2": lambda x: F.leaky_relu(x, 2), "leaky_relu_-1": lambda x: F.leaky_relu(x, -1.0),
    "softplus_3": lambda x: F.softplus(x, 3.0, 5.0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(device, name):
    for shape in SHAPES:
        for x, g in itertools.product(layouts(shape), layouts(shape)):
            agree(device, ACTIVATIONS[name], x, g=g)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_extremes(device, name):
    for g in (1.0, numpy.nan):
        agree(device, ACTIVATIONS[name], EXTREMES, g=numpy.full(EXTREMES.shape, g))
    if "relu" in name:  # they select, and so pass infinity or 0, never nan
        agree(device, ACTIVATIONS[name], EXTREMES, g=numpy.full(EXTREMES.shape, numpy.inf))


def test_a_gradient_may_be_a_scalar(device):
    """NumPy makes a scalar of a sum of 0-d arrays, as where a result is used twice."""
    x = tensor_of(numpy.array(2.0), "float32", device)
    y = F.relu(x)
    (y + y * 3).backward()
    assert x.grad.item() == 4
    x = tensor_of(random(4, 3), "float32", device)
    classes = from_array(to_device(numpy.array([0, 1, 2, 0]), device))
    for loss in (lambda: F.mse_loss(x, x.detach() * 2), lambda: F.cross_entropy(x, classes)):
        x.grad = None
        loss().backward()
        once = to_device(x.grad.array, "cpu").copy()
        x.grad = None
        y = loss()
        (y + y * 3).backward()
        numpy.testing.assert_allclose(to_device(x.grad.array, "cpu"), 4 * once, rtol=1e-6)


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
def test_softmax(device, function):
    for shape in [(1,), (5, 1), (3, 10), (2, 3, 33), (4, 1000), (2, 5000)]:
        for x, g in itertools.product(layouts(shape), layouts(shape)):
            agree(device, lambda x: function(x, -1), x, g=g, tolerance=4)
    agree(device, lambda x: function(x, 0), random(3, 4), g=random(3, 4, seed=1))
    for row in ([1e30, 1, 2], [-numpy.inf, 1, 2], [-numpy.inf] * 3, [numpy.inf, 1, 2],
                [1, numpy.nan, 2], [numpy.nan, 1, 2], [1000.0, 1000, -1000]):
        agree(device, lambda x: function(x, 1), numpy.array([row]), g=random(1, 3))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout(device, p):
    """The random numbers are the textbook's."""
    if device != "cpu":
        pytest.skip("a GPU has random numbers of its own")

    def function(x):
        minigan.manual_seed(3)
        return F.dropout(x, p)

    for shape in [(7,), (3, 5, 7)]:
        for x in layouts(shape):
            agree(device, function, x, g=random(*shape, seed=1))
    agree(device, function, EXTREMES)


CHANNELS = [(2, 1), (4, 3), (3, 5, 7), (2, 3, 6, 5), (1, 2, 40, 40), (1, 2, 2)]


@pytest.mark.parametrize("shape", CHANNELS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine, running", [(True, True), (False, True), (True, False)])
def test_batch_norm(device, shape, training, affine, running):
    if not training and not running:
        return
    C, ndim = shape[1], len(shape)
    w, b = (random(C, seed=2), random(C, seed=3)) if affine else (None, None)
    statistics = []

    def function(x, w, b):
        stats = [None, None]
        if running:
            stats = [from_array(to_device(s.astype(x.dtype), x.device))
                     for s in (random(C, seed=4), random(C, seed=5) ** 2 + 0.1)]
            statistics.append([to_device(s.array, "cpu") for s in stats])
        return F.batch_norm(x, *stats, w, b, training, 0.3, 1e-5)

    x, g = 2 * random(*shape) + 5, random(*shape, seed=1)
    last = (*range(1, ndim), 0), (ndim - 1, *range(ndim - 1))
    for way in (lambda a: a, lambda a: a.transpose(last[0]).copy().transpose(last[1])):
        agree(device, function, way(x), w, b, g=way(g), tolerance=40)
        agree(device, function, way(x), w, b, g=g, tolerance=40)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("part, shape", [(7, (3, 2, 6, 5)), (1, (5, 3)), (64, (65, 2)),
                                         (2, (2, 1, 700))])
def test_batch_norm_by_several_blocks_a_channel(device, monkeypatch, part, shape, training):
    monkeypatch.setattr(normalization, "PART", part)
    C, statistics = shape[1], []

    def function(x, w, b):
        mean, var = (from_array(to_device(numpy.full(C, v, x.dtype), x.device)) for v in (4, 2))
        y = F.batch_norm(x, mean, var, w, b, training, 0.3, 1e-5)
        statistics.append([to_device(s.array, "cpu") for s in (mean, var)])
        return y

    x, g = 2 * random(*shape) + 5, random(*shape, seed=1)
    agree(device, function, x, random(C, seed=2), random(C, seed=3), g=g, tolerance=40)
    for dtype, expected, found in zip(DTYPES, statistics[::2], statistics[1::2]):
        numpy.testing.assert_allclose(found, expected, rtol=10 * TOLERANCE[dtype])


def test_a_large_mean_of_several_blocks_keeps_its_digits(device, monkeypatch):
    x = 1e4 + random(64, 1)
    x[32:] += 3  # parts have means of their own
    for part in (64, 5):
        monkeypatch.setattr(normalization, "PART", part)
        agree(device, lambda x: F.batch_norm(x, None, None, None, None, True), x, tolerance=4000)


def test_the_running_statistics_move(device):
    x = 2 * random(5, 3, 4, 4) + 1
    for dtype in DTYPES:
        found = []
        for place in ("cpu", device):
            mean, var = (from_array(to_device(numpy.full(3, v, dtype), place)) for v in (0, 1))
            versions = mean.version[0], var.version[0]
            with contextlib.nullcontext() if found else kernels.disabled():
                F.batch_norm(from_array(to_device(x.astype(dtype), place)), mean, var, None, None, True,
                             0.25)
            assert (mean.version[0], var.version[0]) == (versions[0] + 1, versions[1] + 1)
            found.append([to_device(s.array, "cpu") for s in (mean, var)])
        numpy.testing.assert_allclose(found[1], found[0], rtol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("shape, tail", [((1, 2), (2,)), ((3, 1), (1,)), ((2, 33), (33,)),
                                         ((4, 3, 5), (3, 5)), ((70, 65), (65,)), ((600, 3), (3,)),
                                         ((2, 5000), (5000,)), ((7,), (7,))])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(device, shape, tail, affine):
    w, b = (random(*tail, seed=2), random(*tail, seed=3)) if affine else (None, None)
    for x, g in itertools.product(layouts(shape), layouts(shape)):
        agree(device, lambda x, w, b: F.layer_norm(x, tail, w, b, 1e-3), 2 * x + 5, w, b, g=g,
              tolerance=40)
    agree(device, lambda x, b: F.layer_norm(x, tail, None, b, 1e-3), random(*shape),
          random(*tail), tolerance=40)


@pytest.mark.parametrize("shape, out", [((1, 4), 3), ((5, 4), 3), ((2, 3, 4), 5), ((4,), 3),
                                        ((1, 1), 1), ((8, 500), 300), ((700, 3), 70)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_linear(device, shape, out, has_bias):
    w, b = random(out, shape[-1], seed=2), random(out, seed=3) if has_bias else None
    for x, g in itertools.product(layouts(shape), layouts((*shape[:-1], out))):
        agree(device, F.linear, x, w, b, g=g, tolerance=20)
    agree(device, F.linear, random(*shape), w.T.copy().T, b, tolerance=20)
    agree(device, lambda x, b: F.linear(x, x, b), random(5, 5), random(5), g=random(5, 5, seed=4),
          tolerance=10)


@pytest.mark.parametrize("left, right", [
    ((3, 5), (5, 7)), ((5,), (5, 7)), ((3, 5), (5,)), ((5,), (5,)), ((2, 3, 5), (5, 7)),
    ((3, 5), (2, 5, 7)), ((2, 3, 5), (2, 5, 7)), ((2, 3, 5), (4, 1, 5, 7)), ((2, 3, 5), (5,)),
    ((5,), (2, 5, 7)), ((1, 1), (1, 1))])
def test_matmul(device, left, right):
    for x, y in itertools.product(layouts(left), layouts(right)):
        shape = numpy.matmul(x, y).shape
        agree(device, F.matmul, x, y, g=random(*shape, seed=1), tolerance=20)
    agree(device, F.matmul, random(*left[::-1]).T, random(*right[::-1]).T, tolerance=20)


@pytest.mark.parametrize("function", [F.sum, F.mean])
@pytest.mark.parametrize("keepdim", [False, True])
def test_sums_of_all(device, function, keepdim):
    for shape in [*SHAPES, (1023,), (1025,), (40, 70, 33)]:
        for x in layouts(shape):
            agree(device, lambda x: function(x, None, keepdim), x, g=numpy.array(0.7))
    for extremes in ([-0.0, -0.0], [-0.0, 0.0], [numpy.inf, 1], [numpy.inf, -numpy.inf],
                     [numpy.nan, 1], [3e38, 3e38, -3e38]):
        for dtype in DTYPES:
            x = tensor_of(numpy.array(extremes), dtype, device)
            with kernels.disabled():
                expected = function(x).item()
            assert numpy.array(function(x).item()).tobytes() == numpy.array(expected).tobytes() or (
                numpy.isnan(expected) and numpy.isnan(function(x).item()))


def test_sums_of_many_numbers_are_exact(device):
    n = 3_000_000 if device == "cpu" else 3000
    for dtype, tolerance in (("float32", 1e-7), ("float64", 1e-14)):
        x = tensor_of(numpy.full(n, 0.1), dtype, device)
        exact = n * x.array[0].astype("float64").item()
        assert F.sum(x).item() == pytest.approx(exact, rel=tolerance)
        assert F.mean(x).item() == pytest.approx(exact / n, rel=tolerance)


@pytest.mark.parametrize("shapes, dim", [(((784,), (10,)), 0), (((784,), (10,)), -1),
                                         (((4, 5), (4, 3)), 1), (((4, 5), (2, 5)), 0),
                                         (((3, 5, 7), (3, 2, 7)), 1), (((1, 1), (1, 1)), -2)])
def test_joining_two(device, shapes, dim):
    a, b = (random(*shape, seed=seed) for seed, shape in enumerate(shapes))
    g = random(*numpy.concatenate([a, b], dim).shape, seed=2)
    for x, y, z in itertools.product(layouts(a.shape), layouts(b.shape), layouts(g.shape)):
        agree(device, lambda x, y: F.cat((x, y), dim), x, y, g=z)
    agree(device, lambda x: F.cat((x, x), dim), a, g=random(
        *numpy.concatenate([a, a], dim).shape))
    x, y = (tensor_of(array, "float32", device) for array in (a, b))
    x.requires_grad_(False)
    F.cat([x, y], dim).sum().backward()
    assert x.grad is None and (to_device(y.grad.array, "cpu") == 1).all()


@pytest.mark.parametrize("join", [F.cat, F.stack])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_joining(device, join, dim):
    for x, y in itertools.product(layouts((3, 5, 7)), repeat=2):
        shape = (numpy.concatenate if join is F.cat else numpy.stack)([x, y, x], axis=dim).shape
        agree(device, lambda x, y: join([x, y, x], dim), x, y, g=random(*shape, seed=1))
    integers = [from_array(to_device(numpy.arange(n), device)) for n in (3, 3)]
    joined = join(integers)
    assert joined.dtype == "int64" and to_device(joined.array, "cpu").ravel().tolist() == [0, 1, 2] * 2
    with pytest.raises(ValueError, match=f"{join.__name__}: .*must (match|agree|have the same)"):
        join([minigan.ones(2, 3, device=device), minigan.ones(3, 2, device=device)])


def test_a_bias_gradient_of_many_rows_is_exact(device):
    rows = 300_000 if device == "cpu" else 3000
    x = tensor_of(numpy.zeros((rows, 1)), "float32", device, False)
    w, b = tensor_of(numpy.zeros((3, 1)), "float32", device), tensor_of(numpy.zeros(3), "float32",
                                                                        device)
    g = tensor_of(numpy.full((rows, 3), 0.1), "float32", device, False)
    F.linear(x, w, b).backward(g)
    expected = rows * float(numpy.float32(0.1))
    assert to_device(b.grad.array, "cpu") == pytest.approx(expected, rel=1e-6)


def test_columns_are_added_up_by_several_threads(device, monkeypatch):
    for rows in (1, 5, 100):
        monkeypatch.setattr(linear, "ROWS", rows)
        x, g = random(33, 300), random(33, 300, seed=1)
        for w, b in ((random(300), None), (None, random(300)), (random(300), random(300))):
            agree(device, lambda x, w, b: F.layer_norm(x, (300,), w, b), x, w, b, g=g, tolerance=40)
        agree(device, F.linear, random(33, 4), random(3, 4), random(3), tolerance=40)


def test_gradients_of_weights_go_to_the_optimisers_memory(device):
    model = minigan.nn.Linear(4, 3)
    optimiser = optim.Adam(model.parameters())
    for rows in (1, 5):
        model(minigan.randn(rows, 4)).sum().backward()
        for p in model.parameters():
            assert p.grad.array is p.grad_buffer.array
            first = to_device(p.grad.array, "cpu").copy()
        model(minigan.ones(rows, 4)).sum().backward()  # added to what is there
        assert (to_device(p.grad.array, "cpu") == 2 * first).all()
        optimiser.zero_grad()


@pytest.mark.parametrize("n, V, D", [(1, 1, 1), (7, 4, 3), (300, 5, 70)])
@pytest.mark.parametrize("padding", [None, 0, -1])
def test_embedding(device, n, V, D, padding):
    for index in (numpy.random.default_rng(0).integers(V, size=n),
                  numpy.random.default_rng(1).integers(V, size=(2, n)).astype("int32").T):
        agree(device, lambda i, w: F.embedding(i, w, padding), index, random(V, D),
              g=random(*index.shape, D, seed=1), tolerance=20)


def test_an_index_out_of_range(device):
    index = from_array(to_device(numpy.array([0, -1, 3, 1]), device))
    w = tensor_of(random(3, 2), "float32", device)
    if device == "cpu":
        with pytest.raises(ValueError, match="indices must lie in 0..2"):
            F.embedding(index, w)
    else:
        rows = to_device(F.embedding(index, w).detach().array, "cpu")
        assert numpy.isnan(rows[1:3]).all() and numpy.isfinite(rows[[0, 3]]).all()


PROBABILITIES = ("binary_cross_entropy",)
PAIR_LOSSES = ("mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")


@pytest.mark.parametrize("name", PAIR_LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_of_pairs(device, name, reduction):
    loss = getattr(F, name)
    shapes = [(), (1,), (33,), (3, 5, 7), (1025,)] + [(300_000,)] * (device == "cpu")
    for shape in shapes:
        for x, t in itertools.product(layouts(shape), layouts(shape)):
            if name in PROBABILITIES:
                x, t = (numpy.asarray(1 / (1 + numpy.exp(-a))) for a in (x, t))
            agree(device, lambda x, t: loss(x, t.detach(), reduction=reduction), x, t,
                  g=numpy.array(0.7), tolerance=5)


def test_binary_cross_entropy_at_its_ends(device):
    p = numpy.array([0, 1, 0, 1, 0.5, 1e-30])
    t = numpy.array([0, 1, 1, 0, 0.5, 1])
    agree(device, lambda p: F.binary_cross_entropy(
        p, from_array(to_device(t.astype(p.dtype), p.device)), reduction="sum"), p)
    logits = numpy.array([1e4, -1e4, 80, -80, 0, 1e-30])
    agree(device, lambda x: F.binary_cross_entropy_with_logits(
        x, from_array(to_device(t.astype(x.dtype), x.device))), logits)


def test_what_is_no_probability_is_explained_on_the_cpu(device):
    for wrong, word in ((-0.1, "values from"), (1.1, "values from"), (numpy.nan, "nan")):
        p = tensor_of(numpy.array([0.5, wrong]), "float32", device)
        if device == "cpu":
            with pytest.raises((ValueError, ArithmeticError), match=word):
                F.binary_cross_entropy(p, p.detach())
        else:
            assert numpy.isnan(F.binary_cross_entropy(p, p.detach()).item())
    p, t = (tensor_of(numpy.array(a), "float32", device) for a in ([0.5, 0.5], [0.5, 1.5]))
    for context in (contextlib.nullcontext, kernels.disabled):
        with context():
            if device == "cpu":
                with pytest.raises(ValueError, match="target must lie in 0..1"):
                    F.binary_cross_entropy(p, t.detach())
            else:
                assert numpy.isnan(F.binary_cross_entropy(p, t.detach()).item())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("N, C", [(1, 1), (5, 10), (64, 3), (2, 1000), (300, 33)])
def test_cross_entropy(device, N, C, reduction):
    classes = numpy.random.default_rng(1).integers(C, size=N)
    ignored = numpy.where(numpy.arange(N) % 3 == 1, -100, classes)
    for t in (classes, ignored, numpy.full(N, -100)):
        for x in (4 * random(N, C), (4 * random(C, N)).T, 4 * random(N, 2 * C)[:, ::2]):
            agree(device, lambda x, t: F.cross_entropy(x, t, reduction=reduction), x, t,
                  g=numpy.array(0.7), tolerance=5)
    agree(device, lambda x, t: F.cross_entropy(x, t, ignore_index=C - 1), random(N, C), classes)


def test_cross_entropy_of_extremes(device):
    t = numpy.array([0, 1])
    for row in ([1e30, 1, 2], [1, -numpy.inf, 2], [1000, -1000, 0], [numpy.nan, 1, 2],
                [numpy.inf, 1, 2], [-numpy.inf] * 3):
        agree(device, F.cross_entropy, numpy.array([row, [1.0, 2, 3]]), t)


def test_classes_out_of_range(device):
    for wrong in (3, -1):
        x = tensor_of(random(2, 3), "float32", device)
        t = from_array(to_device(numpy.array([0, wrong]), device))
        if device == "cpu":
            with pytest.raises(ValueError, match="target indices must lie in 0..2"):
                F.cross_entropy(x, t)
        else:
            assert numpy.isnan(F.cross_entropy(x, t).item())


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_do_not_depend_on_where_arrays_lie(device, dtype):
    """Bit for bit: the same program must give the same numbers again."""
    if device != "cpu":
        return
    n, memory = 61, numpy.empty(1000, dtype)
    a, b = (random(n, seed=seed).astype(dtype) for seed in (0, 1))
    for kernel, numbers in (("sigmoid_backward", ()), ("gelu_backward", ()),
                            ("leaky_relu_backward", (0.3,)), ("gelu_tanh_backward", ())):
        found = []
        # Apart, next to each other, and so that they begin at odd places of a vector
        for places in ((0, 200, 400), (0, 61, 122), (3, 64, 130), (122, 61, 0), (7, 305, 111)):
            x, g, gx = (memory[start:start + n] for start in places)
            x[...], g[...] = a, b
            launch.launch_each(kernel, n, x, g, gx, *numbers)
            found.append(gx.tobytes())
        assert len(set(found)) == 1, kernel
    found = set()
    for place in (61, 64, 200, 3):
        p, m = memory[place:place + n], memory[place + n:place + 2 * n]
        p[...] = a
        q = from_array(p).requires_grad_()
        q.grad = from_array(b)
        optimiser = optim.SGD([q], 0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)
        optimiser.step()
        m[...] = optimiser.state[q]["momentum_buffer"].array
        optimiser.state[q]["momentum_buffer"] = from_array(m)
        optimiser.step()
        found.add(p.tobytes())
    assert len(found) == 1


# Optimisers

SIZES = [(1,), (3, 5), (1000,), (2, 3, 4, 4)]


def trained(make, dtype, device, steps=4):
    """Parameters and what the optimiser remembers after some steps, some without a gradient."""
    params = [tensor_of(random(*shape, seed=i), dtype, device) for i, shape in enumerate(SIZES)]
    optimiser = make(params)
    for step in range(steps):
        for i, p in enumerate(params):
            p.grad = None
            if (step + i) % 4:
                p.grad = tensor_of(random(*p.shape, seed=10 * step + i), dtype, device, False)
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] *= 0.9
    state = [x for s in optimiser.state.values() for x in s.values()]
    return [to_device(x.detach().array, "cpu").astype("float64") for x in [*params, *state]]


OPTIMISERS = {
    "adam": lambda params: optim.Adam(params, 0.01, (0.8, 0.9), 1e-6),
    "adam, decay": lambda params: optim.Adam(params, 0.01, weight_decay=0.1),
    "sgd": lambda params: optim.SGD(params, 0.1),
    "sgd, decay": lambda params: optim.SGD(params, 0.1, weight_decay=0.1),
    "momentum": lambda params: optim.SGD(params, 0.1, momentum=0.9),
    "dampening": lambda params: optim.SGD(params, 0.1, momentum=0.9, dampening=0.5,
                                          weight_decay=0.1),
    "nesterov": lambda params: optim.SGD(params, 0.1, momentum=0.9, nesterov=True),
    "groups": lambda params: optim.Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.1}]),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers(device, name):
    for dtype in DTYPES:
        with kernels.disabled():
            expected = trained(OPTIMISERS[name], dtype, "cpu")
        found = trained(OPTIMISERS[name], dtype, device)
        for ours, theirs in zip(found, expected, strict=True):
            numpy.testing.assert_allclose(ours, theirs, rtol=20 * TOLERANCE[dtype],
                                          atol=20 * TOLERANCE[dtype])


def test_an_optimiser_of_mixed_dtypes_steps_all(device):
    params = [tensor_of(numpy.ones(3), dtype, device) for dtype in ("float32", "float64", "float16")]
    optimiser = optim.SGD(params, 0.5)
    for p in params:
        p.grad = tensor_of(numpy.ones(3), p.dtype, device, False)
    optimiser.step()
    assert all((to_device(p.detach().array, "cpu") == 0.5).all() for p in params)


def test_arrays_that_were_replaced_are_stepped(device):
    p = tensor_of(numpy.ones(3), "float32", device)
    optimiser = optim.SGD([p], 0.5)
    for number in range(1, 4):
        p.data = tensor_of(numpy.full(3, float(number)), "float32", device, False)
        p.grad = tensor_of(numpy.ones(3), "float32", device, False)
        optimiser.step()
        assert (to_device(p.detach().array, "cpu") == number - 0.5).all()


# Means over processes, of which each is a thread here

def means(arrays):
    """What SharedArrays with these numbers become, twice: they are added to and averaged again."""
    count, (_, size) = len(arrays), arrays.shape
    memory = [bytearray([7 * rank + 1]) * reduction.SharedArrays.size(size, arrays.dtype)
              for rank in range(count)]
    shared = [reduction.SharedArrays(memory, size, arrays.dtype, rank, lambda: None)
              for rank in range(count)]
    for s in shared:
        s.array[...] = 0

    def work(rank):
        for _ in range(2):
            shared[rank].array += arrays[rank]
            reduction.become_mean(shared[rank])

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for rank, m in enumerate(memory):  # nothing is written behind the arrays and the counters
        end = len(m) - reduction.LINE
        assert {*m[size * arrays.itemsize:end], *m[end + 8:]} == {7 * rank + 1}
    assert {s.meetings for s in shared} == {4} == {int(s.arrived[s.rank][0]) for s in shared}
    return numpy.array([s.array for s in shared])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 4, 255, 256, 1000])
def test_shared_arrays_become_their_mean_in_the_same_bits_by_either_form(size, count, dtype):
    arrays = numpy.random.default_rng(0).standard_normal((count, size)).astype(dtype)
    arrays[-1, size // 2] = numpy.nan
    with kernels.disabled():
        expected = means(arrays)
    found = means(arrays)
    assert found.tobytes() == expected.tobytes() == count * found[0].tobytes()
    total = 2 * arrays.astype("float64").mean(0)
    numpy.testing.assert_allclose(found, numpy.broadcast_to(total, found.shape), rtol=1e-5, atol=1e-6)


def test_a_process_waits_for_one_that_comes_late():
    memory = [bytearray(reduction.SharedArrays.size(1000, numpy.dtype("float32"))) for _ in range(2)]
    first, second = (reduction.SharedArrays(memory, 1000, numpy.dtype("float32"), rank, lambda: None)
                     for rank in range(2))
    first.array[...] = 1
    thread = threading.Thread(target=reduction.become_mean, args=(first,))
    thread.start()
    time.sleep(0.05)  # longer than the kernel itself waits
    assert thread.is_alive() and (first.array == 1).all()
    second.array[...] = 2
    reduction.become_mean(second)
    thread.join(60)
    assert not thread.is_alive()
    assert (first.array == 1.5).all() and (second.array == 1.5).all()


# What twins cover

def covered_calls():
    x, t = from_array(random(4, 5)), from_array(numpy.array([0, 1, 2, 3]))
    p = from_array(numpy.full((4, 5), 0.5))
    image, w, b = from_array(random(2, 5, 3, 3)), from_array(random(5)), from_array(random(5))
    for function in (F.sigmoid, F.tanh, F.relu, F.leaky_relu, F.gelu, F.softplus, F.dropout):
        yield function, (x,), {}
    yield F.softmax, (x, 1), {}
    yield F.log_softmax, (x, -1), {}
    yield F.batch_norm, (image, None, None, w, b), {"training": True}
    yield F.layer_norm, (x, 5, w, b), {}
    yield F.linear, (x, from_array(random(3, 5)), from_array(random(3))), {}
    yield F.embedding, (t, from_array(random(4, 5))), {}
    yield F.sum, (x,), {}
    yield F.mean, (x,), {"keepdim": True}
    for function in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        yield function, (p, p), {}
    yield F.cross_entropy, (x, t), {}


@pytest.mark.parametrize("textbook, twin", twins.items(),
                         ids=lambda part: getattr(part, "__name__", ""))
def test_a_twin_has_the_textbooks_signature(textbook, twin):
    def parameters(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    assert parameters(twin) == parameters(textbook)


@pytest.mark.parametrize("function, args, options", list(covered_calls()),
                         ids=lambda part: getattr(part, "__name__", ""))
def test_what_is_covered(function, args, options):
    """The usual calls are; with half precision, integers and nothing at all they are not."""
    twin = twins[function.__wrapped__]
    assert twin(*args, **options) is not NotImplemented
    with kernels.disabled():
        assert twin(*args, **options) is NotImplemented
    for change in (lambda a: a.astype("float16"), lambda a: a[:0]):
        others = [from_array(change(a.array)) if isinstance(a, Tensor) and a.dtype.kind == "f" else a
                  for a in args]
        assert twin(*others, **options) is NotImplemented
    others = pickle.loads(pickle.dumps(args))  # whose dtypes are other objects
    assert twin(*others, **options) is not NotImplemented
    if args[0].dtype.kind == "f":
        assert twin([1.0], *args[1:], **options) is NotImplemented
