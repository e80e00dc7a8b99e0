"""What once went wrong without an error: programs that run in minigan and, unchanged, in PyTorch.

The numbers beside them are PyTorch's. Where PyTorch is installed it is asked for them again.
"""

import threading
from pathlib import Path

import numpy
import pytest

import minigan

INF, NAN = float("inf"), float("nan")


def plain(value):
    """Tensors as nested lists, in whatever holds them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    return value


def assert_same(actual, expected, rtol=1e-6):
    """The same nested lists; numbers may differ by rounding, nan is equal to nan."""
    if isinstance(expected, (tuple, list)):
        assert isinstance(actual, (tuple, list)) and len(actual) == len(expected)
        for a, e in zip(actual, expected):
            assert_same(a, e, rtol)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=rtol, abs=1e-30, nan_ok=True)
    else:
        assert actual == expected and type(actual) is type(expected)


def pytorch():
    return pytest.importorskip("torch")


# Masks select, they do not multiply: an infinite gradient times 0 would be nan

GRADIENTS = [  # an expression in x, x, and PyTorch's gradient of its sum
    ("x.clamp(min=0).sqrt()", [-1.0, 0.0, 4.0], [0.0, INF, 0.25]),
    ("x.clamp(min=0).log()", [-1.0, 0.0, 4.0], [0.0, INF, 0.25]),
    ("x.clamp(max=0).abs().sqrt()", [-4.0, 0.0, 1.0], [-0.25, NAN, 0.0]),
    ("x.clamp(0, 1).log()", [-1.0, 0.5, 2.0], [0.0, 2.0, 0.0]),
    ("1 / x.clamp(0, 2)", [-1.0, 0.5, 3.0], [0.0, -4.0, 0.0]),
    ("x.relu().sqrt()", [-1.0, 0.0, 4.0], [0.0, 0.0, 0.25]),
    ("x.relu() ** .5", [-1.0, 0.0, 4.0], [0.0, 0.0, 0.25]),
    ("1 / x.relu()", [-1.0, 0.0, 4.0], [0.0, 0.0, -0.0625]),
    ("x.relu().log()", [-1.0, 0.0, 4.0], [0.0, 0.0, 0.25]),
    ("torch.sqrt(F.relu(x * x - 4))", [-1.0, 2.0, 3.0], [-0.0, 0.0, 1.3416407]),
    ("F.leaky_relu(x, 0.5).abs().sqrt()", [-8.0, 0.0, 4.0], [-0.125, NAN, 0.25]),
    ("x.abs().sqrt()", [-4.0, 0.0, 4.0], [-0.25, NAN, 0.25]),
    ("x.sqrt()", [-1.0, 0.0, 4.0], [NAN, INF, 0.25]),
    ("x.log()", [-1.0, 0.0, 4.0], [-1.0, INF, 0.25]),
    ("1 / x", [-1.0, 0.0, 4.0], [-1.0, -INF, -0.0625]),
    ("x ** 0", [-1.0, 0.0, INF], [0.0, 0.0, 0.0]),
    ("(0 ** x).sqrt()", [1.0, 4.0], [NAN, NAN]),
    ("1 / x.clamp(min=0)", [-0.0, 0.0, 2.0], [-INF, -INF, -0.25]),
    ("x.clamp(min=0).sqrt()", [-0.0, 0.0, 1.0], [-INF, INF, 0.5]),
    ("x ** 0.5", [-1.0, 0.0, 4.0], [NAN, INF, 0.25]),
    ("x ** -1", [-1.0, 0.0, 4.0], [-1.0, -INF, -0.0625]),
    ("(x ** 2).sqrt()", [-2.0, 0.0, 4.0], [-1.0, NAN, 1.0]),
    ("2 ** x", [-1.0, 0.0, INF], [0.3465736, 0.6931472, INF]),
    ("0 ** x", [-1.0, 0.0, 4.0], [-INF, 0.0, 0.0]),
    ("torch.tensor([0.0, 0.0, 1.0]) ** x", [-1.0, 0.0, INF], [-INF, 0.0, 0.0]),
    ("(x * torch.tensor([1.0, 1e-30])).max(0)[0].sqrt()", [0.0, -1.0], [INF, 0.0]),
    ("x.max(0)[0].sqrt()", [-1.0, 0.0, -3.0], [0.0, INF, 0.0]),
    ("x.min(0)[0].sqrt()", [1.0, 0.0, 3.0], [0.0, INF, 0.0]),
    ("x.max().sqrt()", [-1.0, 0.0, -3.0], [0.0, INF, 0.0]),
    ("x.min().sqrt()", [1.0, 0.0, 3.0], [0.0, INF, 0.0]),
    ("x.max().sqrt()", [0.0, 0.0, -3.0], [INF, INF, 0.0]),
    ("F.max_pool2d(x.view(1, 1, 2, 2), 2).sqrt()", [-1.0, 0.0, -2.0, -3.0], [0.0, INF, 0.0, 0.0]),
    ("F.max_pool2d(x.view(1, 1, 3, 3), 2, 1).sqrt()",
     [-1.0, 0.0, -2.0, -3.0, -1.0, 4.0, -1.0, -1.0, -1.0],
     [0.0, INF, 0.0, 0.0, NAN, 0.5, 0.0, 0.0, 0.0]),
    ("F.avg_pool2d(x.view(1, 1, 2, 2), 2).sqrt()", [0.0, 0.0, 0.0, 0.0], [INF, INF, INF, INF]),
    ("F.interpolate(x.view(1, 1, 1, 2), scale_factor=2).sqrt()", [0.0, 4.0], [INF, 1.0]),
    ("x[[0, 2]].sqrt()", [0.0, 0.0, 4.0], [INF, 0.0, 0.25]),
    ("x[1:].sqrt()", [0.0, 0.0, 4.0], [0.0, INF, 0.25]),
    ("x[torch.tensor([True, False, True])].sqrt()", [0.0, 0.0, 4.0], [INF, 0.0, 0.25]),
    ("torch.cat([x, 2 * x]).sqrt()", [0.0, 4.0], [INF, 0.6035534]),
    ("F.dropout(x, 0.0).sqrt()", [0.0, 4.0], [INF, 0.25]),
    ("F.dropout(x, 0.5, False).sqrt()", [0.0, 4.0], [INF, 0.25]),
    ("F.softplus(x)", [-INF, INF, 100.0, NAN], [0.0, 1.0, 1.0, NAN]),
    ("F.softplus(x, 2.0, 1.0)", [-1000.0, 0.5, 0.6, 1000.0], [0.0, 0.7310586, 1.0, 1.0]),
    ("F.gelu(x)", [-100.0, 100.0, 20.0, -20.0], [0.0, 1.0, 1.0, 0.0]),
    ("F.gelu(x, approximate='tanh')", [-10000.0, 10000.0, 20.0, -20.0], [0.0, 1.0, 1.0, 0.0]),
    ("x.sigmoid()", [-INF, INF, 1000.0, -1000.0], [0.0, 0.0, 0.0, 0.0]),
    ("x.sigmoid().log()", [-10.0, 0.0, 1000.0], [0.99995464, 0.5, 0.0]),
    ("x.tanh()", [-INF, INF, 1000.0, NAN], [0.0, 0.0, 0.0, NAN]),
    ("x.exp()", [-INF, INF, 1000.0, NAN], [0.0, INF, INF, NAN]),
    ("x.softmax(0)[:2]", [0.0, 1.0, -INF], [0.0, 0.0, -0.0]),
    ("x.log_softmax(0)[:2]", [0.0, 1.0, -INF], [0.46211714, -0.4621172, 0.0]),
    ("F.binary_cross_entropy(x, torch.tensor([0.0, 1.0, 0.0, 1.0]))", [0.0, 0.0, 1.0, 1.0],
     [0.0, -250000000000.0, 250000000000.0, 0.0]),
    ("F.binary_cross_entropy_with_logits(x, torch.tensor([0.0, 1.0, 0.0, 1.0]))",
     [-1000.0, -1000.0, 1000.0, 1000.0],
     [0.0, -0.25, 0.25, 0.0]),
    ("F.binary_cross_entropy(x.relu().sqrt(), torch.tensor([0.0, 1.0]))", [-1.0, 0.25],
     [0.0, -1.0]),
    ("F.l1_loss(x, torch.tensor([1.0, 1.0, 1.0]))", [1.0, INF, -INF],
     [0.0, 0.33333334, -0.33333334]),
    ("F.l1_loss(x, torch.tensor([1.0, 1.0])).sqrt()", [1.0, 1.0], [NAN, NAN]),
    ("F.mse_loss(x, torch.tensor([1.0, 1.0])).sqrt()", [1.0, 1.0], [NAN, NAN]),
    ("F.cross_entropy(x.view(1, 3), torch.tensor([0]))", [0.0, -INF, 1.0],
     [-0.7310586, 0.0, 0.7310586]),
    ("F.cross_entropy(x.view(2, 2), torch.tensor([0, -100]))", [0.0, 1.0, INF, 1.0],
     [-0.7310586, 0.7310586, NAN, NAN]),
    ("F.nll_loss(x.view(2, 2).log(), torch.tensor([0, 1]))", [1.0, 0.0, 0.0, 4.0],
     [-0.5, NAN, NAN, -0.125]),
    ("F.embedding(torch.tensor([0, 1]), x.view(2, 1), padding_idx=0).sqrt()", [0.0, 4.0],
     [0.0, 0.25]),
    ("x.relu()", [NAN, -1.0, 1.0], [1.0, 0.0, 1.0]),
    ("F.leaky_relu(x, 0.1)", [NAN, -1.0, 0.0], [0.1, 0.1, 0.1]),
    ("x.clamp(0, 1)", [NAN, 0.0, 1.0], [0.0, 1.0, 1.0]),
    ("x.clamp(min=0)", [NAN, -INF, INF], [0.0, 0.0, 1.0]),
    ("x.abs()", [NAN, -0.0, INF], [0.0, 0.0, 1.0]),
    ("x.max()", [1.0, NAN, 2.0], [0.0, 1.0, 0.0]),
    ("x.max()", [NAN, NAN, 2.0], [0.5, 0.5, 0.0]),
    ("x.min()", [1.0, NAN, 2.0], [0.0, 1.0, 0.0]),
    ("x.max()", [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    ("x.max(0)[0]", [1.0, NAN, 2.0], [0.0, 1.0, 0.0]),
    ("x.max(0)[0]", [1.0, 3.0, 3.0], [0.0, 1.0, 0.0]),
    ("x.min(0)[0]", [1.0, NAN, 2.0], [0.0, 1.0, 0.0]),
    ("F.max_pool2d(x.view(1, 1, 2, 2), 2)", [1.0, NAN, 2.0, 3.0], [0.0, 1.0, 0.0, 0.0]),
    ("F.max_pool2d(x.view(1, 1, 2, 2), 2)", [3.0, 1.0, 3.0, 3.0], [1.0, 0.0, 0.0, 0.0]),
    ("F.max_pool2d(x.view(1, 1, 2, 2), 2)", [-INF, -INF, -INF, -INF], [1.0, 0.0, 0.0, 0.0]),
    ("F.max_pool2d(x.view(1, 1, 2, 2), 2, 2, 1)", [-INF, -INF, -INF, NAN], [1.0, 1.0, 1.0, 1.0]),
    ("F.max_pool2d(x.view(1, 1, 2, 2), 2, 1, 1).sqrt()", [-1.0, 0.0, -2.0, -3.0],
     [NAN, INF, NAN, NAN]),
    ("F.interpolate(x.view(1, 1, 1, 2), size=(1, 3)).sqrt()", [0.0, 4.0], [INF, 0.25]),
    ("F.pad(x, (1, 2)).sqrt()", [0.0, 4.0], [INF, 0.25]),
    ("torch.where(x > 0, x, x * 0 + 1).sqrt()", [0.0, 4.0], [0.0, 0.25]),
    ("x.masked_fill(x <= 0, 1.0).log()", [0.0, 4.0], [0.0, 0.25]),
    ("torch.maximum(x, torch.ones(2)).sqrt()", [0.0, 4.0], [0.0, 0.25]),
    ("x.std()", [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    ("x.norm()", [0.0, 0.0], [0.0, 0.0]),
    ("F.smooth_l1_loss(x, torch.tensor([1.0, 1.0, 1.0]))", [1.0, INF, 0.5],
     [0.0, 0.33333334, -0.16666667]),
    ("F.prelu(x, torch.tensor([0.5])).abs().sqrt()", [-8.0, 0.0, 4.0], [-0.125, NAN, 0.25]),
    ("F.cross_entropy(x.view(1, 2), torch.tensor([0]), torch.tensor([0.0, 1.0]))", [1.0, 2.0],
     [NAN, NAN]),
    ("F.cross_entropy(x.view(1, 2), torch.tensor([-100]))", [1.0, 2.0], [0.0, 0.0]),
    ("F.cross_entropy(x.view(1, 2), torch.tensor([0]), torch.tensor([0.0, 1.0]), "
     "reduction='sum')",
     [1.0, 2.0],
     [-0.0, 0.0]),
    ("F.nll_loss(x.view(1, 2), torch.tensor([0]), torch.tensor([0.0, 1.0]))", [1.0, 2.0],
     [NAN, 0.0]),
    ("F.nll_loss(x.view(1, 2), torch.tensor([-100]))", [1.0, 2.0], [0.0, 0.0]),
]


def gradient_of(torch, expression, values):
    F = torch.nn.functional
    x = torch.tensor(values, requires_grad=True)
    y = eval(expression, {"torch": torch, "F": F, "x": x})
    y.sum().backward()
    return plain(x.grad)


VALUES = [  # an expression, the dtype and the value it has in PyTorch
    ("torch.tensor([1.0, np.float64(1.5)])", ["float64", [1.0, 1.5]]),
    ("torch.tensor([np.float64(1.5), 1.0])", ["float64", [1.5, 1.0]]),
    ("torch.tensor([np.float32(1.5), 1.0])", ["float32", [1.5, 1.0]]),
    ("torch.tensor([1, np.float64(1.5)])", ["float64", [1.0, 1.5]]),
    ("torch.tensor([np.float64(1.5), 1])", ["float64", [1.5, 1.0]]),
    ("torch.tensor([[1.0], [np.float64(1.5)]])", ["float64", [[1.0], [1.5]]]),
    ("torch.tensor([np.int32(1), 2])", ["int64", [1, 2]]),
    ("torch.tensor([1, np.int32(2)])", ["int64", [1, 2]]),
    ("torch.tensor([np.int32(1), np.int32(2)])", ["int32", [1, 2]]),
    ("torch.tensor([np.float16(1), np.float16(2)])", ["float16", [1.0, 2.0]]),
    ("torch.tensor([True, 2])", ["int64", [1, 2]]),
    ("torch.tensor([True, 1.5])", ["float32", [1.0, 1.5]]),
    ("torch.tensor(np.float64(1.5))", ["float64", 1.5]),
    ("torch.tensor(np.float32(1.5))", ["float32", 1.5]),
    ("torch.tensor([torch.tensor(1.5), 2.5])", ["float32", [1.5, 2.5]]),
    ("torch.tensor([torch.tensor(1), 2])", ["int64", [1, 2]]),
    ("torch.tensor([])", ["float32", []]),
    ("torch.full((2,), np.float64(1.5))", ["float32", [1.5, 1.5]]),
    ("torch.full((2,), True)", ["bool", [True, True]]),
    ("torch.arange(0, 5, 1.5, dtype=torch.int64)", ["int64", [0, 1, 2, 3, 4]]),
    ("torch.arange(5, 0, -1.5, dtype=torch.int64)", ["int64", [5, 4, 3, 2, 1]]),
    ("torch.arange(2.5, dtype=torch.int64)", ["int64", [0, 1]]),
    ("torch.arange(0.5, 5, dtype=torch.int64)", ["int64", [0, 1, 2, 3, 4]]),
    ("torch.arange(1.0, 4.0)", ["float32", [1.0, 2.0, 3.0]]),
    ("torch.arange(0, 1, 0.25)", ["float32", [0.0, 0.25, 0.5, 0.75]]),
    ("torch.linspace(0, 5, 4, dtype=torch.int64)", ["int64", [0, 1, 3, 5]]),
    ("torch.linspace(5, 0, 4, dtype=torch.int64)", ["int64", [5, 3, 1, 0]]),
    ("torch.linspace(0.9, 3.9, 4, dtype=torch.int64)", ["int64", [0, 1, 2, 3]]),
    ("torch.linspace(-3, 3, 4, dtype=torch.int32)", ["int32", [-3, -1, 1, 3]]),
    ("torch.linspace(3, 5, 1)", ["float32", [3.0]]),
    ("torch.linspace(3, 5, 0)", ["float32", []]),
    ("torch.tensor([True, False]) ** True", ["bool", [True, False]]),
    ("torch.tensor([True, False]) ** torch.tensor([True, True])", "error"),
    ("torch.tensor([True, False]) - True", "error"),
    ("-torch.tensor([True, False])", "error"),
    ("torch.rand(2, dtype=torch.int64)", "error"),
    ("torch.randn(2, dtype=torch.int64)", "error"),
    ("torch.rand(2, dtype=torch.bool)", "error"),
    ("torch.rand_like(torch.tensor([1, 2]))", "error"),
    ("torch.tensor([True, False]) ** 2", ["int64", [1, 0]]),
    ("torch.tensor([True, False]) ** 0", ["int64", [1, 1]]),
    ("torch.tensor([True, False]) ** torch.tensor([1, 0])", ["int64", [1, 1]]),
    ("2 ** torch.tensor([True, False])", ["int64", [2, 1]]),
    ("torch.tensor([2, 3]) ** True", ["int64", [2, 3]]),
    ("torch.tensor([2.0, 3.0]) ** True", ["float32", [2.0, 3.0]]),
    ("torch.tensor([True, False]) + True", ["bool", [True, True]]),
    ("torch.tensor([True, False]) * True", ["bool", [True, False]]),
    ("torch.tensor([True, False]) + 1", ["int64", [2, 1]]),
    ("torch.tensor([True, False]) / 2", ["float32", [0.5, 0.0]]),
    ("torch.tensor([True, True]).sum()", ["int64", 2]),
    ("torch.tensor([2, -3]) ** 2", ["int64", [4, 9]]),
    ("torch.tensor([1, 2, 4]).sum()", ["int64", 7]),
    ("torch.tensor([200, 200], dtype=torch.uint8).sum()", ["int64", 400]),
    ("torch.zeros(0).sum()", ["float32", 0.0]),
    ("torch.zeros(0).mean()", ["float32", NAN]),
    ("torch.zeros(2, 0).sum(1)", ["float32", [0.0, 0.0]]),
    ("F.layer_norm(torch.full((1, 5), 0.1), (5,))", ["float32", [[0.0, 0.0, 0.0, 0.0, 0.0]]]),
    ("F.layer_norm(torch.full((2, 3), -12345.678), (3,))",
     ["float32", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]),
    ("F.layer_norm(torch.full((1, 3), 0.1, dtype=torch.float64), (3,))",
     ["float64", [[0.0, 0.0, 0.0]]]),
    ("F.layer_norm(torch.full((1, 1), 0.1), (1,))", ["float32", [[0.0]]]),
    ("F.cross_entropy(torch.ones(1, 2), torch.tensor([0]), torch.tensor([0.0, 1.0]))",
     ["float32", NAN]),
    ("F.cross_entropy(torch.ones(1, 2), torch.tensor([-100]))", ["float32", NAN]),
    ("F.cross_entropy(torch.ones(1, 2), torch.tensor([0]), torch.tensor([0.0, "
     "1.0]), reduction='sum')",
     ["float32", 0.0]),
    ("F.cross_entropy(torch.ones(1, 2), torch.tensor([[0.0, 1.0]]), "
     "torch.tensor([0.0, 0.0]))",
     ["float32", -0.0]),
    ("F.nll_loss(torch.ones(1, 2), torch.tensor([0]), torch.tensor([0.0, 1.0]))",
     ["float32", NAN]),
    ("F.mse_loss(torch.zeros(0), torch.zeros(0))", ["float32", NAN]),
    ("F.binary_cross_entropy(torch.tensor([0.3, 0.8]), torch.tensor([2.0, -1.0]))", "error"),
    ("F.binary_cross_entropy_with_logits(torch.tensor([0.3, 0.8]), "
     "torch.tensor([2.0, -1.0]))",
     ["float32", 1.1127279]),
    ("F.binary_cross_entropy(torch.tensor([0.0, 1.0]), torch.tensor([2.0, -1.0]))", "error"),
]


def value_of(torch, expression):
    y = eval(expression, {"torch": torch, "F": torch.nn.functional, "np": numpy})
    return [str(y.dtype).replace("torch.", ""), plain(y)]


INDICES = [  # an index of arange(72).reshape(3, 4, 2, 3), the shape and the elements
    ("2:4, [0, -1], ..., 1, [-2, 1]", [[1, 2], [52, 70]]),
    ("1:3, [0, -1], ..., [1, 0], 2", [[2, 2], [29, 44, 53, 68]]),
    ("1:3, [0, -1], ..., [0, 1], [-2, 1]", [[2, 2], [25, 46, 49, 70]]),
    ("1:2, 0, ..., [0, 1], [-2, 1]", [[1, 2], [25, 28]]),
    ("[0, 2], [0, -1], ..., [0, 1], [-2, 1]", [[2], [1, 70]]),
    ("[0, 2], ..., [0, -1], [0, 1], [-2, 1]", [[2], [1, 70]]),
    ("[0, 2], ..., [-2, 1]",
     [[2, 4, 2], [1, 4, 7, 10, 13, 16, 19, 22, 49, 52, 55, 58, 61, 64, 67, 70]]),
    ("..., [0, 2], :, 0, [-2, 1]", [[2, 4], [1, 7, 13, 19, 49, 55, 61, 67]]),
    ("1, ..., [0, 1], [-2, 1]", [[4, 2], [25, 28, 31, 34, 37, 40, 43, 46]]),
    ("1, [0, 1], ..., [-2, 1]", [[2, 2], [25, 28, 31, 34]]),
    ("1, [0, 1], ..., 1, [-2, 1]", [[2], [28, 34]]),
    ("[0, 1], 1, ..., 1, 1", [[2], [10, 34]]),
    ("[0, 1], 1, 1, ..., 1", [[2], [10, 34]]),
    ("[1], None, ..., [1], [1], [1]", [[1, 1], [34]]),
    ("0, None, [1], [1], ..., [1]", [[1, 1], [10]]),
    ("None, ..., 0, 0, [0, 1], [0, 2]", [[1, 2], [0, 5]]),
    ("1, 2, 0, 1, ...", [[], [37]]),
    ("1, 2, ..., 0, 1", [[], [37]]),
    ("..., 1, 2, 0, 1", [[], [37]]),
    ("..., None, 1, 2, 0, 1", [[1], [37]]),
    ("[[0, 1]], 0, 0", [[1, 2, 3], [0, 1, 2, 24, 25, 26]]),
    ("[[0], [1]], [[0, 1]], 0, 0", [[2, 2], [0, 6, 24, 30]]),
    ("[[0, 1], [1, 2]], 0, 0, 0", [[2, 2], [0, 24, 24, 48]]),
    ("[0, 1], [[1], [2]], 0, 0", [[2, 2], [6, 30, 12, 36]]),
    ("[[True, False, True]][0], 0, 0, 0", [[2], [0, 48]]),
    ("[True, False, True], 0, 0, 0", [[2], [0, 48]]),
    ("[True, False, True], ..., [0, 1], [0, 1], [2, 2]", [[2], [2, 59]]),
    ("torch.tensor([True, False, True]), ..., [0, 1]",
     [[2, 4, 2], [0, 3, 6, 9, 12, 15, 18, 21, 49, 52, 55, 58, 61, 64, 67, 70]]),
    ("..., torch.tensor([[True, False, False], [False, False, True]])",
     [[3, 4, 2], [0, 5, 6, 11, 12, 17, 18, 23, 24, 29, 30, 35, 36, 41, 42, 47, 48, 53, 54, 59, 60,
      65, 66, 71]]),
    ("0, ..., torch.tensor([[True, False, False], [False, False, True]])",
     [[4, 2], [0, 5, 6, 11, 12, 17, 18, 23]]),
    ("[0, 1], ..., torch.tensor([[True, False, False], [False, False, True]])",
     [[2, 4], [0, 6, 12, 18, 29, 35, 41, 47]]),
    ("True, 0, 0, 0, 0", [[1], [0]]),
    ("torch.tensor(1), [0, 1], ..., 0", [[2, 2], [24, 27, 30, 33]]),
    ("np.array([0, 2]), 0, 0, 0", [[2], [0, 48]]),
    ("(0, 1, 0, 2)", [[], [8]]),
    ("[0, 1, 0], 0, 0, 0", [[3], [0, 24, 0]]),
    ("slice(None), -1, ..., -1", [[3, 2], [20, 23, 44, 47, 68, 71]]),
    ("[], 0, 0, 0", [[0], []]),
]


def element_of(torch, index):
    x = torch.arange(72).reshape(3, 4, 2, 3)
    y = eval(f"x[{index}]", {"torch": torch, "np": numpy, "x": x})
    return [list(y.shape), plain(y.reshape(-1))]


# Programs: each returns what is compared

PROGRAMS, IN_PYTORCH_TOO = [], []


def program(expected, rtol=1e-6, pytorch=True):
    """What it returns in minigan, and in PyTorch unless a comment says what it is there."""
    def keep(function):
        case = pytest.param(function, expected, rtol, id=function.__name__)
        PROGRAMS.append(case)
        if pytorch:
            IN_PYTORCH_TOO.append(case)
        return function
    return keep


# A leaf frozen between forward and backward gets no gradient; the others get theirs

def frozen(torch, module, input, name):
    """Whether each parameter has a gradient when `name` was frozen after the forward pass."""
    y = module(input)
    dict(module.named_parameters())[name].requires_grad_(False)
    y.sum().backward()
    return [(n, p.grad is not None) for n, p in module.named_parameters()]


FROZEN = [
    ("nn.Linear(3, 2)", "torch.ones(4, 3)", "bias"),
    ("nn.Linear(3, 2)", "torch.ones(4, 3)", "weight"),
    ("nn.Linear(3, 2)", "torch.ones(3)", "bias"),
    ("nn.Linear(200, 200)", "torch.ones(64, 200)", "weight"),
    ("nn.LayerNorm(3)", "torch.rand(4, 3)", "weight"),
    ("nn.LayerNorm(3)", "torch.rand(4, 3)", "bias"),
    ("nn.BatchNorm1d(3)", "torch.rand(4, 3)", "weight"),
    ("nn.BatchNorm1d(3)", "torch.rand(4, 3)", "bias"),
    ("nn.BatchNorm2d(3)", "torch.rand(2, 3, 4, 4)", "weight"),
    ("nn.BatchNorm2d(3)", "torch.rand(2, 3, 4, 4)", "bias"),
    ("nn.BatchNorm2d(3).eval()", "torch.rand(2, 3, 4, 4)", "bias"),
    ("nn.Conv2d(2, 3, 2)", "torch.rand(2, 2, 4, 4)", "weight"),
    ("nn.Conv2d(2, 3, 2)", "torch.rand(2, 2, 4, 4)", "bias"),
    ("nn.ConvTranspose2d(2, 3, 2)", "torch.rand(2, 2, 4, 4)", "weight"),
    ("nn.ConvTranspose2d(2, 3, 2)", "torch.rand(2, 2, 4, 4)", "bias"),
    ("nn.Embedding(3, 2)", "torch.tensor([0, 1])", "weight"),
]

FROZEN_LEAVES = [  # an expression in x, frozen before backward; whether y has a gradient
    ("x + 1", False),
    ("x + y", True),
    ("x - y", True),
    ("y - x", True),
    ("x * y", True),
    ("x / y", True),
    ("y / x", True),
    ("x ** 2", False),
    ("x ** y", True),
    ("-x", False),
    ("x @ y", True),
    ("x.exp()", False),
    ("x.log()", False),
    ("x.sqrt()", False),
    ("x.abs()", False),
    ("x.clamp(0, 1)", False),
    ("x.sum()", False),
    ("x.mean(0)", False),
    ("x.max()", False),
    ("x.max(0)[0]", False),
    ("x.relu()", False),
    ("x.sigmoid()", False),
    ("x.tanh()", False),
    ("x.softmax(0)", False),
    ("x.log_softmax(0)", False),
    ("F.leaky_relu(x)", False),
    ("F.gelu(x)", False),
    ("F.softplus(x)", False),
    ("F.dropout(x, 0.5)", False),
    ("x.reshape(1, 4)", False),
    ("x.t()", False),
    ("x.permute(1, 0)", False),
    ("x.unsqueeze(0)", False),
    ("x[0]", False),
    ("x[[0, 0]]", False),
    ("torch.cat([x, y])", True),
    ("torch.stack([x, y])", True),
    ("x.clone()", False),
    ("x.double()", False),
    ("F.mse_loss(x, y)", True),
    ("F.l1_loss(x, y)", True),
    ("F.linear(x, y)", True),
    ("F.linear(y, x)", True),
    ("F.linear(y, y, x[0])", True),
    ("F.cross_entropy(x, torch.tensor([0, 1]))", False),
    ("x.view(4)", False),
    ("x.flatten()", False),
]


def gradients_of_frozen(torch, expression):
    x = torch.tensor([[0.2, 0.4], [0.6, 0.8]], requires_grad=True)
    y = torch.tensor([[0.3, 0.5], [0.7, 0.9]], requires_grad=True)
    z = eval(expression, {"torch": torch, "F": torch.nn.functional, "x": x, "y": y})
    x.requires_grad_(False)
    z.sum().backward()
    return [x.grad is not None, y.grad is not None]


@program([3.0, 3.0])
def frozen_and_thawed_again(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = (x * 3).sum()
    x.requires_grad_(False)
    x.requires_grad_(True)
    y.backward()
    return x.grad


@program([3.0, 3.0])
def frozen_keeps_the_gradient_it_has(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    y = (x * 5).sum()
    x.requires_grad_(False)
    y.backward()
    return x.grad


@program([None, [1.0, 2.0]])
def thawed_after_the_forward_pass(torch):
    x = torch.tensor([1.0, 2.0])
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    y = (x * w).sum()
    x.requires_grad_(True)
    y.backward()
    return [x.grad, w.grad]


@program([None, False])
def frozen_in_one_of_two_uses(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    x.requires_grad_(False)
    z = x * 5
    (y + z).sum().backward()
    return [x.grad, z.requires_grad]


# Edits of `.grad`

def edited(torch, rows, columns, batch, edit):
    """The sums of a Linear's gradients where `edit` is applied between and after two backwards."""
    m = torch.nn.Linear(columns, rows)
    torch.nn.init.ones_(m.weight)
    torch.nn.init.zeros_(m.bias)
    x = torch.ones(batch, columns)
    o = torch.optim.SGD(m.parameters(), lr=1.0)
    m(x).sum().backward()
    edit(torch, m, m.weight.grad)
    m(x).sum().backward()
    edit(torch, m, m.weight.grad)
    o.step()
    return [t if t is None else t.sum().item() for t in (m.weight, m.weight.grad, m.bias.grad)]


