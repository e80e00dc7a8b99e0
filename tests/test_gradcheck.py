"""The gradient checks, and the checker itself against wrong backwards."""

import os
import subprocess
import sys

import numpy
import pytest

import minigan
from minigan import functional, kernels, nn, optim
from minigan.autograd import node, twins
from minigan.distributed import reduction
from minigan.functional import __all__ as operations
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.gradcheck.cases import all_cases, prepare
from minigan.gradcheck.forms import FORMS, check, find_twins, have_kernels
from minigan.kernels import launch

CASES = list(all_cases())
# No gradient to check: they return integers.
NOT_DIFFERENTIABLE = {"argmax", "argmin", "one_hot"}
# Containers that compute nothing: a ModuleList has no forward.
NOT_CHECKED_LAYERS = {"Module", "ModuleList"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.operation} {c.configuration}".strip())
def test_backward_agrees_with_finite_differences(case, form, device):
    error = check(case, device, form)
    if form == "textbook" or error is not None:  # None where no kernel computes it
        assert error < 1e-6


def test_every_kernel_has_a_check(device):
    if not have_kernels(device):
        pytest.skip(kernels.status())
    checked = set().union(*[find_twins(*prepare(case, device)) for case in CASES])
    expected = {optim.Adam.update.__wrapped__, optim.SGD.update.__wrapped__,
                reduction.become_mean.__wrapped__}  # without a gradient
    others = ("matmul", "stack") if device == "cpu" else ("sum", "mean")  # for the other device alone
    expected |= {getattr(functional, name).__wrapped__ for name in others}
    assert twins.keys() - checked == expected


def test_forms_differ_in_who_computes(device):
    case = next(c for c in CASES if c.operation == "sigmoid")
    found = find_twins(*prepare(case, device))
    assert found == ({functional.sigmoid.__wrapped__} if have_kernels(device) else set())
    with kernels.disabled():
        assert not find_twins(*prepare(case, device)) and not have_kernels(device)
        assert check(case, device, "kernels") is None


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


def command(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "minigan.gradcheck", *arguments],
                          capture_output=True, text=True, env=os.environ | environment)


def test_command_prints_a_table():
    done = command("sigmoid", "neg")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["operation", "configuration", "device", "textbook", "kernels"]
    neg, = [line.split() for line in lines if line.startswith("neg ") and " cpu " in line]
    sigmoid, = [line.split() for line in lines if line.startswith("sigmoid ") and " cpu " in line]
    assert neg[:2] == ["neg", "cpu"] and 0 < float(neg[2]) < 1e-6
    assert 0 < float(sigmoid[2]) < 1e-6
    if have_kernels("cpu"):
        assert neg[3] == "-" and 0 < float(sigmoid[3]) < 1e-6
        assert f"kernels: 1 checks passed, worst error {sigmoid[3]}" in lines
    assert lines[-1].endswith(" 0 failed")


@pytest.mark.parametrize("environment, reason", [
    ({"MINIGAN_KERNELS": "off"}, "off (MINIGAN_KERNELS)"),
    ({"CXX": "no-such-compiler", "MINIGAN_KERNELS": ""}, "none: ")])
def test_command_without_kernels(environment, reason):
    done = command("sigmoid", **environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:2] == ["sigmoid", "cpu"] and lines[1].split()[3] == "none"
    assert "kernels: 0 checks passed" in lines
    assert any(line.startswith(f"CPU kernels: {reason}") for line in lines)


def test_command_fails_when_a_kernel_is_wrong(monkeypatch, capsys):
    from minigan.gradcheck import __main__ as program

    def sigmoid(input):
        if launch.switch.disabled:
            return NotImplemented
        y = 1 / (1 + numpy.exp(-input.array))
        return node(y, (input,), lambda g: (scaled(g * y * (1 - y)),))

    monkeypatch.setitem(twins, functional.sigmoid.__wrapped__, sigmoid)
    monkeypatch.setattr(program, "have_kernels", lambda device: True)
    monkeypatch.setattr(program.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gradcheck", "sigmoid"])
    assert program.main() == 1
    table = capsys.readouterr().out
    assert "FAILED sigmoid () by the kernels on cpu: input 0: relative error 1.0e-05" in table
    assert "textbook: 1 checks passed" in table and "kernels: 0 checks passed" in table


def test_command_fails_when_a_check_fails(monkeypatch, capsys):
    from minigan.gradcheck import __main__ as program
    case = next(c for c in CASES if c.operation == "softmax")
    monkeypatch.setattr(program, "all_cases", lambda: [
        case._replace(function=softmax_with(scaled), inputs=case.inputs)])
    monkeypatch.setattr(sys, "argv", ["gradcheck"])
    assert program.main() == 1
    assert "FAILED softmax (dim 1) by the textbook on cpu: input 0" in capsys.readouterr().out


def test_command_refuses_an_unknown_operation():
    done = command("convolve")
    assert done.returncode == 2
    assert "unknown operation 'convolve'" in done.stderr
