"""The profile: what it counts, what it charges to whom, and that it lets go."""

import itertools
import sys
from types import SimpleNamespace

import pytest

import minigan
from minigan import nn, optim
from minigan.errors import operation
from minigan.nn import functional as F
from minigan.watching import watching

pytestmark = pytest.mark.usefixtures("device")


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
    assert linear[:3] == ["linear", "2", "x"]
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        minigan.profile(0)


def test_an_operation_is_not_charged_for_those_it_calls(monkeypatch):
    # A clock that is one second further whenever somebody looks.
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


def test_nothing_is_watched_outside():
    with minigan.profile() as p:
        pass
    F.relu(minigan.ones(1))
    assert not p.rows


def test_errors_pass_through_and_end_it():
    with pytest.raises(ValueError, match="linear: input of shape"):
        with minigan.profile() as p:
            F.linear(minigan.ones(2), minigan.ones(3, 3))
    assert watching.observer is None and p.rows["linear", "forward"][0] == 1


def test_one_at_a_time():
    with minigan.profile():
        with pytest.raises(RuntimeError, match="another one is running"):
            with minigan.profile():
                pass
        assert watching.observer is not None
