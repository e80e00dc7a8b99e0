"""Pooling against loops, its gradient at ties, and what it refuses."""

import numpy
import pytest

import minigan
import reference
from minigan import nn, tensor
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")
random = numpy.random.default_rng(0)
POOLS = {F.max_pool2d: max, F.avg_pool2d: lambda window: sum(window) / len(window)}


@pytest.mark.parametrize("kernel, stride", [
    ((2, 2), None), ((3, 2), (1, 2)), ((1, 1), (1, 1)), ((1, 2), (3, 3)), ((5, 6), None)])
@pytest.mark.parametrize("pool", POOLS)
def test_equals_loops(pool, kernel, stride):
    x = random.standard_normal((2, 3, 5, 6))
    expected = reference.pooled(POOLS[pool], x, kernel, stride or kernel)
    y = pool(tensor(x), kernel, stride)
    assert y.dtype == "float64" and pool(tensor(x).float(), kernel, stride).dtype == "float32"
    numpy.testing.assert_allclose(y.cpu().numpy(), expected, rtol=1e-12, atol=1e-14)
    unbatched = pool(tensor(x[1]), kernel, stride)
    numpy.testing.assert_allclose(unbatched.cpu().numpy(), expected[1], rtol=1e-12, atol=1e-14)


def test_the_first_of_equal_pixels_gets_the_gradient():
    x = minigan.zeros(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


@pytest.mark.parametrize("pool", POOLS)
def test_the_result_is_never_the_input_itself(pool):
    x = minigan.zeros(1, 1, 2, 2)
    pool(x, 1).fill_(5)
    assert x.max().item() == 0


@pytest.mark.parametrize("layer, pool", [
    (nn.MaxPool2d, F.max_pool2d), (nn.AvgPool2d, F.avg_pool2d)])
def test_layers_are_the_functions(layer, pool):
    x = tensor(random.standard_normal((2, 3, 6, 6)))
    assert layer(3, 2)(x).tolist() == pool(x, 3, 2).tolist()
    assert layer(2)(x).shape == (2, 3, 3, 3)
    assert repr(layer(2)) == f"{layer.__name__}(kernel_size=(2, 2), stride=(2, 2))"


@pytest.mark.parametrize("call, said", [
    (lambda x: F.max_pool2d(x, 4), r"max_pool2d: the window \(4, 4\) .*\(3, 3\)"),
    (lambda x: F.avg_pool2d(x, 0), "avg_pool2d: kernel_size"),
    (lambda x: F.max_pool2d(x, 2, 1.5), "max_pool2d: stride"),
    (lambda x: F.max_pool2d(x[0, 0], 2), "max_pool2d: input must"),
    (lambda x: F.avg_pool2d(x.long(), 2), "avg_pool2d: input must .*int64"),
    (lambda x: F.avg_pool2d([1.0], 2), "avg_pool2d: input must be a Tensor"),
    (lambda x: nn.MaxPool2d(3, 2, 1), "MaxPool2d: padding=1 is not supported"),
    (lambda x: nn.MaxPool2d(3, dilation=2), "MaxPool2d: dilation=2 is not supported"),
    (lambda x: nn.AvgPool2d(3, ceil_mode=True), "AvgPool2d: ceil_mode=True is not supported"),
    (lambda x: nn.AvgPool2d(3, border=1), "AvgPool2d: unexpected option border=1")])
def test_refusals(call, said):
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=f"^{said}"):
        call(minigan.zeros(1, 1, 3, 3))
