"""Filling tensors and parameters with their first values."""

import math

from minigan.tensor import Tensor
from minigan.checks import describe, explain_errors, check_number
from minigan.grad_mode import no_grad


@explain_errors
def uniform_(tensor: Tensor, a=0.0, b=1.0):
    """Uniform numbers, a <= x < b."""
    with no_grad():
        return tensor.uniform_(a, b)


@explain_errors
def normal_(tensor: Tensor, mean=0.0, std=1.0):
    """Normal numbers."""
    with no_grad():
        return tensor.normal_(mean, std)


@explain_errors
def constant_(tensor: Tensor, val):
    """One value everywhere."""
    with no_grad():
        return tensor.fill_(val)


@explain_errors
def zeros_(tensor: Tensor):
    return constant_(tensor, 0)


@explain_errors
def ones_(tensor: Tensor):
    return constant_(tensor, 1)


def fans(tensor):
    """(fan_in, fan_out) of a weight (out,in) or (O,C,KH,KW): what one output, or input, meets.

    A transposed convolution's weight is (C,O,KH,KW): its fan_in is O * KH * KW, as in PyTorch.
    """
    if tensor.ndim < 2:
        raise ValueError(f"kaiming_uniform_: expected at least 2 dimensions, "
                         f"got shape {tensor.shape}")
    out, into, *kernel = tensor.shape
    return into * math.prod(kernel), out * math.prod(kernel)


@explain_errors
def kaiming_uniform_(tensor: Tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    """Uniform within gain * sqrt(3 / fan): keeps the variance through a layer and its activation.

    a     the negative slope of the leaky_relu that follows
    mode  'fan_in' (forward pass) or 'fan_out' (backward pass)
    nonlinearity  'leaky_relu', 'relu', 'tanh', 'sigmoid' or 'linear'
    K. He et al., Delving deep into rectifiers, 2015.
    """
    check_number("kaiming_uniform_", "a", a)
    gains = {"leaky_relu": math.sqrt(2 / (1 + a * a)), "relu": math.sqrt(2), "tanh": 5 / 3,
             "sigmoid": 1, "linear": 1}
    if nonlinearity not in gains or mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming_uniform_: mode must be 'fan_in' or 'fan_out' and nonlinearity "
                         f"one of {', '.join(gains)}; got {describe(mode)} "
                         f"and {describe(nonlinearity)}")
    fan = fans(tensor)[mode == "fan_out"]
    bound = gains[nonlinearity] * math.sqrt(3 / fan) if fan else 0
    return uniform_(tensor, -bound, bound)


def uniform_by_fan_in_(weight, bias):
    """How Linear, Conv2d and ConvTranspose2d begin: uniform within 1 / sqrt(fan_in)."""
    fan_in, _ = fans(weight)
    bound = 1 / math.sqrt(fan_in) if fan_in else 0
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)
