"""Activations as a device wants them, and the normal distribution: NumPy has no erf."""

import numpy

from minigan.device import module_of

# 1 - Phi(|x|) = exp(-x^2 / 2) * P(t) with t = (|x| - 4) / (|x| + 4): P is smooth on -1 < t < 1.
# The coefficients, lowest power first, are the Chebyshev expansion of P computed with 40 digits;
# cut at degree 20 the error of Phi is below 1e-14, at degree 10 below 4e-9.
DOUBLE = (
    0.09441064130197564, -0.17039772154858526, 0.12437925533777237, -0.07170740732923692,
    0.030864804160505896, -0.008492095643151888, 0.0005075613167637769, 0.0006388152179024613,
    -0.00018717891557490325, -4.556105469862134e-05, 2.8626758468702e-05, 4.647422752004802e-06,
    -4.250867324182471e-06, -8.528562824314902e-07, 5.823751860794946e-07, 2.2410073064495773e-07,
    -2.290579504416151e-08, -5.6832801509940644e-08, -2.5655702790756822e-08, 8.523624554385759e-09,
    7.0939837376080894e-09)
SINGLE = (
    0.09441064260746966, -0.17039768946682105, 0.12437916006474514, -0.07170805958261016,
    0.030865937049156765, -0.008488349609886646, 0.0005025865608580479, 0.0006298726186410462,
    -0.00017711179857833533, -3.577667807480632e-05, 1.8786731185451757e-05)


# Fourteen passes over a large array wait for memory; over blocks that stay in the cache they don't.
BLOCK = 1 << 14


def normal_cdf(x):
    """(Phi(x), exp(-x^2 / 2)), the second because a backward needs it too; in x's dtype."""
    if module_of(x) is not numpy or x.size <= BLOCK:
        return normal_cdf_of_block(x)
    if 0 in x.strides:  # broadcast: it has no order of memory
        x = numpy.ascontiguousarray(x)
    phi, bell = numpy.empty_like(x), numpy.empty_like(x)
    # In the order of memory, which empty_like copies from x.
    flat, flat_phi, flat_bell = (array.ravel(order="K") for array in (x, phi, bell))
    for start in range(0, x.size, BLOCK):
        part = slice(start, start + BLOCK)
        flat_phi[part], flat_bell[part] = normal_cdf_of_block(flat[part])
    return phi, bell


def normal_cdf_of_block(x):
    xp = module_of(x)
    coefficients = DOUBLE if x.dtype == numpy.float64 else SINGLE
    size = xp.minimum(xp.abs(x), 100)  # beyond, everything is 0 or 1, and no square overflows
    t = (size - 4) / (size + 4)
    tail = xp.full_like(t, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        tail *= t
        tail += coefficient
    bell = xp.exp(-0.5 * size ** 2)
    tail *= bell
    return xp.where(x < 0, tail, 1 - tail), bell


def leaky_relu(x, slope):
    """x above 0, slope * x elsewhere. Written without `where`, which is many times slower."""
    xp = module_of(x)
    if slope == 0:
        return xp.maximum(x, 0)  # 0 * infinity would be nan
    return (xp.maximum if slope <= 1 else xp.minimum)(x, x * slope)


def leaky_relu_backward(g, x, slope):
    """g above 0, slope * g elsewhere."""
    above = x > 0
    factor = above + x.dtype.type(slope) * ~above
    factor *= g
    return factor
