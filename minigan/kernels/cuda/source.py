"""The .cu files of this folder, compiled when the first of their kernels is launched."""

import functools
import sys
import time
from pathlib import Path

import numpy

from minigan.device import array_module

TYPES = {"f": "float", "d": "double"}
FOLDER = Path(__file__).parent
THREADS = 256  # of a block, for kernels with one thread an element
MOST_THREADS = 1024  # as in common.cu
MOST_ROWS = 65535  # of a grid, CUDA's limit


OPTIONS = ("--std=c++17",)


def text(char):
    """All kernels as one source, for float32 ('f') or float64 ('d')."""
    names = ["common"] + sorted(path.stem for path in FOLDER.glob("*.cu") if path.stem != "common")
    parts = [(FOLDER / f"{name}.cu").read_text(encoding="utf-8") for name in names]
    return "\n".join([f"typedef {TYPES[char]} T;", *parts])


@functools.cache
def module(cupy, char):
    """All kernels, compiled. As that may take seconds, it is said on stderr."""
    start = time.perf_counter()
    print(f"minigan: preparing CUDA kernels for {TYPES[char]}, kept by CuPy for the next time ... ",
          end="", file=sys.stderr, flush=True)
    result = cupy.RawModule(code=text(char), options=OPTIONS)
    result.get_function("sigmoid")  # the first one compiles them all
    print(f"{time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return result


@functools.cache
def kernel(cupy, name, char):
    return module(cupy, char).get_function(name)


def has_kernels_for(array):
    """Whether it is on a GPU, and of a dtype that the kernels are written for."""
    return type(array) is not numpy.ndarray and array_module(array) is not numpy and (
        array.dtype.char in TYPES)


def launch(name, like, grid, threads, *args):
    """Run a kernel for numbers of `like`'s dtype, as a grid of blocks of so many threads.

    grid  (blocks,) or (blocks, rows of blocks); where it is empty nothing is run
    args  arrays, numbers, and 0 for an array that is not there
    """
    if all(grid):
        kernel(array_module(like), name, like.dtype.char)(grid, (threads,), args)


def launch_for_each(name, like, n, *args):
    """Run a kernel with a thread for each of n elements."""
    launch(name, like, (blocks_for(n),), THREADS, *args)


def blocks_for(n):
    return -(-n // THREADS)


def threads_for(n):
    """A power of two, for blocks that go over n numbers together."""
    return min(MOST_THREADS, max(32, 1 << (n - 1).bit_length()))


def dense(x):
    """The array; a copy if it has gaps in memory, or elements that share it."""
    if x.flags.c_contiguous:
        return x
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    return x if x.transpose(order).flags.c_contiguous else array_module(x).ascontiguousarray(x)


def in_order_of(x, array):
    """The array; a copy that lies in memory as x does, if it does not."""
    if array.strides == x.strides or array.flags.c_contiguous and x.flags.c_contiguous:
        return array
    copy = array_module(x).empty_like(x)
    copy[...] = array
    return copy
