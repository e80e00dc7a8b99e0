"""Atomic writes, and files that only one process makes."""

import subprocess
import sys

import pytest

from minigan.files import atomic_path, one_at_a_time, write_atomically


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_in_a_new_folder(tmp_path):
    write_atomically(tmp_path / "new" / "a.bin", b"12")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"12" and names(tmp_path / "new") == [
        "a.bin"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_atomically(tmp_path / "a.png", b"old")
    with pytest.raises(KeyError), atomic_path(tmp_path / "a.png", ".png") as partial:
        assert partial.suffix == ".png" and partial.parent == tmp_path
        partial.write_bytes(b"half")
        raise KeyError
    assert (tmp_path / "a.png").read_bytes() == b"old" and names(tmp_path) == ["a.png"]


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "a", b"1")
    assert names(tmp_path) == ["a"]


MAKE = """
import sys, time
from pathlib import Path
from minigan.files import one_at_a_time, write_atomically
path, log = Path(sys.argv[1]), open(sys.argv[2], "a")
with one_at_a_time(path):
    if not path.exists():
        log.write("made ")
        log.flush()
        time.sleep(0.5)
        write_atomically(path, b"1")
assert path.read_bytes() == b"1"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_one_of_several_processes_makes_a_file(tmp_path):
    path, log = tmp_path / "cache" / "a.bin", tmp_path / "log.txt"
    processes = [subprocess.Popen([sys.executable, "-c", MAKE, path, log]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert log.read_text() == "made "


def test_nobody_waits_where_no_lock_can_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with one_at_a_time(tmp_path / "file" / "a"), one_at_a_time(tmp_path / "file" / "a"):
        pass


def test_an_error_within_leaves_the_lock_to_others(tmp_path):
    for _ in range(2):
        with pytest.raises(OSError, match="mine"), one_at_a_time(tmp_path / "a"):
            raise OSError("mine")
