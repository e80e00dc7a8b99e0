"""Every differentiable operation: one function each, its backward inside it."""

from minigan.functional.activation import (
    gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, softplus, tanh)
from minigan.functional.arithmetic import (
    abs, add, argmax, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, clamp, div, eq, exp, ge, gt,
    le, log, lt, matmul, max, mean, min, mul, ne, neg, pow, sqrt, sub, sum)
from minigan.functional.conversion import to
from minigan.functional.convolution import conv2d, conv_transpose2d
from minigan.functional.dropout import dropout, dropout2d
from minigan.functional.inplace import (
    add_, assign, clamp_, copy_, div_, mul_, normal_, sub_, uniform_)
from minigan.functional.linear import embedding, linear
from minigan.functional.loss import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss,
    nll_loss)
from minigan.functional.normalization import batch_norm, layer_norm
from minigan.functional.pooling import avg_pool2d, max_pool2d
from minigan.functional.shape import (
    cat, clone, contiguous, flatten, index, interpolate, permute, reshape, squeeze, stack, t,
    transpose, unsqueeze, view)

__all__ = [
    "abs", "add", "argmax", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "cat", "clamp", "conv2d", "conv_transpose2d",
    "cross_entropy", "div", "dropout", "dropout2d", "embedding", "exp", "flatten", "gelu", "index",
    "interpolate", "l1_loss", "layer_norm", "leaky_relu", "linear", "log", "log_softmax", "matmul",
    "max", "max_pool2d", "mean", "min", "mse_loss", "mul", "neg", "nll_loss", "permute", "pow",
    "relu", "reshape", "sigmoid", "softmax", "softplus", "sqrt", "squeeze", "stack", "sub", "sum",
    "t", "tanh", "transpose", "unsqueeze", "view"]
