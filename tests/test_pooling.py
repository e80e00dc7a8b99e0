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


@pytest.mark.parametrize("kernel, stride, padding", [
    ((2, 2), None, (0, 0)), ((3, 2), (1, 2), (0, 0)), ((1, 1), (1, 1), (0, 0)),
    ((1, 2), (3, 3), (0, 0)), ((5, 6), None, (0, 0)), ((3, 3), (2, 2), (1, 1)),
    ((2, 4), (1, 3), (0, 2))])
@pytest.mark.parametrize("pool", POOLS)
def test_equals_loops(pool, kernel, stride, padding):
    x = random.standard_normal((2, 3, 5, 6))
    edge = -numpy.inf if pool is F.max_pool2d else 0
    wide = numpy.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=edge)
    expected = reference.pooled(POOLS[pool], wide, kernel, stride or kernel)
    y = pool(tensor(x), kernel, stride, padding)
    assert y.dtype == "float64" and pool(tensor(x).float(), kernel, stride).dtype == "float32"
    numpy.testing.assert_allclose(y.cpu().numpy(), expected, rtol=1e-12, atol=1e-14)
    unbatched = pool(tensor(x[1]), kernel, stride, padding)
    numpy.testing.assert_allclose(unbatched.cpu().numpy(), expected[1], rtol=1e-12, atol=1e-14)


def test_a_mean_without_the_padding():
    x = random.standard_normal((1, 2, 4, 5))
    wide = numpy.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=numpy.nan)
    expected = reference.pooled(numpy.nanmean, wide, (3, 3), (2, 1))
    y = F.avg_pool2d(tensor(x), 3, (2, 1), 1, count_include_pad=False)
    numpy.testing.assert_allclose(y.cpu().numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [1, (2, 3), (5, None), (7, 8)])
def test_adaptive_windows_equal_loops(size):
    x = random.standard_normal((2, 2, 5, 6))
    y = F.adaptive_avg_pool2d(tensor(x), size)
    assert y.tolist() == nn.AdaptiveAvgPool2d(size)(tensor(x)).tolist()
    numpy.testing.assert_allclose(y.cpu().numpy(), reference.adaptive_avg_pool2d(x, y.shape[2:]),
                                  rtol=1e-12, atol=1e-14)


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
    (lambda x: F.max_pool2d(x, 2, 1, 2), r"max_pool2d: padding \(2, 2\) is more than half"),
    (lambda x: nn.MaxPool2d(3, 2, -1), "MaxPool2d: padding must be at least 0"),
    (lambda x: F.adaptive_avg_pool2d(x, 0), "adaptive_avg_pool2d: output_size must be at least 1"),
    (lambda x: F.adaptive_avg_pool2d(x, (1, 2, 3)), "adaptive_avg_pool2d: output_size must be"),
    (lambda x: nn.MaxPool2d(3, dilation=2), "MaxPool2d: dilation=2 is not supported"),
    (lambda x: nn.AvgPool2d(3, ceil_mode=True), "AvgPool2d: ceil_mode=True is not supported"),
    (lambda x: nn.AvgPool2d(3, border=1), "AvgPool2d: unexpected option border=1")])
def test_refusals(call, said):
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=f"^{said}"):
        call(minigan.zeros(1, 1, 3, 3))
