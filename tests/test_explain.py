"""python -m minigan.explain: every operation, numbers computed by hand, and unknown names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import minigan
from minigan import functional
from minigan.explain import explanation, listing
from minigan.kernels import launch


def run(*args):
    environment = os.environ | {"PYTHONPATH": str(Path(minigan.__file__).parents[1])}
    return subprocess.run([sys.executable, "-m", "minigan.explain", *args], text=True,
                          capture_output=True, env=environment)


@pytest.mark.parametrize("name", functional.__all__)
def test_every_operation(name):
    text = "\n".join(explanation(name))
    assert max(map(len, text.splitlines())) <= 100
    assert functional.__dict__[name].__doc__.strip().splitlines()[0] in text
    assert f"def {name}(" in text and "minigan/functional/" in text
    assert "minigan/kernels" not in text and not launch.switch.disabled
    if name in ("argmax", "argmin", "one_hot"):  # integers have no gradient
        assert "backward" not in text
        return
    assert text.count("-------- backward -") == 1
    # Between the rules is the source of the recorded backward: a function or a lambda of g.
    marked = text.partition("-------- backward -")[2].partition("\n")[2].partition("\n---")[0]
    assert re.search(r"\(g\):|lambda g|\(whole\):", marked)
    errors = [float(line[-10:]) for line in text.splitlines()
              if re.search(r"\[[\d, ]*\] +-?\d+\.\d{10}", line)]
    assert errors and max(errors) < 1e-6
    assert "FAILED" not in text and "worst error" in text


def test_conv2d_shows_the_columns_and_the_product():
    text = "\n".join(explanation("conv2d"))
    # The kernel [[1, 2], [3, 4]] at the upper left: 0 + 2 * 1 + 3 * 4 + 4 * 5.
    assert "kernel entry (0,0) meets   0   1   2   4   5   6   8   9  10" in text
    assert "kernel entry (1,1) meets   5   6   7   9  10  11  13  14  15" in text
    assert "@ columns = [ 34   44   54   74   84   94  114  124  134]" in text


def test_conv_transpose2d_shows_where_col2im_adds():
    text = "\n".join(explanation("conv_transpose2d"))
    x, w = numpy.arange(1.0, 10).reshape(3, 3), numpy.array([[1.0, 2], [3, 4]])
    y = numpy.zeros((4, 4))
    for i in range(3):
        for j in range(3):
            y[i:i + 2, j:j + 2] += x[i, j] * w
    for row in y:
        assert "    " + "  ".join(f"{v:2g}" for v in row) + "\n" in text
    assert f"pixel 5 is 5 + 8 + 6 + 4 = {y[1, 1]:g}" in text


def test_the_cotangent_decides_the_gradient():
    """d sum(g * (a + b)) / d b is g summed over the rows along which b was broadcast."""
    text = "\n".join(explanation("add"))
    g = numpy.random.default_rng(1).standard_normal((2, 3))
    assert f"{g.sum(axis=0)[2]:14.7f}" in text


def test_command_line():
    listed = run()
    assert listed.returncode == 0 and not listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == functional.__all__
    assert listed.stdout.splitlines() == list(listing())
    assert max(map(len, listing())) <= 100
    explained = run("relu")
    assert explained.returncode == 0 and "max(x, 0)" in explained.stdout


@pytest.mark.parametrize("name", ["conv3d", "", "__all__", "Tensor", "é", "rélu\n"])
def test_unknown_operations(name):
    result = run(name)
    assert result.returncode == 2 and not result.stdout
    assert len(result.stderr.splitlines()) == 1
    assert f"unknown operation {name!r}" in result.stderr and "conv_transpose2d" in result.stderr
    with pytest.raises(KeyError):
        list(explanation(name))


def test_two_names():
    result = run("conv2d", "relu")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
