"""profile and detect_anomaly: what they report, and that they stop at the end."""

import itertools
import math
import sys
from types import SimpleNamespace

import pytest

import minigan
from minigan import AnomalyError, detect_anomaly, nn, optim, tensor
from minigan.autograd import operation
from minigan.nn import functional as F
from minigan.hooks import hooks

pytestmark = pytest.mark.usefixtures("form")  # and device


def test_counts_every_call():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1))
    optimiser = optim.Adam(model.parameters())
    with minigan.profile() as p:
        for _ in range(2):
            loss = (model(minigan.ones(5, 3)) ** 2).mean()
            loss.backward()
            optimiser.step()
    calls = {key: calls for key, (calls, _) in p.rows.items()}
    assert calls["linear", "forward"] == calls["linear", "backward"] == 4
    assert calls["sigmoid", "forward"] == calls["sigmoid", "backward"] == 2
    assert calls["Adam", "step"] == 2
    assert 0 < sum(seconds for _, seconds in p.rows.values()) <= p.seconds
    table = str(p)
    assert "linear" in table and "Adam" in table and "between the operations" in table


def test_the_table_is_of_one_step():
    layer = nn.Linear(3, 4)
    with minigan.profile(4) as p:
        for _ in range(4):
            layer(layer(minigan.ones(5, 3))[:, :3])
    assert p.rows["linear", "forward"][0] == 8
    linear, = [line.split() for line in str(p).splitlines() if line.startswith("linear")]
    assert linear[:2] == ["linear", "2"]
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        minigan.profile(0)


def test_the_time_of_an_operation_excludes_those_it_calls(monkeypatch):
    # A clock that advances by one second at each reading.
    clock = itertools.count()
    monkeypatch.setattr(sys.modules["minigan.inspect.profile"], "time",
                        SimpleNamespace(perf_counter=lambda: next(clock)))

    @operation
    def inner():
        pass

    @operation
    def outer():
        inner()
        inner()

    with minigan.profile() as p:
        outer()
    assert p.rows == {("inner", "forward"): [2, 2], ("outer", "forward"): [1, 3]}
    assert p.seconds == 7


def bytes_of(function, *args):
    """(the function's result, {(name, phase): bytes} other than 0) under a profile."""
    with minigan.profile() as p:
        result = function(*args)
    return result, {key: size for key, size in p.bytes.items() if size}


def test_new_memory_forward_and_backward():
    layer, x = nn.Linear(3, 4), minigan.randn(5, 3, requires_grad=True)
    y, made = bytes_of(lambda: F.sigmoid(layer(x)))
    assert made == {("linear", "forward"): 80, ("sigmoid", "forward"): 80}
    _, made = bytes_of(y.backward, minigan.ones(5, 4))
    # The gradients of x (5,3), weight (4,3) and bias (4,), and that of sigmoid's input.
    assert made == {("sigmoid", "backward"): 80, ("linear", "backward"): 60 + 48 + 16}


def test_convolutions_results_are_views_of_new_memory():
    layer, x = nn.Conv2d(2, 3, 3), minigan.randn(2, 2, 5, 5)
    y, made = bytes_of(layer, x)
    assert made == {("conv2d", "forward"): 4 * 2 * 3 * 9}
    _, made = bytes_of(y.backward, minigan.ones(y.shape))
    assert made == {("conv2d", "backward"): 4 * (3 * 2 * 9 + 3)}  # x needs none


def test_what_is_there_already_is_not_new():
    x = minigan.randn(4, 6)
    assert bytes_of(lambda: (x.view(24), x[1:], x.t(), x.permute(1, 0), x.flatten(), x.add_(1),
                             F.dropout(x, training=False), x.reshape(6, -1)))[1] == {}
    assert bytes_of(lambda: x.t().reshape(24))[1] == {("reshape", "forward"): 96}
    y = x.clone().requires_grad_()
    with minigan.kernels.disabled():
        loss = (y.view(24)[3:] + 0).sum()
    # The textbook's gradient of a sum is one number, broadcast; add and view pass theirs on.
    _, made = bytes_of(loss.backward)
    assert made == {("index", "backward"): 96}


def test_gradients_in_the_optimisers_memory_are_not_new(form):
    layer = nn.Linear(3, 4)
    optimiser = optim.SGD(layer.parameters())
    y = layer(minigan.randn(5, 3))
    _, made = bytes_of(y.backward, minigan.ones(5, 4))
    # The textbook's are new arrays that are copied there; a kernel writes them there.
    assert made == ({("linear", "backward"): 48 + 16} if form == "textbook" else {})
    assert bytes_of(optimiser.step)[1] == {}


