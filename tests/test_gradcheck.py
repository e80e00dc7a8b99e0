"""The gradient checks, and the checker itself against wrong backwards."""

import subprocess
import sys

import numpy
import pytest

import minigan
from minigan import nn
from minigan.autograd import node
from minigan.functional import __all__ as operations
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.gradcheck.cases import all_cases, prepare

CASES = list(all_cases())
# No gradient to check: argmax returns integers.
NOT_DIFFERENTIABLE = {"argmax"}
# Containers that compute nothing: a ModuleList has no forward.
NOT_CHECKED_LAYERS = {"Module", "ModuleList"}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.operation} {c.configuration}".strip())
def test_backward_agrees_with_finite_differences(case, device):
    assert gradcheck(*prepare(case, device), direction=case.direction) < 1e-6


def test_every_public_operation_has_a_check():
    assert set(operations) - NOT_DIFFERENTIABLE <= {case.operation for case in CASES}


def test_every_layer_has_a_check():
    layers = {name for name, value in vars(nn).items()
              if isinstance(value, type) and issubclass(value, nn.Module)}
    checked = {case.operation.removeprefix("nn.") for case in CASES}
    assert layers - NOT_CHECKED_LAYERS <= checked


def softmax_with(spoil):
    """softmax over rows with a backward that `spoil` makes wrong."""
    def softmax(x):
        e = numpy.exp(x.array)
        y = e / e.sum(axis=1, keepdims=True)

        def backward(g):
            return (spoil(y * (g - (g * y).sum(axis=1, keepdims=True))),)

        return node(y, (x,), backward)

    return softmax


def scaled(g):
    return g * 1.00001


def one_entry_off(g):
    g = g.copy()
    g[1, 2] += 1e-4
    return g


def two_swapped(g):
    g = g.copy()
    g[0, [0, 1]] = g[0, [1, 0]]
    return g


def inputs():
    return minigan.tensor(numpy.random.default_rng(0).standard_normal((2, 4)), requires_grad=True)


@pytest.mark.parametrize("direction", [False, True])
@pytest.mark.parametrize("spoil", [
    numpy.zeros_like, numpy.negative, scaled, one_entry_off, two_swapped, lambda g: g * numpy.nan,
    lambda g: g + 1e-4])
def test_checker_catches_a_wrong_backward(spoil, direction):
    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(softmax_with(spoil), inputs(), direction=direction)


def test_checker_accepts_the_right_backward_and_leaves_the_input_alone():
    x = inputs()
    before = x.array.copy()
    assert gradcheck(softmax_with(lambda g: g), x) < 1e-8
    assert gradcheck(softmax_with(lambda g: g), x, direction=True) < 1e-8
    numpy.testing.assert_array_equal(x.array, before)
    assert x.grad is None


def test_checker_refuses_a_check_that_could_not_fail():
    with pytest.raises(GradcheckError, match="zero everywhere"):
        gradcheck(lambda x: x.softmax(1).sum(1) * 0 + 1, inputs())


def test_checker_notices_a_lost_input():
    x, y = inputs(), inputs()
    with pytest.raises(GradcheckError, match="no gradient"):
        gradcheck(lambda a, b: a * b.detach(), (x, y))
    with pytest.raises(GradcheckError, match="lost"):
        gradcheck(lambda a: a.detach() * 2, x)


@pytest.mark.parametrize("bad, error", [
    (minigan.ones(2, requires_grad=True), TypeError),
    (minigan.ones(2, dtype=minigan.float64), ValueError)])
def test_checker_names_inputs_it_cannot_check(bad, error):
    with pytest.raises(error, match="gradcheck: "):
        gradcheck(lambda x: x * 2, bad)


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "minigan.gradcheck", *arguments],
                          capture_output=True, text=True)


def test_command_prints_a_table():
    done = command("sigmoid", "conv2d")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["operation", "configuration", "worst", "error", "device"]
    assert any(line.startswith("sigmoid ") and line.endswith("cpu") for line in lines)
    assert lines[-1].endswith(" 0 failed")


def test_command_fails_when_a_check_fails(monkeypatch, capsys):
    from minigan.gradcheck import __main__ as program
    case = next(c for c in CASES if c.operation == "softmax")
    monkeypatch.setattr(program, "all_cases", lambda: [
        case._replace(function=softmax_with(scaled), inputs=case.inputs)])
    monkeypatch.setattr(program, "prepare", lambda case, device: (case.function, [inputs()]))
    monkeypatch.setattr(sys, "argv", ["gradcheck"])
    assert program.main() == 1
    assert "FAILED softmax" in capsys.readouterr().out


def test_command_refuses_an_unknown_operation():
    done = command("convolve")
    assert done.returncode == 2
    assert "unknown operation 'convolve'" in done.stderr
