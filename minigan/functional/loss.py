"""Losses, each with its reduction, as PyTorch defines them; differentiable in the target too.

A backward gets the gradient with respect to the reduced loss: a number for 'mean' and 'sum', an
array for 'none'. Multiplied by `share` (1 / count for a mean) it is the one of each single loss.
"""

import math
from numbers import Integral

import numpy

from minigan.autograd import Tensor, node
from minigan.device import array_module
from minigan.checks import NotFiniteError, describe, operation
from minigan.functional.activation import log_softmax_of
from minigan.kernels.activation import sigmoid
from minigan.kernels.cuda import loss as on_gpu
from minigan.kernels.cuda.source import has_kernels_for


def check_pair(name, x, t):
    if x.shape != t.shape:
        raise ValueError(f"{name}: input of shape {x.shape} and target of shape {t.shape} "
                         f"must have the same shape")
    if x.dtype != t.dtype or x.dtype.kind != "f":
        raise TypeError(f"{name}: input and target must share a floating-point dtype, "
                        f"got {x.dtype} and {t.dtype}")


def constant(name, argument, value, shape, dtype):
    """The array of a weight that must broadcast to `shape`, or None. It gets no gradient."""
    if value is None:
        return None
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: {argument} must be a Tensor or None, "
                        f"got {type(value).__name__}")
    if value.requires_grad:
        raise NotImplementedError(f"{name}: {argument} cannot be differentiated; detach() it")
    w = value.array
    fits = len(w.shape) <= len(shape) and all(
        n in (1, m) for n, m in zip(w.shape[::-1], shape[::-1]))
    if not fits:
        raise ValueError(f"{name}: {argument} of shape {w.shape} does not broadcast to {shape}")
    return w.astype(dtype, copy=False)


def share_of(name, reduction, count):
    """What each of `count` losses counts in the reduced one."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', "
                         f"got {describe(reduction)}")
    # The mean of nothing is nan, as in PyTorch.
    return 1.0 if reduction != "mean" else 1 / count if count else math.nan


def reduced(name, losses, reduction, divisor=None):
    """The losses reduced, and `share`. divisor: what a mean divides by (None: their number)."""
    share = share_of(name, reduction, losses.size)
    if reduction == "none":
        return losses, share
    xp = array_module(losses)
    if reduction == "sum":
        return xp.asarray(losses.sum()), share
    if divisor is None:
        return xp.asarray(losses.sum() / (losses.size or math.nan)), share
    with numpy.errstate(divide="ignore", invalid="ignore"):
        # Where nothing counts the loss is nan, but the gradients stay 0: they are shares of 0.
        return xp.asarray(losses.sum() / divisor), 1 / (divisor + (divisor == 0))


@operation
def binary_cross_entropy(input: Tensor, target: Tensor, weight=None, *, reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)), each logarithm held at -100 at least.

    input (probabilities, 0..1) and target of one shape; weight broadcasts to it.
    ValueError for shapes that differ and for probabilities outside 0..1.
    """
    p, t = input.array, target.array
    check_pair("binary_cross_entropy", p, t)
    w = constant("binary_cross_entropy", "weight", weight, p.shape, p.dtype)
    if has_kernels_for(p) and w is None and reduction != "none" and p.size and (
            not target.requires_grad):
        share = share_of("binary_cross_entropy", reduction, p.size)
        return node(on_gpu.binary_cross_entropy(p, t, share), (input, target), lambda g: (
            on_gpu.binary_cross_entropy_backward(g, p, t, share), None))
    xp = array_module(p)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        log_p = xp.maximum(xp.log(p), -100)
        log_q = xp.maximum(xp.log1p(-p), -100)
    losses = (t - 1) * log_q - t * log_p
    if w is not None:
        losses = losses * w
    loss, share = reduced("binary_cross_entropy", losses, reduction)
    # Outside 0..1 a logarithm is nan, and so is the loss: only then is a closer look worth it.
    # (On a GPU the nan stays in the loss: looking would make the device wait.)
    if xp is numpy and not (loss == loss).all() and not ((p >= 0) & (p <= 1)).all():
        if numpy.isnan(p).any():
            raise NotFiniteError("binary_cross_entropy: input must lie in 0..1, got nan")
        raise ValueError(f"binary_cross_entropy: input must lie in 0..1, got values from "
                         f"{p.min():g} to {p.max():g}")

    def backward(g):
        g = g * share if w is None else g * share * w
        gp = gt = None
        if input.requires_grad:
            # PyTorch's bound: the gradient stays finite where p is exactly 0 or 1.
            gp = g * ((p - t) / xp.maximum(p * (1 - p), 1e-12))
        if target.requires_grad:
            gt = g * (log_q - log_p)
        return gp, gt

    return node(loss, (input, target), backward)


