"""A strict stand-in for CuPy, over NumPy: for tests of minigan's device paths without a GPU.

It behaves as CuPy does where code goes wrong: host arrays do not mix with its own, nothing is
converted by itself, only names that CuPy has are there, whatever makes a GPU wait is counted, and
a stream that is being recorded refuses what CUDA refuses. It runs minigan's CUDA kernels, compiled
for the CPU (compiled.py), and imitates the part of cuBLAS that minigan calls (cublas.py).

It is a check of discipline. Nothing measured on it is a result of a GPU.
"""

import contextlib
import functools
import importlib
import sys
from unittest import mock

from minigan.kernels import blas
from standin import array, compiled, cuda, random
from standin.compiled import compile_kernels, has_compiler
from standin.cublas import cublas
from standin.memory import MemoryPool, memory
from standin.streams import counts, dry_run, extent, no_host_reads

MODULES = {"cupy": array.module, "cupy.cuda": cuda.module, "cupy.random": random.module}
devices = importlib.import_module("minigan.device")  # `minigan.device` is the class


@contextlib.contextmanager
def in_place_of_cupy():
    """What `import cupy` gives is the stand-in. What minigan keeps of the real one is put aside."""
    before = {name: sys.modules.get(name) for name in MODULES}
    with (mock.patch.object(devices, "_cupy", None),
          mock.patch.object(blas, "loaded_library", lambda: cublas),
          mock.patch.object(blas, "library", functools.cache(blas.library.__wrapped__)),
          mock.patch.object(blas, "handles", blas._Handles())):
        real = devices._generators.pop("cuda", None)
        sys.modules.update(MODULES)
        try:
            yield array.module
        finally:
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
            devices._generators.pop("cuda", None)
            if real is not None:
                devices._generators["cuda"] = real


array.module.cuda = cuda.module
array.module.random = random.module
array.module.RawModule = compiled.RawModule
array.module.get_default_memory_pool = MemoryPool
