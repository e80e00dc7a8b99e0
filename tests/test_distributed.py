"""Training by several processes: what they do together equals what one does with all items."""

import csv
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest

import minigan
import standin
from minigan import distributed, functional, nn, optim
from minigan.nn.sync_batch_norm import sync_batch_norm
from minigan.training import Checkpoint

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
SECONDS = 400  # until a test that hangs fails; the machine may be busy


def has_mpi():
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        return False
    return MPIEXEC is not None


together = pytest.mark.skipif(not has_mpi(), reason="needs mpi4py and mpiexec")


def launch(count, *command, **options):
    """Start count processes of a Python script."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([MPIEXEC, "-n", str(count), sys.executable, *map(str, command)],
                            env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def finished(process):
    """Its exit status and what it printed."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"still running after {SECONDS} s: {process.communicate()}")
    return process.returncode, out, err


def program(count, *arguments):
    return finished(launch(count, TESTS / "distributed_programs.py", *arguments))


def passes(count, *arguments):
    status, _, err = program(count, *arguments)
    assert status == 0, err


# One process alone

def test_alone_everything_is_for_one_process():
    distributed.init()
    assert (distributed.rank(), distributed.size()) == (0, 1)
    distributed.barrier()
    x = numpy.ones(3)
    distributed.all_reduce(x)
    assert x.tolist() == [1, 1, 1]
    assert distributed.gather("a") == ["a"] and distributed.on_every("") == ""
    assert distributed.largest(1, 2) == (1, 2) and distributed.own_seed(7) == 7
    layer = nn.Linear(2, 1)
    distributed.broadcast(layer)
    distributed.average_gradients(optim.SGD(layer.parameters(), lr=1.0))
    with pytest.raises(SystemExit) as ended:
        distributed.abort_together("the reason", 3)
    assert ended.value.code == 3


def test_wrong_arguments():
    with pytest.raises(TypeError, match="broadcast: module must be a Module, got int 3"):
        distributed.broadcast(3)
    with pytest.raises(TypeError, match="average_gradients: optimizer must be an Optimizer"):
        distributed.average_gradients(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="convert_sync_batchnorm: module must be a Module"):
        nn.SyncBatchNorm.convert_sync_batchnorm([])


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_without_mpi4py_a_run_of_several_processes_says_what_is_missing(name, tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('not here')")
    environment = {**os.environ, name: "4", "PMIX_RANK": "0", "PYTHONPATH": f"{tmp_path}{os.pathsep}{TESTS.parent}"}
    ended = subprocess.run([sys.executable, EXAMPLES / "mnist_cnn.py"], env=environment, text=True,
                           capture_output=True, cwd=tmp_path)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert "one of 4 processes, and they need mpi4py: pip install" in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_the_formula_of_sync_batch_norm():
    x, w, b = (minigan.randn(*shape, dtype="float64", requires_grad=True)
               for shape in ((3, 2, 2), (2,), (2,)))

    def function(x, w, b):
        return sync_batch_norm(x, None, None, w, b)

    assert minigan.gradcheck(function, (x, w, b))
    numpy.testing.assert_allclose(
        function(x, w, b).detach().numpy(),
        functional.batch_norm(x, None, None, w, b, training=True).detach().numpy(), rtol=1e-12)


def test_conversion_keeps_parameters_and_buffers():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2)), nn.BatchNorm1d(3))
    before = network.state_dict()
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert [type(layer) for layer in converted.modules()].count(nn.SyncBatchNorm) == 2
    after = converted.state_dict()
    assert list(before) == list(after) and all(before[k].array is after[k].array for k in before)


# Several

@together
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["sums", "gradients", "batches", "single_values"])
def test_programs(name, count):
    passes(count, name)


@together
def test_a_step_that_cannot_be_captured_is_reported_once():
    status, _, err = program(2, "refused")
    assert status == 0 and err.count("the step cannot be repeated and runs as usual") == 1, err


@together
def test_machines_with_different_numbers_of_processes(monkeypatch):
    monkeypatch.setenv("MPIR_CVAR_NUM_CLIQUES", "2")  # MPICH then takes this machine for two
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    passes(3, "machines")


@together
def test_sync_batch_norm_equals_batch_norm_of_the_whole_batch(tmp_path):
    for count in (1, 2):  # of 3 and 9 items
        passes(count, "batch_norm", tmp_path / f"{count}.npz")
    one, two = (numpy.load(tmp_path / f"{count}.npz") for count in (1, 2))
    assert set(one) == {"y", "gx", "gw", "gb", "mean", "var"}
    for name in one:
        numpy.testing.assert_allclose(two[name], one[name], rtol=1e-5, atol=1e-5)


@functools.cache
def trained(folder, kind, total, count, how):
    path = folder / f"{kind}-{count}-{how}.npz"
    passes(count, "gan", path, kind, total, how)
    return numpy.load(path)