@operation
def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight=None, *,
                                     reduction="mean", pos_weight=None):
    """binary_cross_entropy of sigmoid(input), exact for large inputs of either sign.

    (1 - t) x + (1 + (pos_weight - 1) t) log(1 + e^-x); weight and pos_weight broadcast.
    """
    name = "binary_cross_entropy_with_logits"
    x, t = input.array, target.array
    check_pair(name, x, t)
    w = constant(name, "weight", weight, x.shape, x.dtype)
    extra = constant(name, "pos_weight", pos_weight, x.shape, x.dtype)
    extra = 0 if extra is None else extra - 1
    xp = array_module(x)
    low = xp.log1p(xp.exp(-xp.abs(x))) + xp.maximum(-x, 0)  # log(1 + e^-x)
    with numpy.errstate(invalid="ignore"):  # nan for infinite logits
        losses = (1 - t) * x + (1 + extra * t) * low
    if w is not None:
        losses = losses * w
    loss, share = reduced(name, losses, reduction)

    def backward(g):
        g = g * share if w is None else g * share * w
        gx = gt = None
        if input.requires_grad:
            gx = g * ((1 + extra * t) * sigmoid(x) - (1 + extra) * t)
        if target.requires_grad:
            gt = g * (extra * low - x)
        return gx, gt

    return node(loss, (input, target), backward)


@operation
def mse_loss(input: Tensor, target: Tensor, *, reduction="mean"):
    """(input - target)^2. ValueError for shapes that differ: nothing is broadcast."""
    x, t = input.array, target.array
    check_pair("mse_loss", x, t)
    difference = x - t
    loss, share = reduced("mse_loss", difference * difference, reduction)

    def backward(g):
        gx = (2 * share * g) * difference
        return gx, -gx

    return node(loss, (input, target), backward)


@operation
def l1_loss(input: Tensor, target: Tensor, *, reduction="mean"):
    """|input - target|, with gradient 0 where they are equal. Errors as mse_loss."""
    x, t = input.array, target.array
    check_pair("l1_loss", x, t)
    xp = array_module(x)
    difference = x - t
    loss, share = reduced("l1_loss", xp.abs(difference), reduction)

    def backward(g):
        gx = (share * g) * xp.sign(difference)
        return gx, -gx

    return node(loss, (input, target), backward)


