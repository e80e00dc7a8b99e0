"""Activations as a device wants them, and the normal distribution: NumPy has no erf."""

import math

import numpy

from minigan.device import array_module
from minigan.kernels.cuda import activation as on_gpu
from minigan.kernels.cuda.source import has_kernels_for


def sigmoid(x):
    """1 / (1 + e^-x). Where e^-x is infinite the result is 0, as it should be."""
    if has_kernels_for(x):
        return on_gpu.sigmoid(x)
    xp = array_module(x)
    y = xp.negative(x)
    with numpy.errstate(over="ignore"):
        y = xp.exp(y)
    y += 1
    return 1 / y


def sigmoid_backward(g, y):
    return on_gpu.sigmoid_backward(g, y) if has_kernels_for(g) else g * (y * (1 - y))


def tanh_backward(g, y):
    return on_gpu.tanh_backward(g, y) if has_kernels_for(g) else g * (1 - y * y)


# float64: 1 - Phi(|x|) = exp(-x^2 / 2) * P(t) with t = (|x| - 4) / (|x| + 4), and P is smooth on
# -1 < t < 1. The coefficients, lowest power first, are the Chebyshev expansion of P computed with
# 40 digits; cut at degree 20 the error of Phi is below 1e-14.
DOUBLE = (
    0.09441064130197564, -0.17039772154858526, 0.12437925533777237, -0.07170740732923692,
    0.030864804160505896, -0.008492095643151888, 0.0005075613167637769, 0.0006388152179024613,
    -0.00018717891557490325, -4.556105469862134e-05, 2.8626758468702e-05, 4.647422752004802e-06,
    -4.250867324182471e-06, -8.528562824314902e-07, 5.823751860794946e-07, 2.2410073064495773e-07,
    -2.290579504416151e-08, -5.6832801509940644e-08, -2.5655702790756822e-08, 8.523624554385759e-09,
    7.0939837376080894e-09)

# float32: Phi(x) = (1 + tanh(x * Q(x^2))) / 2, in half as many passes as the form above. Q holds
# up to |x| = 5.7, beyond which tanh is 1 in float32 anyway. Its coefficients, lowest power first,
# are a least-squares fit weighted by what an error of Q does to x * Phi(x): less than 1e-7.
SINGLE = (0.797884464263916, 0.03633390739560127, -3.2953073969110847e-05, -5.5278440413530916e-05,
          3.97318035538774e-06, -1.3365095696826756e-07, 1.8094533649204436e-09)
SINGLE_END = 5.7


def normal_cdf(x):
    """Phi(x), the normal distribution's cumulative function, in x's dtype."""
    return (single_cdf if x.dtype == numpy.float32 else double_cdf)(x)


def double_cdf(x):
    xp = array_module(x)
    size = xp.minimum(xp.abs(x), 100)  # beyond, everything is 0 or 1, and no square overflows
    tail = polynomial((size - 4) / (size + 4), DOUBLE)
    tail *= xp.exp(-0.5 * size ** 2)
    return xp.where(x < 0, tail, 1 - tail)


def single_cdf(x):
    xp = array_module(x)
    held = xp.maximum(xp.minimum(x, SINGLE_END), -SINGLE_END)
    result = polynomial(held * held, SINGLE)
    result *= held
    result = xp.tanh(result)
    result *= 0.5
    result += 0.5
    return result


def polynomial(x, coefficients):
    """Horner's rule; coefficients lowest power first."""
    result = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        result += coefficient
        result *= x
    result += coefficients[0]
    return result


# Twenty passes over a large array wait for memory; over blocks that stay in the cache they don't.
BLOCK = 1 << 15


def by_blocks(function, count, *arrays):
    """`count` arrays that function(*arrays) gives, computed element by element, block by block."""
    x = arrays[0]
    if array_module(x) is not numpy or x.size <= BLOCK:
        return function(*arrays)
    results = [numpy.empty_like(x) for _ in range(count)]  # ordered in memory as x is
    flat = [in_order_of(results[0], array).ravel(order="K") for array in (*arrays, *results)]
    for start in range(0, x.size, BLOCK):
        parts = [array[start:start + BLOCK] for array in flat]
        for part, values in zip(parts[len(arrays):], function(*parts[:len(arrays)])):
            part[...] = values
    return results


def in_order_of(x, array):
    """The array itself, or a copy of it that lies in memory as x does."""
    if array.strides == x.strides:
        return array
    copy = numpy.empty_like(x)
    copy[...] = array
    return copy


def gelu(x):
    """x * Phi(x), and Phi(x) for the backward."""
    if has_kernels_for(x):
        return on_gpu.gelu(x)

    def of_block(x):
        phi = normal_cdf(x)
        return x * phi, phi

    return by_blocks(of_block, 2, x)


def gelu_backward(g, x, phi):
    """g * (Phi(x) + x * density(x)), the density being exp(-x^2 / 2) / sqrt(2 pi)."""
    if has_kernels_for(x):
        return on_gpu.gelu_backward(g, x, phi)

    def of_block(x, g, phi):
        xp = array_module(x)
        slope = xp.minimum(xp.abs(x), 100)  # the density is 0 long before; no square overflows
        slope *= slope
        slope *= -0.5
        slope = xp.exp(slope)
        slope *= 1 / math.sqrt(2 * math.pi)
        slope *= x
        slope += phi
        slope *= g
        return (slope,)

    return by_blocks(of_block, 1, x, g, phi)[0]


def leaky_relu(x, slope):
    """x above 0, slope * x elsewhere. Written without `where`, which is many times slower."""
    if has_kernels_for(x):
        return on_gpu.leaky_relu(x, slope)
    xp = array_module(x)
    if slope == 0:
        return xp.maximum(x, 0)  # 0 * infinity would be nan
    return (xp.maximum if slope <= 1 else xp.minimum)(x, x * x.dtype.type(slope))


def leaky_relu_backward(g, x, slope):
    """g above 0, slope * g elsewhere."""
    if has_kernels_for(x):
        return on_gpu.leaky_relu_backward(g, x, slope)
    factor = (x > 0).astype(x.dtype)
    factor *= x.dtype.type(1 - slope)
    factor += x.dtype.type(slope)
    factor *= g
    return factor
