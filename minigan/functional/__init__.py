"""Every differentiable operation: one function each, its backward inside it."""

from minigan.functional.activation import (
    gelu, leaky_relu, log_softmax, prelu, relu, sigmoid, softmax, softplus, tanh)
from minigan.functional.arithmetic import (
    abs, add, argmax, argmin, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, bmm, clamp, div, eq,
    exp, ge, gt, le, log, lt, matmul, max, maximum, mean, min, minimum, mm, mul, ne, neg, pow, sqrt,
    sub, sum)
from minigan.functional.conversion import to, type, type_as
from minigan.functional.convolution import conv2d, conv_transpose2d
from minigan.functional.dropout import dropout, dropout2d
from minigan.functional.inplace import (
    add_, assign, clamp_, copy_, div_, masked_fill_, mul_, normal_, scatter_, sub_, uniform_)
from minigan.functional.instance_norm import instance_norm
from minigan.functional.interpolation import interpolate
from minigan.functional.linear import embedding, linear
from minigan.functional.loss import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss,
    nll_loss, smooth_l1_loss)
from minigan.functional.normalization import batch_norm, layer_norm
from minigan.functional.padding import pad
from minigan.functional.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from minigan.functional.selection import gather, masked_fill, one_hot, where
from minigan.functional.shape import (
    cat, chunk, clone, contiguous, expand, expand_as, flatten, index, permute, pixel_shuffle, repeat,
    reshape, split, squeeze, stack, t, transpose, unsqueeze, view, view_as)
from minigan.functional.statistics import norm, std, var

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "argmax", "argmin", "avg_pool2d", "batch_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "bmm", "cat", "chunk", "clamp",
    "conv2d", "conv_transpose2d", "cross_entropy", "div", "dropout", "dropout2d", "embedding",
    "exp", "expand", "flatten", "gather", "gelu", "index", "instance_norm", "interpolate",
    "l1_loss", "layer_norm", "leaky_relu", "linear", "log", "log_softmax", "masked_fill", "matmul",
    "max", "max_pool2d", "maximum", "mean", "min", "minimum", "mm", "mse_loss", "mul", "neg",
    "nll_loss", "norm", "one_hot", "pad", "permute", "pixel_shuffle", "pow", "prelu", "relu",
    "repeat", "reshape", "sigmoid", "smooth_l1_loss", "softmax", "softplus", "split", "sqrt",
    "squeeze", "stack", "std", "sub", "sum", "t", "tanh", "transpose", "unsqueeze", "var", "view",
    "where"]