def test_memory_is_counted_for_the_innermost_operation():
    @operation
    def outer(x):
        return F.relu(x)

    @operation
    def further(x):
        return F.relu(x) + 1

    x = minigan.ones(6)
    assert bytes_of(outer, x)[1] == {("relu", "forward"): 24}
    assert bytes_of(further, x)[1] == {("relu", "forward"): 24, ("add", "forward"): 24}


def test_the_table_shows_new_memory():
    layer = nn.Linear(100, 200)
    with minigan.profile(2) as p:
        for _ in range(2):
            layer(minigan.ones(64, 100)).sum().backward()
    lines = str(p).splitlines()
    assert max(map(len, lines)) == 100
    linear, = [line for line in lines if line.startswith("linear ")]
    assert linear.split()[4:6] == ["50.0", "KiB"]
    assert sum(line.startswith("linear, backward ") for line in lines) == 1
    total = sum(p.bytes.values()) / 2
    assert f"{total / 1024:.1f} KiB" in lines[-1]


def test_nothing_is_observed_outside():
    with minigan.profile() as p:
        pass
    F.relu(minigan.ones(1))
    assert not p.rows


def test_errors_pass_through_and_end_it():
    with pytest.raises(ValueError, match="linear: input of shape"):
        with minigan.profile() as p:
            F.linear(minigan.ones(2), minigan.ones(3, 3))
    assert hooks.observer is None and p.rows["linear", "forward"][0] == 1


def test_one_at_a_time():
    with minigan.profile():
        with pytest.raises(RuntimeError, match="profile is active already"):
            with minigan.profile():
                pass
        assert hooks.observer is not None


# detect_anomaly

def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 2)))


def test_finite_steps_pass():
    model = network()
    optimiser = optim.Adam(model.parameters())
    with detect_anomaly():
        loss = (model(minigan.randn(5, 3)) ** 2).mean()
        loss.backward()
        optimiser.step()
    assert loss.item() > 0


@pytest.mark.parametrize("function, message", [
    (lambda x: x.log(), "log made inf in an array of shape .3,.; its inputs are finite"),
    (lambda x: (x - 1).log(), "log made nan"),
    (lambda x: 1 / x, "div made inf"),
    (lambda x: x * float("nan"), "mul made nan"),
    (lambda x: x.sqrt().sum().backward(), "the backward of sqrt made inf")])
def test_an_operation_that_makes_a_number_that_is_not_finite(function, message):
    x = tensor([0.0, 0.5, 1.0], requires_grad=True)
    with detect_anomaly(), pytest.raises(AnomalyError, match=message):
        function(x)
    assert hooks.observer is None


def test_its_layer_is_named_forward_and_backward():
    model = network()
    x = minigan.randn(5, 3)
    model[1][1].weight.data[0, 0] = math.inf
    with detect_anomaly(), pytest.raises(
            AnomalyError, match=r"linear in Sequential.1.1 \(Linear\).*contain inf already"):
        model(x)
    model = network()
    infinite = minigan.full((5, 2), math.inf)
    with detect_anomaly():
        y = model(x)
        with pytest.raises(AnomalyError, match=r"backward of linear in Sequential.1.1 \(Linear\)"):
            y.backward(infinite)


def test_large_gradients_are_checked():
    model = nn.Linear(500, 400)
    optim.SGD(model.parameters())
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"backward of linear in Linear made"):
        y = model(minigan.full((2, 500), 1e30))
        y.backward(minigan.full(y.shape, 1e30))


def test_a_step_that_is_too_large():
    x = tensor([1.0], requires_grad=True)
    optimiser = optim.SGD([x], lr=1e38)
    (x * 10).sum().backward()
    with detect_anomaly(), pytest.raises(AnomalyError, match="the step of SGD made inf.*rate"):
        optimiser.step()


def test_two_observers_at_a_time():
    with detect_anomaly(), pytest.raises(RuntimeError, match="detect_anomaly is active already"):
        with minigan.profile():
            pass


def test_a_profile_can_be_printed_at_any_time():
    assert "total" in str(minigan.profile())
    with minigan.profile() as p:
        tensor([1.0]).exp()
        inside = str(p)
    assert "exp" in inside and "-" not in inside.splitlines()[1][-8:]
