"""The GPU report: it runs on the stand-in part by part, continues, and reports what went wrong."""

import sys
from pathlib import Path

import pytest

import gpu_report
import minigan
from engines.workloads import WORKLOADS
from test_examples import run

SCRIPT = "../tests/gpu_report.py"


@pytest.mark.skipif(minigan.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("arguments, message", [
    ((), "device 'cuda': CuPy"), (("machine",), "device 'cuda'"),
    (("tests-9",), "tests-9: no part of the report"), (("--nothing",), "--nothing")])
def test_without_a_gpu(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path, script=SCRIPT)
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2 and "Traceback" not in result.stderr
    assert not (tmp_path / "gpu_report").exists()


def test_the_parts_are_listed(tmp_path):
    result = run("--list", cwd=tmp_path, script=SCRIPT)
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(gpu_report.PARTS)
    assert all("not made yet" in line for line in lines) and "dcgan-256x64" in gpu_report.PARTS


PASSED = ["....", "4 passed, 9 deselected in 1.0s"], True


@pytest.fixture
def report(tmp_path, monkeypatch, gpu):
    """A function that makes the report with the output of its commands replaced: gives the report's
    text, the exit status, and the commands."""
    def make(*arguments, pytest=PASSED, benchmark=(["cnn-1  minigan  5"], True)):
        commands = []

        def command(*arguments, limit):
            commands.append(list(map(str, arguments)))
            lines, good = pytest if "pytest" in arguments else benchmark
            return list(lines), good

        monkeypatch.setattr(gpu_report, "command", command)
        monkeypatch.setattr(gpu_report, "torch_has_cuda", lambda: False)
        monkeypatch.setattr(sys, "argv", ["gpu_report.py", "--folder", str(tmp_path), *arguments])
        with pytest_exit() as ended:
            gpu_report.main()
        return (tmp_path / "report.txt").read_text(), ended.value.code, commands

    pytest_exit = lambda: pytest.raises(SystemExit)  # noqa: E731
    return make


def test_all_parts(report):
    text, status, commands = report()
    assert status == 0 and text.count("(done, ") == len(gpu_report.PARTS)
    assert text.count("4 passed") == 4 and text.count("cnn-1  minigan  5") == len(WORKLOADS)
    for part in ("float32 forward: ", "float32 backward: ", "float64 backward: "):
        assert part in text
    assert "a stand-in, no GPU" in text and "Not made yet" not in text
    benchmarks = [c[c.index("--workload") + 1] for c in commands if "--workload" in c]
    assert benchmarks == list(WORKLOADS)
    files = [Path(a).name for c in commands for a in c if a.endswith(".py") and "pytest" in c]
    assert sorted(files) == sorted(p.name for p in Path(__file__).parent.glob("test_*.py"))


def test_the_report_grows_part_by_part(report):
    text, status, commands = report("tests-2")
    assert status == 0 and text.startswith("## Tests on the GPU") and len(commands) == 1
    assert "Not made yet: machine, tests-1, tests-3" in text
    text, status, _ = report("machine", "cnn-1", benchmark=(["no such GPU"], False))
    assert status == 1 and text.index("## The machine") < text.index("4 passed")
    assert "cnn-1 (examples/benchmark.py --device cuda) (FAILED" in text and "no such GPU" in text
    text, status, commands = report()  # what is not done yet, the failed part among it
    assert status == 0 and text.count("(done, ") == len(gpu_report.PARTS) and "FAILED" not in text
    assert len(commands) == len(gpu_report.PARTS) - 3  # tests-2; machine and errors have none
    assert report()[2] == []


@pytest.mark.parametrize("output", [
    (["..F", "FAILED tests/x.py::y", "1 failed, 2 passed in 1.0s"], False),
    (["ssss", "4 skipped in 1.0s"], True),
    (["9 deselected in 1.0s"], False), ([], False)])
def test_failed_and_skipped_tests_do_not_pass(output, report):
    text, status, _ = report("tests-1", pytest=output)
    assert status == 1 and "portion 1 of 4 (FAILED" in text
    assert ("NO TEST RAN" in text) == ("2 passed" not in "".join(output[0]))


def test_one_failed_part_does_not_keep_the_others(report, monkeypatch):
    def fails(device):
        raise RuntimeError("out of memory")
        yield

    monkeypatch.setattr(gpu_report, "cross_check", fails)
    text, status, _ = report("errors", "cnn-1", benchmark=(["the table"], True))
    assert status == 1 and "RuntimeError: out of memory" in text and "the table" in text


def test_an_error_that_is_too_large_fails(report, monkeypatch):
    monkeypatch.setattr(gpu_report, "cross_check",
                        lambda device: [("gelu", "float64", "forward", 1e-9)])
    text, status, _ = report("errors")
    assert status == 1 and "float64 forward: 1.0e-09 (gelu)" in text


def test_a_command_that_takes_too_long_is_stopped():
    code = "import time; print('begun', flush=True); time.sleep(1000)"
    lines, good = gpu_report.command("-c", code, limit=2)
    assert not good and lines == ["begun", "stopped: not done within 2 s"]


WARNING = """
import types, warnings
import pytest

@pytest.mark.parametrize("name", ["numpy.core", "minigan.tensor"])
def test_warning(name):
    code = compile("import warnings; warnings.warn('old', DeprecationWarning)", name, "exec")
    exec(code, {"__name__": name})
"""


def test_only_own_warnings_are_errors(tmp_path):
    (tmp_path / "test_it.py").write_text(WARNING)
    lines, good = gpu_report.command("-m", "pytest", "-o", gpu_report.WARNINGS, "-v",
                                     tmp_path / "test_it.py", limit=100)
    text = "\n".join(lines)
    assert not good and "1 failed, 1 passed" in text and "FAILED" in text
    assert [line for line in lines if line.startswith("FAILED")][0].count("minigan.tensor") == 1
