"""linear and embedding against plain loops, and what they refuse."""

import numpy
import pytest

import minigan
import reference
from minigan import nn, tensor
from minigan.nn import functional as F

random = numpy.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (2, 0, 3), (1, 3)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias, device):
    x, w, b = (random.standard_normal(s) for s in (shape, (5, 3), (5,)))
    y = F.linear(tensor(x), tensor(w), tensor(b) if bias else None)
    numpy.testing.assert_allclose(y.cpu().numpy(), reference.linear(x, w, b if bias else None),
                                  rtol=1e-12)


def test_linear_of_non_contiguous_inputs():
    x, w = random.standard_normal((3, 8))[:, ::-2], random.standard_normal((4, 5)).T
    y = F.linear(tensor(x.T).t(), tensor(w))
    numpy.testing.assert_allclose(y.numpy(), x @ w.T, rtol=1e-12)


def test_embedding(device):
    w = random.standard_normal((6, 3))
    index = numpy.array([[0, 5], [2, 2]])
    assert (F.embedding(tensor(index), tensor(w)).cpu().numpy() == w[index]).all()


def test_embedding_adds_up_repeated_rows_and_skips_padding():
    w = tensor(random.standard_normal((4, 2)), requires_grad=True)
    F.embedding(tensor([1, 1, 3, 0]), w, padding_idx=3).sum().backward()
    assert w.grad.tolist() == [[1, 1], [2, 2], [0, 0], [0, 0]]


def test_embedding_layer():
    layer = nn.Embedding(10, 3, padding_idx=-1)
    assert layer.weight.shape == (10, 3) and not layer.weight.detach().numpy()[9].any()
    assert layer(tensor([[1, 2], [3, 9]])).shape == (2, 2, 3)


@pytest.mark.parametrize("call, said", [
    (lambda: F.linear(minigan.ones(2, 4), minigan.ones(5, 3)), ["(2, 4)", "(5, 3)"]),
    (lambda: F.linear(minigan.ones(()), minigan.ones(5, 3)), ["()"]),
    (lambda: F.linear(minigan.ones(3), minigan.ones(3)), ["(3,)"]),
    (lambda: F.linear(minigan.ones(3), minigan.ones(5, 3), minigan.ones(1)), ["bias", "(5,)"]),
    (lambda: F.linear(minigan.ones(3), minigan.ones(5, 3, dtype="float64")),
     ["float32", "float64"]),
    (lambda: F.linear(tensor([1, 2, 3]), minigan.ones(5, 3)), ["int64"]),
    (lambda: F.linear(numpy.ones(3), minigan.ones(5, 3)), ["input", "Tensor"]),
    (lambda: F.linear(minigan.ones(3), minigan.ones(5, 3), 1.0), ["bias"]),
    (lambda: F.embedding(tensor([0, 4]), minigan.ones(4, 2)), ["0..3", "4"]),
    (lambda: F.embedding(tensor([-1]), minigan.ones(4, 2)), ["0..3", "-1"]),
    (lambda: F.embedding(tensor([0]), minigan.ones(4, 2, requires_grad=True), 7).sum().backward(),
     ["padding_idx", "7"]),
    (lambda: F.embedding(tensor([0.5]), minigan.ones(4, 2)), ["integers"]),
    (lambda: F.embedding(tensor([0]), minigan.ones(4)), ["(4,)"])])
def test_bad_arguments_are_named(call, said):
    with pytest.raises((TypeError, ValueError), match="^(linear|embedding): ") as error:
        call()
    assert all(part in str(error.value) for part in said), error.value
