"""Commands in careless surroundings: no stderr, a full disk, odd names, no docstrings."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.training import Every, Progress, Run, RunEnded, output_folder
from test_examples import ROOT, folder  # noqa: F401, a fixture
from test_runs import train

needs_full_disk = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


def shell(line, cwd, *arguments, **environment):
    """A line for the shell in which "$@" is a Python command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINIGAN_CACHE": str(cwd / "cache"),
                   **environment}
    return subprocess.run(["sh", "-c", line, "sh", sys.executable, *arguments], cwd=cwd,
                          env=environment, capture_output=True)


def train_digits(folder, line, *options, python=(), **environment):  # noqa: F811
    """mnist_cnn.py on few images, next to their folder."""
    return shell(line, folder.parent, *python, ROOT / "examples" / "mnist_cnn.py",
                 "--device", "cpu", "--data", folder, "--epochs", "1", "--batch-size", "20", *options,
                 **environment)


# Output that cannot be written

@pytest.mark.parametrize("line", [
    '"$@" 2>&-', pytest.param('"$@" 2>/dev/full', marks=needs_full_disk)])
def test_a_training_needs_no_stderr(folder, line):  # noqa: F811
    result = train_digits(folder, line, "--out", "out")
    assert result.returncode == 0
    assert "out/report.html" in result.stdout.decode().splitlines()


@pytest.mark.parametrize("line", [
    '"$@" 2>&-', pytest.param('"$@" 2>/dev/full', marks=needs_full_disk)])
def test_a_wrong_argument_keeps_its_exit_status_without_stderr(folder, line):  # noqa: F811
    result = train_digits(folder, line, "--epochs", "0")
    assert (result.returncode, result.stdout) == (2, b"")


def test_a_training_needs_no_stdout(folder):  # noqa: F811
    result = train_digits(folder, '"$@" >&-', "--out", "out")
    assert result.returncode == 0, result.stderr
    assert (folder.parent / "out" / "report.html").exists()


@needs_full_disk
def test_results_that_cannot_be_printed_are_an_error_of_one_line(folder):  # noqa: F811
    result = train_digits(folder, '"$@" >/dev/full', "--out", "out")
    assert result.returncode == 1
    assert result.stderr.decode().splitlines()[-1] == (
        "mnist_cnn.py: error: [Errno 28] No space left on device")


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_run_in_a_program_without_stderr(tmp_path, monkeypatch, stream):
    if stream == "closed":
        stream = open(os.devnull, "w")
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(RunEnded, match="diverged"):
        train(tmp_path, epochs=2, wrong=9)
    train(tmp_path, epochs=2, resume=True)
    with Run(tmp_path / "another", every=Every()) as run:
        run.warn("something")
    assert run.warnings
    with Progress(3) as progress:
        progress.advance(3)


# Names of folders

@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0",
                                                               "PYTHONCOERCECLOCALE": "0"}])
@pytest.mark.parametrize("name", [b"caf\xc3\xa9", b"caf\xe9"], ids=["UTF-8", "Latin-1"])
def test_a_folder_may_have_any_name(folder, name, environment):  # noqa: F811
    for options in ((), ("--resume",)):
        result = train_digits(folder, '"$@"', *options, b"--out", name, **environment)
        assert result.returncode == 0, result.stderr.decode()
        assert b"warning" not in result.stderr
    report = (Path(os.fsdecode(os.fsencode(folder.parent) + b"/" + name)) / "report.html")
    assert b"finished" in report.read_bytes()


def test_the_command_to_resume_can_be_typed_again(folder):  # noqa: F811
    result = train_digits(folder, '"$@"', "--out=-x", "--lr", "1e38")
    assert result.returncode == 1
    command = result.stderr.decode().strip().rpartition("that went wrong: ")[2]
    python, *arguments = shlex.split(command)
    assert python == "python"
    resumed = shell('"$@"', folder.parent, *arguments)
    assert b"detect_anomaly: " in resumed.stderr


def test_the_command_for_the_previous_checkpoint_can_be_typed_again(folder):  # noqa: F811
    train_digits(folder, '"$@"', "--out=-x")
    checkpoint = folder.parent / "-x" / "checkpoint.h5"
    checkpoint.write_bytes(b"damaged")
    result = train_digits(folder, '"$@"', "--resume", "--out=-x")
    assert result.returncode == 2
    message = result.stderr.decode()
    option = message.partition("undamaged: ")[2].partition(" continues from there")[0]
    resumed = train_digits(folder, '"$@"', *shlex.split(option))
    assert resumed.returncode == 0, resumed.stderr.decode()


