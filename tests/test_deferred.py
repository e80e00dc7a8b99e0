"""Large weight gradients wait until somebody reads them: what they are then, and that they wait."""

import copy

import numpy
import pytest

import minigan
from minigan import nn, optim
from minigan.deferred import LARGE

random = numpy.random.default_rng(0)


@pytest.fixture(autouse=True)
def every_device(device, monkeypatch):
    """With one limit on all devices: what a GPU lets wait by itself would take the stand-in long."""
    monkeypatch.setattr("minigan.deferred.LARGE_ON_GPU", LARGE)


# (layer, input's shape): each has a weight gradient of more than LARGE multiply-adds.
CASES = {
    "linear": (lambda: nn.Linear(300, 40), (16, 300)),
    "linear, one vector": (lambda: nn.Linear(400, 300), (400,)),
    "conv2d": (lambda: nn.Conv2d(8, 16, 3, padding=1), (2, 8, 14, 14)),
    "conv2d, one image": (lambda: nn.Conv2d(8, 16, 3), (8, 20, 20)),
    "conv2d, by bands": (lambda: nn.Conv2d(4, 6, 8, stride=2), (2, 4, 80, 80)),
    "conv2d, a few channels at a time": (lambda: nn.Conv2d(16, 70, 5), (2, 16, 50, 50)),
    "conv2d, kernel of one": (lambda: nn.Conv2d(32, 64, 1), (2, 32, 10, 10)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(16, 8, 4, stride=2), (2, 16, 9, 9)),
    "conv_transpose2d, one image": (lambda: nn.ConvTranspose2d(16, 8, 3), (16, 12, 12)),
    "conv_transpose2d, kernel of one": (lambda: nn.ConvTranspose2d(32, 64, 1), (1, 32, 10, 10)),
}


def made(case):
    """A layer, and an input and an output gradient for it."""
    make, shape = CASES[case]
    minigan.manual_seed(1)
    layer = make()
    x = minigan.tensor(random.standard_normal(shape, dtype="float32"))
    g = minigan.tensor(random.standard_normal(layer(x).shape, dtype="float32"))
    return layer, x, g


def products(p):
    """How many weight gradients were computed late."""
    return sum(calls for (name, _), (calls, _) in p.rows.items() if name.endswith(", weight"))


@pytest.mark.parametrize("case", CASES)
def test_they_wait_and_are_the_same(case):
    layer, x, g = made(case)
    plain = copy.deepcopy(layer)
    plain(x).backward(g)
    optim.SGD(layer.parameters(), lr=0.1)
    with minigan.profile() as p:
        layer(x).backward(g)
    assert products(p) == 0
    # What people do to the arrays meanwhile changes nothing.
    x.zero_()
    g.zero_()
    with minigan.profile() as p:
        late = layer.weight.grad
        assert layer.weight.grad.array is late.array is layer.weight.slot
    assert products(p) == 1
    numpy.testing.assert_array_equal(late.cpu().numpy(), plain.weight.grad.cpu().numpy())
    numpy.testing.assert_array_equal(layer.bias.grad.cpu().numpy(), plain.bias.grad.cpu().numpy())


@pytest.mark.parametrize("case", CASES)
def test_a_second_backward_adds(case):
    layer, x, g = made(case)
    plain = copy.deepcopy(layer)
    optim.SGD(layer.parameters(), lr=0.1)
    for network in (layer, plain):
        network(x).backward(g)
        network(2 * x).backward(g)
    numpy.testing.assert_array_equal(layer.weight.grad.cpu().numpy(), plain.weight.grad.cpu().numpy())


def test_nobody_computes_what_nobody_reads():
    layer, x, g = made("linear")
    optimiser = optim.Adam(layer.parameters())
    with minigan.profile() as p:
        layer(x).backward(g)
        optimiser.zero_grad()
    assert products(p) == 0 and layer.weight.grad is None
    with minigan.profile() as p:
        layer(x).backward(g)
        optimiser.step()
    assert products(p) == 1


def test_a_generators_step_leaves_the_discriminators_weights_alone():
    """As scripts have it: the discriminator's last gradients are still there, and added to."""
    layer, x, g = made("linear")
    optimiser = optim.Adam(layer.parameters())
    layer(x).backward(g)
    optimiser.step()
    first = layer.weight.grad.cpu().numpy().copy()
    with minigan.profile() as p:
        layer(x).backward(g)
        optimiser.zero_grad()
    assert products(p) == 0
    with minigan.profile() as p:
        for _ in range(3):
            layer(x).backward(g)
    assert products(p) == 2  # one waits at a time: their factors do not pile up
    assert not numpy.array_equal(layer.weight.grad.cpu().numpy(), first)


