"""The examples, killed, stopped, and on disks that refuse: nothing is lost."""

import random
import resource
import signal
import time

import pytest

from kill_test import Runner, SCRIPTS, differences, ended, kill_and_compare, make_data
from minigan.training import Checkpoint
from minigan.training.arguments import steps_or_time


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with data and, run undisturbed, the classifier."""
    folder = tmp_path_factory.mktemp("interruptions")
    make_data(folder)
    ended(Runner("mnist_cnn", folder).begin("undisturbed"))
    return folder


@pytest.mark.parametrize("script, kills", [("mnist_cnn", 2), ("cgan", 2), ("dcgan", 1)])
def test_killed_runs_end_as_others(folder, script, kills):
    found, _ = kill_and_compare(script, kills, folder, random.Random(0))
    assert found == []


def test_the_comparison_sees_what_differs(folder, tmp_path):
    ended(Runner("mnist_cnn", folder).start(
        tmp_path / "other", *SCRIPTS["mnist_cnn"], "--device", "cpu", "--seed", 1))
    found = differences(folder / "undisturbed", tmp_path / "other")
    for what in ("losses.csv", "losses.png", "predictions.png", "settings.json",
                 "networks/model/0.weight", "optimisers/optimiser/0/exp_avg", "random"):
        assert any(what in line for line in found), what
    (tmp_path / "other" / "losses.png").unlink()
    assert "only in one of them: losses.png" in differences(
        folder / "undisturbed", tmp_path / "other")


def checkpoints(process, path, step):
    """Wait until a run has written a checkpoint of at least this step."""
    while process.poll() is None:
        if path.exists() and Checkpoint(path).facts["step"] >= step:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("number, status, message", [
    (signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "stopped by SIGTERM")])
def test_a_stopped_script_reports_how_to_resume(folder, number, status, message):
    out = f"stopped by {number}"
    runner = Runner("mnist_cnn", folder)
    process = runner.begin(out)
    checkpoints(process, folder / out / "checkpoint.h5", 7)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == status
    last = stderr.strip().splitlines()[-1]
    assert last.startswith(message) and f"--resume --out '{out}'" in last and "Traceback" not in stderr
    ended(runner.start(out, "--resume"))
    assert differences(folder / "undisturbed", folder / out) == []


def start_limited(runner, size, out, *options):
    """A script that may write files of so many bytes at the most."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        return runner.start(out, *options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_for_files_leaves_the_checkpoint_good(folder):
    runner = Runner("mnist_cnn", folder)
    out = "limited"
    process = runner.begin(out)
    checkpoints(process, folder / out / "checkpoint.h5", 50)
    process.kill()
    process.communicate()
    before = (folder / out / "checkpoint.h5").read_bytes()
    process = start_limited(runner, len(before) // 2, out, "--resume")
    _, stderr = process.communicate()
    assert process.returncode == 1 and "Traceback" not in stderr
    assert "the checkpoint could not be written: [Errno 27] File too large" in stderr
    assert (folder / out / "checkpoint.h5").read_bytes() == before
    ended(runner.start(out, "--resume"))
    assert differences(folder / "undisturbed", folder / out) == []


def test_a_run_that_cannot_write_at_all_ends_at_once(folder):
    process = start_limited(Runner("mnist_cnn", folder), 1000, "tiny", *SCRIPTS["mnist_cnn"])
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr.startswith("mnist_cnn.py: error: ") and "File too large" in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize("options, status, message", [
    (["--out", "undisturbed"], 2, "undisturbed: holds a run already; --resume continues it"),
    (["--resume", "--out", "nowhere"], 2, "nowhere: holds no run to resume"),
    (["--resume", "--out", "undisturbed", "--lr", "1"], 2, "--lr: the run was started with 0.001, and cannot"),
    (["--resume", "undisturbed/checkpoint.h5", "--out", "out"], 2, "continues in its own folder"),
    (["--out", ""], 2, "folder must have a name"),
    (["--resume", "undisturbed/losses.csv"], 2, "undisturbed/losses.csv: byte 0: expected a file"),
    (["--resume", "--out", "undisturbed", "--data", "nowhere"], 2, "nowhere"),
    (["--checkpoint-every", "0"], 2, "expected steps or a time above 0"),
    (["--checkpoint-every", "5x"], 2, "expected steps or a time above 0"),
    (["--checkpoint-every", "5,6"], 2, "expected steps or a time above 0")])
def test_wrong_arguments_of_runs(folder, options, status, message):
    process = Runner("mnist_cnn", folder).start("out", *options)
    _, stderr = process.communicate()
    assert process.returncode == status and message in stderr and len(stderr.splitlines()) == 1, stderr
    assert not (folder / "out").exists()


def test_a_run_of_another_script(folder):
    before = (folder / "undisturbed" / "settings.json").read_bytes()
    process = Runner("cgan", folder).start("undisturbed", "--resume")
    _, stderr = process.communicate()
    assert process.returncode == 2 and "undisturbed holds a run of mnist_cnn.py" in stderr
    assert (folder / "undisturbed" / "settings.json").read_bytes() == before


@pytest.mark.parametrize("typed", ["1234567", "1.5s", "1000000,90m", "0.1s"])
def test_times_of_checkpoints_are_kept_as_they_are(typed):
    every = steps_or_time(typed)
    assert steps_or_time(str(every)) == every


def test_the_same_seed_gives_the_same_bits(folder):
    """On the CPU, with the same number of threads."""
    ended(Runner("mnist_cnn", folder).begin("again"))
    assert differences(folder / "undisturbed", folder / "again") == []


@pytest.mark.parametrize("script, lr", [("mnist_cnn", "1e38"), ("cgan", "1e20")])
def test_divergence_is_reported_and_explained(folder, script, lr):
    runner = Runner(script, folder)
    out = f"diverged {script}"
    process = runner.start(out, *SCRIPTS[script], "--device", "cpu", "--lr", lr)
    _, stderr = process.communicate()
    last = stderr.strip().splitlines()[-1]
    assert process.returncode == 1 and last.startswith("training diverged: ")
    assert f"the last good checkpoint is {out}/checkpoint.h5, of step" in last
    assert "Traceback" not in stderr and last.endswith("--detect-anomaly")
    process = runner.start(out, "--resume", "--detect-anomaly")
    _, stderr = process.communicate()
    last = stderr.strip().splitlines()[-1]
    assert process.returncode == 1 and "detect_anomaly: " in last and "in step" in last
