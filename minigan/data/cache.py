"""The folder where downloaded and drawn data is kept from run to run."""

import os
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
