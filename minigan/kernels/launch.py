"""Launching kernels: on a CPU by calling the compiled library, on a GPU by CuPy.

The first array of a launch says which: its type the device, its dtype the kernels' T. All arrays
must be dense (`dense`, `in_order_of`) and of the dtype that the kernel has; nothing is checked
here, so that a launch costs less than a microsecond.
"""

import contextlib
import functools
import os
import sys
import threading
import time

import numpy

from minigan.device import array_module, is_on_gpu
from minigan.hooks import hooks
from minigan.tensor import Tensor

THREADS = 256        # of a block on a GPU, for kernels with one thread an element
MOST_THREADS = 1024  # as in common.cu
MOST_BLOCKS = 4096   # of a grid, either way: plenty for any GPU; the rest is gone over in steps
GPU_OPTIONS = ("--std=c++17",)


class Switch:
    """Whether kernels are used, and the functions of the loaded libraries."""

    def __init__(self):
        self.disabled = 0  # how many `disabled` are entered
        self.lock = threading.Lock()
        self.libraries = {}  # by NumPy's letter: Library or None
        self.functions = {"f": None, "d": None}
        self.reason = ""  # why there is no library


switch = Switch()


class disabled(contextlib.ContextDecorator):
    """Inside, in all threads, operations run by their NumPy or CuPy formulas alone; a context and
    a decorator. MINIGAN_KERNELS=off does the same for a whole process; any other value is the folder
    in which compiled kernels are kept.

    >>> with disabled():
    ...     y = functional.sigmoid(x)
    """

    def __enter__(self):
        with switch.lock:
            switch.disabled += 1

    def __exit__(self, *exception):
        with switch.lock:
            switch.disabled -= 1


def status():
    """One line: by what the CPU's kernels were compiled and where they are, or why there are none."""
    if switched_off():
        return "CPU kernels: off (MINIGAN_KERNELS)"
    if not load("f"):
        return f"CPU kernels: none: {switch.reason}"
    library = switch.libraries["f"]
    return f"CPU kernels: {library.path}, by {library.built_by()}"


def host_functions():
    """Functions of either compiled library, for what does not depend on a dtype; None without."""
    return switch.functions["f"] or switch.functions["d"]


def form():
    """By what operations compute on the CPU: the kernels' compiler and flags, or 'textbook'."""
    if switch.disabled or switched_off() or not load("f"):
        return "textbook"
    return switch.libraries["f"].built_by()


def switched_off():
    return os.environ.get("MINIGAN_KERNELS", "").lower() == "off"


def covered(x):
    """Whether kernels can take this array: float32 or float64, not empty, on a device that has
    them, and they are not disabled. The CPU's are loaded when they are first asked for."""
    dtype = x.dtype
    if dtype.char not in "fd" or not dtype.isnative or not x.size or switch.disabled:
        return False
    if isinstance(x, numpy.ndarray):
        return switch.functions[dtype.char] is not None or load(dtype.char)
    return is_on_gpu(x) and not switched_off()


def load(char):
    """Load or compile the CPU's kernels for 'f' or 'd', once. Whether they are there."""
    if char not in switch.libraries:
        with switch.lock:
            if char not in switch.libraries:
                switch.libraries[char] = first_load(char)
    return switch.libraries[char] is not None


def first_load(char):
    if switched_off() or switch.reason:
        return None
    from minigan.kernels import compiler  # what it imports would make `import minigan` slower
    try:
        library = compiler.load(char)
    except compiler.Unavailable as error:
        switch.reason = str(error)
        if not error.reported:
            print(f"minigan: no CPU kernels, NumPy is used, slower: {error}", file=sys.stderr)
        return None
    switch.functions[char] = library.functions
    return library


# Launches

