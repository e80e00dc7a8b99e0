"""The benchmark: that it runs, compares equal things, and refuses what it cannot do."""

import itertools
import json
import math
import os
import shutil
import signal
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest

import benchmark
import minigan
import standin
from conftest import needs_kernels
from engines import ENGINES, dry_run, eager, in_minigan, in_numpy, load_task
from engines.worker import CAN_STOP, Commands, Worker, WorkerFailed
from engines.workloads import WORKLOADS
from minigan.kernels import blas
from test_examples import run

SMALL = [name for name in WORKLOADS if not name.startswith("dcgan-256")]
CORES = benchmark.available_cores()[-1:]


def finished(result):
    """Status 0, or 1 because this machine was busy, which the last line then says."""
    if result.returncode == 1:
        assert "the machine was busy" in result.stderr.splitlines()[-1], result.stderr
    else:
        assert result.returncode == 0, result.stderr


def test_a_short_run(tmp_path):
    result = run("--workload", "cnn-1", "--turns", 3, "--json", "times.json", cwd=tmp_path,
                 script="benchmark.py")
    finished(result)
    assert "NumPy's products: " in result.stdout and "minigan's CPU kernels: " in result.stdout
    rows = [line for line in result.stdout.splitlines() if line.startswith("cnn-1")]
    assert [line[18:35].strip() for line in rows] == [
        "minigan", "minigan textbook", "minigan captured"]
    found = json.loads((tmp_path / "times.json").read_text())
    assert len(found["machine"]["cores"]) == 1
    times = found["workloads"]["cnn-1"]["minigan"]
    assert len(times["seconds of turns"]) == 3 and min(times["seconds of turns"]) > 0
    if result.returncode == 0:
        assert times["times minigan"] == [1, 1, 1] and 0 < times["share"] < 1


@pytest.mark.parametrize("choice, workload", [
    *itertools.product(["torch", "jax"], ["cnn-1", "cgan-1", "dcgan-32x8"]),
    pytest.param("torch-compile", "cgan-1", marks=pytest.mark.skipif(
        shutil.which("g++") is None, reason="no C++ compiler"))])
def test_the_engines_compute_the_same(choice, workload, monkeypatch):
    """First losses are compared before anything is timed."""
    names = benchmark.engines_of(["minigan", choice, "numpy"], "cpu")
    pytest.importorskip(ENGINES[benchmark.engines_of([choice], "cpu")[0]].library)
    monkeypatch.setattr(benchmark, "COMPILE_SECONDS", 1000)
    seconds, memory, failures = benchmark.measure(workload, names, CORES, turns=1)
    assert set(seconds) == set(memory) == set(names) and len(names) >= 4 and not failures
    assert all(peak is None or peak >= imported > 0 for peak, imported in memory.values())


@pytest.mark.parametrize("workload", SMALL)
def test_a_step_changes_the_losses(workload):
    do = in_minigan.make_run(WORKLOADS[workload].task())
    first, second = do(1), do(1)
    assert len(first) == (1 if workload.startswith("cnn") else 3)
    assert all(a != b for a, b in zip(first, second))


def test_different_losses_are_refused():
    benchmark.check_first_losses({"minigan": [0.7, 0.7], "torch": [0.7, 0.70001]})
    for theirs in ([0.7, 0.71], [0.7, math.nan], [0.7]):
        with pytest.raises(benchmark.LossesDiffer, match="torch"):
            benchmark.check_first_losses({"minigan": [0.7, 0.7], "torch": theirs})


@pytest.mark.parametrize("name", ["torch", "torch compiled"])
def test_only_compiling_may_fail(name, monkeypatch):
    """That the compiler is missing leaves a row empty; any other failure ends the benchmark."""
    class Failing(InThisProcess):
        def call(self, command, argument=None, limit=None):
            if self.name == name and command == "begin":
                raise WorkerFailed(f"{name}: no compiler; " + 100 * "install one; ")
            return 0.5 if command == "time" else [0.7]

    monkeypatch.setattr(benchmark, "Worker", Failing)
    names = ["minigan", name, "product"]
    if name == "torch":
        with pytest.raises(WorkerFailed, match="no compiler"):
            benchmark.measure("cnn-1", names, CORES, turns=3)
        return
    seconds, _, failures = benchmark.measure("cnn-1", names, CORES, turns=3)
    assert set(seconds) == {"minigan", "product"}
    assert failures[name].startswith("torch compiled: no compiler; ") and len(failures[name]) <= 200
    assert benchmark.row("cnn-1", name, {}).split() == ["cnn-1", *name.split(), *7 * ["-"]]


