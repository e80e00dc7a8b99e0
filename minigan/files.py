"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


@contextlib.contextmanager
def whole_file(path, ending=""):
    """Another name to write to, in the same folder; the file takes its path when it is whole.

    So nobody ever sees half of it, and where the writing fails the old file stays. The other name
    is of this writer alone, since two processes may be at it; it ends in `ending`, by which some
    libraries tell the format. The folder is made. Raises OSError if it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{ending}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path, content):
    """Write bytes to a file, see `whole_file`."""
    with whole_file(path) as partial:
        partial.write_bytes(content)
