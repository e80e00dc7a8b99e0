"""Random programs agree with PyTorch's; and what compares them finds every kind of failure.

The checker is tested with engines made of minigan, one of them with something wrong in it.
"""

import sys
from types import SimpleNamespace

import numpy
import pytest

import minigan
import random_programs
from program_generator import Execution, Generator
from random_programs import agree, check, compare, shrink


def test_programs_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    failures = []
    verdicts = check(300, 0, minigan, torch, failures.append)
    assert not failures, "\n".join(failures)
    assert verdicts["refused"] < 30 and verdicts["agree"] > 240


def engine(**changes):
    """minigan with other functions in it."""
    return SimpleNamespace(**{**vars(minigan), **changes})


def test_an_engine_agrees_with_itself():
    failures = []
    verdicts = check(100, 1, engine(), engine(), failures.append)
    assert failures == [] and verdicts.total() == 100 and verdicts["agree"] > 70


def test_programs_follow_from_the_seed_and_are_of_many_kinds():
    def programs(seed):
        return [Generator(random_programs.Random(f"{seed} {number}"), engine()).program()
                for number in range(60)]

    first = programs(0)
    assert first == programs(0) != programs(1)
    assert all(len(program) <= 41 for program in first)
    text = "\n".join(statement for program in first for statement in program)
    for part in ("backward(retain_graph=True)", "no_grad()", "float32", "torch.zeros((", "[None",
                 "requires_grad_(False)", "optim", "torch.stack", ".view(", "keepdim=True", "F."):
        assert part in text


def half_the_gradient(input):
    return minigan.relu(input) * 0.5 + minigan.relu(input).detach() * 0.5


def refuse(*args, **kwargs):
    raise RuntimeError("not today")


WRONG = {
    "a wrong gradient": ("relu", half_the_gradient, ".grad)"),
    "a wrong value": ("tanh", lambda input: minigan.tanh(input) + 1e-6, "print(t"),
    "a lost gradient": ("exp", lambda input: minigan.exp(input).detach(), ".requires_grad)"),
    "another dtype": ("sqrt", lambda input: minigan.sqrt(input).half(), ".dtype)"),
    "another shape": ("flatten", lambda input, dim: minigan.flatten(input, dim)[None], ".shape)"),
    "nan": ("log", lambda input: minigan.log(input) * minigan.tensor(float("nan")), "nan"),
    "an error": ("stack", refuse, "# minigan: RuntimeError('not today')"),
}


