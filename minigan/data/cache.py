"""The folder where downloaded and generated data is cached."""

import os
from pathlib import Path


def cache_folder():
    """The Path of minigan's cache folder, which may not exist yet.

    It is the environment variable MINIGAN_CACHE, or else `minigan` in XDG_CACHE_HOME or in the
    user's `~/.cache`.
    """
    folder = os.environ.get("MINIGAN_CACHE")
    if folder:
        return Path(folder)
    shared = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(shared, "minigan")
