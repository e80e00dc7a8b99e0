"""The folders that runs write to, and which of them is the newest."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

CHECKPOINT, PREVIOUS, SETTINGS = "checkpoint.h5", "checkpoint.previous.h5", "settings.json"
PROBES = 3  # of a lock that `is_locked` may hold for a moment


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


def new_run_folder(runs):
    """A new folder in `runs`, named by the number after the highest one there: 1, 2, ...

    Processes that ask at the same moment get different folders. OSError as `output_folder`.
    """
    runs = output_folder(runs)
    number = 1 + max(map(number_of, runs.iterdir()), default=0)
    while True:
        try:
            (runs / str(number)).mkdir()
            return runs / str(number)
        except FileExistsError:
            number += 1


def newest_run(*folders):
    """The newest run in these folders: in each the one with the highest number or, where none is
    numbered, the folder itself; of several folders' runs that which was begun or resumed last.
    FileNotFoundError if there is none."""
    found = []
    for folder in map(Path, folders):
        inside = folder.iterdir() if folder.is_dir() else []
        numbered = [path for path in inside if number_of(path) and is_run(path)]
        if numbered:
            found.append(max(numbered, key=number_of))
        elif is_run(folder):
            found.append(folder)
    if not found:
        raise FileNotFoundError(f"{' and '.join(map(str, folders))}: found no run")
    return max(found, key=begun)


def run_folder(path, *defaults):
    """The folder of the run that somebody means: the path itself if it holds a run, otherwise the
    newest run in it, if there is one; for None the newest run in the default folders."""
    if path is None:
        return newest_run(*defaults)
    try:
        return Path(path) if is_run(path) else newest_run(path)
    except FileNotFoundError:
        return Path(path)


def run_name(folder):
    """What to call a run: 'cgan 3' for runs/cgan/3, 'mine' for runs/mine."""
    folder = Path(folder).absolute()
    return f"{folder.parent.name} {folder.name}" if number_of(folder) else folder.name


def number_of(path):
    return int(path.name) if path.name.isascii() and path.name.isdecimal() else 0


def is_run(folder):
    return has_checkpoint(folder) or Path(folder, SETTINGS).is_file()


def has_checkpoint(folder):
    return any(Path(folder, name).exists() for name in (CHECKPOINT, PREVIOUS))


def begun(folder):
    """When a run was begun or resumed, in seconds since 1970; 0 where that is not known."""
    try:
        return (folder / SETTINGS).stat().st_mtime
    except OSError:
        return 0.0


@contextlib.contextmanager
def lock(folder):
    """Lock a folder; ValueError if another process has locked it. The system releases the lock of
    a process that dies."""
    with open(folder / ".lock", "w") as file:
        for probe in range(PROBES if fcntl else 0):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if probe == PROBES - 1:
                    raise ValueError(f"{folder}: another process is running there") from None
                time.sleep(0.02)
            except OSError:
                break  # not every file system has locks
        yield


def is_locked(folder):
    """Whether a process has locked a folder; True where that cannot be found out."""
    try:
        with open(folder / ".lock", "r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:
        return False
    except (OSError, AttributeError):  # the latter where there is no fcntl
        return True
