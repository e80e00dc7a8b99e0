"""Atomic writes."""

import pytest

from minigan.files import atomic_path, write_atomically


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
