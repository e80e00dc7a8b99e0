"""How many threads the CPU's larger kernels use."""

import functools
import os


@functools.cache
def threads():
    """As many as NumPy's own products use: what the environment says, or the cores there are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        first = os.environ.get(name, "").partition(",")[0].strip()
        if first.isdecimal():
            return min(max(1, int(first)), cores)
    return cores


def use_one_thread():
    """OpenMP's threads are not there in a forked process, which would wait for them for ever."""
    global threads

    def threads():
        return 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=use_one_thread)
