"""Activations, softmax and dropout against loops, at large inputs, kinks and in all dtypes."""

import numpy
import pytest

import minigan
import reference
from minigan import gradcheck, nn
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")

# name: (the operation, the same for one number)
ELEMENTWISE = {
    "sigmoid": (F.sigmoid, reference.sigmoid),
    "tanh": (F.tanh, numpy.tanh),
    "relu": (F.relu, reference.relu),
    "leaky_relu": (F.leaky_relu, reference.leaky_relu),
    "leaky_relu, slope 0.3": (lambda x: F.leaky_relu(x, 0.3),
                              lambda x: reference.leaky_relu(x, 0.3)),
    "leaky_relu, slope -2": (lambda x: F.leaky_relu(x, -2.0),
                             lambda x: reference.leaky_relu(x, -2.0)),
    "gelu": (F.gelu, reference.gelu),
    "gelu, tanh": (lambda x: F.gelu(x, approximate="tanh"),
                   lambda x: reference.gelu(x, "tanh")),
    "softplus": (F.softplus, reference.softplus),
    "softplus, beta 3": (lambda x: F.softplus(x, 3.0), lambda x: reference.softplus(x, 3.0)),
    "softplus, threshold 1": (lambda x: F.softplus(x, 2.0, 1.0),
                              lambda x: reference.softplus(x, 2.0, 1.0)),
}
SHAPES = [(), (1,), (7,), (0, 3), (2, 3), (2, 1, 3, 5)]


def random(*shape):
    return 3 * numpy.random.default_rng(shape).standard_normal(shape)


def plain(x):
    return x.detach().cpu().numpy()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_equals_loops(name, shape):
    operation, of_one_number = ELEMENTWISE[name]
    x = random(*shape)
    y = operation(minigan.tensor(x, dtype="float64"))
    assert y.dtype == "float64"
    numpy.testing.assert_allclose(plain(y), reference.each(of_one_number, x),
                                  rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradient(name):
    gradcheck(ELEMENTWISE[name][0], minigan.tensor(random(3, 4)).requires_grad_())


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float32_stays_float32(name):
    operation, of_one_number = ELEMENTWISE[name]
    x = minigan.tensor(random(50), dtype="float32", requires_grad=True)
    y = operation(x)
    y.backward(minigan.ones_like(y))
    assert y.dtype == x.grad.dtype == "float32"
    numpy.testing.assert_allclose(plain(y), reference.each(of_one_number, plain(x)),
                                  rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("layout", [
    lambda x: x.t(), lambda x: x[::2, 1:], lambda x: x[::-1, ::-1]])
def test_memory_layout_does_not_matter(name, layout):
    operation, of_one_number = ELEMENTWISE[name]
    x = layout(minigan.tensor(random(5, 4)))
    numpy.testing.assert_allclose(plain(operation(x)), reference.each(of_one_number, plain(x)),
                                  rtol=1e-12, atol=1e-14)


# What an activation gives, and its slope, far out: exact, and without any warning.
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, values, slopes", [
    ("sigmoid", (0, 1), (0, 0)),
    ("tanh", (-1, 1), (0, 0)),
    ("relu", (0, 1e4), (0, 1)),
    ("leaky_relu, slope -2", (2e4, 1e4), (-2, 1)),
    ("gelu", (0, 1e4), (0, 1)),
    ("gelu, tanh", (0, 1e4), (0, 1)),
    ("softplus", (0, 1e4), (0, 1)),
])
def test_far_out(name, values, slopes, dtype):
    x = minigan.tensor([-1e4, 1e4], dtype=dtype, requires_grad=True)
    y = ELEMENTWISE[name][0](x)
    y.backward(minigan.ones_like(y))
    assert plain(y).tolist() == list(values)
    assert plain(x.grad).tolist() == list(slopes)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "gelu, tanh", "softplus"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_warning_at_the_largest_numbers(name, dtype):
    largest = float(numpy.finfo(dtype).max)
    x = minigan.tensor([-largest, -1e10, -88.8, -20, 20, 88.8, 1e10, largest], dtype=dtype,
                       requires_grad=True)
    y = ELEMENTWISE[name][0](x)
    y.backward(minigan.ones_like(y))
    assert numpy.isfinite(plain(y)).all() and numpy.isfinite(plain(x.grad)).all()



