"""The benchmark: that it runs, compares equal things, and refuses what it cannot do."""

import json
import os

import pytest

from benchmark import WORKS, make_step, Minigan, spread
from test_examples import run


def test_a_short_run(tmp_path):
    result = run("--work", "cnn-1", "--turns", 2, "--json", "times.json", cwd=tmp_path,
                 script="benchmark.py")
    assert result.returncode == 0, result.stderr
    assert any(line.startswith("cnn-1        minigan") for line in result.stdout.splitlines())
    times = json.loads((tmp_path / "times.json").read_text())
    assert len(times["cnn-1"]["minigan"]) == 2 and min(times["cnn-1"]["minigan"]) > 0


def test_beside_pytorch(tmp_path):
    pytest.importorskip("torch")
    result = run("--work", "cgan-1", "--turns", 2, "--against", "torch", cwd=tmp_path,
                 script="benchmark.py", PYTHONWARNINGS="default")
    assert result.returncode == 0, result.stderr
    assert [line.split()[1:3] for line in result.stdout.splitlines()
            if line.startswith("cgan-1")][2] == ["torch", "fused"]


@pytest.mark.parametrize("name", [name for name in WORKS if name != "dcgan-256x1"])
def test_a_step_changes_the_losses(name):
    step = make_step(Minigan(), *WORKS[name])
    first, second = ([loss.item() for loss in step()] for _ in range(2))
    assert len(first) == (1 if name.startswith("cnn") else 3)
    assert all(a != b for a, b in zip(first, second))


def test_spread():
    assert spread([1.0, 1.0, 1.0, 1.0]) == 0 and spread([1.0, 2.0, 3.0, 4.0]) == 1


@pytest.mark.parametrize("arguments, said", [
    (("--work", "rnn"), "rnn"), (("--threads", os.cpu_count() + 1), "cores"),
    (("--against", "theano"), "theano"), (("--turns", 1), "--turns")])
def test_bad_arguments(tmp_path, arguments, said):
    result = run(*arguments, cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 2 and said in result.stderr
    assert len(result.stderr.splitlines()) == 1