class InThisProcess:
    """A Worker without a process of its own, so that it sees the stand-in."""

    def __init__(self, name, cores):
        self.name = name
        self.commands = Commands(ENGINES[name])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def call(self, command, argument=None, limit=None):
        minigan.set_device("cuda")
        try:
            return getattr(self.commands, command)(argument)
        finally:
            minigan.set_device("cpu")


@needs_kernels
@pytest.mark.parametrize("precisions", [("float32", "tf32"), ("tf32",)])
def test_a_run_on_a_gpu(precisions, gpu, monkeypatch, capsys):
    minigan.set_device("cpu")
    monkeypatch.setattr(benchmark, "Worker", InThisProcess)
    monkeypatch.setattr(benchmark, "SECONDS_PER_TURN", 0.01)
    monkeypatch.setitem(in_numpy.SIZES, "cuda", 64)
    arguments = ["--device", "cuda", "--workload", "cnn-64", "cgan-1", "--turns", "3"]
    if len(precisions) == 1:
        arguments += ["--precision", *precisions]
    monkeypatch.setattr("sys.argv", ["benchmark.py", *arguments])
    before = len(standin.cublas.calls)
    with suppress(SystemExit):  # times scatter
        benchmark.main()
    printed = capsys.readouterr().out
    lines = [line.replace("minigan captured", "captured").replace(" tf32 ", "+tf32 ").split()
             for line in printed.splitlines() if line.startswith(("cnn-64", "cgan-1"))]
    labels = [workload + ("+tf32" if precision == "tf32" else "")
              for workload in ("cnn-64", "cgan-1") for precision in precisions]
    assert [line[:2] for line in lines] == [
        [label, name] for label in labels for name in ("minigan", "captured")]
    assert all(int(line[-2]) > 0 for line in lines)  # memory
    for precision in precisions:
        assert f"CuPy's product of two 64 x 64 matrices in {precision}: " in printed
    kinds = {call.compute for call in standin.cublas.calls[before:]}
    assert kinds == {blas.COMPUTE_FAST_TF32, blas.COMPUTE_TYPES["f"]} - (
        set() if "float32" in precisions else {blas.COMPUTE_TYPES["f"]})


@needs_kernels
def test_a_captured_step_has_the_losses_of_the_cpu(gpu):
    losses = []
    for device in ("cpu", "cuda"):
        minigan.set_device("cpu")
        do = in_minigan.make_run(WORKLOADS["cgan-64"].task(device), captured=True)
        losses.append([do(1) for _ in range(5)])
    numpy.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_a_torch_without_cuda_says_so():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this one has CUDA")
    with Worker("torch captured", CORES) as worker:
        worker.call("load")
        with pytest.raises(WorkerFailed, match="this PyTorch finds no CUDA GPU"):
            worker.call("begin", WORKLOADS["cnn-1"].task("cuda"))


def test_what_pytorch_captures_are_steps_too():
    """The order of a captured PyTorch step, with CUDA's part imitated: each call is one step."""
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
        step = in_torch.CapturedStep(lambda x: done.append("called") or x)
        results = [step(torch.tensor(float(i))).item() for i in range(6)]
    # Capturing calls the function, and computes nothing.
    assert done == ["called"] * 4 + ["replayed"] * 3
    assert results == [0, 1, 2, 3, 4, 5]


def test_operations():
    """Counted once by hand, for the CGAN: D is 794-200-1, G is 110-200-784."""
    D, D_first, G, G_first = 795 * 200 - 200 + 200, 794 * 200, 110 * 200 + 200 * 784, 110 * 200
    by_hand = 2 * (2 * (3 * D - D_first) + G + 2 * D + 3 * G - G_first)
    assert WORKLOADS["cgan-1"].operations() == by_hand
    assert WORKLOADS["cgan-64"].operations() == 64 * by_hand


def test_scatter():
    assert benchmark.scatter([1.0] * 4) == 0
    assert benchmark.scatter([1.0, 2.0, 3.0, 4.0, 5.0]) == 2 / 3


