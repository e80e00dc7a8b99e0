"""Activations, each in one launch."""

from minigan.device import array_module
from minigan.kernels.cuda.source import dense, in_order_of, launch_for_each


def of_each(name, x, *others, number=None):
    """The kernel `name` over the elements of x and of other arrays in its shape: laid out as x."""
    x = dense(x)
    others = [in_order_of(x, other) for other in others]
    result = array_module(x).empty_like(x)
    numbers = () if number is None else (float(number),)
    launch_for_each(name, x, x.size, x, *others, result, x.size, *numbers)
    return result


def sigmoid(x):
    return of_each("sigmoid", x)


def sigmoid_backward(g, y):
    return of_each("sigmoid_backward", y, g)


def tanh_backward(g, y):
    return of_each("tanh_backward", y, g)


def leaky_relu(x, slope):
    return of_each("leaky_relu", x, number=slope)


def leaky_relu_backward(g, x, slope):
    return of_each("leaky_relu_backward", x, g, number=slope)


def gelu(x):
    """x * Phi(x); Phi(x) is computed again in the backward, which is quicker than keeping it."""
    return of_each("gelu", x), None


def gelu_backward(g, x, phi):
    return of_each("gelu_backward", x, g)
