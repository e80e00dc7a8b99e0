"""Files that appear whole or not at all."""

import os
import secrets
from pathlib import Path


def write_whole(path, content):
    """Write bytes to a file such that nobody ever sees a part of them there.

    They go to a file beside it, which takes the name only when it is complete. Raises OSError if
    the folder cannot be written; then the file is as it was before.
    """
    path = Path(path)
    # A name of its own for each writer: two processes may be filling the cache at once.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