@together
@pytest.mark.parametrize("count", [2, 4])
def test_a_cgan_learns_as_in_one_process(count, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    one = trained(folder, "cgan", 16, 1, "plain")
    several = trained(folder, "cgan", 16, count, "plain")
    assert one["losses"].shape == (50, 3) and abs(one["losses"][-1] - one["losses"][0]).max() > 0.01
    numpy.testing.assert_allclose(several["losses"], one["losses"], rtol=0, atol=1e-5)
    captured = trained(folder, "cgan", 16, count, "captured")
    assert numpy.array_equal(captured["losses"], several["losses"])
    assert numpy.array_equal(captured["weights"], several["weights"])


@together
def test_a_dcgan_with_sync_batch_norm_learns_as_in_one_process(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    one, two, captured = (trained(folder, "dcgan", 4, *how) for how in (
        (1, "plain"), (2, "plain"), (2, "captured")))
    assert one["losses"].shape == (50, 3) and abs(one["losses"][-1] - one["losses"][0]).max() > 0.01
    numpy.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    assert numpy.array_equal(captured["weights"], two["weights"])


@together
@pytest.mark.skipif(not standin.has_compiler(), reason="the stand-in for a GPU needs g++")
def test_on_gpus_nccl_sums_within_captured_steps(tmp_path):
    """On the stand-in for a GPU, in each process."""
    one, two, captured = (tmp_path / f"{name}.npz" for name in ("one", "two", "captured"))
    passes(1, "gan", one, "cgan", 16, "plain", "standin")
    passes(2, "gan", two, "cgan", 16, "plain", "standin")
    passes(2, "gan", captured, "cgan", 16, "captured", "standin")
    one, two, captured = map(numpy.load, (one, two, captured))
    numpy.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    assert numpy.array_equal(two["weights"], captured["weights"])


# How they end

@together
@pytest.mark.parametrize("how, status, message", [
    ("exception", 1, "process 1 of 2: Traceback .*ValueError: a shape does not fit"),
    ("message", 2, "process 1 of 2: no such file"), ("all", 2, "^all have this\n"),
    ("killed", 9, "")])
def test_one_that_fails_ends_all(how, status, message):
    returncode, _, err = program(2, "failing", how)
    assert returncode == status and re.search(message, err, re.DOTALL)
    if how == "all":
        assert err.count("all have this") == 1


@together
def test_an_exit_with_an_error_ends_all():
    status, out, err = program(2, "exiting")
    assert status == 3 and out == "0\n" and err.count("process 1 of 2: exit status 3") == 1, err


# Runs

OPTIONS = ["--epochs", "1", "--batch-size", "50", "--device", "cpu"]


def example(count, *arguments, **options):
    return launch(count, EXAMPLES / "cgan.py", *OPTIONS, *arguments, **options)


def weights_of(folder):
    return Checkpoint(folder / "checkpoint.h5").arrays(), Checkpoint(
        folder / "checkpoint.h5")._select("networks/")


def same_state(one, other):
    (logged, networks), (others_logged, other_networks) = weights_of(one), weights_of(other)
    return networks.keys() == other_networks.keys() and all(
        numpy.array_equal(networks[name], other_networks[name]) for name in networks) and all(
        numpy.array_equal(logged[name], others_logged[name]) for name in logged)


def wait_until(condition, process):
    end = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def logged_steps(folder):
    rows = csv.reader((folder / "losses.csv").read_text().splitlines()[1:])
    return [int(row[0]) for row in rows]


def saved_step(folder):
    try:
        return Checkpoint(folder / "checkpoint.h5").facts["step"]
    except OSError:
        return 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    status, out, err = finished(example(2, "--out", folder))
    assert status == 0, err
    return folder, out


@together
def test_process_0_alone_writes_and_prints(undisturbed, tmp_path):
    folder, out = undisturbed
    shutil.copytree(folder, tmp_path / "run")
    status, _, err = finished(launch(2, EXAMPLES / "cgan.py", "--resume", "--out",
                                     tmp_path / "run"))
    assert status == 0, err  # there is nothing left to do
    assert out.count("samples.gif") == 1 and out.count("trained for") == 1
    facts = Checkpoint(folder / "checkpoint.h5").facts
    assert len(facts["processes"]) == 2 and facts["processes"][0] != facts["processes"][1]
    assert facts["step"] == 120 and logged_steps(folder) == list(range(1, 120, 10))  # 12,000 digits


@together
def test_a_process_killed_within_a_step_and_the_run_resumed(undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = example(2, "--out", folder, "--checkpoint-every", "20")
    wait_until(lambda: saved_step(folder) >= 20, process)
    children = subprocess.run(["pgrep", "-f", f"cgan.py.*{folder}"], capture_output=True,
                              text=True).stdout.split()
    workers = [pid for pid in map(int, children) if pid != process.pid and
               Path(f"/proc/{pid}/cmdline").read_bytes().startswith(os.fsencode(sys.executable))]
    assert len(workers) == 2
    os.kill(workers[-1], signal.SIGKILL)
    assert finished(process)[0] != 0
    assert 20 <= saved_step(folder) < 120
    status, _, err = finished(launch(2, EXAMPLES / "cgan.py", "--resume", "--out", folder))
    assert status == 0 and err.count("resuming") == 1, err
    assert same_state(folder, undisturbed[0])


@together
def test_a_signal_to_one_process_ends_all_with_a_checkpoint_and_one_message(undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = example(2, "--out", folder, "--checkpoint-every", "10")
    wait_until(lambda: saved_step(folder) >= 10, process)
    process.send_signal(signal.SIGINT)  # mpiexec passes it on
    status, _, err = finished(process)
    found = re.search(r"stopped by Ctrl-C after step (\d+) of 120, saved in", err)
    assert status == 130 and found and err.count("stopped by") == 1, err
    assert saved_step(folder) == int(found[1])
    # Now by one process: from the same item on, in batches of half the size.
    status, _, err = finished(launch(1, EXAMPLES / "cgan.py", "--resume", "--out", folder))
    assert status == 0 and "the number of processes was 2, and is 1 now" in err, err
    facts = Checkpoint(folder / "checkpoint.h5").facts
    assert facts["step"] == 240 and len(facts["processes"]) == 1
    steps = logged_steps(folder)
    assert steps == sorted(set(steps)) and steps[:2] == [1, 21] and steps[-1] == 231


@together
def test_one_process_resumed_by_two(tmp_path):
    folder = tmp_path / "run"
    status, _, err = finished(example(1, "--out", folder, "--batch-size", "400"))
    assert status == 0 and saved_step(folder) == 30, err
    status, _, err = finished(launch(2, EXAMPLES / "cgan.py", "--resume", "--out", folder,
                                     "--epochs", "2"))
    assert status == 0 and "the number of processes was 1, and is 2 now" in err, err
    assert saved_step(folder) == 30 and Checkpoint(folder / "checkpoint.h5").facts["epoch"] == 2
    assert logged_steps(folder) == [1, 6, 11, 21]


@together
def test_wrong_arguments_are_reported_once(tmp_path):
    for arguments in (["--epochs", "no"], ["--data", tmp_path / "nothing"]):
        status, out, err = finished(example(2, "--out", tmp_path / "run", *arguments))
        assert status == 2 and err.count("cgan.py: error:") == 1 and "Traceback" not in err, err


@together
def test_a_folder_that_holds_a_run_is_reported_by_all(tmp_path, monkeypatch):
    run, temporary = tmp_path / "run", tmp_path / "temporary"
    run.mkdir()
    temporary.mkdir()
    (run / "checkpoint.h5").touch()
    monkeypatch.setenv("TMPDIR", str(temporary))
    status, _, err = finished(example(2, "--out", run))
    assert status == 2 and err.startswith("cgan.py: error:") and err.count("holds a run") == 1, err
    assert not list(temporary.glob("minigan-*"))


@together
def test_what_one_process_does(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed[0], folder)
    status, out, err = finished(launch(2, EXAMPLES / "cgan.py", "--label", "7", "--out", folder))
    assert status == 0 and (folder / "label_7.png").exists(), err
    status, _, err = finished(launch(2, EXAMPLES / "evaluate.py", folder))
    assert status == 2 and err.count("this is done by one process, without mpiexec") == 1, err


@together
@pytest.mark.parametrize("name", ["mnist_cnn", "dcgan"])
def test_the_other_examples(name, tmp_path):
    options = {"mnist_cnn": ["--epochs", "1", "--batch-size", "100"],
               "dcgan": ["--channels", "2", "--batch-size", "4", "--steps", "4"]}[name]
    status, out, err = finished(launch(2, EXAMPLES / f"{name}.py", *options, "--device", "cpu",
                                       "--out", tmp_path / "run"))
    assert status == 0 and out.count("report.html") == 1, err
    assert err.count("100% 1200/1200") == (name == "dcgan"), err  # one process draws the faces
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["script"] == f"{name}.py"


@together
def test_losses_are_logged_as_the_mean_of_all_processes(tmp_path):
    passes(2, "logging", tmp_path / "run")
    assert (tmp_path / "run/losses.csv").read_text() == "step,a,b\n1,1.5,0.5\n11,1.5,0.5\n"


@together
@pytest.mark.parametrize("name", ["diverging", "ending_slowly"])
def test_a_loss_that_diverges_in_one_process_ends_all(name, tmp_path):
    status, _, err = program(2, name, tmp_path / "run")
    assert "process 0 of 2" not in err and "process 1 of 2" not in err
    assert status == 1 and err.count("training diverged: loss 'loss' is nan in step 3 of process "
                                     "1") == 1, err
    assert err.count("the last good checkpoint is") == 1
