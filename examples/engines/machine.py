"""Cores, memory, and what the machine is. Only the standard library is imported here: a process
must be pinned to its cores before NumPy and the engines count them."""

import os
import platform
import re
from importlib import metadata
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

# The variables that set the number of threads of the libraries.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def available_cores():
    """The cores that this process may use; where the system cannot say, all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(cores):
    """Keep this process on these cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def environment(threads):
    """The environment of a process that computes with this number of threads, on the CPU."""
    result = {**os.environ, **dict.fromkeys(THREADS, str(threads)), "JAX_PLATFORMS": "cpu"}
    if threads == 1:
        result["XLA_FLAGS"] = " ".join(
            [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_multi_thread_eigen=false"]).strip()
    return result


def peak_memory():
    """The peak memory of this process so far, in bytes; None if that is unknown."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak begins with that of the process which started this one.
        peak = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        if peak:
            return 1024 * int(peak[1])
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else 1024 * peak


def cpu_name():
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return name[1] if name else platform.processor() or platform.machine()


def gpu_name():
    """The names of the GPU, its driver and CuPy's CUDA. CuPy must be installed."""
    import cupy
    runtime = cupy.cuda.runtime
    driver, toolkit = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    return (f"{runtime.getDeviceProperties(0)['name'].decode()}, driver for CUDA "
            f"{driver // 1000}.{driver % 1000 // 10}, CUDA {toolkit // 1000}.{toolkit % 1000 // 10}")


def versions(libraries):
    """{'Python': version, library: version}"""
    result = {"Python": platform.python_version()}
    for library in libraries:
        try:
            result[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            result[library] = "not installed, from its folder"
    return result
