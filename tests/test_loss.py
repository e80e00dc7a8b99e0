"""Losses against plain loops, at their limits, and what they refuse."""

import math

import numpy
import pytest

import minigan
import reference
from minigan import nn, tensor
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")
random = numpy.random.default_rng(0)
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def plain(x):
    return x.detach().cpu().numpy()


def close(result, expected):
    numpy.testing.assert_allclose(plain(result), expected, rtol=1e-12, atol=1e-12)


@REDUCTIONS
@pytest.mark.parametrize("weight", [None, random.uniform(0.5, 2, (3, 1))], ids=["", "weight"])
def test_binary_losses(reduction, weight):
    p, t, x = (random.uniform(0, 1, (3, 4)) for _ in range(3))
    x = 20 * x - 10
    w = None if weight is None else tensor(weight)
    close(F.binary_cross_entropy(tensor(p), tensor(t), w, reduction=reduction),
          reference.binary_cross_entropy(p, t, weight, reduction))
    close(F.binary_cross_entropy_with_logits(tensor(x), tensor(t), w, reduction=reduction),
          reference.binary_cross_entropy_with_logits(x, t, weight, reduction))
    positive = numpy.array([0.5, 1, 2, 3])
    close(F.binary_cross_entropy_with_logits(tensor(x), tensor(t), w, reduction=reduction,
                                             pos_weight=tensor(positive)),
          reference.binary_cross_entropy_with_logits(x, t, weight, reduction, positive))
    close(F.mse_loss(tensor(x), tensor(t), reduction=reduction),
          reference.mse_loss(x, t, reduction))
    close(F.l1_loss(tensor(x), tensor(t), reduction=reduction),
          reference.l1_loss(x, t, reduction))


