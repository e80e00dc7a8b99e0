"""How many threads the CPU's larger kernels and NumPy's matrix products use."""

import ctypes
import os
import re
from pathlib import Path

# The names of OpenBLAS's function in the builds that come with NumPy.
SETTERS = [f"{prefix}openblas_set_num_threads{suffix}"
           for prefix in ("", "scipy_") for suffix in ("", "64_", "_64", "_64_")]

chosen = None  # by set_threads, or when it is first needed


def threads():
    """As many as were set, or as NumPy's own products use: what the environment says, or the cores
    there are."""
    global chosen
    if chosen is None:
        chosen = threads_of_environment()
    return chosen


def threads_of_environment():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        first = os.environ.get(name, "").partition(",")[0].strip()
        if first.isdecimal():
            return min(max(1, int(first)), cores)
    return cores


def set_threads(count):
    """Let kernels use so many threads, and NumPy's products too where its BLAS can be told."""
    global chosen
    chosen = count
    for library in loaded_libraries("openblas"):
        for name in SETTERS:
            if hasattr(library, name):
                getattr(library, name)(count)
                break


def loaded_libraries(part):
    """The libraries of this process with `part` in their names, by ctypes."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:  # not on Linux
        return
    for path in dict.fromkeys(re.findall(rf"/\S*{part}\S*\.so\S*", maps)):
        try:
            yield ctypes.CDLL(path)
        except OSError:
            continue


def use_one_thread():
    """OpenMP's threads are not there in a forked process, which would wait for them for ever."""
    global chosen
    chosen = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=use_one_thread)
