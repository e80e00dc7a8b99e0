"""Functions applied to each element, and softmax along one dimension."""

import math
import warnings

from minigan.autograd import node, operation, sum_in_float64
from minigan.checks import check_axis, check_prelu, describe
from minigan.device import array_module
from minigan.functional.arithmetic import floating
from minigan.functional.special import normal_cdf
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
