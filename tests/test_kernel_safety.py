"""Kernels meet arrays as strangers have them: nothing is written where it must not be, nothing
crashes, and the answers are those of the plain formulas."""

import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import minigan
from minigan import functional as F, kernels, nn, optim
from minigan.tensor import from_array
from minigan.kernels import launch

ROOT = Path(__file__).resolve().parent.parent
MAKERS = {"SGD": lambda p: optim.SGD(p, lr=1.0, momentum=0.5), "Adam": lambda p: optim.Adam(p)}


@pytest.fixture(autouse=True, params=["kernels", "textbook"])
def form(request):
    if request.param == "textbook":
        with kernels.disabled():
            yield
    elif launch.load("f"):
        yield
    else:
        pytest.skip(kernels.status())


def parameter(values):
    return from_array(numpy.asarray(values, "float32")).requires_grad_()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_read_only_memory_is_not_written(make):
    memory = bytes(16)
    p = from_array(numpy.frombuffer(memory, "float32")).requires_grad_()
    p.grad = minigan.ones(4)
    with pytest.raises(ValueError, match="read-only"):
        make([p]).step()
    assert memory == bytes(16)


def test_read_only_statistics_are_an_error():
    mean = from_array(numpy.frombuffer(bytes(16), "float32"))
    with pytest.raises(ValueError, match="read-only"):
        F.batch_norm(minigan.ones(8, 4), mean, minigan.ones(4), training=True)


def test_unaligned_statistics_are_updated():
    mean = from_array(numpy.frombuffer(bytearray(17), "float32", 4, 1))
    F.batch_norm(minigan.ones(8, 4) * 5, mean, minigan.ones(4), training=True)
    assert mean.tolist() == [0.5] * 4


def test_an_index_changed_after_the_forward_pass():
    index, weight = numpy.zeros(3, "int64"), parameter(numpy.zeros((2, 3)))
    y = F.embedding(minigan.from_numpy(index), weight)
    index[:] = 10**9
    try:
        y.sum().backward()
    except (IndexError, ValueError):
        return  # the plain formula looks at the index once more
    assert weight.grad.tolist() == [[3.0] * 3, [0.0] * 3]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_gradient_of_another_shape_is_an_error(make):
    p = parameter([0, 0])
    p.sum().backward()
    p.data = minigan.zeros(3)
    with pytest.raises(ValueError):
        make([p]).step()


def test_a_state_of_another_shape_is_an_error():
    p = parameter(numpy.zeros(1000))
    p.grad = minigan.ones(1000)
    optimiser = optim.Adam([p])
    optimiser.state[p] = {"step": minigan.tensor(0), "exp_avg": minigan.ones(3),
                          "exp_avg_sq": minigan.ones(1000)}
    with pytest.raises(ValueError):
        optimiser.step()


def test_too_much_memory_is_an_error():
    with pytest.raises(ValueError, match="conv2d: "):
        F.conv2d(minigan.ones(1, 1, 1, 1), minigan.ones(1, 1, 1, 1), stride=400_000,
                 padding=400_000)