EDITS = {
    "zero_": lambda torch, m, g: g.zero_(),
    "mul_": lambda torch, m, g: g.mul_(0.5),
    "fill_": lambda torch, m, g: g.fill_(2.0),
    "clamp_": lambda torch, m, g: g.clamp_(-1.0, 1.0),
    "item": lambda torch, m, g: g.__setitem__(0, 0.0),
    "view": lambda torch, m, g: g.view(-1).zero_(),
    "numpy": lambda torch, m, g: g.numpy().fill(0.0),
    "set to None": lambda torch, m, g: setattr(m.weight, "grad", None),
    "set to another": lambda torch, m, g: setattr(m.weight, "grad", torch.ones_like(m.weight)),
    "set to twice itself": lambda torch, m, g: setattr(m.weight, "grad", g * 2),
    "zero_grad": lambda torch, m, g: m.zero_grad(),
    "zeros by zero_grad": lambda torch, m, g: m.zero_grad(set_to_none=False),
    "data": lambda torch, m, g: g.data.zero_(),
}


EDITED = [  # the edit, the size, the sums of weight, gradient and bias gradient
    ("zero_", (2, 2, 4), [4.0, 0.0, 16.0]),
    ("zero_", (200, 200, 4), [40000.0, 0.0, 1600.0]),
    ("zero_", (200, 200, 64), [40000.0, 0.0, 25600.0]),
    ("mul_", (2, 2, 4), [-8.0, 12.0, 16.0]),
    ("mul_", (200, 200, 4), [-80000.0, 120000.0, 1600.0]),
    ("mul_", (200, 200, 64), [-1880000.0, 1920000.0, 25600.0]),
    ("fill_", (2, 2, 4), [-4.0, 8.0, 16.0]),
    ("fill_", (200, 200, 4), [-40000.0, 80000.0, 1600.0]),
    ("fill_", (200, 200, 64), [-40000.0, 80000.0, 25600.0]),
    ("clamp_", (2, 2, 4), [0.0, 4.0, 16.0]),
    ("clamp_", (200, 200, 4), [0.0, 40000.0, 1600.0]),
    ("clamp_", (200, 200, 64), [0.0, 40000.0, 25600.0]),
    ("item", (2, 2, 4), [-12.0, 16.0, 16.0]),
    ("item", (200, 200, 4), [-278400.0, 318400.0, 1600.0]),
    ("item", (200, 200, 64), [-5054400.0, 5094400.0, 25600.0]),
    ("view", (2, 2, 4), [4.0, 0.0, 16.0]),
    ("view", (200, 200, 4), [40000.0, 0.0, 1600.0]),
    ("view", (200, 200, 64), [40000.0, 0.0, 25600.0]),
    ("numpy", (2, 2, 4), [4.0, 0.0, 16.0]),
    ("numpy", (200, 200, 4), [40000.0, 0.0, 1600.0]),
    ("numpy", (200, 200, 64), [40000.0, 0.0, 25600.0]),
    ("set to None", (2, 2, 4), [4.0, None, 16.0]),
    ("set to None", (200, 200, 4), [40000.0, None, 1600.0]),
    ("set to None", (200, 200, 64), [40000.0, None, 25600.0]),
    ("set to another", (2, 2, 4), [0.0, 4.0, 16.0]),
    ("set to another", (200, 200, 4), [0.0, 40000.0, 1600.0]),
    ("set to another", (200, 200, 64), [0.0, 40000.0, 25600.0]),
    ("set to twice itself", (2, 2, 4), [-92.0, 96.0, 16.0]),
    ("set to twice itself", (200, 200, 4), [-920000.0, 960000.0, 1600.0]),
    ("set to twice itself", (200, 200, 64), [-15320000.0, 15360000.0, 25600.0]),
    ("zero_grad", (2, 2, 4), [4.0, None, None]),
    ("zero_grad", (200, 200, 4), [40000.0, None, None]),
    ("zero_grad", (200, 200, 64), [40000.0, None, None]),
    ("zeros by zero_grad", (2, 2, 4), [4.0, 0.0, 0.0]),
    ("zeros by zero_grad", (200, 200, 4), [40000.0, 0.0, 0.0]),
    ("zeros by zero_grad", (200, 200, 64), [40000.0, 0.0, 0.0]),
    ("data", (2, 2, 4), [4.0, 0.0, 16.0]),
    ("data", (200, 200, 4), [40000.0, 0.0, 1600.0]),
    ("data", (200, 200, 64), [40000.0, 0.0, 25600.0]),
]