def test_gelu_is_exact_in_both_precisions():
    x = numpy.linspace(-12, 12, 4801)
    exact = reference.each(reference.gelu, x)
    numpy.testing.assert_allclose(plain(F.gelu(minigan.tensor(x))), exact, rtol=1e-12, atol=1e-14)
    single = x.astype("float32")
    numpy.testing.assert_allclose(plain(F.gelu(minigan.tensor(single))),
                                  reference.each(reference.gelu, single), rtol=2e-6, atol=3e-7)


def test_nan_stays_visible():
    for name, (operation, _) in ELEMENTWISE.items():
        assert numpy.isnan(operation(minigan.tensor([numpy.nan], dtype="float64")).item()), name
    for operation in (F.softmax, F.log_softmax):
        assert numpy.isnan(plain(operation(minigan.tensor([1.0, numpy.nan]), 0))).all()


@pytest.mark.parametrize("operation, slope", [
    (F.relu, 0), (F.leaky_relu, 0.01), (lambda x: F.leaky_relu(x, -2.0), -2.0)])
def test_slope_at_zero(operation, slope):
    x = minigan.zeros(1, dtype="float64", requires_grad=True)
    operation(x).backward()
    assert x.grad.item() == slope


def test_leaky_relu_of_whole_numbers_keeps_the_slope():
    y = F.leaky_relu(minigan.tensor([-10, 3]), 0.25)
    assert y.dtype == "float32" and y.tolist() == [-2.5, 3]


@pytest.mark.parametrize("operation", [F.sigmoid, F.tanh, F.gelu, F.softplus])
def test_whole_numbers_become_float32(operation):
    y = operation(minigan.tensor([-1, 0, 2]))
    assert y.dtype == "float32"
    numpy.testing.assert_allclose(
        plain(y), plain(operation(minigan.tensor([-1.0, 0.0, 2.0], dtype="float64"))), rtol=1e-6)


def test_relu_of_whole_numbers_stays_whole():
    y = F.relu(minigan.tensor([-1, 0, 2]))
    assert y.dtype == "int64" and y.tolist() == [0, 0, 2]


@pytest.mark.parametrize("shape, dim", [((5,), 0), ((2, 3), 0), ((2, 3), 1), ((2, 3, 4), 1),
                                        ((2, 3, 4), -3), ((3, 1), 1), ((0, 3), 1)])