def launch_each(name, n, *args):
    """Run a kernel with one thread for each of n elements. It gets the arguments and then n.

    args  dense arrays, None for one that is not there, integers and floats
    """
    if hooks.capture is None and isinstance(args[0], numpy.ndarray):
        switch.functions[args[0].dtype.char][name](*args, n)  # as `launch` does, one call fewer
    else:
        launch(name, args[0], (n + THREADS - 1) // THREADS, THREADS, (*args, n))


def launch_rows(name, rows, width, *args):
    """Run a kernel with a block of threads for each row. It gets the arguments, rows and width."""
    if hooks.capture is None and isinstance(args[0], numpy.ndarray):
        switch.functions[args[0].dtype.char][name](*args, rows, width)
    else:
        launch(name, args[0], rows, width, (*args, rows, width))


def launch_columns(name, rows, width, *args):
    """Run a kernel with a thread for each column. It gets the arguments, rows and width."""
    if hooks.capture is None and isinstance(args[0], numpy.ndarray):
        switch.functions[args[0].dtype.char][name](*args, rows, width)
    else:
        launch(name, args[0], (width + THREADS - 1) // THREADS, THREADS, (*args, rows, width))


def launch(name, like, blocks, threads, args, grid_rows=1, others=()):
    """Run a kernel for numbers of `like`'s dtype, on its device.

    blocks, threads, grid_rows  the grid on a GPU: bounded, and threads a power of two
    others  arrays that the kernel finds by their addresses, and may write
    """
    if isinstance(like, numpy.ndarray):
        function = switch.functions[like.dtype.char][name]
        if hooks.capture is None:
            function(*args)
        else:
            hooks.capture.launch(name, function, args, outputs_of(name), others)
    else:
        threads = min(MOST_THREADS, max(32, 1 << (threads - 1).bit_length()))
        args = tuple([0 if a is None else a for a in args])
        gpu_kernel(array_module(like), name, like.dtype.char)(
            (min(blocks, MOST_BLOCKS), min(grid_rows, MOST_BLOCKS)), (threads,), args)


@functools.cache
def outputs_of(name):
    """For each argument of a kernel, whether it is an array that the kernel may write."""
    from minigan.kernels import compiler
    return [("*" in parameter and "const" not in parameter) for parameter in
            compiler.parameters(name)]


@functools.cache
def gpu_kernel(cupy, name, char):
    return gpu_module(cupy, char).get_function(name)


@functools.cache
def gpu_module(cupy, char):
    """All kernels, compiled by CuPy. As that may take seconds, it is reported on stderr."""
    start = time.perf_counter()
    print(f"minigan: compiling GPU kernels for {numpy.dtype(char)}, kept by CuPy ... ", end="",
          file=sys.stderr, flush=True)
    module = cupy.RawModule(code=gpu_source(char), options=GPU_OPTIONS)
    module.get_function("sigmoid")  # the first one compiles them all
    print(f"{time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return module


def gpu_source(char):
    from minigan.kernels import compiler
    texts = [text for _, text in compiler.sources(".cu")]
    return "\n".join([f"typedef {compiler.TYPES[char]} T;", *texts])


# Arguments as kernels take them

def fits(x, tensor, shape):
    """Whether it is None, or a Tensor of this shape and of x's dtype and device."""
    if tensor is None:
        return True
    if not isinstance(tensor, Tensor):
        return False
    array = tensor.array
    return array.shape == shape and array.dtype == x.dtype and type(array) is type(x)


def is_plain(x):
    """Whether a kernel may write into the array: it is in one piece, aligned and not read-only."""
    return x.flags.carray if isinstance(x, numpy.ndarray) else x.flags.c_contiguous


def dense(x):
    """The array; a copy if it has gaps in memory, elements that share it, or odd addresses."""
    if type(x) is numpy.ndarray and x.flags.carray:
        return x
    if x.flags.c_contiguous:
        return whole(x)
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    if x.transpose(order).flags.c_contiguous:
        return whole(x)
    return contiguous(x)


def contiguous(x):
    """The array in C order; None for None."""
    if x is None or type(x) is numpy.ndarray and x.flags.carray:
        return x
    if x.flags.c_contiguous:
        return whole(x)
    return array_module(x).array(x, order="C")


def in_order_of(x, array):
    """The array; a copy that lies in memory as x, which is dense, if it does not."""
    if type(array) is numpy.ndarray and array.flags.carray and x.flags.c_contiguous:
        return array
    if array.strides == x.strides or array.flags.c_contiguous and x.flags.c_contiguous:
        return whole(array)
    copy = array_module(x).empty_like(x)
    copy[...] = array
    return copy


def whole(x):
    """The array; a copy if its elements lie at odd addresses."""
    if isinstance(x, numpy.ndarray) and not x.flags.aligned:
        return array_module(x).array(x)  # which keeps the order of the axes
    return x


def empty_like(x):
    if type(x) is numpy.ndarray and x.flags.c_contiguous:
        return numpy.empty(x.shape, x.dtype)
    return array_module(x).empty_like(x)