@operation
def cross_entropy(input: Tensor, target: Tensor, weight=None, *, ignore_index=-100,
                  reduction="mean", label_smoothing=0.0):
    """-sum over classes of q log softmax(input), q being the wanted probabilities.

    input    logits (C,), (N,C) or (N,C,...)
    target   class indices (), (N,) or (N,...), or probabilities in the input's shape and dtype
    weight   (C,): how much each class counts; a mean over indices divides by the weights met
    ignore_index     a class index that counts for nothing
    label_smoothing  e: q becomes (1 - e) q + e / C

    ValueError for shapes that do not fit and indices out of range (on a GPU the loss is nan for
    these), TypeError for other dtypes.
    """
    name = "cross_entropy"
    x, t = input.array, target.array
    xp = array_module(x)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must lie in 0..1, got {label_smoothing}")
    axis, column, w = classes_of(name, x, weight, ignore_index)
    C = column[0]
    if t.dtype.kind == "f":
        check_pair(name, x, t)
        q = t
        if label_smoothing:
            q = q * (1 - label_smoothing) + label_smoothing / C
        q = q if w is None else q * w
        divisor = x.dtype.type(x.size // C)
    else:
        check_indices(name, x, t, axis, " or probabilities of the input's shape")
        q, divisor = wanted(name, t, x.dtype, axis, column, w, ignore_index, label_smoothing)

    log_p = log_softmax_of(x, axis)
    # A class that is not wanted counts for nothing, even one that is impossible: log p = -inf.
    losses = -(q * xp.where(q == 0, 0, log_p)).sum(axis=axis)
    loss, share = reduced(name, xp.asarray(losses), reduction, divisor)

    def backward(g):
        g = xp.expand_dims(g * share, axis) if reduction == "none" else g * share
        gx = gt = None
        if input.requires_grad:
            gx = g * (xp.exp(log_p) * q.sum(axis=axis, keepdims=True) - q)
        if target.requires_grad:
            gt = (label_smoothing - 1) * g * log_p
            gt = gt if w is None else gt * w
        return gx, gt

    return node(loss, (input, target), backward)


@operation
def nll_loss(input: Tensor, target: Tensor, weight=None, *, ignore_index=-100, reduction="mean"):
    """Minus the logarithm of the probability of the right class; with log_softmax before it,
    cross_entropy of class indices.

    input   log-probabilities (C,), (N,C) or (N,C,...)
    target  class indices (), (N,) or (N,...)

    weight, ignore_index and errors as in cross_entropy.
    """
    name = "nll_loss"
    x, t = input.array, target.array
    axis, column, w = classes_of(name, x, weight, ignore_index)
    check_indices(name, x, t, axis)
    q, divisor = wanted(name, t, x.dtype, axis, column, w, ignore_index, 0)
    xp = array_module(x)
    losses = -(q * xp.where(q == 0, 0, x)).sum(axis=axis)  # as in cross_entropy
    loss, share = reduced(name, xp.asarray(losses), reduction, divisor)

    def backward(g):
        g = xp.expand_dims(g * share, axis) if reduction == "none" else g * share
        return -g * q, None

    return node(loss, (input, target), backward)


def classes_of(name, x, weight, ignore_index):
    """(axis of the classes, a shape that broadcasts along it, the classes' weights in that shape
    or None), after the checks that losses over classes have in common."""
    if x.ndim == 0 or x.dtype.kind != "f" or not x.shape[0 if x.ndim == 1 else 1]:
        raise ValueError(f"{name}: input must be floating-point of shape (C,), (N,C) or (N,C,...) "
                         f"with C > 0, got {x.dtype} of shape {x.shape}")
    if not isinstance(ignore_index, Integral):
        raise TypeError(f"{name}: ignore_index must be a whole number, "
                        f"got {describe(ignore_index)}")
    axis = 0 if x.ndim == 1 else 1
    C = x.shape[axis]
    column = (C,) + (1,) * (x.ndim - 1 - axis)
    w = None
    if weight is not None:
        w = constant(name, "weight", weight, (C,), x.dtype).reshape(column)
    return axis, column, w


def check_indices(name, x, t, axis, otherwise=""):
    """ValueError unless t holds one class index for each loss. otherwise: what else it could be."""
    one_each = x.shape[:axis] + x.shape[axis + 1:]
    if t.dtype.kind not in "iu" or t.shape != one_each:
        raise ValueError(f"{name}: for input of shape {x.shape}, target must hold whole numbers of "
                         f"shape {one_each}{otherwise}; got {t.dtype} of shape {t.shape}")


def wanted(name, t, dtype, axis, column, w, ignore_index, label_smoothing):
    """Class indices as weighted probabilities, and what a mean divides by."""
    xp = array_module(t)
    C = column[0]
    counts = t != ignore_index
    known = (t >= 0) & (t < C) | ~counts
    if xp is numpy and not known.all():
        raise ValueError(f"{name}: target indices must lie in 0..{C - 1} or be "
                         f"ignore_index={ignore_index}, got {int(t[~known][0])}")
    hot = xp.expand_dims(t, axis) == xp.arange(C, dtype=t.dtype).reshape(column)
    hot &= xp.expand_dims(counts, axis)
    q = hot.astype(dtype)
    q = q if w is None else q * w
    divisor = q.sum()
    if label_smoothing:
        even = xp.expand_dims(counts, axis) * (dtype.type(label_smoothing / C) if w is None
                                               else w * dtype.type(label_smoothing / C))
        q = q * dtype.type(1 - label_smoothing) + even
    # A GPU cannot raise an error without being waited for; a nan says it there.
    q = q if xp is numpy else xp.where(xp.expand_dims(known, axis), q, dtype.type(float("nan")))
    return q, divisor
