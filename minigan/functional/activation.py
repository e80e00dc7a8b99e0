"""Functions applied to each element, and softmax and dropout."""

import math

import numpy

from minigan.autograd import Tensor, node
from minigan.device import device_of, generator, array_module
from minigan.checks import describe, operation
from minigan.functional.arithmetic import axis_of, fractional
from minigan.kernels import activation as kernels


@operation
def sigmoid(input: Tensor):
    """1 / (1 + e^-x)."""
    y = kernels.sigmoid(fractional(input).array)
    return node(y, (input,), lambda g: (kernels.sigmoid_backward(g, y),))


@operation
def tanh(input: Tensor):
    """The hyperbolic tangent, (e^x - e^-x) / (e^x + e^-x)."""
    y = array_module(input.array).tanh(fractional(input).array)
    return node(y, (input,), lambda g: (kernels.tanh_backward(g, y),))


@operation
def relu(input: Tensor, inplace=False):
    """max(x, 0); the gradient at 0 is 0. `inplace` is accepted and changes nothing."""
    x = input.array
    y = array_module(x).maximum(x, 0)
    return node(y, (input,), lambda g: (g * (y > 0),))


@operation
def leaky_relu(input: Tensor, negative_slope=0.01, inplace=False):
    """x above 0, negative_slope * x elsewhere. `inplace` is accepted and changes nothing."""
    x = fractional(input).array
    negative_slope = float(negative_slope)
    y = kernels.leaky_relu(x, negative_slope)
    return node(y, (input,), lambda g: (kernels.leaky_relu_backward(g, x, negative_slope),))


@operation
def gelu(input: Tensor, approximate="none"):
    """x Phi(x), Phi the normal distribution's cumulative function.

    approximate  'none', or 'tanh': x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
    D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016.
    """
    x = fractional(input).array
    xp = array_module(x)
    if approximate == "none":
        y, phi = kernels.gelu(x)
        return node(y, (input,), lambda g: (kernels.gelu_backward(g, x, phi),))
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {describe(approximate)}")
    scale = math.sqrt(2 / math.pi)
    held = xp.clip(x, -100, 100)  # far beyond where tanh is 1; the square cannot overflow
    square = held * held
    h = xp.tanh(scale * held * (1 + 0.044715 * square))

    def backward(g):
        slope = (1 - h * h) * (scale * (1 + 3 * 0.044715 * square))
        return (g * (0.5 * (1 + h) + 0.5 * x * slope),)

    return node(0.5 * x * (1 + h), (input,), backward)


@operation
def softplus(input: Tensor, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta, as x itself where beta x > threshold."""
    x = fractional(input).array
    xp = array_module(x)
    beta = float(beta)
    if not 0 < beta < math.inf:
        raise ValueError(f"softplus: beta must be above 0 and finite, got {beta}")
    z = beta * x
    linear = z > float(threshold)
    y = xp.where(linear, x, (xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))) / beta)
    return node(y, (input,), lambda g: (xp.where(linear, g, g * kernels.sigmoid(z)),))


def log_softmax_of(x, axis):
    """The logarithm of softmax, shifted by the largest entry so that nothing overflows."""
    if not x.size:
        return x
    xp = array_module(x)
    with numpy.errstate(invalid="ignore"):  # nan where the largest entry is infinite
        shifted = x - x.max(axis=axis, keepdims=True)
        return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


@operation
def softmax(input: Tensor, dim):
    """e^x over its sum along dim."""
    x = fractional(input).array
    axis = axis_of("softmax", dim, x.ndim)
    y = array_module(x).exp(log_softmax_of(x, axis))

    def backward(g):
        gy = g * y
        return (gy - y * gy.sum(axis=axis, keepdims=True),)

    return node(y, (input,), backward)


@operation
def log_softmax(input: Tensor, dim):
    """log(softmax(x)) along dim, computed in one piece."""
    x = fractional(input).array
    axis = axis_of("log_softmax", dim, x.ndim)
    y = log_softmax_of(x, axis)
    xp = array_module(x)
    return node(y, (input,), lambda g: (g - xp.exp(y) * g.sum(axis=axis, keepdims=True),))


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
    """Dropout with one draw for each entry of a shape that broadcasts to the input's."""
    p = float(p)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must lie between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    x = input.array
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: input must be floating-point, got {x.dtype}")
    drawn = generator(device_of(x)).random(shape, dtype=numpy.float32)
    factor = (drawn >= p).astype(x.dtype)
    if p < 1:
        factor *= 1 / (1 - p)
    return node(x * factor, (input,), lambda g: (g * factor,))