@pytest.mark.parametrize("name, function, shown", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found_and_shrunk(name, function, shown):
    failures = []
    check(60, 2, engine(**{name: function}), engine(), failures.append)
    assert any(shown in failure for failure in failures)
    for failure in failures:
        code = [line for line in failure.splitlines() if not line.startswith("#")]
        assert f"torch.{name}(" in failure and len(code) <= 8


def test_a_reference_that_refuses_is_a_failure_too():
    program = ["a0 = torch.ones(2)", "t1 = torch.exp(a0)"]
    verdict, failure = compare(program, engine(), engine(exp=refuse))
    assert (verdict, failure.ours) == ("failure", "no error") and "not today" in failure.theirs


def test_a_failure_is_code_that_runs(capsys):
    failures = []
    check(60, 2, engine(exp=lambda input: minigan.exp(input) * 2), engine(), failures.append)
    assert failures
    for failure in failures:
        exec(failure, {})
        assert capsys.readouterr().out.startswith("tensor(")


def test_gradients_and_no_gradients_differ():
    program = ["a0 = torch.ones(2, requires_grad=True)", "torch.exp(a0).sum().backward()"]
    frozen = engine(exp=lambda input: minigan.exp(input.detach().requires_grad_()))
    verdict, failure = compare(program, frozen, engine())
    assert (verdict, failure.what, failure.ours) == ("failure", "a0.grad", None)


@pytest.mark.parametrize("message, verdict", [
    ("view size is not compatible with input tensor's size", "documented"),
    ("not today", "failure")])
def test_documented_differences_are_no_failures(message, verdict):
    def refuse(*args):
        raise RuntimeError(message)

    program = ["a0 = torch.ones(2, 3)", "t1 = torch.view(a0, 6)"]
    assert compare(program, engine(), engine(view=refuse))[0] == verdict
    # the other way round it is none of those documented
    assert compare(program, engine(view=refuse), engine())[0] == "failure"
    assert compare(program, engine(view=refuse), engine(view=refuse))[0] == "refused"


def test_what_rounding_decides_is_no_failure():
    """exp(0.8) with another last digit is on the other side of the bound."""
    other = engine(exp=lambda input: minigan.exp(input) * (1 - 1e-15))
    program = ["a0 = torch.full((9,), 0.8, dtype=torch.float64)", "t1 = torch.exp(a0)"]
    assert compare(program, other, engine()) == ("agree", None)
    bound = f"t2 = (t1 >= {numpy.exp(0.8)!s})"
    assert compare([*program, bound], other, engine())[0] == "unstable"
    # round numbers are exact: here no rounding excuses it
    other = engine(exp=lambda input: minigan.exp(input) - 1)
    program = ["a0 = torch.zeros(9)", "t1 = (torch.exp(a0) >= 1)"]
    assert compare(program, other, engine())[0] == "failure"


@pytest.mark.parametrize("value, other, expected", [
    ([1.0, numpy.nan, numpy.inf], [1 + 1e-12, numpy.nan, numpy.inf], True),
    ([1.0], [1 + 1e-6], False),
    ([1e6, 0.0], [1e6, 1e-6], True),  # rounding errors of the large number
    ([numpy.nan], [0.0], False),
    ([numpy.inf], [-numpy.inf], False),
    ([1.0, 2.0], [1.0], False),
    (numpy.float32([1]), numpy.float64([1]), False),
    (numpy.array([True]), numpy.array([True]), True),
    ([], [], True)])
def test_when_arrays_agree(value, other, expected):
    assert agree(numpy.asarray(value), numpy.asarray(other), 1e-9) == expected


def test_none_agrees_with_none_alone():
    assert agree(None, None, 1e-9) and not agree(None, numpy.zeros(1), 1e-9)


def test_shrinking_keeps_what_the_failure_needs():
    program = ["a0 = torch.tensor([[1.5, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)",
               "a1 = torch.ones(3)",
               "t2 = (a0 * a1)[1:, None]",
               "with torch.no_grad(): t3 = torch.exp(t2 + 1).sum(1, keepdim=True)",
               "t4 = t3 + t2",
               "t4.add_(1)"]

    def fails(statements):
        return Execution(statements, minigan).error is None and "exp(" in "".join(statements)

    assert shrink(program, fails) == ["a0 = torch.tensor([[1.0]], dtype=torch.float64)",
                                      "t3 = torch.exp(a0)"]


# The command

def command(monkeypatch, torch, *arguments):
    """The exit status, with this for PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr("sys.argv", ["random_programs.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        random_programs.main()
    return ended.value.code


@pytest.mark.parametrize("arguments, said", [
    (["--count", "0"], "at least 1"), (["--count", "many"], "many"), (["--seed", "x"], "x"),
    (["more"], "more"), ([], "PyTorch cannot be imported")])
def test_wrong_arguments_and_no_pytorch(monkeypatch, capsys, arguments, said):
    assert command(monkeypatch, None, *arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("change, status", [(0, 0), (1, 1)])
def test_the_exit_status_says_whether_something_failed(monkeypatch, capsys, change, status):
    torch = engine(tanh=lambda input: minigan.tanh(input) + change,
                   set_num_threads=lambda number: None)
    assert command(monkeypatch, torch, "--count", "40", "--seed", "5") == status
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("40 programs: ") and "40/40" in said.err
    assert ("torch.tanh" in said.out) == (status == 1)
