"""Losses, each with its reduction, as PyTorch defines them; differentiable in the target too.

A backward gets the gradient with respect to the reduced loss: a number for 'mean' and 'sum', an
array for 'none'. Multiplied by `share` (1 / count for a mean) it is the one of each single loss.
"""

import math

from minigan.autograd import node, operation
from minigan.checks import (
    check_classes, check_constant, check_indices, check_number, check_probabilities,
    check_reduction, check_target)
from minigan.device import array_module
from minigan.functional.activation import log_softmax_of
from minigan.tensor import Tensor


@operation
def mse_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean"):
    """(input - target)^2. ValueError for shapes that differ: nothing is broadcast."""
    x, t = input.array, target.array
    check_target("mse_loss", x, t)
    check_reduction("mse_loss", reduction, size_average, reduce)
    difference = x - t
    loss, share = reduced(difference * difference, reduction)

    def backward(g):
        gx = 2 * share * g * difference
        return gx, -gx

    return node(loss, (input, target), backward)


@operation
def l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean"):
    """|input - target|; the gradient at 0 is 0. ValueError for shapes that differ."""
    x, t = input.array, target.array
    check_target("l1_loss", x, t)
    check_reduction("l1_loss", reduction, size_average, reduce)
    xp = array_module(x)
    difference = x - t
    loss, share = reduced(xp.abs(difference), reduction)

    def backward(g):
        gx = share * g * xp.sign(difference)
        return gx, -gx

    return node(loss, (input, target), backward)


@operation
def smooth_l1_loss(input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean",
                   beta=1.0):
    """d^2 / (2 beta) for a difference d below beta, |d| - beta / 2 above. Errors as l1_loss.

    R. Girshick, Fast R-CNN, 2015.
    """
    x, t = input.array, target.array
    check_target("smooth_l1_loss", x, t)
    check_reduction("smooth_l1_loss", reduction, size_average, reduce)
    check_number("smooth_l1_loss", "beta", beta, 0)
    xp = array_module(x)
    d = x - t
    size = xp.abs(d)
    is_small = size < beta
    loss, share = reduced(xp.where(is_small, d * d / (2 * beta or 1), size - beta / 2), reduction)

    def backward(g):
        gx = share * g * xp.where(is_small, d / (beta or 1), xp.sign(d))
        return gx, -gx

    return node(loss, (input, target), backward)


