"""The folder that a run writes to."""

import contextlib
import os
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


def output_folder(path):
    """The folder as a Path; it is made if it does not exist.

    OSError if it cannot be written to. Call it before a training, so that its results are not lost
    afterwards.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        reason = obstacle(folder) or error.strerror
        raise OSError(f"{folder}: no folder to write results to: {reason}") from error


def obstacle(folder):
    """What is in the place of the folder or of one above it, as a text; "" for nothing."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to {os.readlink(path)}, which does not exist"
        if path.exists() and not path.is_dir():
            return f"{path} is not a folder"
    return ""


@contextlib.contextmanager
def lock(folder):
    """Lock a folder; ValueError if another process has locked it. The system releases the lock of
    a process that dies."""
    with open(folder / ".lock", "w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{folder}: another process is running there") from None
            except OSError:
                pass  # not every file system has locks
        yield