FORK = """
import multiprocessing, minigan
from minigan import functional as F
def convolve():
    F.conv2d(minigan.ones(8, 8, 16, 16), minigan.ones(8, 8, 3, 3))
convolve()
child = multiprocessing.get_context("fork").Process(target=convolve)
child.start()
child.join(60)
print(child.exitcode)
child.kill()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_convolves():
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], env=environment,
                            capture_output=True, text=True)
    assert result.stdout.strip() == "0", result.stderr


@pytest.mark.parametrize("text", ["100000", "2,1", "0"])
def test_any_number_of_threads(text):
    code = ("import minigan; from minigan import functional as F; "
            "print(F.conv2d(minigan.ones(1, 1, 9, 9), minigan.ones(1, 1, 3, 3)).sum().item())")
    environment = {**os.environ, "OMP_NUM_THREADS": text, "PYTHONPATH": str(ROOT)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                            text=True)
    assert float(result.stdout) == 441, result.stderr


def test_a_learning_rate_of_none_is_an_error():
    p = parameter([1, 1])
    p.grad = minigan.ones(2)
    optimiser = optim.Adam([p])
    optimiser.param_groups[0]["lr"] = None
    with pytest.raises(TypeError):
        optimiser.step()
    assert numpy.isfinite(p.tolist()).all()


def test_a_learning_rate_that_is_an_array():
    p = parameter([0])
    p.grad = minigan.ones(1)
    optimiser = optim.SGD([p], lr=1.0)
    optimiser.param_groups[0]["lr"] = lr = numpy.array(1.0)
    optimiser.step()
    lr[...] = 0
    optimiser.step()
    assert p.tolist() == [-1.0]


def test_infinity_in_evaluation_has_a_gradient():
    x = parameter([[1, numpy.inf], [2, 3]])
    F.batch_norm(x, minigan.zeros(2), minigan.ones(2)).backward(minigan.ones(2, 2))
    numpy.testing.assert_allclose(x.grad.tolist(), 0.999995, rtol=1e-6)


def test_a_gradient_as_the_next_input():
    p = parameter(numpy.ones((3, 3)))
    optimiser = optim.SGD([p])
    (p * 2).sum().backward()
    g = p.grad[0:1]
    optimiser.zero_grad()
    (F.linear(g, p) * minigan.tensor([[2.0, 10.0, 100.0]])).sum().backward()
    assert p.grad.tolist() == [[4.0] * 3, [20.0] * 3, [200.0] * 3]


@pytest.mark.parametrize("keep", [lambda p: p.grad, lambda p: p.grad[:], lambda p: p.grad.detach(),
                                  lambda p: p.grad.numpy()])
def test_a_kept_gradient_keeps_its_numbers(keep):
    p = parameter([1])
    optimiser = optim.SGD([p])
    (p * 3).sum().backward()
    kept = keep(p)
    optimiser.zero_grad()
    (p * 5).sum().backward()
    assert kept.tolist() == [3.0] and p.grad.tolist() == [5.0]


def test_a_gradient_that_nobody_keeps_stays_in_its_memory():
    p = parameter([1])
    optimiser = optim.SGD([p])
    array = p.grad_buffer.array.__array_interface__["data"]
    for _ in range(3):
        optimiser.zero_grad()
        (p * 3).sum().backward()
        optimiser.step()
        assert p.grad.array.__array_interface__["data"] == array


def test_an_empty_batch_leaves_the_statistics():
    layer = nn.BatchNorm1d(2)
    layer(minigan.zeros(0, 2))
    assert layer.running_mean.tolist() == [0, 0] and layer.running_var.tolist() == [1, 1]


def test_infinity_and_nan_are_silent():
    with numpy.errstate(all="raise"):
        y = F.conv2d(minigan.ones(1, 1, 3, 3) * 1e30,
                     minigan.tensor([[[[numpy.inf, -numpy.inf]]]]), padding=1)
        F.linear(minigan.ones(2, 2) * 1e38, minigan.ones(2, 2) * 1e38)
    assert y.shape == (1, 1, 5, 4)


def test_deleted_groups_are_forgotten():
    q = parameter([0, 0])
    q.grad = minigan.ones(2)
    optimiser = optim.SGD([q], lr=0.1)
    for _ in range(5):
        r = parameter(numpy.zeros(100))
        r.grad = minigan.ones(100)
        optimiser.add_param_group({"params": [r]})
    optimiser.step()
    del optimiser.param_groups[1:]
    optimiser.step()
    tables = kernels.optim.tables.get(optimiser, {})
    # The weight, its momentum and its step; nothing of the plain formulas.
    assert sum(len(table.arrays) for table in tables.values()) in (0, 3)
