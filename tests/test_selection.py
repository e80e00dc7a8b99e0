"""where, masks, gather, scatter_, one_hot, variance and norms against loops."""

import math

import numpy
import pytest

import minigan
from minigan import tensor
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")
random = numpy.random.default_rng(0)


def plain(x):
    return x.detach().cpu().numpy()


def test_where_selects():
    x, y = random.standard_normal((2, 3)), random.standard_normal(3)
    z = minigan.where(tensor(x > 0), tensor(x), tensor(y))
    assert z.dtype == "float64"
    for i, j in numpy.ndindex(2, 3):
        assert z[i, j].item() == (x[i, j] if x[i, j] > 0 else y[j])
    zero = minigan.where(tensor([True, False]), 1, 0)
    assert zero.tolist() == [1, 0] and zero.dtype == "int64"


def test_what_is_not_selected_has_no_part_in_the_gradient():
    x = tensor([0.0, 4.0], requires_grad=True)
    minigan.where(x > 0, x, 1.0).sqrt().sum().backward()
    assert x.grad.tolist() == [0, 0.25]


def test_masked_fill_keeps_the_dtype():
    x = tensor([[1, 2], [3, 4]])
    assert x.masked_fill(x > 2, 9).tolist() == [[1, 2], [9, 9]] and x.max().item() == 4
    assert x.masked_fill_(x > 2, 9).tolist() == [[1, 2], [9, 9]] and x.max().item() == 9
    assert x.masked_fill(tensor([True, False]), 0).dtype == "int64"


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gather_and_scatter_equal_loops(dim):
    x = random.standard_normal((3, 4))
    shape = (2, 4) if dim == 0 else (3, 2)
    index = random.permuted(numpy.indices((3, 4))[dim], axis=dim)[:shape[0], :shape[1]]
    picked = plain(tensor(x).gather(dim, tensor(index)))
    spread = plain(minigan.zeros(3, 4, dtype="float64").scatter_(dim, tensor(index), tensor(x)))
    expected = numpy.zeros((3, 4))
    for place in numpy.ndindex(shape):
        there = list(place)
        there[dim] = index[place]
        assert picked[place] == x[tuple(there)]
        expected[tuple(there)] = x[place]
    assert (spread == expected).all()


def test_one_hot_rows_by_scatter_and_by_name():
    labels = tensor([2, 0, 2])
    rows = minigan.zeros(3, 4).scatter_(1, labels.view(-1, 1), value=1)
    assert rows.tolist() == F.one_hot(labels, 4).tolist() == [
        [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert F.one_hot(labels).shape == (3, 3) and F.one_hot(labels).dtype == "int64"


def test_scatter_counts_as_a_change_in_place():
    x = minigan.ones(2, 2, requires_grad=True)
    y = x * 2
    z = minigan.zeros(2, 2)
    product = y * z
    z.scatter_(1, tensor([[0], [1]]), 1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        product.sum().backward()
    with pytest.raises(RuntimeError, match="scatter_: a tensor that requires a gradient"):
        x.scatter_(1, tensor([[0], [1]]), 1.0)


@pytest.mark.parametrize("dim, correction", [(None, 1), (0, 0), ((0, 2), 1), (-1, 2)])
def test_variance_equals_loops(dim, correction):
    x = 5 + random.standard_normal((3, 2, 4))
    axes = tuple(range(3)) if dim is None else dim
    expected = x.var(axis=axes, ddof=correction)
    for y in (minigan.var(tensor(x), dim, correction=correction),
              tensor(x).std(dim, correction=correction) ** 2):
        numpy.testing.assert_allclose(plain(y), expected, rtol=1e-12)
    large = minigan.var(tensor(x + 1e4).float(), dim, correction=correction)
    numpy.testing.assert_allclose(plain(large), expected, rtol=1e-2)


def test_of_one_number_there_is_no_variance():
    assert math.isnan(minigan.ones(1).std().item()) and minigan.ones(1).var(0, False).item() == 0
    x = minigan.zeros(3, requires_grad=True)
    (x.std() + x.norm()).backward()
    assert x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("p", [1, 2, 3.5, math.inf, "fro"])
def test_norm_equals_loops(p):
    x = random.standard_normal((3, 4))
    order = 2 if p == "fro" else p
    expected = [max(map(abs, row)) if p == math.inf else
                sum(abs(v) ** order for v in row) ** (1 / order) for row in x]
    numpy.testing.assert_allclose(plain(tensor(x).norm(p, 1)), expected, rtol=1e-12)
    kept = tensor(x).norm(p, (0, 1), keepdim=True)
    assert kept.shape == (1, 1)
    numpy.testing.assert_allclose(kept.item(), numpy.linalg.norm(x.ravel(), order), rtol=1e-12)
