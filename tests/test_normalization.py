"""batch_norm and layer_norm against plain loops."""

import numpy
import pytest

import minigan
import reference
from minigan import nn, tensor
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")
random = numpy.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape)


def plain(x):
    return x.detach().cpu().numpy()


SHAPES = [(4, 3), (2, 1), (3, 2, 5), (1, 3, 4, 5), (2, 3, 1, 1), (5, 2, 3, 1)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm(shape, training):
    C = shape[1]
    x, mean, var = normal(*shape), normal(C), random.uniform(0.5, 2, C)
    weight, bias = normal(C), normal(C)
    running = tensor(mean), tensor(var)
    y = F.batch_norm(tensor(x), *running, tensor(weight), tensor(bias), training, 0.3, 1e-3)
    expected, new_mean, new_var = reference.batch_norm(x, mean, var, weight, bias, training, 0.3,
                                                       1e-3)
    numpy.testing.assert_allclose(plain(y), expected, rtol=1e-10, atol=1e-12)
    numpy.testing.assert_allclose(plain(running[0]), new_mean if training else mean, rtol=1e-12)
    numpy.testing.assert_allclose(plain(running[1]), new_var if training else var, rtol=1e-12)


def test_running_statistics_move_towards_the_batch():
    layer = nn.BatchNorm1d(1, momentum=0.25)
    layer(tensor([[1.0], [2.0], [6.0]]))
    assert plain(layer.running_mean).tolist() == [0.75]  # 3/4 of 0 and 1/4 of 3
    assert plain(layer.running_var).tolist() == [2.5]    # 3/4 of 1 and 1/4 of 7, the unbiased one
    assert layer.num_batches_tracked.item() == 1


def test_evaluation_leaves_the_running_statistics_alone():
    layer = nn.BatchNorm2d(2).eval()
    layer(tensor(normal(2, 2, 3, 3), dtype="float32"))
    assert plain(layer.running_mean).tolist() == [0, 0] and layer.num_batches_tracked.item() == 0


def test_evaluation_normalizes_single_values():
    layer = nn.BatchNorm1d(3).double().eval()
    x = normal(1, 3)
    numpy.testing.assert_allclose(plain(layer(tensor(x))), x / numpy.sqrt(1 + 1e-5), rtol=1e-12)


def test_gradient_in_evaluation_is_that_of_a_fixed_scale():
    x = tensor(normal(3, 2), requires_grad=True)
    var = tensor([4.0, 0.25], dtype="float64")
    y = F.batch_norm(x, tensor([0.0, 1.0], dtype="float64"), var, eps=0.0)
    y.backward(numpy.ones((3, 2)))
    numpy.testing.assert_allclose(plain(x.grad), numpy.tile([0.5, 2], (3, 1)))


def test_a_large_offset_keeps_its_digits():
    x = 1e4 + normal(2, 3, 8, 8)
    y = F.batch_norm(tensor(x, dtype="float32"), None, None, training=True)
    expected, _, _ = reference.batch_norm(x.astype("float32").astype("float64"), training=True)
    assert abs(plain(y) - expected).max() < 5e-3


def test_non_contiguous_inputs():
    x = normal(5, 4, 2, 6)[::2, ::-1, :, ::3]
    expected, _, _ = reference.batch_norm(x, training=True)
    moved = tensor(x.transpose(3, 2, 1, 0)).permute(3, 2, 1, 0)
    numpy.testing.assert_allclose(plain(F.batch_norm(moved, None, None, training=True)), expected, rtol=1e-10)


@pytest.mark.parametrize("shape, normalized_shape", [
    ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (3, 4)), ((2, 3, 4), (4,)), ((3, 4), (3, 4)),
    ((0, 4), (4,)), ((2, 1), (1,))], ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(shape, normalized_shape, affine):
    x = normal(*shape)
    weight, bias = (normal(*normalized_shape), normal(*normalized_shape)) if affine else (None,) * 2
    y = F.layer_norm(tensor(x), normalized_shape, *(tensor(a) if affine else None
                                                    for a in (weight, bias)))
    expected = reference.layer_norm(x, normalized_shape, weight, bias)
    numpy.testing.assert_allclose(plain(y), expected, rtol=1e-10, atol=1e-12)


def test_layer_norm_takes_a_number_and_one_dimension():
    x = normal(5)
    y = nn.LayerNorm(5).double()(tensor(x))
    numpy.testing.assert_allclose(plain(y), reference.layer_norm(x, (5,)), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_is_kept(dtype):
    x = tensor(normal(2, 3, 4, 4), dtype=dtype, requires_grad=True)
    layer = nn.BatchNorm2d(3).to(getattr(minigan, dtype))
    y = F.layer_norm(layer(x), 4)
    y.sum().backward()
    assert y.dtype == dtype and x.grad.dtype == dtype and layer.running_var.dtype == dtype
    assert layer.num_batches_tracked.dtype == "int64"


@pytest.mark.parametrize("call, said", [
    (lambda: F.batch_norm(minigan.ones(3), None, None, training=True), ["(3,)"]),
    (lambda: F.batch_norm(minigan.ones(1, 3), None, None, training=True), ["more than one", "(1, 3)"]),
    (lambda: F.batch_norm(minigan.ones(2, 3), None, None), ["running_mean"]),
    (lambda: F.batch_norm(minigan.ones(2, 3), None, None, weight=minigan.ones(2), training=True),
     ["weight", "(3,)", "(2,)"]),
    (lambda: F.batch_norm(minigan.ones(2, 3), minigan.ones(4), minigan.ones(3)),
     ["running_mean", "(3,)", "(4,)"]),
    (lambda: F.batch_norm(tensor([[1], [2]]), None, None, training=True), ["int64"]),
    (lambda: F.batch_norm(minigan.ones(2, 3), None, None, weight=minigan.ones(3, dtype="float64"),
                          training=True), ["float64", "float32"]),
    (lambda: F.layer_norm(minigan.ones(2, 3), 4), ["(2, 3)", "(4,)"]),
    (lambda: F.layer_norm(minigan.ones(2, 3), (3,), minigan.ones(2)), ["weight", "(2,)"]),
    (lambda: F.layer_norm(minigan.ones(2, 3), ()), ["()"]),
    (lambda: F.layer_norm(minigan.ones(2, 3), "rows"), ["layer_norm"]),
    (lambda: F.layer_norm([1.0], 1), ["input"])])
def test_bad_arguments_are_named(call, said):
    with pytest.raises((TypeError, ValueError), match="^(batch_norm|layer_norm): ") as error:
        call()
    assert all(part in str(error.value) for part in said), error.value


def test_layers_name_a_wrong_number_of_dimensions():
    with pytest.raises(ValueError, match=r"^BatchNorm2d: .*\(2, 3\)"):
        nn.BatchNorm2d(3)(minigan.ones(2, 3))
    with pytest.raises(ValueError, match=r"^BatchNorm1d: .*\(2, 3, 4, 4\)"):
        nn.BatchNorm1d(3)(minigan.ones(2, 3, 4, 4))
