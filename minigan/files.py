"""Atomic writes: a file is seen whole or not at all. And files that only one process makes."""

import contextlib
import os
import re
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

PARTIAL = re.compile(r"\..+\.partial-[0-9a-f]{8}(\.\w+)?")  # the names that `atomic_path` makes


def cache_folder():
    """Where minigan keeps data and compiled kernels, a Path; it may not exist yet.

    The environment variable MINIGAN_CACHE names it; otherwise it is `minigan` in XDG_CACHE_HOME,
    or in `.cache` of the user's home.
    """
    own = os.environ.get("MINIGAN_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(shared, "minigan")


@contextlib.contextmanager
def atomic_path(path, suffix=""):
    """A temporary path in the same folder; what is written there is moved to `path` at the end.

    If the block raises, the old file stays and the temporary one is removed. The temporary name is
    unique, since two processes may write the same file; it ends in `suffix`, by which some
    libraries choose the format. The folder is created if needed. Raises OSError if the file cannot
    be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.urandom(4).hex()}{suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None:  # for example when the disk is full
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def one_at_a_time(path):
    """A block that makes a file which other processes want, too: they wait at its beginning, and
    find the file when it is their turn.

    The folder is created if needed. Where it cannot be written, or has no locks, nobody waits.
    """
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, AttributeError):  # the latter where there is no fcntl
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(lock, "w"))
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()  # those who wait have it open


def remove_partial(folder):
    """Remove the temporary files that killed processes left in a folder, not in its subfolders."""
    for path in Path(folder).glob(".*.partial-*"):
        if PARTIAL.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_atomically(path, content):
    """Write bytes to a file, see `atomic_path`."""
    with atomic_path(path) as partial:
        partial.write_bytes(content)


def write_durably(path, content, previous=None):
    """Write bytes to a file atomically, and so that they survive a crash of the system.

    They are flushed to the disk and read back before the file is moved to its path.

    previous  the path to keep the old file under; at any moment one of the two is whole

    Raises OSError if the file cannot be written, or reads back differently.
    """
    with atomic_path(path) as partial:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if partial.read_bytes() != content:
            raise OSError(f"{path}: the file reads back differently from what was written")
        if previous is not None and Path(path).exists():
            _link(path, previous)
    _flush_folder(Path(path).parent)


def _link(path, other):
    """Give the file a second name, in place of the file that had it."""
    with atomic_path(other) as partial:
        try:
            os.link(path, partial)
        except OSError:  # not every file system has links
            partial.write_bytes(Path(path).read_bytes())


def _flush_folder(folder):
    """Flush a folder's entries to the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
