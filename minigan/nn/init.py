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


def fans(name, tensor):
    """(fan_in, fan_out) of a weight (out,in) or (O,C,KH,KW): what one output, or input, meets.

    A transposed convolution's weight is (C,O,KH,KW): its fan_in is O * KH * KW, as in PyTorch.
    """
    if tensor.ndim < 2:
        raise ValueError(f"{name}: expected at least 2 dimensions, got shape {tensor.array.shape}")
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
    bound = kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity) * math.sqrt(3)
    return uniform_(tensor, -bound, bound)


@explain_errors
def kaiming_normal_(tensor: Tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    """Normal with that variance: a deviation of gain / sqrt(fan)."""
    return normal_(tensor, 0, kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


@explain_errors
def xavier_uniform_(tensor: Tensor, gain=1.0):
    """Uniform within gain * sqrt(6 / (fan_in + fan_out)).

    X. Glorot and Y. Bengio, Understanding the difficulty of training deep networks, 2010.
    """
    bound = xavier_std("xavier_uniform_", tensor, gain) * math.sqrt(3)
    return uniform_(tensor, -bound, bound)


@explain_errors
def xavier_normal_(tensor: Tensor, gain=1.0):
    """Normal with that variance: a deviation of gain * sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0, xavier_std("xavier_normal_", tensor, gain))


def kaiming_std(name, tensor, a, mode, nonlinearity):
    check_number(name, "a", a)
    gains = {"leaky_relu": math.sqrt(2 / (1 + a * a)), "relu": math.sqrt(2), "tanh": 5 / 3,
             "sigmoid": 1, "linear": 1}
    if nonlinearity not in gains or mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out' and nonlinearity one of "
                         f"{', '.join(gains)}; got {describe(mode)} and {describe(nonlinearity)}")
    fan = fans(name, tensor)[mode == "fan_out"]
    return gains[nonlinearity] / math.sqrt(fan) if fan else 0


def xavier_std(name, tensor, gain):
    check_number(name, "gain", gain, 0)
    total = sum(fans(name, tensor))
    return gain * math.sqrt(2 / total) if total else 0


def uniform_by_fan_in_(weight, bias):
    """How Linear, Conv2d and ConvTranspose2d begin: uniform within 1 / sqrt(fan_in)."""
    fan_in, _ = fans("uniform_by_fan_in_", weight)
    bound = 1 / math.sqrt(fan_in) if fan_in else 0
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)
