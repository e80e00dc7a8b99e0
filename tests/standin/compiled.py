"""CUDA kernels compiled for the CPU by g++, and launched with the checks that CUDA does not make."""

import ctypes
import getpass
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy

from minigan.kernels import launch
from standin.array import ndarray
from standin.streams import run

SHIM = Path(__file__).with_name("shim.h")
COMPILER = "g++"
DTYPES = {"float": "float32", "double": "float64", "int": "int32", "long long": "int64",
          "bool": "bool"}
# What CuPy makes of numbers, and so what a parameter must be for them.
NUMBERS = {bool: ("bool", ctypes.c_bool), int: ("long long", ctypes.c_longlong),
           float: ("double", ctypes.c_double), numpy.int32: ("int", ctypes.c_int)}


def has_compiler():
    return shutil.which(COMPILER) is not None


class Parameter(NamedTuple):
    type: str  # of the numbers, where it is a pointer
    name: str
    is_pointer: bool


def preprocessed(code):
    """The text without comments, its macros written out."""
    return subprocess.run([COMPILER, "-E", "-P", "-x", "c++", "-"], input=code, text=True,
                          capture_output=True, check=True).stdout


def functions(code):
    """{name: (parameters, body)} of all functions; bodies end with a brace at a line's start."""
    found = re.findall(r"(?:__global__|__device__)\s+\w+\s+(\w+)\(([^)]*)\)\s*\{(.*?)\n\}", code,
                       re.DOTALL)
    return {name: (parameters, body) for name, parameters, body in found}


def waits(name, every):
    """Whether there is a barrier in a function, or in those that it calls."""
    body = every[name][1]
    return "__syncthreads" in body or any(
        waits(called, every) for called in {*re.findall(r"\b(\w+)\(", body)} & {*every} - {name})


def parameters_of(text, aliases):
    result = []
    for part in text.split(","):
        words = re.sub(r"\bconst\b|\b__restrict__\b", " ", part.replace("*", " * ")).split()
        name, pointer = words[-1], "*" in words
        type = " ".join(word for word in words[:-1] if word != "*")
        result.append(Parameter(aliases.get(type, type), name, pointer))
    return result


class RawModule:
    """As CuPy's: CUDA source, compiled when the first of its functions is asked for."""

    def __init__(self, *, code, options=()):
        self.code = code
        self.options = tuple(option for option in options if not option.startswith("--std"))
        self.library = None

    def get_function(self, name):
        if self.library is None:
            self._compile()
        if name not in self.kernels:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found ({name})")
        return Kernel(self, name)

    def _compile(self):
        code = preprocessed(self.code)
        aliases = {alias: type for type, alias in re.findall(r"typedef ([\w ]+) (\w+);", code)}
        every = functions(code)
        kernel_names = re.findall(r'extern "C" __global__ void (\w+)\(', code)
        self.kernels = {name: (parameters_of(every[name][0], aliases), waits(name, every))
                        for name in kernel_names}
        entries = [entry_of(name, parameters) for name, (parameters, _) in self.kernels.items()]
        source = "\n".join([f'#include "{SHIM}"', self.code, *entries])
        self.library = ctypes.CDLL(str(built(source, self.options)))


def compile_kernels(char):
    """minigan's kernels for 'f' or 'd', unless they are kept already."""
    module = RawModule(code=launch.gpu_source(char), options=launch.GPU_OPTIONS)
    module.get_function("sigmoid")


def entry_of(name, parameters):
    """A C function that calls a kernel with arguments given as an array of pointers to them."""
    values = ", ".join(f"*({p.type}{'*' if p.is_pointer else ''}*)args[{i}]"
                       for i, p in enumerate(parameters))
    return f'extern "C" void entry_{name}(void** args) {{ {name}({values}); }}'


def built(source, options):
    """The shared library of a source; kept, since compiling takes seconds."""
    folder = Path(tempfile.gettempdir()) / f"minigan-standin-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    key = hashlib.sha256((source + SHIM.read_text() + repr(options)).encode()).hexdigest()[:24]
    library = folder / f"{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            path = Path(work) / "kernels.cpp"
            path.write_text(source)
            made = path.with_suffix(".so")
            # Rounded step by step, as a GPU's results are the same from run to run.
            command = [COMPILER, "-std=c++17", "-O2", "-fPIC", "-shared", "-ffp-contract=off", "-w",
                       *options, str(path), "-o", str(made)]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                raise RuntimeError(f"the kernels do not compile:\n{result.stderr}")
            os.replace(made, library)
    return library


class Kernel:
    """A kernel that can be launched: kernel(grid, block, args)."""

    def __init__(self, module, name):
        self.name = name
        self.parameters, self.has_barriers = module.kernels[name]
        self.run_grid = module.library.run_grid
        self.entry = ctypes.cast(module.library[f"entry_{name}"], ctypes.c_void_p)

    def __call__(self, grid, block, args, *, shared_mem=0):
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name}: {len(self.parameters)} parameters, {len(args)} arguments")
        values = [self._value(p, a) for p, a in zip(self.parameters, args)]
        grid_x, grid_y = (*grid, 1)[:2]
        threads, = block
        if not (0 < grid_x < 1 << 31 and 0 < grid_y < 1 << 16 and 0 < threads <= 1024):
            raise ValueError(f"{self.name}: CUDA_ERROR_INVALID_VALUE: grid {grid}, block {block}")

        def action(args=args):  # keeps the arrays alive
            pointers = (ctypes.c_void_p * len(values))(
                *[ctypes.cast(ctypes.pointer(v), ctypes.c_void_p) for v in values])
            if self.run_grid(self.entry, pointers, grid_x, grid_y, threads, self.has_barriers):
                raise AssertionError(f"{self.name}: some threads of a block ended before a barrier "
                                     f"at which others wait")
            for p, a in zip(self.parameters, args):
                if isinstance(a, ndarray) and not a.buffer.is_whole():
                    raise AssertionError(f"{self.name}: wrote outside of {p.name}")

        run(action, self.name, args)

    def _value(self, p, a):
        """An argument as ctypes has it. TypeError where CUDA would read nonsense."""
        if p.is_pointer and isinstance(a, ndarray) and a.dtype == DTYPES[p.type]:
            return ctypes.c_void_p(a.data.ptr)
        if p.is_pointer and type(a) is int and a == 0:
            return ctypes.c_void_p(0)
        if not p.is_pointer and type(a) in NUMBERS and NUMBERS[type(a)][0] == p.type:
            return NUMBERS[type(a)][1](a)
        found = f"an array of {a.dtype}" if isinstance(a, ndarray) else f"{type(a).__name__} {a!r}"
        raise TypeError(f"{self.name}: {p.name} is {p.type}{' *' if p.is_pointer else ''}, "
                        f"got {found}")