def test_scattered_times_are_not_printed():
    seconds = {"minigan": [1.0, 1.0, 1.0], "torch": [1.0, 2.0, 3.0], "product": [0.1, 0.1, 0.1]}
    assert benchmark.scattered(seconds) == {"torch"}
    memory = dict.fromkeys(seconds, (3_000_000, 2_000_000))
    theirs = benchmark.figures("cnn-1", "torch", seconds, memory)
    assert theirs["seconds per step"] is theirs["times minigan"] is theirs["share"] is None
    assert theirs["bytes after import"] == 1_000_000
    assert benchmark.row("cnn-1", "torch", theirs).split() == [
        "cnn-1", "torch", "-", "-", "-", "-", "-", "3", "1"]
    quiet = {**seconds, "torch": [2.0, 2.1, 2.2]}
    assert benchmark.figures("cnn-1", "torch", quiet, memory)["times minigan"] == [2.1, 2.0, 2.2]
    assert benchmark.figures("cnn-1", "torch", quiet, memory)["times captured"] is None
    captured = {**quiet, "minigan captured": [0.5, 0.5, 0.5]}
    assert benchmark.figures("cnn-1", "torch", captured, memory)["times captured"] == 4.2
    busy = {**quiet, "minigan": [1.0, 2.0, 3.0]}
    assert benchmark.figures("cnn-1", "torch", busy, memory)["times minigan"] is None


def test_a_worker_is_stopped_between_its_commands():
    with Worker("product", CORES) as worker:
        worker.call("load")
        assert worker.call("begin", WORKLOADS["cnn-1"].task()) == []
        if CAN_STOP and os.path.exists(f"/proc/{worker.process.pid}/stat"):
            os.waitid(os.P_PID, worker.process.pid, os.WSTOPPED | os.WNOWAIT)
        assert worker.call("time", 1) > 0


def test_a_worker_that_fails():
    with Worker("minigan", CORES) as worker:
        worker.call("load")
        with pytest.raises(WorkerFailed, match="minigan: AttributeError"):
            worker.call("begin", "no task")
        worker.process.send_signal(signal.SIGKILL)
        with pytest.raises(WorkerFailed, match="SIGKILL"):
            worker.call("memory")


def test_a_worker_that_takes_too_long():
    with Worker("product", CORES) as worker:
        worker.call("load")
        worker.call("begin", WORKLOADS["cnn-1"].task(), limit=600)
        with pytest.raises(WorkerFailed, match="product: not done within 0.1 s"):
            worker.call("time", 10**9, limit=0.1)


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="environments are unknown")
def test_the_textbook_has_no_kernels(monkeypatch):
    monkeypatch.delenv("MINIGAN_KERNELS", raising=False)
    for name, off in (("minigan", False), ("minigan textbook", True)):
        with Worker(name, CORES) as worker:
            worker.call("load")
            variables = Path(f"/proc/{worker.process.pid}/environ").read_text().split("\0")
            assert ("MINIGAN_KERNELS=off" in variables) == off


def test_the_discriminator_is_frozen_only_while_the_generator_learns():
    networks, frozen = [], []

    class Adam(minigan.optim.Adam):
        def __init__(self, parameters, lr):
            networks.append(list(parameters))
            super().__init__(networks[-1], lr=lr)

        def step(self):
            frozen.append([p.requires_grad for p in networks[0]] == [False] * len(networks[0]))
            super().step()

    do = eager.make_run(minigan, WORKLOADS["cgan-1"].task(), Adam)
    do(2)
    assert frozen == [False, False, True] * 2
    assert all(p.requires_grad for network in networks for p in network)


def test_networks_arrive_as_they_were():
    task = WORKLOADS["cnn-1"].task()
    layers, weights = task.networks[0]
    network = eager.built(in_minigan.minigan, layers, weights)
    for key, value in network.state_dict().items():
        numpy.testing.assert_array_equal(value.numpy(), weights[key])


