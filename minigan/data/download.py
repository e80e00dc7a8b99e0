"""MNIST from the network: four files, several places to get them from, every byte checked."""

import hashlib
import http.client
import io
import math
import sys
import urllib.request
from pathlib import Path

from minigan.data.packed import gunzipped, parts
from minigan.checks import explain_errors
from minigan.files import write_atomically

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
# SHA-256 of the unpacked files: the mirrors may have packed them differently.
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
AT_ONCE = 1 << 16


@explain_errors
def download_mnist(folder, mirrors=MIRRORS, files=FILES, timeout=20):
    """Fetch what is missing of MNIST into a folder; files that are there and right stay.

    mirrors  addresses of folders that hold the files, tried in this order
    files    file names, each with the SHA-256 of its unpacked content
    timeout  seconds to wait for a mirror that says nothing

    Raises ConnectionError with every mirror's reason if a file cannot be had from any of them,
    OSError if the folder cannot be written.
    """
    folder = Path(folder)
    missing = [name for name in files if not _is_there(folder / name, files[name])]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for mirror in mirrors:
        try:
            while missing:
                name = missing[0]
                content = _fetched(mirror.rstrip("/") + "/" + name, files[name], timeout)
                write_atomically(folder / name, content)
                missing.pop(0)
            return
        except _Unusable as error:
            reasons.append(f"\n  {mirror}: {error}")
    raise ConnectionError(
        f"mnist: {missing[0]} could not be downloaded into {folder}:{''.join(reasons)}\n"
        f"`--data digits` needs no network, and `--data FOLDER` reads MNIST's files from a folder")


class _Unusable(Exception):
    """A mirror gave no file, or not the right one."""


def _is_there(path, expected):
    try:
        with open(path, "rb") as file:
            return _digest(file, path) == expected
    except (OSError, ValueError):
        return False


def _fetched(url, expected, timeout):
    """The body at this address, its unpacked content checked. Raises _Unusable."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            body = _body(response, url.rpartition("/")[2])
        found = _digest(io.BufferedReader(io.BytesIO(body)), url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _Unusable(str(error) or type(error).__name__) from error
    if found != expected:
        raise _Unusable(f"expected content of SHA-256 {expected}, found {found}")
    return body


def _digest(file, name):
    """The SHA-256 of an open file's unpacked content. DamagedFileError with this name."""
    digest = hashlib.sha256()
    with gunzipped(file, name) as content:
        for part in parts(content, math.inf):
            digest.update(part)
    return digest.hexdigest()


def _body(response, name):
    """All of a response, with a line on stderr that counts megabytes. ValueError if cut short."""
    total = int(response.headers.get("Content-Length", 0))
    of_total = f" of {total / 1e6:.1f}" if total else ""
    # The line is written over and over on a terminal, and once where it would fill a log.
    start = "\r" if sys.stderr.isatty() else ""
    body = bytearray()
    while chunk := response.read(AT_ONCE):
        body += chunk
        if start:
            print(f"{start}{name}: {len(body) / 1e6:.1f}{of_total} MB", end="", file=sys.stderr)
    print(f"{start}{name}: {len(body) / 1e6:.1f}{of_total} MB", file=sys.stderr)
    if total and len(body) != total:
        raise ValueError(f"{name}: expected {total} bytes, the connection ended after {len(body)}")
    return bytes(body)
