"""Special functions that NumPy lacks."""

from minigan.device import array_module

# NumPy has no erf. 1 - Phi(|x|) = exp(-x^2 / 2) * P(t) with t = (|x| - 4) / (|x| + 4), where P is
# smooth on -1 < t < 1. These are the coefficients of its Chebyshev approximation of degree 20,
# computed with 40 digits and rewritten in powers of t, lowest first: Phi's error is below 1e-14.
TAIL = (
    0.09441064130197564, -0.17039772154858526, 0.12437925533777237, -0.07170740732923692,
    0.030864804160505896, -0.008492095643151888, 0.0005075613167637769, 0.0006388152179024613,
    -0.00018717891557490325, -4.556105469862134e-05, 2.8626758468702e-05, 4.647422752004802e-06,
    -4.250867324182471e-06, -8.528562824314902e-07, 5.823751860794946e-07, 2.2410073064495773e-07,
    -2.290579504416151e-08, -5.6832801509940644e-08, -2.5655702790756822e-08, 8.523624554385759e-09,
    7.0939837376080894e-09)


def normal_cdf(x):
    """Phi(x), the normal distribution's cumulative function, in x's dtype."""
    xp = array_module(x)
    t = (xp.abs(x) - 4) / (xp.abs(x) + 4)
    tail = 0
    for coefficient in TAIL[::-1]:  # Horner's rule
        tail = tail * t + coefficient
    tail = tail * xp.exp(-x * x / 2)
    return xp.where(x < 0, tail, 1 - tail)
