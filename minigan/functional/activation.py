"""Functions applied to each element, softmax along one dimension, and dropout."""

import math
import warnings

import numpy

from minigan.autograd import node, operation, sum_in_float64
from minigan.checks import check_axis, check_floating, check_prelu, describe
from minigan.device import array_module, device_of, generator
from minigan.functional.arithmetic import floating
from minigan.tensor import Tensor


@operation
def sigmoid(input: Tensor):
    """1 / (1 + e^-x)."""
    x = floating(input).array
    y = 1 / (1 + array_module(x).exp(-x))  # where e^-x is infinite it is 0, as it should be
    return node(y, (input,), lambda g: (g * y * (1 - y),))


@operation
def tanh(input: Tensor):
    """The hyperbolic tangent, (e^x - e^-x) / (e^x + e^-x)."""
    x = floating(input).array
    y = array_module(x).tanh(x)
    return node(y, (input,), lambda g: (g * (1 - y * y),))


@operation
def relu(input: Tensor, inplace=False):
    """max(x, 0); the gradient at 0 is 0. `inplace` is accepted and changes nothing."""
    x = input.array
    if x.dtype == "bool":
        raise TypeError("relu: input must hold numbers, got bool")
    xp = array_module(x)
    # Selected, not multiplied by 0 and 1: an infinite gradient times 0 would be nan.
    return node(xp.maximum(x, 0), (input,), lambda g: (xp.where(x <= 0, 0, g),))


@operation
def leaky_relu(input: Tensor, negative_slope=0.01, inplace=False):
    """x above 0, negative_slope * x elsewhere. `inplace` is accepted and changes nothing.

    A. L. Maas et al., Rectifier nonlinearities improve neural network acoustic models, 2013.
    """
    x = floating(input).array
    xp = array_module(x)
    slope = float(negative_slope)
    y = xp.where(x > 0, x, slope * x) if slope else xp.maximum(x, 0)  # 0 * infinity would be nan

    def backward(g):
        return (xp.where(x > 0, g, slope * g if slope else 0),)

    return node(y, (input,), backward)


@operation
def prelu(input: Tensor, weight: Tensor):
    """x above 0, weight * x elsewhere: a leaky_relu whose slope is learned.

    input (N,C,...) or of any shape; weight (C,), one for each channel, or (1,)
    K. He et al., Delving deep into rectifiers, 2015.
    """
    x, w = floating(input).array, weight.array
    check_prelu(x, w)
    xp = array_module(x)
    axes = tuple(a for a in range(x.ndim) if a != 1 or w.size == 1)   # those that share a slope
    slope = w.reshape([-1 if a == 1 and w.size > 1 else 1 for a in range(x.ndim)])

    def backward(g):
        gw = sum_in_float64(xp.where(x > 0, 0, g * x), axes).reshape(w.shape)
        return xp.where(x > 0, g, slope * g), gw

    return node(xp.where(x > 0, x, slope * x), (input, weight), backward)


@operation
def gelu(input: Tensor, approximate="none"):
    """x Phi(x), Phi the normal distribution's cumulative function.

    approximate  'none', or 'tanh': x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
    D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016.
    """
    x = floating(input).array
    xp = array_module(x)
    near = xp.clip(x, -100, 100)  # beyond, Phi is 0 or 1, and no square overflows
    if approximate == "none":
        phi = normal_cdf(near)

        def backward(g):
            density = xp.exp(-near * near / 2) / math.sqrt(2 * math.pi)
            return (g * (phi + near * density),)

        return node(x * phi, (input,), backward)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {describe(approximate)}")
    scale = math.sqrt(2 / math.pi)
    h = xp.tanh(scale * (near + 0.044715 * near ** 3))

    def backward(g):
        slope = (1 - h * h) * scale * (1 + 3 * 0.044715 * near ** 2)
        return (g * (0.5 * (1 + h) + 0.5 * near * slope),)

    return node(0.5 * x * (1 + h), (input,), backward)


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


@operation
def softplus(input: Tensor, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta, as x itself where beta x > threshold."""
    x = floating(input).array
    xp = array_module(x)
    beta = float(beta)
    if not 0 < beta < math.inf:
        raise ValueError(f"softplus: beta must be above 0 and finite, got {beta}")
    z = beta * x
    is_linear = z > float(threshold)
    y = xp.where(is_linear, x, (xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))) / beta)
    return node(y, (input,), lambda g: (xp.where(is_linear, g, g / (1 + xp.exp(-z))),))


@operation
def softmax(input: Tensor, dim=None):
    """e^x divided by its sum along dim. None: as PyTorch picks it, with its warning."""
    if dim is None:
        return softmax(input, implicit_dim("softmax", input))
    x = floating(input).array
    axis = check_axis("softmax", dim, x.ndim)
    y = array_module(x).exp(log_softmax_of(x, axis))

    def backward(g):
        return (y * (g - (g * y).sum(axis=axis, keepdims=True)),)

    return node(y, (input,), backward)


@operation
def log_softmax(input: Tensor, dim=None):
    """log(softmax(x)) along dim, without forming the softmax, which could underflow."""
    if dim is None:
        return log_softmax(input, implicit_dim("log_softmax", input))
    x = floating(input).array
    axis = check_axis("log_softmax", dim, x.ndim)
    y = log_softmax_of(x, axis)
    softmax = array_module(x).exp(y)
    return node(y, (input,), lambda g: (g - softmax * g.sum(axis=axis, keepdims=True),))


def implicit_dim(name, input):
    """The dimension that PyTorch picks where none is named: 0 of 0, 1 or 3, else 1."""
    warnings.warn(f"{name}: no dim is given, which PyTorch has deprecated; name the one whose "
                  f"numbers add up to 1", UserWarning, stacklevel=5)
    return 0 if input.ndim in (0, 1, 3) else 1


def log_softmax_of(x, axis):
    """x - log(sum(e^x)), shifted by the largest element so that nothing overflows."""
    if not x.size:
        return x.copy()
    xp = array_module(x)
    x = x - x.max(axis=axis, keepdims=True)
    return x - xp.log(xp.exp(x).sum(axis=axis, keepdims=True))


@operation
def dropout(input: Tensor, p=0.5, training=True, inplace=False):
    """Each element zeroed with probability p, the others scaled by 1 / (1 - p); in training only.

    N. Srivastava et al., Dropout, 2014.
    """
    return dropped("dropout", input, p, training, input.array.shape)


@operation
def dropout2d(input: Tensor, p=0.5, training=True, inplace=False):
    """As dropout, for whole channels of (N,C,H,W). ValueError for any other shape."""
    if input.array.ndim != 4:
        raise ValueError(f"dropout2d: input must have shape (N,C,H,W), got {input.shape}")
    return dropped("dropout2d", input, p, training, (*input.shape[:2], 1, 1))


def dropped(name, input, p, training, shape):
    """Dropout with one random number for each element of a shape that broadcasts to the input's."""
    p = float(p)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must lie between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    x = input.array
    check_floating(name, x)
    xp = array_module(x)
    kept = generator(device_of(x)).random(shape, dtype=numpy.float32) >= p
    scale = 1 / (1 - p) if p < 1 else 0
    return node(xp.where(kept, x * scale, 0), (input,), lambda g: (xp.where(kept, g * scale, 0),),
                name)
