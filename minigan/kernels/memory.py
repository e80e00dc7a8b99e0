"""Memory on the CPU: keeping what a training step freed for the next one, in large pages."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
MADV_HUGEPAGE = 14                           # Linux's mman.h
LARGE_PAGE = 2**21


def keep_freed_memory():
    """Tell glibc to keep freed memory for reuse instead of handing it back to the system.

    A training step frees all its arrays and the next one wants as many again. By default blocks
    of some hundred KiB go back to the system each time, and when they return, every 4 KiB of
    them costs a page fault: of the CNN's step at batch 64 that was 40 %. Blocks above 32 MiB, the
    most that glibc allows here, are still handed back. Elsewhere than on Linux nothing is done.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)  # not in every C library
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        if not memory_is_limited():
            ask_for_large_pages(libc)


def memory_is_limited():
    """Whether the process may have only so much memory, as after `ulimit -v`."""
    import resource  # there is none on Windows
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY
               for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))


def ask_for_large_pages(libc):
    """Let the heap grow by 60 MiB, and ask the system to back these by pages of 2 MiB when they are
    first touched; it may refuse.

    A step's arrays lie on more pages of 4 KiB than a CPU keeps the addresses of: on those the
    conditional GAN's step at batch 64 takes longer by some percent.
    """
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    libc.sbrk.argtypes = [ctypes.c_ssize_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    first = -(-libc.sbrk(0) // LARGE_PAGE) * LARGE_PAGE
    for block in [libc.malloc(30 * 2**20) for _ in range(2)]:
        libc.free(block)
    size = libc.sbrk(0) - first
    if size > 0:
        libc.madvise(first, size, MADV_HUGEPAGE)
