"""The GPU report: it runs on the stand-in, and reports what went wrong."""

import pytest

import gpu_report
import minigan
from test_examples import run


@pytest.mark.skipif(minigan.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("arguments, message", [
    ((), "device 'cuda': CuPy"), (("--out", "no/such/folder/x"), "device 'cuda'"),
    (("--nothing",), "--nothing")])
def test_without_a_gpu(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path, script="../tests/gpu_report.py")
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2 and "Traceback" not in result.stderr


def reported(monkeypatch, **commands):
    """The report's text and verdict, with the output of its commands replaced."""
    def command(*arguments):
        lines, good = commands["pytest" if "pytest" in arguments else "benchmark"]
        return list(lines), good

    monkeypatch.setattr(gpu_report, "command", command)
    lines = []
    good = gpu_report.report(lines.append)
    return "\n".join(lines), good


PASSED = ["....", "4 passed, 9 deselected in 1.0s"], True


def test_all_parts(gpu, monkeypatch):
    text, good = reported(monkeypatch, pytest=PASSED, benchmark=(["cnn-1  minigan  5"], True))
    assert good and text.count("(done, ") == len(gpu_report.PARTS)
    assert "4 passed" in text and "cnn-1  minigan  5" in text
    for part in ("float32 forward: ", "float32 backward: ", "float64 backward: "):
        assert part in text


@pytest.mark.parametrize("output", [
    (["..F", "FAILED tests/x.py::y", "1 failed, 2 passed in 1.0s"], False),
    (["ssss", "4 skipped in 1.0s"], True),
    (["9 deselected in 1.0s"], False)])
def test_failed_and_skipped_tests_do_not_pass(output, gpu, monkeypatch):
    text, good = reported(monkeypatch, pytest=output, benchmark=([], True))
    assert not good and "Tests on the GPU (pytest -m cuda) (FAILED" in text
    assert ("NO TEST RAN" in text) == ("2 passed" not in output[0][-1])


def test_one_failed_part_does_not_keep_the_others(gpu, monkeypatch):
    def fails(device):
        raise RuntimeError("out of memory")
        yield

    monkeypatch.setattr(gpu_report, "cross_check", fails)
    text, good = reported(monkeypatch, pytest=PASSED, benchmark=(["the table"], True))
    assert not good and "RuntimeError: out of memory" in text and text.count("the table") == 2


def test_an_error_that_is_too_large_fails(gpu, monkeypatch):
    monkeypatch.setattr(gpu_report, "cross_check",
                        lambda device: [("gelu", "float64", "forward", 1e-9)])
    text, good = reported(monkeypatch, pytest=PASSED, benchmark=([], True))
    assert not good and "float64 forward: 1.0e-09 (gelu)" in text