@REDUCTIONS
@pytest.mark.parametrize("options", [{}, dict(label_smoothing=0.2), dict(ignore_index=1)], ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (3,), (2, 3, 4), (2, 3, 2, 2), (1, 1)], ids=str)
def test_cross_entropy(shape, options, reduction):
    x, C = random.standard_normal(shape), shape[0 if len(shape) == 1 else 1]
    weight = random.uniform(0.5, 2, C)
    labels = random.integers(0, C, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if labels.ndim:
        labels.flat[0] = 0  # so that not all are ignored
    elif options.get("ignore_index") == labels:
        labels = numpy.array(0)
    for w in (None, weight):
        ours = None if w is None else tensor(w)
        close(F.cross_entropy(tensor(x), tensor(labels), ours, reduction=reduction, **options),
              reference.cross_entropy(x, labels, w, reduction=reduction, **options))
        if "label_smoothing" not in options:
            log_p = reference.log_softmax(x, min(1, x.ndim - 1))
            close(F.nll_loss(tensor(log_p), tensor(labels), ours, reduction=reduction, **options),
                  reference.nll_loss(log_p, labels, w, reduction=reduction, **options))
        if "ignore_index" not in options:
            q = random.uniform(0, 1, shape)
            close(F.cross_entropy(tensor(x), tensor(q), ours, reduction=reduction, **options),
                  reference.cross_entropy(x, q, w, reduction=reduction, **options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_exactly_zero_and_one(dtype):
    p = tensor([0.0, 1.0, 0.0, 1.0], dtype=dtype, requires_grad=True)
    t = tensor([0.0, 1.0, 1.0, 0.0], dtype=dtype)
    losses = F.binary_cross_entropy(p, t, reduction="none")
    assert plain(losses).tolist() == [0, 0, 100, 100] and losses.dtype == dtype
    losses.sum().backward()
    assert numpy.isfinite(plain(p.grad)).all()


def test_a_saturated_logit_trains_on():
    """A logit of 20 gives p = 1 in float32: the next step must not make the weight nan."""
    w = minigan.tensor([40.0], requires_grad=True)
    optimiser = minigan.optim.Adam([w], lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        F.binary_cross_entropy(w.sigmoid(), minigan.zeros(1)).backward()
        optimiser.step()
    assert math.isfinite(w.item())


def test_large_logits():
    x = tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    losses = F.binary_cross_entropy_with_logits(x, tensor([1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert plain(losses).tolist() == [0, 0, 1e4, 1e4]
    losses.sum().backward()
    assert plain(x.grad).tolist() == [0, 0, 1, -1]


def test_means_of_nothing_are_nan():
    empty = minigan.zeros(0, 3)
    assert math.isnan(F.mse_loss(empty, empty).item())
    assert math.isnan(F.binary_cross_entropy(empty, empty).item())
    assert math.isnan(F.cross_entropy(minigan.zeros(2, 3), tensor([1, 1]), ignore_index=1).item())
    assert F.mse_loss(empty, empty, reduction="sum").item() == 0


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_ignored_targets_get_no_gradient(loss):
    x = minigan.ones(2, 3, dtype="float64", requires_grad=True)
    loss(x, tensor([1, 1]), ignore_index=1).backward()  # the loss is nan
    assert not plain(x.grad).any()


def test_equal_numbers_get_no_gradient():
    x = tensor([1.0, 2.0, 3.0], requires_grad=True)
    F.l1_loss(x, tensor([1.0, 5.0, 0.0]), reduction="sum").backward()
    assert plain(x.grad).tolist() == [0, -1, 1]


def test_a_class_ruled_out_by_its_logit():
    x = tensor(numpy.array([[1.0, -math.inf, 2.0]]), requires_grad=True)
    loss = F.cross_entropy(x, tensor([0]))
    loss.backward()
    close(loss, math.log(1 + math.e))
    p = 1 / (1 + math.e)
    close(x.grad, [[p - 1, 0, 1 - p]])


def test_weights_do_not_change_the_precision():
    x, wide = minigan.full((2, 3), 0.5), minigan.ones(3, dtype="float64")
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        assert loss(x, x, wide).dtype == "float32"


def test_targets_are_differentiated_too():
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss,
                 F.l1_loss, F.cross_entropy):
        t = tensor([[0.2, 0.8]], requires_grad=True)
        loss(tensor([[0.3, 0.6]]), t).backward()
        assert t.grad is not None and plain(t.grad).any(), loss.__name__


def test_weights_that_ask_for_a_gradient_are_refused():
    w = minigan.ones(2, requires_grad=True)
    x, t = tensor([[0.3, 0.6]]), tensor([[0.2, 0.8]])
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.cross_entropy):
        with pytest.raises(NotImplementedError, match="^(binary_)?cross_entropy.*: weight"):
            loss(x, t, w)


@pytest.mark.parametrize("module, loss, x, t", [
    (nn.BCELoss, F.binary_cross_entropy, [0.3, 0.6], [0.0, 1.0]),
    (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, [0.3, -0.6], [0.0, 1.0]),
    (nn.MSELoss, F.mse_loss, [0.3, 0.6], [0.0, 1.0]),
    (nn.L1Loss, F.l1_loss, [0.3, 0.6], [0.0, 1.0]),
    (nn.NLLLoss, F.nll_loss, [[-0.3, -0.6]], [1]),
    (nn.CrossEntropyLoss, F.cross_entropy, [[0.3, -0.6]], [1])])
@REDUCTIONS
def test_modules_are_the_functions(module, loss, x, t, reduction):
    x, t = tensor(x), tensor(t)
    close(module(reduction=reduction)(x, t), plain(loss(x, t, reduction=reduction)))
    with pytest.raises(ValueError, match=f"^{module.__name__}: reduction"):
        module(reduction="average")
    module(size_average=None, reduce=None)
    with pytest.raises(NotImplementedError, match=f"^{module.__name__}: size_average=False"):
        module(size_average=False)


def weighted_modules():
    yield nn.BCELoss(tensor([2.0, 3.0])), [0.3, 0.6], [0.0, 1.0]
    yield nn.BCEWithLogitsLoss(tensor([2.0, 3.0]), pos_weight=tensor([2.0, 1.0])), [0.3, 2], [1, 1]
    yield nn.CrossEntropyLoss(tensor([2.0, 3.0]), label_smoothing=0.1), [[0.3, 0.6]], [[0.5, 0.5]]


def test_weights_of_modules_move_with_them():
    for module, x, t in weighted_modules():
        module.double()
        value = module(tensor(x, dtype="float64"), tensor(t, dtype="float64"))
        assert value.dtype == "float64" and "weight" in module.state_dict()


ONE = minigan.ones(4, 3)


@pytest.mark.parametrize("call, said", [
    (lambda: F.binary_cross_entropy(minigan.ones(4, 1), minigan.ones(4)), ["(4, 1)", "(4,)"]),
    (lambda: F.mse_loss(minigan.ones(4, 1), minigan.ones(4)), ["(4, 1)", "(4,)"]),
    (lambda: F.binary_cross_entropy_with_logits(minigan.ones(2), minigan.ones(1)),
     ["(2,)", "(1,)"]),
    (lambda: F.binary_cross_entropy(ONE, minigan.ones(4, 3, dtype="float64")),
     ["float32", "float64"]),
    (lambda: F.binary_cross_entropy(ONE * 2, ONE), ["0..1", "2"]),
    (lambda: F.binary_cross_entropy(-ONE, ONE), ["0..1", "-1"]),
    (lambda: F.binary_cross_entropy(ONE * math.nan, ONE), ["0..1"]),
    (lambda: F.binary_cross_entropy(ONE, ONE, minigan.ones(4)), ["weight", "(4,)", "(4, 3)"]),
    (lambda: F.binary_cross_entropy(ONE, ONE, minigan.ones(2, 4, 3)), ["weight"]),
    (lambda: F.binary_cross_entropy(ONE, ONE, reduction="average"), ["reduction", "average"]),
    (lambda: F.binary_cross_entropy(ONE, [1.0]), ["target", "Tensor"]),
    (lambda: F.binary_cross_entropy(ONE, 1.0), ["target", "Tensor"]),
    (lambda: F.mse_loss(ONE, tensor([[1] * 3] * 4)), ["float32", "int64"]),
    (lambda: F.l1_loss(minigan.ones(4, 1), minigan.ones(4)), ["(4, 1)", "(4,)"]),
    (lambda: F.nll_loss(ONE, tensor([0, 1, 2, 3])), ["0..2", "3"]),
    (lambda: F.nll_loss(ONE, ONE), ["(4, 3)", "(4,)", "float32"]),
    (lambda: F.nll_loss(ONE, tensor([0] * 4), minigan.ones(4)), ["weight"]),
    (lambda: F.nll_loss(tensor(1.0), tensor(0)), ["()"]),
    (lambda: F.cross_entropy(ONE, tensor([0, 1, 2, 3])), ["0..2", "3"]),
    (lambda: F.cross_entropy(ONE, tensor([0, 1, 2, -1])), ["0..2", "-1"]),
    (lambda: F.cross_entropy(ONE, tensor([0, 1, 2])), ["(4, 3)", "(4,)", "(3,)"]),
    (lambda: F.cross_entropy(ONE, tensor([[0], [1], [2], [2]])), ["(4,)", "(4, 1)"]),
    (lambda: F.cross_entropy(ONE, minigan.ones(4)), ["(4, 3)", "(4,)"]),
    (lambda: F.cross_entropy(ONE, tensor([0, 1, 2, 0]), minigan.ones(4)), ["weight"]),
    (lambda: F.cross_entropy(ONE, tensor([0, 1, 2, 0]), minigan.ones(4, 3)), ["weight"]),
    (lambda: F.cross_entropy(ONE, tensor([True] * 4)), ["bool"]),
    (lambda: F.cross_entropy(tensor(1.0), tensor(0)), ["()"]),
    (lambda: F.cross_entropy(ONE, tensor([0] * 4), label_smoothing=2), ["label_smoothing"]),
    (lambda: F.cross_entropy(ONE, tensor([0] * 4), ignore_index="no"), ["cross_entropy"])])
def test_bad_arguments_are_named(call, said):
    minigan.set_device("cpu")  # a GPU does not look at values: there the loss is nan
    names = ("binary_cross_entropy|binary_cross_entropy_with_logits|mse_loss|l1_loss|"
             "cross_entropy|nll_loss")
    with pytest.raises((TypeError, ValueError), match=f"^({names}): ") as error:
        call()
    assert all(part in str(error.value) for part in said), error.value
