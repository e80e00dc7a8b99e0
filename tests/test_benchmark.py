"""The benchmark: that it runs, compares equal things, and refuses what it cannot do."""

import json
import math
import os
import signal
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import numpy
import pytest

import benchmark
import minigan
from engines import ENGINES, eager, in_minigan, in_numpy
from engines.worker import CAN_STOP, Life, Worker, WorkerFailed
from engines.works import WORKS
from test_examples import run

SMALL = [name for name in WORKS if not name.startswith("dcgan-256")]
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
    names = benchmark.engines_of(["minigan", library, "numpy"], "cpu")
    seconds, memory = benchmark.measure(work, names, CORES, turns=1)
    assert set(seconds) == set(memory) == set(names) and len(names) >= 3
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


class InThisProcess:
    """A Worker without a process of its own, so that it sees the stand-in."""

    def __init__(self, name, cores):
        self.life = Life(ENGINES[name])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def ask(self, order, argument=None):
        minigan.set_device("cuda")
        try:
            return getattr(self.life, order)(argument)
        finally:
            minigan.set_device("cpu")


@pytest.mark.parametrize("tf32", [False, True])
def test_a_run_on_a_gpu(tf32, gpu, monkeypatch, capsys):
    minigan.set_device("cpu")
    monkeypatch.setattr(benchmark, "Worker", InThisProcess)
    monkeypatch.setattr(benchmark, "SECONDS_A_TURN", 0.01)
    monkeypatch.setitem(in_numpy.SIZES, "cuda", 64)
    arguments = ["--device", "cuda", "--work", "cnn-64", "cgan-1", "--turns", "3"]
    monkeypatch.setattr("sys.argv", ["benchmark.py", *arguments, *["--tf32"] * tf32])
    with suppress(SystemExit):  # times scatter
        benchmark.main()
    told = capsys.readouterr().out
    assert ("products in TF32" if tf32 else "products in float32") in told
    lines = [line.split() for line in told.splitlines() if line.startswith(("cnn-64", "cgan-1"))]
    assert [line[:2] for line in lines] == [
        [work, name] for work in ("cnn-64", "cgan-1") for name in ("minigan", "no")]
    assert all(int(line[-2]) > 0 for line in lines)  # memory
    assert "CuPy's product of two 64 x 64" in told


def test_a_recorded_step_has_the_losses_of_the_cpu(gpu):
    losses = []
    for device in ("cpu", "cuda"):
        minigan.set_device("cpu")
        do = in_minigan.make_run(WORKS["cgan-64"].task(device))
        losses.append([do(1) for _ in range(5)])
    numpy.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_a_torch_without_cuda_says_so():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this one has CUDA")
    with Worker("torch graph", CORES) as worker:
        worker.ask("load")
        with pytest.raises(WorkerFailed, match="this PyTorch finds no CUDA GPU"):
            worker.ask("begin", WORKS["cnn-1"].task("cuda"))


def test_what_pytorch_records_are_steps_too():
    """The order of a recorded PyTorch step, with CUDA's part imitated: each call is one step."""
    torch = pytest.importorskip("torch")
    from engines import in_torch
    done = []

    class Graph:
        def replay(self):
            done.append("replayed")

    nothing = lambda *args, **kwargs: nullcontext()  # noqa: E731
    stream = SimpleNamespace(wait_stream=lambda other: None)
    cuda = SimpleNamespace(Stream=lambda: stream, current_stream=lambda: stream, stream=nothing,
                           CUDAGraph=Graph, graph=nothing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "cuda", cuda)
        step = in_torch.Recorded(lambda: done.append("called"))
        for _ in range(6):
            step()
    # Recording calls the function, and computes nothing.
    assert done == ["called"] * 4 + ["replayed"] * 3


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
        assert worker.ask("begin", WORKS["cnn-1"].task()) == []
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
    (("--json", "no/such/folder"), "no/such/folder"), (("--tf32",), "--tf32"),
    (("--work", "dcgan-256x64"), "dcgan-256x64"), (("--imports", "--work", "cnn-1"), "--imports"),
    (("--imports", "--threads", 1), "--imports"),
    (("--device", "cuda", "--profile"), "--profile"), (("--device", "tpu"), "tpu")])
def test_bad_arguments(tmp_path, arguments, said):
    result = run(*arguments, cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 2 and said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(minigan.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told(tmp_path):
    result = run("--device", "cuda", cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "device 'cuda': CuPy" in result.stderr


def test_engines_that_a_gpu_has_not(gpu):
    assert benchmark.engines_of(["jax"], "cuda") == []
    assert benchmark.engines_of(["torch"], "cuda") == ["torch", "torch fused", "torch graph"]
    assert benchmark.engines_of(["minigan"], "cpu") == ["minigan"]
