"""Downloading MNIST: four files, several mirrors, every byte checked."""

import hashlib
import http.client
import io
import math
import sys
import urllib.request
from pathlib import Path

from minigan.data.compressed import open_gzip, read_parts
from minigan.checks import explain_errors
from minigan.files import one_at_a_time, write_atomically

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
# SHA-256 of the decompressed files: mirrors may compress differently.
FILES = {
    "train-images-idx3-ubyte.gz":
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz":
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz":
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz":
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@explain_errors
def download_mnist(folder, mirrors=MIRRORS, files=FILES, timeout=20):
    """Download MNIST's files into a folder; intact files that are there already are kept, and of
    several processes one downloads the others.

    mirrors  URLs of folders with the files, tried in this order
    files    file names, each with the SHA-256 of its decompressed content
    timeout  seconds to wait for a mirror that does not respond

    Raises ConnectionError with every mirror's error if none of them provides a file, OSError if the
    folder cannot be written.
    """
    folder = Path(folder)
    if _missing(folder, files):
        with one_at_a_time(folder / "download"):
            _download(folder, mirrors, files, timeout)


def _missing(folder, files):
    return [name for name, digest in files.items() if not _is_intact(folder / name, digest)]


def _download(folder, mirrors, files, timeout):
    missing = _missing(folder, files)  # none if another process was first
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for mirror in mirrors:
        while missing:
            name = missing[0]
            try:
                content = _fetch(f"{mirror.rstrip('/')}/{name}", files[name], timeout)
            except (OSError, ValueError, http.client.HTTPException) as error:
                reasons.append(f"\n  {mirror}: {str(error) or type(error).__name__}")
                break
            write_atomically(folder / name, content)
            missing.pop(0)
        else:
            return
    raise ConnectionError(
        f"mnist: {missing[0]} could not be downloaded into {folder}:{''.join(reasons)}\n"
        f"`--data digits` needs no network, and `--data FOLDER` reads MNIST's files from a folder")


def _is_intact(path, expected):
    try:
        with open(path, "rb") as file:
            return _hex_digest(file, path) == expected
    except (OSError, ValueError):
        return False


def _fetch(url, expected, timeout):
    """The response from this URL. ValueError if its decompressed content is another one."""
    with urllib.request.urlopen(url, timeout=timeout) as response:
        print(f"downloading {url}, {response.length or 0:,} bytes", file=sys.stderr)
        body = response.read()
    found = _hex_digest(io.BufferedReader(io.BytesIO(body)), url)
    if found != expected:
        raise ValueError(f"expected content of SHA-256 {expected}, found {found}")
    return body


def _hex_digest(file, name):
    """The SHA-256 of an open file's decompressed content. DamagedFileError with this name."""
    digest = hashlib.sha256()
    with open_gzip(file, name) as content:
        for part in read_parts(content, math.inf):
            digest.update(part)
    return digest.hexdigest()