def test_profile(tmp_path):
    result = run("--profile", "--workload", "cnn-1", cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 0, result.stderr
    conv2d, = [line.split() for line in result.stdout.splitlines() if line.startswith("conv2d ")]
    assert conv2d[:2] == ["conv2d", "2"]  # twice in one step, whatever the number of steps
    assert "between the operations" in result.stdout


def test_imports(tmp_path):
    result = run("--imports", "--turns", 3, cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 0, result.stderr
    assert "import numpy" in result.stdout and "import minigan" in result.stdout


needs_stand_in = pytest.mark.skipif(not standin.has_compiler(), reason="the stand-in needs g++")


@needs_kernels
@needs_stand_in
def test_a_dry_run_counts_what_a_step_launches():
    launches, memory = dry_run.count(WORKLOADS["cgan-64"].task())
    assert sum(map(dry_run.operations, launches)) == WORKLOADS["cgan-64"].operations()
    names = [launch.name for launch in launches]
    # Layer norms: D on real, G and D on generated images, both again for the generator.
    assert names.count("layer_norm") == 5 and names.count("layer_norm_backward_affine") == 4
    assert names.count("adam") == 3 and "copy" not in names
    D, G = 795 * 200 + 2 * 200 + 201, 111 * 200 + 2 * 200 + 201 * 784
    adam = [launch.nbytes for launch in launches if launch.name == "adam"]
    for nbytes, parameters in zip(adam, (D, D, G)):
        assert 1 <= nbytes / (7 * 4 * parameters) < 1.001  # and the numbers of steps
    sigmoid = [launch.nbytes for launch in launches if launch.name == "sigmoid"]
    assert sorted(sigmoid) == [2 * 4 * 64] * 3 + [2 * 4 * 64 * 784] * 2
    assert memory > 4 * 4 * (D + G)  # parameters, gradients and moments
    assert minigan.zeros(1).device == "cpu" and not minigan.cuda.is_available()


@needs_kernels
@needs_stand_in
def test_the_model_is_that_of_its_assumptions():
    workload, product = WORKLOADS["cnn-64"], standin.streams.Launch("product", 8000, (10, 20, 30, 2))
    gpu = dry_run.Gpu(bandwidth=1, float32=1e-3, tf32=1e-2, launch=5)
    assert gpu.seconds(product, "float32") == pytest.approx(24000 / 1e9)
    assert gpu.seconds(product, "tf32") == pytest.approx(8e-6)
    assert gpu.seconds(standin.streams.Launch("relu", 8), "tf32") == pytest.approx(5e-6)
    text = "\n".join(dry_run.report("cnn-64", workload, gpu))
    assert "modelled, not measured: " in text and "nothing ran on a GPU" in text
    assert "at 1 GB/s" in text and "(64,250) @ (250,10)" in text


@needs_kernels
@needs_stand_in
def test_a_dry_run(tmp_path):
    result = run("--dry-run", "--work", "cnn-1", cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("cnn-1: one step of batch 1 on a GPU, counted on the stand-in")
    assert "at 3,350 GB/s" in result.stdout and "im2col" in result.stdout


@pytest.mark.parametrize("arguments, message", [
    (("--workload", "rnn"), "rnn"), (("--threads", os.cpu_count() + 1), "cores"),
    (("--against", "theano"), "theano"), (("--turns", 2), "--turns"),
    (("--profile", "--json", "x"), "--profile"), (("--imports", "--json", "x"), "--imports"),
    (("--dry-run", "--against", "torch"), "--dry-run"), (("--dry-run", "--model", 1, 2), "--model"),
    (("--json", "no/such/folder"), "no/such/folder"), (("--precision", "tf32"), "--precision tf32"),
    (("--workload", "dcgan-256x64"), "dcgan-256x64"), (("--imports", "--workload", "cnn-1"), "--imports"),
    (("--imports", "--threads", 1), "--imports"),
    (("--device", "cuda", "--profile"), "--profile"), (("--device", "tpu"), "tpu")])
def test_bad_arguments(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(minigan.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_reported(tmp_path):
    result = run("--device", "cuda", cwd=tmp_path, script="benchmark.py")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "device 'cuda': CuPy" in result.stderr


def test_engines_of_each_device():
    assert benchmark.engines_of(["jax", "torch-compile"], "cuda") == []
    assert benchmark.engines_of(["torch"], "cuda") == ["torch", "torch fused", "torch captured"]
    assert benchmark.engines_of(["torch", "torch-compile"], "cpu") == [
        "torch", "torch fused", "torch compiled"]
    assert benchmark.engines_of(["minigan"], "cpu") == [
        "minigan", "minigan textbook", "minigan captured"]
    assert benchmark.engines_of(["minigan"], "cuda") == ["minigan", "minigan captured"]


@pytest.mark.parametrize("name", ["cgan-64", "dcgan-32x8"])
def test_a_task_is_the_same_from_its_file(name, tmp_path):
    task = WORKLOADS[name].task()
    task.save(tmp_path / "task.npz")
    loaded = load_task(tmp_path / "task.npz")
    assert loaded.lr == task.lr and len(loaded.networks) == len(task.networks) == 2
    for (layers, weights), (expected, values) in zip(loaded.networks, task.networks):
        assert layers == expected and list(weights) == list(values)
        assert all(map(numpy.array_equal, weights.values(), values.values()))
    for part, expected in zip(loaded.inputs, task.inputs, strict=True):
        assert all(a is b is None or numpy.array_equal(a, b)
                   for a, b in zip(part, expected, strict=True))