def test_a_dangling_link_is_named(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    for path in (tmp_path / "link", tmp_path / "link" / "below"):
        with pytest.raises(OSError, match=f"{path}: no folder to write results to: {tmp_path}/link "
                                          f"is a link to nowhere, which does not exist"):
            output_folder(path)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=f"{path}: .*: {tmp_path}/file is not a folder"):
            output_folder(path)


# Python without docstrings, minigan without an installation

def test_examples_work_without_docstrings(folder):  # noqa: F811
    result = train_digits(folder, '"$@"', "--out", "out", python=["-OO"])
    assert result.returncode == 0, result.stderr.decode()
    assert shell('"$@"', folder.parent, "-OO", ROOT / "examples/cgan.py", "--help").returncode == 0


@pytest.mark.parametrize("operation", [["relu"], []])
def test_explain_says_that_it_needs_docstrings(tmp_path, operation):
    result = shell('"$@"', tmp_path, "-OO", "-m", "minigan.explain", *operation)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and b"-OO" in result.stderr


def test_examples_work_without_an_installation(folder, tmp_path):  # noqa: F811
    """minigan from a copy of its folder, of which pip knows nothing."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "minigan").symlink_to(ROOT / "minigan")
    hide = ("import importlib.metadata as m, runpy, sys\n"
            "def version(name): raise m.PackageNotFoundError(name)\n"
            "m.version = version\n"
            "sys.argv = sys.argv[1:]\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')\n")
    result = train_digits(folder, '"$@"', "--out", "out", python=["-c", hide], PYTHONPATH=str(copy))
    assert result.returncode == 0, result.stderr.decode()


# python -m minigan

def what_there_is(cwd, *arguments, **environment):
    result = shell('"$@"', cwd, "-m", "minigan", *arguments, **environment)
    return result.returncode, " ".join(result.stdout.decode().split()), result.stderr.decode()


def test_what_there_is_is_printed(tmp_path):
    status, text, error = what_there_is(tmp_path)
    assert (status, error) == (0, "")
    commands = {f"python -m minigan.{path.parent.name}" for path in
                (ROOT / "minigan").glob("*/__main__.py")}
    scripts = {str(path) for path in (ROOT / "examples").glob("*.py")}
    assert len(commands) >= 3 and len(scripts) >= 5
    assert all(name in text for name in commands | scripts)
    assert f"cache {tmp_path / 'cache'}: empty" in text
    assert what_there_is(tmp_path, MINIGAN_CACHE="", HOME="/nowhere")[0] == 0


def test_nothing_is_compiled_to_say_what_there_is(tmp_path):
    folder = tmp_path / "kernels"
    status, text, error = what_there_is(tmp_path, MINIGAN_KERNELS=str(folder))
    assert (status, error) == (0, "") and not list(folder.glob("*"))
    if "none, operations run by NumPy alone" in text:
        pytest.skip("there is no compiler")
    assert "CPU kernels not compiled yet: " in text
    code = "import minigan; minigan.ones(2, 2).sigmoid()"
    assert shell('"$@"', tmp_path, "-c", code, MINIGAN_KERNELS=str(folder)).returncode == 0
    text = what_there_is(tmp_path, MINIGAN_KERNELS=str(folder))[1]
    assert f"in {folder} CPU kernels, float64 not compiled yet: " in text
    assert "CPU kernels, float32 compiled by " in text
    assert "CPU kernels off" in what_there_is(tmp_path, MINIGAN_KERNELS="off")[1]
    text = what_there_is(tmp_path, CXX="no-such-compiler", MINIGAN_KERNELS="")[1]
    assert ("CPU kernels none, operations run by NumPy alone, slower: CXX names no-such-compiler"
            in text)


def test_wrong_arguments_of_the_command_that_lists(tmp_path):
    status, text, error = what_there_is(tmp_path, "examples")
    assert (status, text, error.count("\n")) == (2, "", 1)
    assert error.startswith("python -m minigan: error: unrecognized arguments: examples")