def test_softmax_equals_loops(shape, dim):
    x = random(*shape)
    expected = reference.log_softmax(x, dim % x.ndim)
    y, log_y = F.softmax(minigan.tensor(x), dim), F.log_softmax(minigan.tensor(x), dim)
    assert y.dtype == log_y.dtype == "float64"
    numpy.testing.assert_allclose(plain(log_y), expected, rtol=1e-12, atol=1e-14)
    numpy.testing.assert_allclose(plain(y), numpy.exp(expected), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("operation", [F.softmax, F.log_softmax])
def test_softmax_gradient_and_dtype(operation):
    gradcheck(lambda x: operation(x, 1), minigan.tensor(random(2, 3, 2)).requires_grad_())
    assert operation(minigan.tensor(random(2, 3), dtype="float32"), 0).dtype == "float32"


def test_softmax_far_out():
    x = minigan.tensor([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype="float32")
    numpy.testing.assert_allclose(plain(F.softmax(x, 1)), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    numpy.testing.assert_allclose(plain(F.log_softmax(x, 1)),
                                  [[0, -2e4, -1e4], [-numpy.log(3)] * 3], rtol=1e-6)


def test_dropout_keeps_the_mean():
    x = minigan.ones(100, 1000, requires_grad=True)
    y = F.dropout(x, 0.3)
    y.backward(minigan.ones_like(y))
    values = plain(y)
    assert y.dtype == "float32"
    assert set(numpy.unique(values)) == {0, numpy.float32(1 / 0.7)}
    # Of 100,000 draws the share deviates by 0.0015 (one standard deviation).
    assert abs((values == 0).mean() - 0.3) < 0.0075
    numpy.testing.assert_array_equal(plain(x.grad), values)  # the same elements fell out


def test_dropout_draws_anew_and_by_the_seed():
    x = minigan.ones(1000)
    minigan.manual_seed(5)
    first, second = F.dropout(x), F.dropout(x)
    minigan.manual_seed(5)
    assert (plain(first) != plain(second)).any()
    numpy.testing.assert_array_equal(plain(F.dropout(x)), plain(first))


def test_dropout2d_drops_whole_channels():
    x = minigan.ones(100, 50, 2, 3, requires_grad=True)
    y = F.dropout2d(x, 0.3)
    y.backward(minigan.ones_like(y))
    values = plain(y)
    assert (values == values[:, :, :1, :1]).all()
    assert set(numpy.unique(values)) == {0, numpy.float32(1 / 0.7)}
    assert abs((values == 0).mean() - 0.3) < 0.035  # five standard deviations
    numpy.testing.assert_array_equal(plain(x.grad), values)
    assert F.dropout2d(x, 0.3, training=False) is x and nn.Dropout2d().eval()(x) is x
    assert (plain(nn.Dropout2d(1.0)(x)) == 0).all()


def test_layers_are_the_functions():
    x = minigan.tensor(random(3, 4))
    for layer, expected in ((nn.Softmax(dim=1), F.softmax(x, 1)), (nn.Softmax(0), F.softmax(x, 0)),
                            (nn.LogSoftmax(dim=1), F.log_softmax(x, 1)),
                            (nn.Softplus(2, 1), F.softplus(x, 2, 1)), (nn.Identity(3, a=4), x)):
        numpy.testing.assert_array_equal(plain(layer(x)), plain(expected))
    assert repr(nn.LogSoftmax(dim=1)) == "LogSoftmax(dim=1)"
    assert repr(nn.Softplus()) == "Softplus(beta=1.0, threshold=20.0)"


@pytest.mark.parametrize("p, training, factor", [(0, True, 1), (0.5, False, 1), (1, True, 0)])
def test_dropout_at_its_ends(p, training, factor):
    x = minigan.tensor(random(4, 5), requires_grad=True)
    y = F.dropout(x, p, training)
    y.backward(minigan.ones_like(y))
    assert y.dtype == "float64"
    numpy.testing.assert_array_equal(plain(y), factor * plain(x))
    numpy.testing.assert_array_equal(plain(x.grad), numpy.full((4, 5), factor))


@pytest.mark.parametrize("name, call", [
    ("sigmoid", lambda x: F.sigmoid(numpy.ones(3))),
    ("relu", lambda x: F.relu(1.0)),
    ("tanh", lambda x: F.tanh(None)),
    ("leaky_relu", lambda x: F.leaky_relu(x, "steep")),
    ("leaky_relu", lambda x: F.leaky_relu([1.0])),
    ("gelu", lambda x: F.gelu(x, "sigmoid")),
    ("softplus", lambda x: F.softplus(x, None)),
    ("softmax", lambda x: F.softmax(x, 2)),
    ("softmax", lambda x: F.softmax(x, -3)),
    ("softmax", lambda x: F.softmax(x, "last")),
    ("log_softmax", lambda x: F.log_softmax(x, 2)),
    ("log_softmax", lambda x: F.log_softmax(x, 0.5)),
    ("dropout", lambda x: F.dropout(x, 1.5)),
    ("dropout", lambda x: F.dropout(x, -0.1)),
    ("dropout", lambda x: F.dropout(x, "half")),
    ("dropout", lambda x: F.dropout(numpy.ones(3))),
    ("Dropout", lambda x: nn.Dropout(2)),
    ("Dropout2d", lambda x: nn.Dropout2d(2)),
    ("dropout2d", lambda x: F.dropout2d(x)),
    ("prelu", lambda x: F.prelu(x, minigan.ones(7))),
    ("prelu", lambda x: F.prelu(x, minigan.ones(1, dtype="float16"))),
    ("dropout2d", lambda x: F.dropout2d(minigan.zeros(1, 1, 1, 1), 2)),
])
def test_refusals(name, call):
    with pytest.raises((TypeError, ValueError), match=f"^{name}:"):
        call(minigan.zeros(2, 3))


@pytest.mark.parametrize("layer", [nn.Softmax, nn.LogSoftmax])
def test_without_a_dim_it_is_pytorchs_with_a_warning(layer):
    for ndim, dim in ((0, 0), (1, 0), (2, 1), (3, 0), (4, 1)):
        x = minigan.tensor(random(*(2, 3, 2, 2)[:ndim]))
        with pytest.warns(UserWarning, match="oftmax: no dim is given"):
            y = layer()(x)
        assert y.tolist() == layer(dim)(x).tolist()