@program([0.0, 0.0])
def a_gradient_kept_over_two_backwards(torch):
    m = torch.nn.Linear(200, 200, bias=False)
    torch.nn.init.ones_(m.weight)
    x = torch.ones(4, 200)
    (m(x).sum() * -1).backward()
    g = m.weight.grad
    g.zero_()
    (m(x).sum() * -1).backward()
    g.mul_(0)
    return [m.weight.grad.sum(), g.sum()]


@program([[8.0, 8.0], [70.0, 8.0], [70.0, 8.0]])
def a_gradient_kept_is_the_gradient(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    g = x.grad
    (x * 5).sum().backward()
    first = g.tolist()
    g[0] = 70.0
    return [first, x.grad, g]


@program([[6.0, 8.0], [11.0, 13.0], [11.0, 13.0]])
def a_gradient_that_was_assigned_is_shared(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    g = torch.tensor([3.0, 4.0])
    x.grad = g
    g.mul_(2)
    first = x.grad.tolist()
    (x * 5).sum().backward()
    return [first, x.grad, g]


@program([[10.0, 10.0], [1.0, 1.0]])
def gradients_of_two_leaves_are_not_shared(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.tensor([3.0, 4.0], requires_grad=True)
    (x + y).sum().backward()
    x.grad.mul_(10)
    return [x.grad, y.grad]


@program([[30.0, 40.0], [3.0, 4.0]])
def a_gradient_is_not_the_cotangent(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    g = torch.tensor([3.0, 4.0])
    (x + 0).backward(g)
    x.grad.mul_(10)
    return [x.grad, g]


@program([[3.0, 4.0], [30.0, 40.0]])
def a_gradient_of_clone_is_not_the_cotangent(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    g = torch.tensor([3.0, 4.0])
    x.clone().backward(g)
    g.mul_(10)
    return [x.grad, g]


@program([[5.0, 1.0], [1.0, 1.0]])
def the_gradient_of_an_expanded_sum_can_be_edited(torch):
    x = torch.zeros(2, 2, requires_grad=True)
    x.sum().backward()
    x.grad[0, 0] = 5.0
    return x.grad


# Sums are as exact as PyTorch's, and more exact where a kernel of its own is not

@program([1e5, 1e5, 1e5], rtol=1e-5)
def sum_over_many_rows(torch):
    return torch.full((1_000_000, 3), 0.1).sum(0)


@program([1e5, 1e5, 1e5], rtol=1e-5)
def sum_over_many_rows_and_images(torch):
    return torch.full((1000, 3, 40, 25), 0.1).sum((0, 2, 3))


@program(3e5, rtol=1e-5)
def sum_over_everything(torch):
    return torch.full((1_000_000, 3), 0.1).sum()


@program([[1e5, 1e5], [1e5, 1e5]], rtol=1e-5)
def sum_over_the_middle(torch):
    return torch.full((2, 1_000_000, 2), 0.1).sum(1)


@program([1e5, 1e5, 1e5], rtol=1e-5)
def sum_of_a_transposed_matrix(torch):
    return torch.full((3, 1_000_000), 0.1).t().sum(0)


@program([1e5, 1e5, 1e5], rtol=1e-5)
def sum_of_the_rows_of_a_transposed_matrix(torch):
    return torch.full((1_000_000, 3), 0.1).t().sum(1)


@program([0.1, 0.1, 0.1], rtol=1e-5)
def mean_over_many_rows(torch):
    return torch.full((1_000_000, 3), 0.1).mean(0)


@program([1.0, 1.0], rtol=2e-6)
def mean_of_twenty_million_rows(torch):
    return torch.ones(20_000_000, 2).mean(0)


@program([1e5, 1e5, 1e5], rtol=1e-5)
def gradient_of_a_broadcast_row(torch):
    b = torch.zeros(3, requires_grad=True)
    (torch.zeros(1_000_000, 3) + b).backward(torch.full((1_000_000, 3), 0.1))
    return b.grad


@program([1e5, 1e5, 1e5], rtol=1e-5)
def gradient_of_a_linear_bias(torch):
    b = torch.zeros(3, requires_grad=True)
    y = torch.nn.functional.linear(torch.zeros(1_000_000, 1), torch.zeros(3, 1), b)
    y.backward(torch.full((1_000_000, 3), 0.1))
    return b.grad


@program([1e5, 1e5, 1e5], rtol=1e-5, pytorch=False)  # PyTorch's kernel here: 100958.34
def gradient_of_a_convolution_bias(torch):
    b = torch.zeros(3, requires_grad=True)
    y = torch.nn.functional.conv2d(torch.zeros(1000, 1, 40, 25), torch.zeros(3, 1, 1, 1), b)
    y.backward(torch.full((1000, 3, 40, 25), 0.1))
    return b.grad


@program([1e5, 1e5, 1e5], rtol=1e-5, pytorch=False)  # PyTorch's kernel here: 100958.34
def gradient_of_a_transposed_convolution_bias(torch):
    b = torch.zeros(3, requires_grad=True)
    y = torch.nn.functional.conv_transpose2d(
        torch.zeros(1000, 1, 40, 25), torch.zeros(1, 3, 1, 1), b)
    y.backward(torch.full((1000, 3, 40, 25), 0.1))
    return b.grad


@program([-12247.357, 12247.357, [1e4, 1e4, 1e4]], rtol=2e-5, pytorch=False)  # PyTorch: 1e-4 off
def gradient_of_layer_norm_parameters(torch):
    w, b = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    x = torch.tensor([[0.0, 1.0, 2.0]]) + torch.zeros(100_000, 1)
    torch.nn.functional.layer_norm(x, (3,), w, b).backward(torch.full((100_000, 3), 0.1))
    return [w.grad[0], w.grad[2], b.grad]


@program([[5e4, 5e4, 5e4], [1.5e5, 1.5e5, 1.5e5]], rtol=3e-5)
def gradient_of_batch_norm_parameters(torch):
    w, b = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    x = torch.zeros(1000, 3, 40, 25)
    x[:500] = 1.0
    y = torch.nn.functional.batch_norm(x, None, None, w, b, training=True)
    g = torch.full((1000, 3, 40, 25), 0.1)
    g[:500] = 0.2
    y.backward(g)
    return [w.grad, b.grad]


@program([[0.6, 0.6], [0.25, 0.25]], rtol=1e-5, pytorch=False)  # PyTorch: 0.5990934
def batch_norm_statistics_over_many_rows(torch):
    mean, var = torch.zeros(2), torch.ones(2)
    x = torch.full((1_000_000, 2), 0.1)
    x[::2] += 1.0
    torch.nn.functional.batch_norm(x, mean, var, training=True, momentum=1.0)
    return [mean, var]


@program(7.5e5, rtol=1e-5)
def mse_loss_of_many(torch):
    return torch.nn.functional.mse_loss(torch.full((1_000_000, 3), 0.5), torch.zeros(1_000_000, 3),
                                        reduction="sum")


@program([[0.0, 0.0, 0.0], [1e4, 1e4, 1e4]], rtol=2e-4)
def embedding_of_one_row_many_times(torch):
    w = torch.zeros(2, 3, requires_grad=True)
    torch.nn.functional.embedding(torch.ones(100_000, dtype=torch.int64), w).backward(
        torch.full((100_000, 3), 0.1))
    return w.grad


@program([[0.57714844, -1.4023438, 1.2373047, -0.41235352]], rtol=2e-3)
def half_layer_norm(torch):
    x = torch.tensor([[300.0, -300.0, 500.0, 0.0]], dtype=torch.float16)
    return torch.nn.functional.layer_norm(x, (4,))


@program([[0.5776367], [-1.4023438], [1.2373047], [-0.41235352]], rtol=2e-3)
def half_batch_norm(torch):
    x = torch.tensor([[300.0], [-300.0], [500.0], [0.0]], dtype=torch.float16)
    return torch.nn.functional.batch_norm(x, None, None, training=True)


@program([[0.5629883, -0.040161133, -0.36206055, -0.16088867]], rtol=4e-3)
def half_layer_norm_gradient(torch):
    x = torch.tensor([[300.0, -300.0, 500.0, 0.0]], dtype=torch.float16, requires_grad=True)
    y = torch.nn.functional.layer_norm(x, (4,))
    y.backward(torch.tensor([[256.0, 0.0, 0.0, 0.0]], dtype=torch.float16))
    return x.grad


@program([[0.5629883], [-0.040161133], [-0.36206055], [-0.16088867]], rtol=4e-3)
def half_batch_norm_gradient(torch):
    x = torch.tensor([[300.0], [-300.0], [500.0], [0.0]], dtype=torch.float16, requires_grad=True)
    y = torch.nn.functional.batch_norm(x, None, None, training=True)
    y.backward(torch.tensor([[256.0], [0.0], [0.0], [0.0]], dtype=torch.float16))
    return x.grad


@program(1.0)
def half_mean(torch):
    return torch.ones(70000, dtype=torch.float16).mean()


@program([1.0, 1.0])
def half_mean_of_rows(torch):
    return torch.ones(70000, 2, dtype=torch.float16).mean(0)


@program([5000.0, 5000.0])
def half_sum_of_rows(torch):
    return torch.ones(5000, 2, dtype=torch.float16).sum(0)


@program(5000.0)
def half_sum(torch):
    return torch.ones(5000, dtype=torch.float16).sum()


@program([5000.0, 5000.0])
def half_sum_of_columns(torch):
    return torch.ones(2, 5000, dtype=torch.float16).sum(1)


@program([5000.0, 5000.0])
def half_gradient_of_a_broadcast_row(torch):
    b = torch.zeros(2, dtype=torch.float16, requires_grad=True)
    (torch.zeros(5000, 2, dtype=torch.float16) + b).sum().backward()
    return b.grad


@program([5000.0, 5000.0])
def half_gradient_of_a_linear_bias(torch):
    b = torch.zeros(2, dtype=torch.float16, requires_grad=True)
    torch.nn.functional.linear(torch.zeros(5000, 1, dtype=torch.float16),
                               torch.zeros(2, 1, dtype=torch.float16), b).sum().backward()
    return b.grad


@program(1.0)
def half_mse_loss(torch):
    x = torch.full((70000,), 1.0, dtype=torch.float16)
    return torch.nn.functional.mse_loss(x, torch.zeros(70000, dtype=torch.float16))


@program([0.00020003319, 0.00020003319], rtol=2e-3)
def half_softmax_of_many(torch):
    return torch.zeros(5000, dtype=torch.float16).softmax(0)[:2]


# Which results share memory

@program([[0, 1], [2, 3]])
def contiguous_of_a_transposed_copies(torch):
    x = torch.arange(4).reshape(2, 2)
    x.t().contiguous()[0, 1] = 50
    return x


@program([50, 1, 2, 3])
def contiguous_of_a_contiguous_shares(torch):
    x = torch.arange(4)
    x.contiguous()[0] = 50
    return x


@program([[0, 1, 2], [3, 4, 5]])
def contiguous_of_columns_copies(torch):
    x = torch.arange(6).reshape(2, 3)
    x[:, ::2].contiguous()[0, 0] = 50
    return x


@program([[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]])
def contiguous_passes_gradients_on(torch):
    x = torch.ones(2, 3, requires_grad=True)
    (x.t().contiguous() * torch.arange(6.0).reshape(3, 2)).sum().backward()
    return x.grad


@program([[[[1.0, 1.0], [1.0, 1.0]]]])
def interpolate_by_one_copies(torch):
    x = torch.ones(1, 1, 2, 2)
    torch.nn.functional.interpolate(x, scale_factor=1).fill_(7.0)
    return x


@program(3.0)
def the_maximum_of_a_number_copies(torch):
    x = torch.tensor(3.0)
    x.max(0)[0].fill_(7.0)
    x.min(0)[0].fill_(7.0)
    return x


@program(3.0)
def the_sum_of_a_number_copies(torch):
    x = torch.tensor(3.0)
    for y in (x.sum(), x.mean(), x.max(), x.min(), x.sum(0), x.mean(0)):
        y.fill_(7.0)
    return x


@program([[1.0, 1.0]])
def sums_over_axes_of_one_copy(torch):
    x = torch.ones(1, 2)
    for y in (x.sum(0), x.mean(0), x.max(0)[0], x.min(0)[0]):
        y.fill_(7.0)
    return x


@program([1.0, 1.0])
def cat_and_stack_of_one_copy(torch):
    x = torch.ones(2)
    torch.cat([x]).fill_(7.0)
    torch.stack([x]).fill_(7.0)
    return x


@program([[[[1.0, 1.0], [1.0, 1.0]]]])
def operations_that_change_nothing_copy(torch):
    F = torch.nn.functional
    x = torch.ones(1, 1, 2, 2)
    for y in (x + 0, x * 1, x.abs(), x.clamp(min=0), x.relu(), F.leaky_relu(x), x ** 1,
              F.max_pool2d(x, 1), F.avg_pool2d(x, 1), x.clone(), x[[0]], torch.tensor(x.tolist()),
              F.dropout(x, 0.5)):
        y.fill_(7.0)
    return x


@program(
    [28.0, 28.0, 28.0, 28.0, 28.0, 28.0, 28.0, 28.0, 14.0, 14.0, 28.0, 28.0, 28.0, 28.0, 28.0,
     28.0, 28.0, 7.0])
def views_share(torch):
    results = []
    for view in (lambda x: x.view(4), lambda x: x.reshape(4), lambda x: x.flatten(),
                 lambda x: x.t(), lambda x: x.permute(1, 0), lambda x: x.transpose(0, 1),
                 lambda x: x.unsqueeze(0), lambda x: x.squeeze(), lambda x: x[0],
                 lambda x: x[:, 1], lambda x: x[...], lambda x: x[None], lambda x: x.detach(),
                 lambda x: x.data, lambda x: x.T, lambda x: x.to(torch.float32),
                 lambda x: x.float(),
                 lambda x: x[0, 0]):
        x = torch.zeros(2, 2)
        view(x).fill_(7.0)
        results.append(x.sum().item())
    return results


@program([7.0, 7.0])
def dropout_in_evaluation_shares(torch):
    x = torch.ones(2)
    torch.nn.functional.dropout(x, 0.5, False).fill_(7.0)
    return x


# Gradients, statistics and counters are inputs like others: a change after they were used shows

def refused(function):
    """Whether the last line of a program, its backward, is refused."""
    def run(torch):
        loss = function(torch)
        try:
            loss.backward()
        except RuntimeError:
            return "refused"
        return "passed"
    run.__name__ = function.__name__
    return run


def changed_input(torch, change):
    """A loss of a gradient, which `change` then changes."""
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    (x * 5).sum().backward()
    loss = (x.grad * w).sum()
    change(x)
    return loss


@program("refused")
@refused
def a_gradient_that_another_backward_changed(torch):
    return changed_input(torch, lambda x: (x * 7).sum().backward())


@program("refused")
@refused
def a_gradient_that_was_scaled(torch):
    return changed_input(torch, lambda x: x.grad.mul_(2))


@program("refused")
@refused
def a_gradient_filled_with_zeros(torch):
    def change(x):
        torch.optim.SGD([x], lr=1.0).zero_grad(set_to_none=False)
    return changed_input(torch, change)


@program("passed")
@refused
def a_gradient_set_to_none(torch):
    def change(x):
        x.grad = None
        (x * 7).sum().backward()
    return changed_input(torch, change)


@program("passed")
@refused
def a_gradient_that_zero_grad_dropped(torch):
    def change(x):
        torch.optim.SGD([x], lr=1.0).zero_grad()
        (x * 7).sum().backward()
    return changed_input(torch, change)


@program("passed")
@refused
def a_gradient_of_a_parameter_that_was_stepped(torch):
    return changed_input(torch, lambda x: torch.optim.SGD([x], lr=1.0).step())


@program("refused", pytorch=False)  # PyTorch passes, with the numbers of after the batch
@refused
def running_statistics_that_a_batch_changed(torch):
    m = torch.nn.BatchNorm1d(2)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    loss = (m.running_mean * w).sum()
    m(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    return loss


@program("refused", pytorch=False)  # PyTorch passes, with the numbers of after the batch
@refused
def running_variances_that_a_batch_changed(torch):
    m = torch.nn.BatchNorm1d(2)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    loss = (m.running_var * w).sum()
    m(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    return loss


@program("refused")
@refused
def a_moment_that_a_step_changed(torch):
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    o = torch.optim.Adam([p])
    (p * 5).sum().backward()
    o.step()
    loss = (o.state_dict()["state"][0]["exp_avg"] * w).sum()
    o.step()
    return loss


@program("refused")
@refused
def parameters_that_a_step_changed(torch):
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    o = torch.optim.Adam([p])
    loss = (p * w).sum()
    (p * 5).sum().backward()
    o.step()
    return loss


@program("refused")
@refused
def parameters_that_were_loaded(torch):
    m = torch.nn.Linear(2, 1)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    loss = (m.weight * w).sum()
    m.load_state_dict({"weight": torch.ones(1, 2), "bias": torch.ones(1)})
    return loss


# In-place changes of results, their views and gradients: PyTorch's numbers, or refused

IN_PLACE = []


def in_place(expected):
    def keep(function):
        IN_PLACE.append(pytest.param(function, expected, id=function.__name__))
        return function
    return keep


@in_place([[1.0, 2.0]])
def the_gradient_through_a_gradient_that_zero_grad_dropped(torch):
    m = torch.nn.Linear(2, 1, bias=False)
    o = torch.optim.SGD(m.parameters(), lr=0.1)
    w = torch.tensor([[3.0, 4.0]], requires_grad=True)
    m(torch.tensor([[1.0, 2.0]])).sum().backward()
    loss = (m.weight.grad * w).sum()
    o.zero_grad()
    m(torch.tensor([[10.0, 20.0]])).sum().backward()
    loss.backward()
    return w.grad


@in_place([[20.0, 4.0], [20.0, 2.0]])
def a_view_of_a_result_changed_in_place(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y[0].mul_(10)
    y.sum().backward()
    return [y.detach(), x.grad]


@in_place([20.0, [20.0, 0.0]])
def a_result_changed_under_its_view(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    v = y[0]
    y.mul_(10)
    v.backward()
    return [v.detach(), x.grad]


@in_place([[5.0, 4.0], [0.0, 2.0]])
def an_item_of_a_result_assigned(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y[0] = 5.0
    y.sum().backward()
    return [y.detach(), x.grad]


@program([11.0, 3.0])
def a_view_of_a_constant_changed_in_place(torch):
    y = torch.tensor([1.0, 2.0])
    y[0].mul_(10)
    y.view(2).add_(1)
    return y


@in_place([7.0, 7.0])
def a_flat_view_of_a_convolution_shares(torch):
    y = torch.nn.functional.conv2d(torch.ones(2, 2, 4, 4), torch.ones(3, 2, 2, 2))
    y.detach().view(-1).fill_(7.0)
    return [y.min(), y.max()]


@in_place(
    [[7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0,
     7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0],
     [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0,
     7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [7.0, 7.0]])
def a_flat_view_of_any_result_shares(torch):
    F = torch.nn.functional
    x = torch.ones(2, 3, 4, 4)
    results = [
        F.conv2d(x, torch.ones(3, 3, 2, 2)), F.conv2d(x, torch.ones(3, 3, 2, 2), padding=1),
        F.conv2d(x[:1], torch.ones(3, 3, 2, 2)),
        F.conv_transpose2d(x, torch.ones(3, 2, 2, 2)), F.max_pool2d(x, 2), F.avg_pool2d(x, 2),
        F.batch_norm(x, None, None, training=True), F.batch_norm(x[:, :, 0, 0], None, None,
                                                                 training=True),
        F.layer_norm(x, (4,)), F.linear(x, torch.ones(2, 4)), F.interpolate(x, scale_factor=2),
        x.relu(), F.gelu(x), x.sigmoid(), x.softmax(1), x.log_softmax(1), torch.cat([x, x], 1),
        torch.stack([x, x], 2), x + 1, x * x, x @ x, x.sum(1), x.mean((2, 3)), x.max(1)[0],
        F.embedding(torch.tensor([[0, 1]]), torch.ones(2, 3)), F.dropout(x, 0.5),
        x[:, [0, 1]], x[[0, 1], :, [0, 1]]]
    for y in results:
        y.detach().view(-1).fill_(7.0)
    return [[y.min().item(), y.max().item()] for y in results]


# Modules

@program([[True, True, False, False, False, False], False, False, False])
def an_overridden_train_is_called(torch):
    calls = []

    class Child(torch.nn.Module):
        def train(self, mode=True):
            calls.append(mode)
            return super().train(False)

    class Parent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.child = Child()
            self.row = torch.nn.Sequential(Child())

    parent = Parent()
    parent.train()
    parent.eval()
    parent.train(False)
    return [calls, parent.training, parent.child.training, parent.row.training]


@program([[True, False], False])
def an_overridden_train_without_a_default_is_called(torch):
    calls = []

    class Child(torch.nn.Module):
        def train(self, mode):
            calls.append(mode)
            return super().train(mode)

    parent = torch.nn.Sequential(torch.nn.Sequential(Child()))
    parent.train()
    parent.eval()
    return [calls, parent[0][0].training]


@program([[0.0, 0.0], False, True])
def frozen_batch_norm(torch):
    """The usual way of keeping statistics fixed while the rest trains."""
    class Frozen(torch.nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = Frozen(2)

        def forward(self, x):
            return self.norm(x)

    net = Net()
    net.train()
    net(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    return [net.norm.running_mean, net.norm.training, net.training]


@program([False, True])
def train_sets_the_parts_of_an_overridden_train(torch):
    class Child(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Dropout()

        def train(self, mode=True):
            self.training = mode  # and the inner part stays as it is
            return self

    net = torch.nn.Sequential(Child())
    net.eval()
    return [net[0].training, net[0].inner.training]


@program(["b", "d", "c", "a"])
def order_of_parameters_after_reassignment(torch):
    P = torch.nn.Parameter

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = None
            self.b = P(torch.zeros(1))
            self.c = 3
            self.d = P(torch.zeros(1))
            self.c = P(torch.zeros(1))
            self.a = P(torch.zeros(1))
            self.b = P(torch.ones(1))

    return [name for name, _ in Net().named_parameters()]


@program([["bias"], ["weight", "bias"], ["weight", "bias"]])
def order_of_parameters_set_to_none_and_back(torch):
    m = torch.nn.Linear(2, 3)
    m.weight = None
    first = [name for name, _ in m.named_parameters()]
    m.weight = torch.nn.Parameter(torch.zeros(3, 2))
    return [first, [name for name, _ in m.named_parameters()], list(m.state_dict())]


@program(["bias", "weight"])
def order_of_parameters_deleted_and_set(torch):
    m = torch.nn.Linear(2, 3)
    del m.weight
    m.weight = torch.nn.Parameter(torch.zeros(3, 2))
    return [name for name, _ in m.named_parameters()]


@program(["weight", "bias"])
def order_of_a_bias_given_later(torch):
    m = torch.nn.Linear(2, 3, bias=False)
    m.weight = torch.nn.Parameter(torch.zeros(3, 2))
    m.bias = torch.nn.Parameter(torch.zeros(3))
    return list(m.state_dict())


@program(["b", "d", "a", "e"])
def order_of_modules_after_reassignment(torch):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = None
            self.b = torch.nn.ReLU()
            self.c = torch.nn.Parameter(torch.zeros(1))
            self.d = torch.nn.Tanh()
            self.a = torch.nn.Sigmoid()
            self.b = torch.nn.Softplus()
            self.d = None
            self.e = torch.nn.GELU()
            self.d = torch.nn.Tanh()

    return [name for name, _ in Net().named_children()]


# The tests

@pytest.mark.parametrize("expression, values, expected", GRADIENTS)
def test_gradients(expression, values, expected, device):
    assert_same(gradient_of(minigan, expression, values), expected)


@pytest.mark.parametrize("expression, expected", VALUES)
def test_values(expression, expected, device):
    if expected == "error" and device == "cuda" and "entropy" in expression:
        # A GPU cannot raise an error without being waited for; a nan stands for it.
        assert_same(value_of(minigan, expression), ["float32", NAN])
    elif expected == "error":
        with pytest.raises((TypeError, ValueError, NotImplementedError)):
            value_of(minigan, expression)
    else:
        assert_same(value_of(minigan, expression), expected)


@pytest.mark.parametrize("index, expected", INDICES)
def test_indices(index, expected, device):
    assert_same(element_of(minigan, index), expected)


@pytest.mark.parametrize("index, expected", INDICES)
def test_gradients_of_indices(index, expected):
    x = minigan.zeros(3, 4, 2, 3, requires_grad=True)
    y = eval(f"x[{index}]", {"torch": minigan, "np": numpy, "x": x})
    y.backward(minigan.ones(y.shape))
    counts = numpy.bincount(numpy.array(expected[1], dtype=int), minlength=72)
    assert x.grad.numpy().ravel().tolist() == counts.tolist()


@pytest.mark.parametrize("index, expected", INDICES)
def test_assignments_to_indices(index, expected):
    x = minigan.zeros(3, 4, 2, 3)
    exec(f"x[{index}] = 1.0", {"torch": minigan, "np": numpy, "x": x})
    assert numpy.flatnonzero(x.numpy()).tolist() == sorted(set(expected[1]))


@pytest.mark.parametrize("module, input, name", FROZEN)
def test_frozen_parameters(module, input, name, device):
    module = eval(module, {"nn": minigan.nn})
    input = eval(input, {"torch": minigan})
    assert frozen(minigan, module, input, name) == [
        (other, other != name) for other, _ in module.named_parameters()]


@pytest.mark.parametrize("expression, other", FROZEN_LEAVES)
def test_frozen_leaves(expression, other, device):
    assert gradients_of_frozen(minigan, expression) == [False, other]


@pytest.mark.parametrize("edit, size, expected", EDITED)
def test_edited_gradients(edit, size, expected):
    assert_same(edited(minigan, *size, EDITS[edit]), expected)


@pytest.mark.parametrize("function, expected, rtol", PROGRAMS)
def test_programs(function, expected, rtol, device):
    assert_same(plain(function(minigan)), expected, rtol)


@pytest.mark.parametrize("function, expected", IN_PLACE)
def test_changes_in_place_of_results(function, expected, device):
    try:
        result = function(minigan)
    except RuntimeError as error:
        assert "in place" in str(error) or "view had to copy" in str(error)
    else:
        assert_same(plain(result), expected)


def test_a_count_of_batches_is_that_of_the_forward_pass(device):
    """PyTorch refuses the backward, since the count has changed."""
    m = minigan.nn.BatchNorm1d(2)
    w = minigan.tensor([3.0, 4.0], requires_grad=True)
    loss = (m.num_batches_tracked * w).sum()
    m(minigan.tensor([[1.0, 2.0], [3.0, 5.0]]))
    try:
        loss.backward()
    except RuntimeError as error:
        assert "in place" in str(error)
    else:
        assert plain(w.grad) == [0.0, 0.0]


def test_a_gradient_kept_over_zero_grad_keeps_its_numbers_unless_the_readme_says_otherwise():
    m = minigan.nn.Linear(3, 2)
    o = minigan.optim.Adam(m.parameters())
    m(minigan.ones(4, 3)).sum().backward()
    g = m.weight.grad
    o.zero_grad()
    m(minigan.ones(2, 3)).sum().backward()
    assert plain(m.weight.grad) == [[2.0] * 3] * 2
    readme = " ".join((Path(__file__).parents[1] / "minigan/README.md").read_text().split())
    assert plain(g) == [[4.0] * 3] * 2 or "copy a gradient that you want to keep" in readme


def test_a_nested_list_as_an_index_is_refused():
    """NumPy takes it for an array, PyTorch 2.13 for a tuple (and warns)."""
    x = minigan.arange(6).reshape(3, 2)
    with pytest.raises(TypeError, match="index: .*nested list"):
        x[[[0, 1], [1, 0]]]
    with pytest.raises((TypeError, ValueError), match="nested list"):
        x[[[0, 1]]] = 5


STARTS, STEPS = (-3, 0, 2.5, 0.9, -0.5), (1, 2, -1, 0.5, 1.5, -1.5, 0.3)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float64", None])
def test_arange_is_pytorchs(dtype):
    torch = pytorch()
    for start in STARTS:
        for end in (-4, 0, 3, 5, 4.5, 2.1):
            for step in STEPS:
                if (end - start) * step < 0 or dtype == "uint8" and min(start, end, step) < 0:
                    continue
                ours, theirs = (
                    outcome(lambda: m.arange(start, end, step, dtype=dtype and getattr(m, dtype)))
                    for m in (minigan, torch))
                if dtype in ("int64", "int32", "uint8"):
                    # A step that an integer dtype cuts to 0 is an error for int64 in PyTorch; its
                    # other dtypes repeat the start.
                    expected = theirs if abs(step) >= 1 else "error"
                    assert ours == expected, (start, end, step)
                else:
                    assert ours[0] == theirs[0] and len(ours[1]) == len(theirs[1])
                    numpy.testing.assert_allclose(
                        ours[1], theirs[1], rtol=2e-7, atol=1e-7 if dtype != "float64" else 1e-14)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float64"])
def test_linspace_is_pytorchs(dtype):
    torch = pytorch()
    for start in STARTS:
        for end in (-4, 0, 3, 5, 4.5, 100):
            for steps in (0, 1, 2, 3, 4, 7, 10):
                if dtype == "uint8" and min(start, end) < 0:
                    continue
                ours, theirs = (
                    outcome(lambda: m.linspace(start, end, steps, dtype=getattr(m, dtype)))
                    for m in (minigan, torch))
                if dtype.startswith("float"):  # the last digit depends on the order of the terms
                    assert ours[0] == theirs[0]
                    numpy.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, atol=1e-6)
                else:
                    assert ours == theirs, (start, end, steps)


def outcome(function):
    """The dtype and the values of a result, or "error"."""
    try:
        result = function()
    except (RuntimeError, TypeError, ValueError):
        return "error"
    return [str(result.dtype).replace("torch.", ""), plain(result)]


@pytest.mark.parametrize("create", ["rand", "randn"])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_random_fractions_are_no_integers(create, dtype, device):
    with pytest.raises(TypeError, match=f"{create}: .*{dtype}"):
        getattr(minigan, create)(2, dtype=getattr(minigan, dtype))


def test_detect_anomaly_in_one_thread_does_not_reach_another():
    entered, done, results = threading.Event(), threading.Event(), []

    def careless():
        entered.wait(60)
        try:
            x = minigan.tensor([-1.0], requires_grad=True)
            x.log().sum().backward()
            results.append(plain(x.grad))
        except ArithmeticError as error:
            results.append(str(error))
        done.set()

    thread = threading.Thread(target=careless)
    thread.start()
    with minigan.detect_anomaly():
        entered.set()
        done.wait(60)
    thread.join()
    assert results == [[-1.0]]


def test_no_grad_in_one_thread_does_not_reach_another():
    entered, done, results = threading.Event(), threading.Event(), []

    def train():
        entered.wait(60)
        results.append((minigan.ones(1, requires_grad=True) * 2).requires_grad)
        done.set()

    thread = threading.Thread(target=train)
    thread.start()
    with minigan.no_grad():
        entered.set()
        done.wait(60)
    thread.join()
    assert results == [True]


def test_a_train_of_ones_own_is_not_called():
    """Lessons give their networks a `train(inputs, targets)`."""
    class Network(minigan.nn.Module):
        def __init__(self):
            self.layer = minigan.nn.Dropout()

        def train(self, inputs, targets):
            raise AssertionError("called")

    parent = minigan.nn.Sequential(Network())
    parent.eval()
    assert not parent.training and not parent[0].training and not parent[0].layer.training
    parent.train()
    assert parent[0].training and parent[0].layer.training
    parent[0].eval()
    assert parent.training and not parent[0].training and not parent[0].layer.training


# PyTorch says the same of every program above

@pytest.mark.parametrize("expression, values, expected", GRADIENTS)
def test_gradients_in_pytorch(expression, values, expected):
    assert_same(gradient_of(pytorch(), expression, values), expected)


@pytest.mark.parametrize("expression, expected", VALUES)
def test_values_in_pytorch(expression, expected):
    torch = pytorch()
    if expected == "error":
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            value_of(torch, expression)
    else:
        assert_same(value_of(torch, expression), expected)


@pytest.mark.parametrize("index, expected", INDICES)
def test_indices_in_pytorch(index, expected):
    assert_same(element_of(pytorch(), index), expected)


@pytest.mark.parametrize("module, input, name", FROZEN)
def test_frozen_parameters_in_pytorch(module, input, name):
    torch = pytorch()
    module = eval(module, {"nn": torch.nn})
    assert frozen(torch, module, eval(input, {"torch": torch}), name) == [
        (other, other != name) for other, _ in module.named_parameters()]


@pytest.mark.parametrize("expression, other", FROZEN_LEAVES)
def test_frozen_leaves_in_pytorch(expression, other):
    assert gradients_of_frozen(pytorch(), expression) == [False, other]


@pytest.mark.parametrize("edit, size, expected", EDITED)
def test_edited_gradients_in_pytorch(edit, size, expected):
    assert_same(edited(pytorch(), *size, EDITS[edit]), expected)


@pytest.mark.parametrize("function, expected, rtol", IN_PYTORCH_TOO)
def test_programs_in_pytorch(function, expected, rtol):
    assert_same(plain(function(pytorch())), expected, rtol)


@pytest.mark.parametrize("function, expected", IN_PLACE)
def test_changes_in_place_of_results_in_pytorch(function, expected):
    assert_same(plain(function(pytorch())), expected)
