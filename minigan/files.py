"""Files that appear whole or not at all."""

import contextlib
import os
import re
from pathlib import Path

PARTIAL = re.compile(r"\..+\.partial-[0-9a-f]{8}(\.\w+)?")  # the names that `whole_file` gives


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
def whole_file(path, ending=""):
    """Another name to write to, in the same folder; the file takes its path when it is whole.

    So nobody ever sees half of it, and where the writing fails the old file stays. The other name
    is of this writer alone, since two processes may be at it; it ends in `ending`, by which some
    libraries tell the format. The folder is made. Raises OSError if it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.urandom(4).hex()}{ending}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None:  # as where the disk is full
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_partial(folder):
    """Remove what writers that were killed have left in a folder; not in the folders in it."""
    for path in Path(folder).glob(".*.partial-*"):
        if PARTIAL.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_whole(path, content):
    """Write bytes to a file, see `whole_file`."""
    with whole_file(path) as partial:
        partial.write_bytes(content)


def write_durably(path, content, previous=None):
    """Write bytes to a file so that they are there after a crash of the system too.

    They are flushed to the disk and read back before the file takes its path. previous: a path
    under which the file before stays; at every moment one of the two is there and whole.
    Raises OSError if it cannot be written, or reads back as something else.
    """
    with whole_file(path) as partial:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if partial.read_bytes() != content:
            raise OSError(f"{path}: what was written reads back as something else")
        if previous is not None and Path(path).exists():
            keep_under(path, previous)
    flush_folder(Path(path).parent)


def keep_under(path, other):
    """The file under another name too, in the place of what was there."""
    with whole_file(other) as partial:
        try:
            os.link(path, partial)
        except OSError:  # not every file system has links
            partial.write_bytes(Path(path).read_bytes())


def flush_folder(folder):
    """Flush the names in a folder to the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
