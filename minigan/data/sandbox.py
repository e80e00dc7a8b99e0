"""Reading HDF5 files first in a child process, which may crash.

libhdf5 reports random damage, as far as we have seen. But checksums cover only the newer structures
of a file, and where bytes are consistent and yet make no sense, libhdf5 divides by zero, reads past
its buffers or never returns. So everything that this process is about to read, pixels included, the
child reads first, by the same code and within limits on memory and time. What corrupts memory
without a crash goes unnoticed: open files from strangers at your own risk.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import minigan
from minigan.checks import DamagedFileError

try:
    import resource
except ImportError:  # Windows has no resource limits, and so no child process here
    resource = None

SECONDS = 20  # to open a file or to read an image; either takes well under one from a sound file
MEGABYTES = 1000  # beyond what the child uses when it starts
SERVE = ("import sys; sys.path.insert(0, sys.argv[1]); from minigan.data import sandbox; "
         "sandbox.serve()")

_lock = threading.Lock()
_process = None  # one for all files, started when first needed and again after a crash
_is_child = False
_key, _dataset = None, None  # in the child: the file that is open


def read_in_sandbox(path, group, size, indices=()):
    """Have the child process open a file of images, and read some of them.

    path, group, size  as of `ImageDataset`
    indices            of the images whose pixels are read, ints

    DamagedFileError if the child does not survive it. Any other error is ignored here: the caller
    meets it when it does the same.
    """
    global _process
    if resource is None or _is_child:
        return
    with _lock:
        if _process is None or _process.poll() is not None:
            _stop()
            _process = _start()
        print(json.dumps([os.path.abspath(path), group, size, indices]), file=_process.stdin,
              flush=True)
        if _process.stdout.readline():
            return
        status = _stop()
    part = f"at images {min(indices)} to {max(indices)}" if indices else "on opening it"
    raise DamagedFileError(f"{path}: expected a whole HDF5 file, found one that libhdf5 fails on, "
                           f"{part} (exit status {status})")


def _start():
    # The child keeps a file open from one request to the next; that must not lock it to others.
    process = subprocess.Popen([sys.executable, "-c", SERVE, Path(minigan.__file__).parents[1]],
                               env={**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"},
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if not process.stdout.readline():
        raise RuntimeError(f"the process that reads HDF5 files first did not start: exit status "
                           f"{process.wait()}")
    return process


@atexit.register
def _stop():
    """End the child process if there is one, and return its exit status."""
    global _process
    process, _process = _process, None
    if process is not None:
        process.communicate()
        return process.returncode


# The child process

def serve():
    """Answer each request, a line of JSON on stdin, by a line on stdout."""
    global _is_child
    _is_child = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this too
    limit_memory(MEGABYTES)
    print("ready", flush=True)
    for line in sys.stdin:
        signal.alarm(SECONDS)  # ends the process, even within libhdf5
        try:
            _read(*json.loads(line))
        except MemoryError:
            sys.exit("reading an HDF5 file in the sandbox: out of memory")
        except Exception:
            pass  # the parent will meet it and report it
        signal.alarm(0)
        print("done", flush=True)


def limit_memory(megabytes):
    """Let this process grow by no more than this (on Linux), and leave no core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = Path("/proc/self/statm")
    if size.exists():
        pages = int(size.read_text().split()[0])
        most = pages * resource.getpagesize() + megabytes * 2**20
        _, limit = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY or most < limit:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _read(path, group, size, indices):
    global _key, _dataset
    from minigan.data.images import ImageDataset

    status = os.stat(path)
    key = path, group, size, status.st_ino, status.st_size, status.st_mtime_ns
    if key != _key:
        # Closed first: libhdf5 would take a file that was changed in place for the open one.
        _key = _dataset = None
        _dataset = ImageDataset(path, size, group, device="cpu")
        _key = key
    for index in indices:
        signal.alarm(SECONDS)
        with contextlib.suppress(DamagedFileError):
            _dataset.raw(index)
