"""The benchmark: that it runs, compares equal things, and refuses what it cannot do."""

import json
import math
import os
import signal

import numpy
import pytest

import benchmark
from engines import ENGINES, eager, in_minigan
from engines.worker import CAN_STOP, Worker, WorkerFailed
from engines.works import WORKS
from test_examples import run

SMALL = [name for name in WORKS if name != "dcgan-256x1"]
CORES = benchmark.available_cores()[-1:]


def finished(result):
    """Status 0, or 1 because this machine was busy, which the last line then says."""
    if result.returncode == 1:
        assert "the machine was busy" in result.stderr.splitlines()[-1], result.stderr
    else:
        assert result.returncode == 0, result.stderr


def test_a_short_run(tmp_path):
    result = run("--work", "cnn-1", "--turns", 3, "--json", "times.json", cwd=tmp_path,
                 script="benchmark.py")
    finished(result)
    assert "NumPy's products: " in result.stdout
    assert any(line.startswith("cnn-1       minigan") for line in result.stdout.splitlines())
    found = json.loads((tmp_path / "times.json").read_text())
    assert len(found["machine"]["cores"]) == 1
    times = found["works"]["cnn-1"]["minigan"]
    assert len(times["seconds of turns"]) == 3 and min(times["seconds of turns"]) > 0
    if result.returncode == 0:
        assert times["times minigan"] == [1, 1, 1] and 0 < times["share"] < 1


@pytest.mark.parametrize("library", benchmark.AGAINST)
@pytest.mark.parametrize("work", ["cnn-1", "cgan-1", "dcgan-32x8"])
def test_the_engines_compute_the_same(library, work):
    """First losses are compared before anything is timed."""
    pytest.importorskip(library)
    names = ["minigan"] + [name for name, engine in ENGINES.items() if engine.library == library]
    seconds, memory = benchmark.measure(work, names + ["product"], CORES, turns=1)
    assert set(seconds) == set(memory) == {*names, "product"}
    assert all(peak is None or peak >= imported > 0 for peak, imported in memory.values())


@pytest.mark.parametrize("work", SMALL)
def test_a_step_changes_the_losses(work):
    do = in_minigan.make_run(WORKS[work].task())
    first, second = do(1), do(1)
    assert len(first) == (1 if work.startswith("cnn") else 3)
    assert all(a != b for a, b in zip(first, second))


def test_different_losses_are_refused():
    benchmark.check_first_losses({"minigan": [0.7, 0.7], "torch": [0.7, 0.70001]})
    for theirs in ([0.7, 0.71], [0.7, math.nan], [0.7]):
        with pytest.raises(benchmark.LossesDiffer, match="torch"):
            benchmark.check_first_losses({"minigan": [0.7, 0.7], "torch": theirs})


def test_operations():
    """Counted once by hand, for the CGAN: D is 794-200-1, G is 110-200-784."""
    D, D_first, G, G_first = 795 * 200 - 200 + 200, 794 * 200, 110 * 200 + 200 * 784, 110 * 200
    by_hand = 2 * (2 * (3 * D - D_first) + G + 2 * D + 3 * G - G_first)
    assert WORKS["cgan-1"].operations() == by_hand
    assert WORKS["cgan-64"].operations() == 64 * by_hand


def test_spread():
    assert benchmark.spread([1.0] * 4) == 0
    assert benchmark.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == 2 / 3


def test_scattered_times_are_not_quoted():
    seconds = {"minigan": [1.0, 1.0, 1.0], "torch": [1.0, 2.0, 3.0], "product": [0.1, 0.1, 0.1]}
    assert benchmark.scattered(seconds) == {"torch"}
    memory = dict.fromkeys(seconds, (3_000_000, 2_000_000))
    theirs = benchmark.figures("cnn-1", "torch", seconds, memory)
    assert theirs["seconds a step"] is theirs["times minigan"] is theirs["share"] is None
    assert theirs["bytes after import"] == 1_000_000
    assert benchmark.line("cnn-1", "torch", theirs).split() == [
        "cnn-1", "torch", "-", "-", "-", "-", "3", "1"]
    quiet = {**seconds, "torch": [2.0, 2.1, 2.2]}
    assert benchmark.figures("cnn-1", "torch", quiet, memory)["times minigan"] == [2.1, 2.0, 2.2]
    busy = {**quiet, "minigan": [1.0, 2.0, 3.0]}
    assert benchmark.figures("cnn-1", "torch", busy, memory)["times minigan"] is None


def test_a_worker_is_stopped_between_its_orders():
    with Worker("product", CORES) as worker:
        worker.ask("load")
        assert worker.ask("begin", None) == []
        if CAN_STOP and os.path.exists(f"/proc/{worker.process.pid}/stat"):
            os.waitid(os.P_PID, worker.process.pid, os.WSTOPPED | os.WNOWAIT)
        assert worker.ask("time", 1) > 0


def test_a_worker_that_fails():
    with Worker("minigan", CORES) as worker:
        worker.ask("load")
        with pytest.raises(WorkerFailed, match="minigan: AttributeError"):
            worker.ask("begin", "no task")
        worker.process.send_signal(signal.SIGKILL)
        with pytest.raises(WorkerFailed, match="SIGKILL"):
            worker.ask("memory")


def test_networks_arrive_as_they_were():
    task = WORKS["cnn-1"].task()
    layers, weights = task.networks[0]
    network = eager.built(in_minigan.minigan, layers, weights)
    for key, value in network.state_dict().items():
        numpy.testing.assert_array_equal(value.numpy(), weights[key])


def test_profile(tmp_path):
    result = run("--profile", "--work", "cnn-1", cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 0, result.stderr
    conv2d, = [line.split() for line in result.stdout.splitlines() if line.startswith("conv2d")]
    assert conv2d[:2] == ["conv2d", "2"]  # twice in one step, whatever the number of steps
    assert "between the operations" in result.stdout


def test_imports(tmp_path):
    result = run("--imports", "--turns", 3, cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 0, result.stderr
    assert "import numpy" in result.stdout and "import minigan" in result.stdout


@pytest.mark.parametrize("arguments, said", [
    (("--work", "rnn"), "rnn"), (("--threads", os.cpu_count() + 1), "cores"),
    (("--against", "theano"), "theano"), (("--turns", 2), "--turns"),
    (("--profile", "--json", "x"), "--profile"), (("--imports", "--json", "x"), "--imports"),
    (("--json", "no/such/folder"), "no/such/folder")])
def test_bad_arguments(tmp_path, arguments, said):
    result = run(*arguments, cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 2 and said in result.stderr
    assert len(result.stderr.splitlines()) == 1