@operation
def binary_cross_entropy(input: Tensor, target: Tensor, weight=None, size_average=None, reduce=None,
                         reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)), each logarithm at least -100.

    input (probabilities, 0..1) and target of one shape; weight broadcasts to it.
    ValueError for shapes that differ and for numbers outside 0..1 (on a GPU, and in replays of a
    captured step, the loss is nan instead).
    """
    p, t = input.array, target.array
    check_target("binary_cross_entropy", p, t)
    check_probabilities("binary_cross_entropy", "input", p)
    check_probabilities("binary_cross_entropy", "target", t)
    check_reduction("binary_cross_entropy", reduction, size_average, reduce)
    w = constant("binary_cross_entropy", "weight", weight, p)
    xp = array_module(p)
    log_p = xp.maximum(xp.log(p), -100)
    log_q = xp.maximum(xp.log1p(-p), -100)      # q = 1 - p
    losses = -w * (t * log_p + (1 - t) * log_q)
    # A GPU cannot raise an error without being waited for; a nan stands for it there.
    losses = xp.where((t >= 0) & (t <= 1), losses, math.nan).astype(p.dtype)
    loss, share = reduced(losses, reduction)

    def backward(g):
        # PyTorch's bound: the gradient stays finite where p is exactly 0 or 1.
        gp = g * share * w * (p - t) / xp.maximum(p * (1 - p), 1e-12)
        gt = g * share * w * (log_q - log_p)
        return gp, gt

    return node(loss, (input, target), backward)


@operation
def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight=None, size_average=None,
                                     reduce=None, reduction="mean", pos_weight=None):
    """binary_cross_entropy of sigmoid(input), exact for large inputs of either sign.

    (1 - t) x + (1 + (pos_weight - 1) t) log(1 + e^-x); weight and pos_weight broadcast.
    """
    name = "binary_cross_entropy_with_logits"
    x, t = input.array, target.array
    check_target(name, x, t)
    check_reduction(name, reduction, size_average, reduce)
    w, positive = constant(name, "weight", weight, x), constant(name, "pos_weight", pos_weight, x)
    xp = array_module(x)
    softplus = xp.log1p(xp.exp(-xp.abs(x))) + xp.maximum(-x, 0)    # log(1 + e^-x)
    factor = 1 + (positive - 1) * t
    loss, share = reduced(w * ((1 - t) * x + factor * softplus), reduction)

    def backward(g):
        sigmoid = 1 / (1 + xp.exp(-x))
        gx = g * share * w * (factor * sigmoid - positive * t)
        gt = g * share * w * ((positive - 1) * softplus - x)
        return gx, gt

    return node(loss, (input, target), backward)


@operation
def cross_entropy(input: Tensor, target: Tensor, weight=None, size_average=None, ignore_index=-100,
                  reduce=None, reduction="mean", label_smoothing=0.0):
    """-sum over classes of q log softmax(input), q being the target probabilities.

    input    logits (C,), (N,C) or (N,C,...)
    target   class indices (), (N,) or (N,...), or probabilities in the input's shape and dtype
    weight   (C,): how much each class counts; a mean over indices divides by the weights met
    ignore_index     a class index that counts for nothing
    label_smoothing  e: q becomes (1 - e) q + e / C

    ValueError for shapes that do not fit and indices out of range (on a GPU the loss is nan for
    these), TypeError for other dtypes.
    """
    x, t = input.array, target.array
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must lie in 0..1, got {label_smoothing}")
    axis = check_classes("cross_entropy", x, ignore_index)
    check_reduction("cross_entropy", reduction, size_average, reduce)
    w = class_weight("cross_entropy", weight, x, axis)
    if t.dtype.kind == "f":
        check_target("cross_entropy", x, t)
        C = x.shape[axis]
        q, counts, divisor = (t + label_smoothing * (1 / C - t)) * w, True, x.size / C
    else:
        check_indices("cross_entropy", x, axis, t, ignore_index,
                      " or probabilities of the input's shape")
        q, counts, divisor = one_hot(x, axis, t, w, ignore_index, label_smoothing)
    xp = array_module(x)
    log_p = log_softmax_of(x, axis)
    # A class that is not a target counts for nothing, even an impossible one: log p = -inf.
    losses = -xp.where(q == 0, 0, q * log_p).sum(axis=axis)
    loss, share = reduced(xp.asarray(losses), reduction, divisor)

    def backward(g):
        g = xp.expand_dims(g, axis) if reduction == "none" else g
        gx = gt = None
        if input.requires_grad:
            gq = xp.where(counts, g * share * q, 0)
            gx = xp.exp(log_p) * gq.sum(axis=axis, keepdims=True) - gq
        if target.requires_grad:
            gt = (label_smoothing - 1) * w * g * share * log_p
        return gx, gt

    return node(loss, (input, target), backward)


@operation
def nll_loss(input: Tensor, target: Tensor, weight=None, size_average=None, ignore_index=-100,
             reduce=None, reduction="mean"):
    """Minus the logarithm of the probability of the right class; with log_softmax before it,
    cross_entropy of class indices.

    input   log-probabilities (C,), (N,C) or (N,C,...)
    target  class indices (), (N,) or (N,...)

    weight, ignore_index and errors as in cross_entropy.
    """
    x, t = input.array, target.array
    axis = check_classes("nll_loss", x, ignore_index)
    check_reduction("nll_loss", reduction, size_average, reduce)
    check_indices("nll_loss", x, axis, t, ignore_index)
    w = class_weight("nll_loss", weight, x, axis)
    q, counts, divisor = one_hot(x, axis, t, w, ignore_index)
    xp = array_module(x)
    losses = -xp.where(q == 0, 0, q * x).sum(axis=axis)  # as in cross_entropy
    loss, share = reduced(xp.asarray(losses), reduction, divisor)

    def backward(g):
        g = xp.expand_dims(g, axis) if reduction == "none" else g
        return xp.where(counts, -g * share * q, 0), None

    return node(loss, (input, target), backward)


def one_hot(x, axis, t, w, ignore_index, label_smoothing=0):
    """Class indices t as target probabilities q in the shape of the scores x.

    Gives (q times the weights w, where q counts, what a mean divides by: the weights met).
    """
    xp = array_module(x)
    C = x.shape[axis]
    t = xp.expand_dims(t, axis)
    counts = t != ignore_index
    classes = xp.arange(C).reshape((C,) + (1,) * (x.ndim - 1 - axis))
    hot = (t == classes) & counts
    q = (hot * w).astype(x.dtype)
    divisor = q.sum()
    # A GPU cannot raise an error without being waited for; a nan stands for it there.
    q = xp.where((t >= 0) & (t < C) | ~counts, q, math.nan).astype(x.dtype)
    if not label_smoothing:
        return q, hot, divisor
    return q + (label_smoothing * counts * (w / C - q)).astype(x.dtype), counts, divisor


def class_weight(name, weight, x, axis):
    """The classes' weights in a shape that broadcasts against the scores x; 1 for None."""
    check_constant(name, "weight", weight, x.shape[axis:axis + 1])
    if weight is None:
        return 1
    return weight.array.astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - 1 - axis))


def constant(name, argument, value, x):
    """The array of a weight that broadcasts against x; 1 for None. It gets no gradient."""
    check_constant(name, argument, value, x.shape)
    return 1 if value is None else value.array.astype(x.dtype)


def reduced(losses, reduction, divisor=None):
    """The losses reduced, and the share of each in that. divisor: what a mean divides by (None:
    their number); where it is 0 the mean is nan, as in PyTorch."""
    if reduction == "none":
        return losses, 1
    xp = array_module(losses)
    total = losses.sum(dtype="float64")  # as sum_in_float64; in half precision it may be infinite
    if reduction == "sum":
        return xp.asarray(total, dtype=losses.dtype), 1
    # `full`, as `asarray` would copy a number from the host, which cannot be captured.
    divisor = xp.full((), losses.size if divisor is None else divisor, "float64")
    return (xp.asarray(total / divisor, dtype=losses.dtype),
            xp.asarray(1 / divisor, dtype=losses.dtype))
