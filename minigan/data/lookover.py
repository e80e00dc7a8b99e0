"""HDF5 files are looked over in a process that may crash, before this one opens them.

Damage by chance libhdf5 survives, as far as it is seen, but not what is made on purpose: checksums
guard the newer structures of a file, and where these are right but the rest makes no sense, it
divides by zero, reads beyond its memory or never ends. The process that looks does all that is done
here later, save unpacking pixels, with limits on its memory and its time. That leaves what spoils
memory unseen: files from strangers are still opened at one's own risk.
"""

import atexit
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
except ImportError:  # Windows has no limits, and so no second process
    resource = None

SECONDS = 20  # for one request, which takes less than one where nothing is wrong
MEGABYTES = 1000  # beyond what the process has when it starts
SERVE = ("import sys; sys.path.insert(0, sys.argv[1]); from minigan.data import lookover; "
         "lookover.serve()")

_lock = threading.Lock()
_process = None  # one for all files, started when it is first needed or after the last one's end
_is_looker = False


def look_over(path, group, first, count):
    """Have some images of a file looked at, and how it is arranged.

    path          an HDF5 file
    group         the group's name, or None, as of `ImageDataset`
    first, count  which images

    DamagedFileError if that ends the process that looks. What else is wrong is found here later.
    """
    global _process
    if resource is None or _is_looker:
        return
    with _lock:
        if _process is None or _process.poll() is not None:
            _stop()
            _process = _started()
        print(json.dumps([os.path.abspath(path), group, first, count]), file=_process.stdin,
              flush=True)
        if _process.stdout.readline():
            return
        status = _stop()
    raise DamagedFileError(f"{path}: expected a whole HDF5 file, found one that libhdf5 fails on, "
                           f"at images {first} to {first + count - 1} or before (exit status "
                           f"{status})")


def _started():
    process = subprocess.Popen([sys.executable, "-c", SERVE, Path(minigan.__file__).parents[1]],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if not process.stdout.readline():
        raise RuntimeError(f"the process that looks HDF5 files over could not be started: exit "
                           f"status {process.wait()}")
    return process


@atexit.register
def _stop():
    """End the process, if there is one; its exit status."""
    global _process
    process, _process = _process, None
    if process is not None:
        process.communicate()
        return process.returncode


def serve():
    """Look over what is asked for by lines on stdin; answer each by a line."""
    global _is_looker
    _is_looker = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks, and ends this too
    limit_memory(MEGABYTES)
    print("ready", flush=True)
    for line in sys.stdin:
        signal.alarm(SECONDS)  # ends the process, even within libhdf5
        try:
            _look(*json.loads(line))
        except MemoryError:
            sys.exit("looking HDF5 files over: out of memory")
        except Exception:
            pass  # no harm: whoever asked will meet it and tell it
        signal.alarm(0)
        print("done", flush=True)


def limit_memory(megabytes):
    """Let this process grow by no more, and leave no core file. Where Linux tells what it has."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = Path("/proc/self/statm")
    if size.exists():
        pages = int(size.read_text().split()[0])
        most = pages * resource.getpagesize() + megabytes * 2**20
        _, limit = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY or most < limit:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _look(path, group, first, count):
    from minigan.data.images import ImageDataset

    dataset = ImageDataset(path, 1, group, device="cpu")
    for index in range(first, min(first + count, len(dataset))):
        try:
            dataset.look_up(index)
        except DamagedFileError:
            pass
