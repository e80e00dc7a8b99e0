"""The faster forms in kernels/ against the plain ones."""

import itertools

import numpy
import pytest

from minigan.kernels import convolution
from minigan.kernels.activation import BLOCK, gelu, gelu_backward
from minigan.kernels.lowering import Geometry, col2im, scatter_matrix, summed
from minigan.kernels.products import LARGE, outer_product, rows_product
from minigan.kernels.rows import column_sum, row_dot, row_mean, row_sum

random = numpy.random.default_rng(0)


def geometries():
    for size, kernel, stride, dilation in itertools.product(
            [(7, 6), (9, 9)], [(2, 3), (3, 2), (4, 4)], [(1, 1), (2, 2), (3, 2), (5, 1)],
            [(1, 1), (2, 1)]):
        for padding in (((0, 0), (0, 0)), ((2, 1), (0, 3))):
            output = tuple((n + sum(p) - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(
                size, padding, dilation, kernel, stride))
            yield Geometry(size, kernel, stride, padding, dilation, output)


@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("C, O", [(2, 3), (1, 9)])
def test_all_forms_of_the_products_agree(N, C, O, monkeypatch):
    for geometry in geometries():
        L = geometry.output[0] * geometry.output[1] * N
        x = random.standard_normal((C, *geometry.size, N))
        w, g = random.standard_normal((O, C, *geometry.kernel)), random.standard_normal((O, L))
        results = []
        for part, few, dimensions in ((1 << 30, 0, 2), (1, 0, 4), (0, 64, 6)):
            monkeypatch.setattr(convolution, "PART", part)
            monkeypatch.setattr(convolution, "FEW_OUTPUTS", few)
            lowered = convolution.lower(x, O, geometry)
            assert lowered.ndim == (2 if dimensions == 4 and C == 1 else dimensions)
            results.append((convolution.correlate(w, lowered, geometry),
                            convolution.outer(g, lowered, w.shape, geometry),
                            convolution.scatter(w, g, N, geometry)))
        for plain, *others in zip(*results):
            for other in others:
                numpy.testing.assert_allclose(other, plain, rtol=1e-12, atol=1e-12)


def test_one_product_sums_columns_back_as_additions_do():
    for geometry in geometries():
        (KH, KW), (OH, OW) = geometry.kernel, geometry.output
        columns = random.standard_normal((2 * KH * KW, OH * OW))
        plain = summed(columns, 2, 1, geometry)
        product = columns.reshape(2, -1) @ scatter_matrix(geometry, columns.dtype)
        numpy.testing.assert_allclose(product.reshape(plain.shape), plain, atol=1e-12)
        assert col2im(columns, 1, geometry).shape == (2, *geometry.size, 1)


@pytest.mark.parametrize("shape", [(3, 1, 4), (3, 7, 4), (10, 9216, 25), (10, 4001, 90),
                                   (70, 300, 80), (2, 0, 3)])
def test_outer_product(shape):
    M, L, K = shape
    a, b = random.standard_normal((M, L)), random.standard_normal((K, L))
    for left, right in ((a, b), (a.T.copy().T, b), (a, b.T.copy().T)):
        numpy.testing.assert_allclose(outer_product(left, right), a @ b.T, atol=1e-10)


@pytest.mark.parametrize("arrange", [
    lambda x: x, lambda x: x.transpose(2, 0, 1), lambda x: x[::2, :, ::-1], lambda x: x[:, 1:, 1:],
    lambda x: numpy.broadcast_to(x[:, :1], x.shape)])
def test_gelu_by_blocks(arrange):
    x = arrange(random.standard_normal((50, 30, 50)))
    assert x.size > BLOCK
    g = random.standard_normal(x.shape)
    y, phi = gelu(x)
    gx = gelu_backward(g, x, phi)
    for row in numpy.ndindex(x.shape[:2]):  # each of them less than a block
        whole = gelu(x[row])
        numpy.testing.assert_allclose([y[row], phi[row]], whole, rtol=1e-14)
        numpy.testing.assert_allclose(gx[row], gelu_backward(g[row], x[row], whole[1]), rtol=1e-14)


@pytest.mark.parametrize("rows", [(), (1,), (2,), (64,), (65,), (0,), (3, 4)])
@pytest.mark.parametrize("size", [LARGE // 200, 10])  # columns of w: above and below the limit
def test_rows_product(rows, size):
    x, w = random.standard_normal((*rows, size)), random.standard_normal((201, size))
    b = random.standard_normal(201)
    plain = numpy.einsum("...k,mk->...m", x, w)
    for bias, expected in ((None, plain), (b, plain + b)):
        y = rows_product(x, w, bias)
        assert y.flags.c_contiguous
        numpy.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(3, 5), (1, 7), (4, 1), (0, 3)])
def test_reductions(shape):
    x, y = random.standard_normal((2, *shape))
    for found, expected in ((row_sum(x), x.sum(1)), (row_mean(x), x.mean(1)),
                            (row_dot(x, y), (x * y).sum(1)), (column_sum(x), x.sum(0))):
        assert found.shape == expected.shape
        numpy.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
