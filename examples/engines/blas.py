"""Which library computes NumPy's matrix products, and for which processor its code is.

OpenBLAS has kernels for many processors and chooses when it is loaded. The wrong ones can take
twice as long.
"""

import ctypes
import os

import numpy

from minigan.threads import loaded_libraries

# The names of OpenBLAS's function in the builds that come with NumPy.
NAMES = [f"{prefix}openblas_get_corename{suffix}"
         for prefix in ("", "scipy_") for suffix in ("", "64_", "_64", "_64_")]
# What changes OpenBLAS's choice, or how it divides the matrices.
VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def openblas_core():
    """The processor whose kernels the loaded OpenBLAS has chosen; None if that is unknown."""
    for library in loaded_libraries("blas"):
        for name in NAMES:
            if hasattr(library, name):
                function = getattr(library, name)
                function.restype = ctypes.c_char_p
                return function().decode()
    return None


def blas():
    """{'library': name and version, 'kernels': the core's name or None}"""
    found = numpy.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    name = f"{found.get('name', 'unknown library')} {found.get('version', '')}".strip()
    return {"library": name, "kernels": openblas_core()}


def blas_report():
    """Lines to print: the library, and each variable that may have made it slow."""
    found = blas()
    yield (f"NumPy's products: {found['library']}, "
           + (f"kernels for {found['kernels']}" if found["kernels"] else "unknown kernels"))
    for variable in VARIABLES:
        if variable in os.environ:
            yield (f"{variable} is set to {os.environ[variable]}: NumPy's products may take twice "
                   f"as long as without it")
