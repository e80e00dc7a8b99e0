"""The folder where downloaded and drawn data is kept from run to run."""

import os
import secrets
from pathlib import Path


def cache_folder():
    """Where minigan keeps data, a Path; it may not exist yet.

    The environment variable MINIGAN_CACHE names it; otherwise it is `minigan` in XDG_CACHE_HOME,
    or in `.cache` of the user's home.
    """
    own = os.environ.get("MINIGAN_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(shared, "minigan")


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
