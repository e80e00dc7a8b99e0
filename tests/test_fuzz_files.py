"""Damaged files of each kind are read or refused, and the fuzzer sees every failure."""

import os
import random
import time
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest

from minigan import DamagedFileError
from test_examples import run

if not Path("/proc/self/statm").exists():
    pytest.skip("the fuzzer asks Linux for a process's memory", allow_module_level=True)

import fuzz_files  # noqa: E402


@pytest.mark.parametrize("name", fuzz_files.KINDS)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    counts, lines = fuzz_files.fuzz(name, *fuzz_files.KINDS[name], 300, 1, tmp_path)
    assert lines == [] and set(counts) == {"read", "refused"} and counts.total() == 300


# A reader that does what the file says; after a failure the next file is read as usual.

GOOD = b"reads"


def write(folder):
    (folder / "good.txt").write_bytes(GOOD)


def reads(path):
    pass


def refuses(path):
    raise DamagedFileError(f"{path}: byte 0: damaged")


def aborts(path):
    os.abort()


def hangs(path):
    time.sleep(60)


def takes_too_much(path):
    numpy.ones(2**27)


def hides_that_it_takes_too_much(path):
    try:
        takes_too_much(path)
    except MemoryError:
        refuses(path)


def raises_another_error(path):
    raise ValueError(f"{path}: byte 0: damaged")


def names_no_file(path):
    raise DamagedFileError("byte 0: damaged")


WAYS = {reads: "read", refuses: "refused", aborts: "crash", hangs: "time",
        takes_too_much: "memory", hides_that_it_takes_too_much: "memory",
        raises_another_error: "another error", names_no_file: "another error"}


def read(path):
    globals()[path.read_text()](path)


def test_every_failure_is_seen_and_its_file_kept(tmp_path, monkeypatch):
    contents = [way.__name__.encode() for way in (*WAYS, reads)]
    monkeypatch.setattr(fuzz_files, "damaged", lambda *arguments: contents.pop(0))
    counts, lines = fuzz_files.fuzz("kind", write, read, 9, 0, tmp_path / "kept",
                                    limits=SimpleNamespace(seconds=1, megabytes=100))
    assert counts == {"read": 2, "refused": 1, "crash": 1, "time": 1, "memory": 2,
                      "another error": 2}
    assert len(lines) == len(list((tmp_path / "kept").iterdir())) == 6
    failing = [(way, result) for way, result in WAYS.items() if result in fuzz_files.FAILURES]
    for line, (way, result) in zip(lines, failing):
        kept = Path(line.rpartition(" --kind kind --file ")[2])
        assert line.startswith(f"{result}: ") and kept.read_text() == way.__name__


def test_a_good_file_that_is_refused(tmp_path):
    def write_bad(folder):
        (folder / "empty").write_bytes(b"")

    with pytest.raises(RuntimeError, match="kind: empty, a good file: refused: .*empty: byte 0"):
        fuzz_files.fuzz("kind", write_bad, refuses, 1, 0, tmp_path)


def test_the_same_seed_makes_the_same_damage():
    content, other = bytes(range(200)), b"abc" * 50
    files = [[fuzz_files.damaged(content, other, random.Random(f"{seed} {number}"))
              for number in range(50)] for seed in (0, 0, 1)]
    assert files[0] == files[1] != files[2]
    assert len(set(files[0])) > 45 and sum(file != content for file in files[0]) > 45


def test_the_command(tmp_path):
    result = run("--kind", "csv", "--count", "20", cwd=tmp_path, script="../tests/fuzz_files.py")
    assert result.returncode == 0, result.stderr
    header, row = result.stdout.splitlines()
    assert header.split()[:4] == ["kind", "files", "read", "refused"]
    assert row.split()[:2] == ["csv", "20"] and "20/20" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments, said", [
    (["--count", "0"], "at least 1"), (["--kind", "xml"], "xml"), (["--file", "a"], "one --kind")])
def test_wrong_arguments(monkeypatch, capsys, arguments, said):
    monkeypatch.setattr("sys.argv", ["fuzz_files.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        fuzz_files.main()
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_failures_of_the_command(monkeypatch, capsys, tmp_path):
    """They are printed, the exit status is 1, and a kept file fails again."""
    monkeypatch.setattr(fuzz_files, "KINDS", {"kind": (write, raises_unless_good)})
    monkeypatch.setattr("sys.argv", ["fuzz_files.py", "--count", "3", "--keep", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        fuzz_files.main()
    said = capsys.readouterr().out.splitlines()
    path = said[-1].rpartition(" ")[2]
    assert said[-1].startswith("another error: ") and said[1].split()[:2] == ["kind", "3"]
    monkeypatch.setattr("sys.argv", ["fuzz_files.py", "--file", path])
    with pytest.raises(ValueError, match=f"{path}: byte 0"):
        fuzz_files.main()


def raises_unless_good(path):
    if path.read_bytes() != GOOD:
        raises_another_error(path)
