"""Activations and dropout as layers."""

import math

from minigan import functional
from minigan.checks import check_int, describe, explain_errors, check_number
from minigan.creation import full
from minigan.nn.module import Module, Parameter


class ReLU(Module):
    """max(x, 0). `inplace` is accepted and changes nothing."""

    @explain_errors
    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return functional.relu(input)


class LeakyReLU(Module):
    """x above 0, negative_slope * x elsewhere. `inplace` is accepted and changes nothing."""

    @explain_errors
    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope = check_number("LeakyReLU", "negative_slope", negative_slope)
        self.inplace = inplace

    def forward(self, input):
        return functional.leaky_relu(input, self.negative_slope)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class PReLU(Module):
    """x above 0, weight * x elsewhere; weight (num_parameters,), 1 or one for each channel."""

    @explain_errors
    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        self.num_parameters = check_int("PReLU", "num_parameters", num_parameters)
        slope = float(check_number("PReLU", "init", init))
        self.weight = Parameter(full(self.num_parameters, slope))
        self.to(device=device, dtype=dtype)

    def forward(self, input):
        return functional.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class GELU(Module):
    """x Phi(x), or its tanh approximation with approximate='tanh'."""

    @explain_errors
    def __init__(self, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', "
                             f"got {describe(approximate)}")
        self.approximate = approximate

    def forward(self, input):
        return functional.gelu(input, self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, input):
        return functional.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, input):
        return functional.tanh(input)


class Softplus(Module):
    """log(1 + e^(beta x)) / beta, as x itself where beta x > threshold."""

    @explain_errors
    def __init__(self, beta=1.0, threshold=20.0):
        self.beta = check_number("Softplus", "beta", beta)
        self.threshold = check_number("Softplus", "threshold", threshold)

    def forward(self, input):
        return functional.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """e^x over its sum along dim; None: see functional.softmax."""

    @explain_errors
    def __init__(self, dim=None):
        self.dim = None if dim is None else check_int(type(self).__name__, "dim", dim, -math.inf)

    def forward(self, input):
        return functional.softmax(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """log(softmax(x)) along dim."""

    def forward(self, input):
        return functional.log_softmax(input, self.dim)


class Dropout(Module):
    """In training each element is zeroed with probability p; `inplace` changes nothing."""

    @explain_errors
    def __init__(self, p=0.5, inplace=False):
        self.p = check_number(type(self).__name__, "p", p, 0, 1)
        self.inplace = inplace

    def forward(self, input):
        return functional.dropout(input, self.p, self.training)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """In training each channel of (N,C,H,W) is zeroed with probability p."""

    def forward(self, input):
        return functional.dropout2d(input, self.p, self.training)
