"""A strict stand-in for CuPy, over NumPy: for tests of minigan's device paths without a GPU.

It behaves as CuPy does where code goes wrong: host arrays do not mix with its own, nothing is
converted by itself, only names that CuPy has are there, whatever makes a GPU wait is counted, and
a stream that is being recorded refuses what CUDA refuses. It runs minigan's CUDA kernels, compiled
for the CPU (compiled.py), and imitates the part of cuBLAS that minigan calls (cublas.py).

It is a check of discipline. Nothing measured on it is a result of a GPU.
"""

import sys

from standin import array, compiled, cuda, random
from standin.compiled import compile_kernels, has_compiler
from standin.cublas import cublas
from standin.memory import MemoryPool
from standin.streams import counts, no_host_reads

MODULES = {"cupy": array.module, "cupy.cuda": cuda.module, "cupy.random": random.module}
_before = {}


def install():
    """Be what `import cupy` gives."""
    for name, module in MODULES.items():
        _before[name] = sys.modules.get(name)
        sys.modules[name] = module
    return array.module


def uninstall():
    """Put back what was there."""
    for name, module in _before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module
    _before.clear()


array.module.cuda = cuda.module
array.module.random = random.module
array.module.RawModule = compiled.RawModule
array.module.get_default_memory_pool = MemoryPool