def test_small_ones_do_not_wait():
    layer = nn.Linear(10, 10)
    optim.Adam(layer.parameters())
    size = LARGE // 100
    x = minigan.ones(size - 1, 10)
    with minigan.profile() as p:
        layer(x).sum().backward()
        layer.weight.grad
    assert products(p) == 0


def test_the_weight_moves_before_it_is_read():
    layer, x, g = made("linear")
    plain = copy.deepcopy(layer)
    plain(x).backward(g)
    expected = plain.weight.grad.cpu().numpy()

    optim.Adam(layer.parameters())
    layer(x).backward(g)
    layer.weight.data = minigan.zeros(40, 300)
    numpy.testing.assert_array_equal(layer.weight.grad.cpu().numpy(), expected)

    layer.load_state_dict(plain.state_dict())
    optim.Adam(layer.parameters())
    layer.zero_grad()
    layer(x).backward(g)
    optim.Adam(layer.parameters())  # another optimiser, other places
    numpy.testing.assert_array_equal(layer.weight.grad.cpu().numpy(), expected)


def twice_and_added(layer, x, g):
    optimiser = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    for step in range(3):
        layer(x).backward(g)
        layer(2 * x).backward(g)
        optimiser.step()
        optimiser.zero_grad(set_to_none=step == 0)


def walked_again(layer, x, g):
    optimiser = optim.Adam(layer.parameters())
    y = layer(x)
    y.backward(g, retain_graph=True)
    y.backward(g)
    optimiser.step()


def loaded_between(layer, x, g):
    optimiser = optim.Adam(layer.parameters())
    state = {key: value.detach().cpu().numpy().copy() for key, value in layer.state_dict().items()}
    layer(x).backward(g)
    layer.load_state_dict(state)
    optimiser.step()
    layer(x).backward(g)
    optimiser.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    optimiser.step()


def two_optimisers(layer, x, g):
    first = optim.SGD(layer.parameters(), lr=0.1)
    layer(x).backward(g)
    second = optim.SGD(layer.parameters(), lr=0.1, momentum=0.5)
    first.step()
    layer(x).backward(g)
    second.step()
    first.step()


def a_group_joins(layer, x, g):
    optimiser = optim.Adam([layer.weight])
    layer(x).backward(g)
    optimiser.add_param_group({"params": [layer.bias]})
    optimiser.step()


def set_by_hand(layer, x, g):
    optimiser = optim.SGD(layer.parameters(), lr=0.1)
    layer(x).backward(g)
    layer.weight.grad = minigan.ones_like(layer.weight)
    layer(x).backward(g)
    optimiser.step()


@pytest.mark.parametrize("case", ["linear", "conv2d", "conv_transpose2d, kernel of one"])
@pytest.mark.parametrize("train", [twice_and_added, walked_again, loaded_between, two_optimisers,
                                   a_group_joins, set_by_hand])
def test_training_is_the_same_without_waiting(train, case, monkeypatch):
    layer, x, g = made(case)
    at_once = copy.deepcopy(layer)
    train(layer, x, g)
    monkeypatch.setattr("minigan.autograd.is_large", lambda size, array: False)
    train(at_once, x, g)
    for late, soon in zip(layer.parameters(), at_once.parameters()):
        numpy.testing.assert_array_equal(late.detach().cpu().numpy(), soon.detach().cpu().numpy())


def test_kept_by_a_copy():
    """A leaf's copy has its gradient, a Parameter's has none: as in PyTorch."""
    leaf = minigan.randn(40, 300, requires_grad=True)
    optim.Adam([leaf])
    nn.functional.linear(minigan.randn(16, 300), leaf).sum().backward()
    copied = copy.deepcopy(leaf)
    numpy.testing.assert_array_equal(copied.grad.cpu().numpy(), leaf.grad.cpu().numpy())
    layer, x, g = made("linear")
    optim.Adam(layer.parameters())
    layer(x).backward(g)
    assert copy.deepcopy(layer).weight.grad is None and layer.weight.grad is not None


def test_a_wrong_product_would_be_seen(monkeypatch):
    """The comparisons above could fail: factors that are not private give another gradient."""
    monkeypatch.setattr("minigan.autograd.private", lambda array, *others: array)
    with pytest.raises(AssertionError):
        test_they_wait_and_are_the_same("linear")
