"""SGD and Adam against plain loops, and how they live with the parameters they move."""

import contextlib
import math

import numpy
import pytest

import minigan
from minigan import kernels, nn, no_grad, optim, tensor
from minigan.device import address

pytestmark = pytest.mark.usefixtures("device")
random = numpy.random.default_rng(0)


def leaf(array):
    return tensor(array, dtype="float64", requires_grad=True)


def plain(x):
    return x.detach().cpu().numpy()


def give(parameters, gradients):
    """Set gradients as a backward would."""
    for p, g in zip(parameters, gradients):
        p.grad = None
        if g is not None:
            (p * tensor(g)).sum().backward()


def sgd_by_hand(p, gradients, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    p, b = p.copy(), numpy.zeros_like(p)
    for g in gradients:
        if g is None:
            continue
        d = g + weight_decay * p
        b = momentum * b + d
        p -= lr * (d + momentum * b if nesterov else b)
    return p


def adam_by_hand(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    p, m, v, step = p.copy(), 0.0, 0.0, 0
    for g in gradients:
        if g is None:
            continue
        step += 1
        g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
        p -= lr * m_hat / (numpy.sqrt(v_hat) + eps)
    return p


OPTIMISERS = [
    (optim.SGD, sgd_by_hand, dict(lr=0.1)),
    (optim.SGD, sgd_by_hand, dict(lr=0.1, weight_decay=0.3)),
    (optim.SGD, sgd_by_hand, dict(lr=0.1, momentum=0.9)),
    (optim.SGD, sgd_by_hand, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)),
    (optim.Adam, adam_by_hand, dict(lr=0.1)),
    (optim.Adam, adam_by_hand, dict(lr=0.1, betas=(0.5, 0.8), eps=1e-3, weight_decay=0.2))]
SHAPES = [(3, 2), (4,), (), (2, 1, 2), (1,)]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("make, by_hand, options", OPTIMISERS)
def test_steps(make, by_hand, options, skip):
    """Also with parameters that have no gradient in some steps: each counts its own steps."""
    start = [random.standard_normal(shape) for shape in SHAPES]
    parameters = [leaf(a) for a in start]
    optimiser = make((p for p in parameters), **options)
    history = []
    for step in range(7):
        gradients = [None if skip and (step + i) % 3 == 0 else random.standard_normal(a.shape)
                     for i, a in enumerate(start)]
        give(parameters, gradients)
        optimiser.step()
        history.append(gradients)
    for i, (p, a) in enumerate(zip(parameters, start)):
        expected = by_hand(a, [gradients[i] for gradients in history], **options)
        numpy.testing.assert_allclose(plain(p), expected, rtol=1e-10, atol=1e-12)


def test_gradients_are_not_changed_by_a_step():
    for make, _, options in OPTIMISERS:
        p = leaf([1.0, 2.0])
        optimiser = make([p], **options)
        give([p], [numpy.array([3.0, 4.0])])
        optimiser.step()
        assert plain(p.grad).tolist() == [3, 4], (make, options)


def test_zero_grad_and_accumulation():
    p = leaf([1.0, 2.0])
    optimiser = optim.SGD([p], lr=1.0)
    for _ in range(2):
        (p * tensor([1.0, 10.0])).sum().backward()
    assert plain(p.grad).tolist() == [2, 20]
    optimiser.step()
    assert plain(p).tolist() == [-1, -18]
    optimiser.zero_grad()
    assert p.grad is None
    optimiser.step()
    assert plain(p).tolist() == [-1, -18]
    (p * 1).sum().backward()
    assert plain(p.grad).tolist() == [1, 1]


def test_a_gradient_set_by_hand_is_used():
    p = leaf([1.0, 2.0])
    optimiser = optim.SGD([p], lr=1.0)
    p.grad = tensor([0.5, 0.25], dtype="float64")
    optimiser.step()
    assert plain(p).tolist() == [0.5, 1.75]


def test_a_gradient_changed_in_place_is_used():
    p = leaf([1.0, 2.0])
    optimiser = optim.SGD([p], lr=1.0)
    give([p], [numpy.array([4.0, 8.0])])
    p.grad.mul_(0.25)
    optimiser.step()
    assert plain(p).tolist() == [0, 0]


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
def test_a_step_between_forward_and_backward_is_found_out(make):
    p = leaf([1.0, 2.0])
    optimiser = make([p])
    give([p], [numpy.ones(2)])
    loss = (p * p).sum()
    optimiser.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_two_optimisers_on_the_same_parameters():
    start = random.standard_normal(3)
    p = leaf(start)
    a, b = optim.SGD([p], lr=0.1, momentum=0.9), optim.Adam([p], lr=0.01)
    expected, buffer, gradients = start.copy(), 0.0, []
    moved = []
    for step in range(5):
        g = random.standard_normal(3)
        give([p], [g])
        a.step()
        buffer = 0.9 * buffer + g
        expected -= 0.1 * buffer
        before = plain(p).copy()
        numpy.testing.assert_allclose(before, expected, rtol=1e-12)
        b.step()
        gradients.append(g)
        moved.append(plain(p) - before)
        both = adam_by_hand(numpy.zeros(3), gradients, 0.01)
        numpy.testing.assert_allclose(numpy.sum(moved, axis=0), both, rtol=1e-9)
        expected += moved[-1]


def test_groups_with_options_of_their_own():
    p, q = leaf([1.0]), leaf([1.0])
    optimiser = optim.SGD([{"params": [p]}, {"params": q, "lr": 0.5}], lr=0.1)
    give([p, q], [numpy.ones(1), numpy.ones(1)])
    optimiser.step()
    assert plain(p)[0] == 0.9 and plain(q)[0] == 0.5
    optimiser.param_groups[0]["lr"] = 0.2
    optimiser.step()
    numpy.testing.assert_allclose(plain(p), 0.7)
    optimiser.add_param_group({"params": [leaf([3.0])]})
    assert len(optimiser.param_groups) == 3


@pytest.mark.parametrize("make, options", [(m, o) for m, _, o in OPTIMISERS])
def test_saved_state_continues_the_same(make, options):
    a, b = leaf([1.0, 2.0]), leaf([[3.0]])
    c, d = leaf([1.0, 2.0]), leaf([[3.0]])
    first, second = make([a, b], **options), make([c, d], lr=99)
    gradients = [(random.standard_normal(2), random.standard_normal((1, 1))) for _ in range(6)]
    for g in gradients[:3]:
        give([a, b], [g[0], None])
        first.step()
    with no_grad():
        c.copy_(a)
        d.copy_(b)
    second.load_state_dict(first.state_dict())
    for g in gradients[3:]:
        for parameters, optimiser in (([a, b], first), ([c, d], second)):
            give(parameters, g)
            optimiser.step()
    assert (plain(a) == plain(c)).all() and (plain(b) == plain(d)).all()
    assert second.param_groups[0]["lr"] == options["lr"]


def test_state_dict_has_pytorchs_form():
    p, q = leaf([1.0, 2.0]), leaf([3.0])
    optimiser = optim.Adam([p, q], lr=0.1)
    give([p], [numpy.ones(2)])
    optimiser.step()
    state = optimiser.state_dict()
    assert list(state["state"]) == [0] and state["param_groups"][0]["params"] == [0, 1]
    assert set(state["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
    numpy.testing.assert_allclose(plain(state["state"][0]["exp_avg"]), 0.1)
    with pytest.raises(ValueError, match="load_state_dict: .*Adam"):
        optim.Adam([leaf([1.0])]).load_state_dict(state)
    with pytest.raises(ValueError, match="load_state_dict: .*exp_avg .*shape"):
        optim.Adam([leaf([1.0]), q]).load_state_dict(state)


def test_module_moved_after_the_optimiser_was_made():
    net = nn.Linear(2, 1)
    optimiser = optim.Adam(net.parameters(), lr=0.1)
    net(minigan.ones(2)).backward()
    optimiser.step()
    before = plain(net.weight).copy()
    net.to(minigan.float64)
    optimiser.zero_grad()
    net(minigan.ones(2, dtype="float64")).backward()
    optimiser.step()
    assert net.weight.dtype == "float64"
    numpy.testing.assert_allclose(plain(net.weight), before - 0.1, rtol=1e-5)


def test_memory_replaced_or_changed_between_steps():
    p, q = leaf([1.0, 2.0]), leaf([5.0])
    optimiser = optim.SGD([p, q], lr=1.0)
    p.data = tensor([10.0, 20.0], dtype="float64")
    with no_grad():
        q[0] = 7.0
    give([p, q], [numpy.ones(2), numpy.ones(1)])
    optimiser.step()
    assert plain(p).tolist() == [9, 19] and plain(q).tolist() == [6]


def test_loading_weights_after_the_optimiser_was_made():
    net, other = nn.Linear(2, 1), nn.Linear(2, 1)
    optimiser = optim.SGD(net.parameters(), lr=1.0)
    net.load_state_dict(other.state_dict())
    net(minigan.ones(2)).backward()
    optimiser.step()
    numpy.testing.assert_allclose(plain(net.weight), plain(other.weight) - 1, rtol=1e-6)


def test_frozen_parameters_stay():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    net[0].requires_grad_(False)
    before = plain(net[0].weight).copy()
    optimiser = optim.Adam(net.parameters())
    net(minigan.ones(2)).backward()
    optimiser.step()
    assert (plain(net[0].weight) == before).all() and net[0].weight.grad is None


def test_mixed_precision_of_parameters():
    p, q = leaf([1.0]), tensor([1.0], requires_grad=True)
    optimiser = optim.SGD([p, q], lr=0.5)
    (p * 2 + q).sum().backward()
    optimiser.step()
    assert p.item() == 0 and q.item() == 0.5 and q.dtype == "float32"


def test_a_fit():
    net = nn.Linear(1, 1)
    optimiser = optim.Adam(net.parameters(), lr=0.1)
    x = minigan.rand(20, 1)
    for _ in range(300):
        optimiser.zero_grad()
        loss = nn.MSELoss()(net(x), x * 3 - 1)
        loss.backward()
        optimiser.step()
    assert loss.item() < 1e-3


def used_up():
    parameters = nn.Linear(1, 1).parameters()
    list(parameters)
    return parameters


@pytest.mark.parametrize("call, error, named", [
    (lambda: optim.Adam(used_up()), ValueError, "Adam: no parameters"),
    (lambda: optim.SGD([{"params": used_up()}]), ValueError, "SGD: no parameters"),
    (lambda: optim.SGD([]), ValueError, "SGD: no parameters"),
    (lambda: optim.Adam(leaf([1.0])), TypeError, "Adam: params"),
    (lambda: optim.Adam([numpy.ones(2)]), TypeError, "Adam: expected parameters"),
    (lambda: optim.Adam([leaf([1.0]) * 2]), ValueError, "Adam: only .*leaves"),
    (lambda: optim.Adam([tensor([1])]), ValueError, "Adam: only floating-point"),
    (lambda: optim.Adam([leaf([1.0])], lr=-1), ValueError, "Adam: lr"),
    (lambda: optim.Adam([leaf([1.0])], lr="fast"), ValueError, "Adam: lr"),
    (lambda: optim.Adam([leaf([1.0])], lr=math.nan), ValueError, "Adam: lr"),
    (lambda: optim.Adam([leaf([1.0])], betas=(0.9, 1.0)), ValueError, "Adam: betas"),
    (lambda: optim.Adam([leaf([1.0])], eps=-1), ValueError, "Adam: eps"),
    (lambda: optim.SGD([leaf([1.0])], momentum=-1), ValueError, "SGD: momentum"),
    (lambda: optim.SGD([leaf([1.0])], nesterov=True), ValueError, "SGD: nesterov"),
    (lambda: optim.SGD([{"params": [leaf([1.0])], "speed": 1}]), ValueError, "SGD: .*speed"),
    (lambda: optim.SGD([{"lr": 1}]), TypeError, "SGD: .*'params'")])
def test_bad_arguments_are_named(call, error, named):
    with pytest.raises(error, match=named):
        call()


def test_a_parameter_given_twice():
    p = leaf([1.0])
    with pytest.raises(ValueError, match="SGD: .*twice"):
        optim.SGD([p, p])
    with pytest.raises(ValueError, match="SGD: .*twice"):
        optim.SGD([{"params": [p]}, {"params": [p]}])


@pytest.mark.parametrize("use", [
    lambda w, x: (nn.functional.linear(w, w) * x).sum(),              # both inputs one tensor
    lambda w, x: nn.functional.linear(nn.functional.linear(x, w), w).sum(),  # twice in a row
    lambda w, x: (nn.functional.conv2d(w[None, None], w[None, None], padding=1) ** 2).sum(),
])
def test_gradients_in_the_optimisers_memory_equal_those_outside(use):
    w, x = random.standard_normal((3, 3)), leaf(random.standard_normal((3, 3))).detach()
    gradients = []
    for owned in (False, True):
        parameter = leaf(w)
        optimiser = optim.SGD([parameter], lr=0.1) if owned else None
        for _ in range(2):  # the second adds to the first
            use(parameter, x).backward()
        gradients.append(plain(parameter.grad).copy())
        if optimiser is not None:
            assert parameter.grad is parameter.grad_buffer
    numpy.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-12)


def test_four_dimensional_weight_as_its_own_image():
    values = random.standard_normal((2, 2, 3, 3))
    gradients = []
    for owned in (False, True):
        w = leaf(values)
        optimiser = optim.SGD([w], lr=0.1) if owned else None
        (nn.functional.conv2d(w, w, padding=1) ** 2).sum().backward()
        gradients.append(plain(w.grad).copy())
        assert optimiser is None or w.grad is w.grad_buffer
    numpy.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-12)


def test_a_module_turned_to_double_gets_its_whole_gradient():
    layer = nn.Linear(2, 3)
    optimiser = optim.Adam(layer.parameters())
    layer.double()
    layer(minigan.ones(4, 2, dtype="float64")).sum().backward()
    assert layer.weight.grad.dtype == "float64"
    optimiser.step()
    assert layer.weight.dtype == "float64"


def test_options_of_pytorch():
    """What has no effect is accepted, what would have one is refused."""
    w = minigan.ones(1, requires_grad=True)
    optim.Adam([w], amsgrad=False, foreach=True, maximize=False, fused=None, capturable=True)
    optim.SGD([w], dampening=0, foreach=None, differentiable=False)
    for make, said in ((lambda: optim.Adam([w], amsgrad=True), "Adam: amsgrad=True is not"),
                       (lambda: optim.Adam([w], maximize=True), "Adam: maximize=True is not"),
                       (lambda: optim.SGD([w], maximize=True), "SGD: maximize=True is not")):
        with pytest.raises(NotImplementedError, match=f"^{said} supported"):
            make()
    with pytest.raises(TypeError, match="^SGD: unexpected option betas"):
        optim.SGD([w], betas=(0.5, 0.9))


def test_every_gradient_starts_where_matrix_products_are_fast(device):
    """At a multiple of 64 numbers, whatever the sizes before; and parameters stay where they are."""
    net = nn.Sequential(nn.Linear(3, 7), nn.Linear(7, 1), nn.Linear(1, 65))
    before = [address(p.array) for p in net.parameters()]
    optimiser = optim.Adam(net.parameters())
    net(minigan.ones(2, 3)).sum().backward()
    optimiser.step()
    places = [address(p.grad_buffer.array) for p in net.parameters()]
    assert {(place - places[0]) % (64 * 4) for place in places} == {0}
    assert len(set(places)) == 6 and places == [address(p.grad.array) for p in net.parameters()]
    assert [address(p.array) for p in net.parameters()] == before


@pytest.mark.parametrize("make", [lambda p: optim.Adam(p, lr=0.1, eps=1e-8),
                                  lambda p: optim.Adam(p, lr=0.1, eps=0.0),
                                  lambda p: optim.SGD(p, lr=0.1, momentum=0.9)])
def test_tiny_gradients(make):
    """Numbers below float32's 1.2e-38 may count as 0, which leaves weights as they are by the formulas;
    and only while an optimiser steps."""
    gradients = numpy.array([1e-30, -1e-20, 3e-19, 1e-18, -1e-3, 0], "float32")
    weights = []
    for form in (kernels.disabled(), contextlib.nullcontext()):
        p = minigan.ones(6, requires_grad=True)
        optimiser = make([p])
        with form:
            for step in range(40):
                give([p], [gradients if step < 20 else 0 * gradients])
                optimiser.step()
        weights.append(plain(p))
    assert numpy.isfinite(weights[0][1:5]).all()
    numpy.testing.assert_allclose(weights[1], weights[0], rtol=1e-6)
    assert numpy.float32(1e-38) * numpy.float32(0.1) > 0
