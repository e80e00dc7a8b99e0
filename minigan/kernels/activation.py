"""Twins of functional/activation.py."""

import numpy

from minigan import functional as F
from minigan.autograd import node, twin_of
from minigan.device import device_of, generator
from minigan.kernels.launch import (
    contiguous, covered, dense, empty_like, in_order_of, launch_each, launch_rows)
from minigan.tensor import Tensor


@twin_of(F.sigmoid)
def sigmoid(input):
    return elementwise("sigmoid", input, keeps_result=True)


@twin_of(F.tanh)
def tanh(input):
    return elementwise("tanh_activation", input, keeps_result=True, name="tanh")


@twin_of(F.relu)
def relu(input, inplace=False):
    return elementwise("relu", input)


@twin_of(F.leaky_relu)
def leaky_relu(input, negative_slope=0.01, inplace=False):
    return elementwise("leaky_relu", input, float(negative_slope))


@twin_of(F.gelu)
def gelu(input, approximate="none"):
    if approximate == "none":
        return elementwise("gelu", input)
    if approximate == "tanh":
        return elementwise("gelu_tanh", input, name="gelu")
    return NotImplemented


@twin_of(F.softplus)
def softplus(input, beta=1.0, threshold=20.0):
    beta, threshold = float(beta), float(threshold)
    if not 0 < beta < float("inf"):
        return NotImplemented
    return elementwise("softplus", input, beta, threshold)


def elementwise(kernel, input, *numbers, keeps_result=False, name=None):
    """A kernel of each element. Its backward needs the input, or the result."""
    if not isinstance(input, Tensor) or not covered(input.array):
        return NotImplemented
    x = dense(input.array)
    y = empty_like(x)
    launch_each(kernel, x.size, x, y, *numbers)
    kept = y if keeps_result else x

    def backward(g):
        gx = empty_like(kept)
        launch_each(f"{kernel}_backward", kept.size, kept, in_order_of(kept, g), gx, *numbers)
        return (gx,)

    return node(y, (input,), backward, name or kernel)


@twin_of(F.softmax)
def softmax(input, dim=None):
    return along_last("softmax", input, dim)


@twin_of(F.log_softmax)
def log_softmax(input, dim=None):
    return along_last("log_softmax", input, dim)


def along_last(kernel, input, dim):
    """A kernel of each row, if dim is the last dimension."""
    if not isinstance(input, Tensor) or not covered(input.array) or type(dim) is not int or (
            dim not in (-1, input.array.ndim - 1) or input.array.ndim == 0):
        return NotImplemented
    x = contiguous(input.array)
    P = x.shape[-1]
    y = empty_like(x)
    launch_rows(kernel, x.size // P, P, x, y)

    def backward(g):
        gx = empty_like(y)
        launch_rows(f"{kernel}_backward", y.size // P, P, y, contiguous(g), gx)
        return (gx,)

    return node(y, (input,), backward, kernel)


@twin_of(F.dropout)
def dropout(input, p=0.5, training=True, inplace=False):
    if not isinstance(input, Tensor) or not training or not 0 < float(p) < 1 or (
            not covered(input.array)):
        return NotImplemented
    x, p = contiguous(input.array), float(p)
    random = generator(device_of(x)).random(x.shape, dtype=numpy.float32)
    y = empty_like(x)
    launch_each("dropout", x.size, x, random, y, p, 1 / (1 - p))

    def backward(g):
        g = contiguous(g)
        gx = empty_like(g)
        launch_each("dropout", g.size, g, random, gx, p, 1 / (1 - p))
        return (gx,)

    return node(y, (input,), backward)
