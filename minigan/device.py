"""Where arrays live: NumPy on the CPU, CuPy on a CUDA GPU, and the random streams of both.

An array's own type says where it lives; nothing else in the engine keeps track of devices.
CuPy is imported when a GPU is first asked for, never before.
"""

import builtins

import numpy

from minigan.capturing import own_pools, refuse
from minigan.errors import describe

float16, float32, float64 = (numpy.dtype(name) for name in ("float16", "float32", "float64"))
uint8, int8, int16, int32, int64 = (
    numpy.dtype(name) for name in ("uint8", "int8", "int16", "int32", "int64"))
bool = numpy.dtype("bool")


class device(str):
    """The name of a place for arrays, "cpu" or "cuda"; equal to that string.

    >>> device("cpu").type
    'cpu'

    Raises ValueError for any other name.
    """

    def __new__(cls, name):
        if not isinstance(name, str) or name not in ("cpu", "cuda", "cuda:0"):
            raise ValueError(f"device: expected 'cpu' or 'cuda', got {describe(name)}")
        return super().__new__(cls, str(name).partition(":")[0])

    @property
    def type(self):
        return str(self)


_default = device("cpu")
_cupy = None
_generators = {}  # made when first asked for: NumPy loads its random part then, not before


class cuda:
    """What lessons ask of `torch.cuda`."""

    @staticmethod
    def is_available():
        """Whether CuPy can be imported and finds a working GPU."""
        return not _why_no_cuda()

    @staticmethod
    def memory_reserved():
        """Bytes of the GPU's memory that CuPy's pools hold, those of captured steps included."""
        if _why_no_cuda():
            return 0
        pools = [_cupy.get_default_memory_pool(), *(captured.pool for captured in own_pools)]
        return sum(pool.total_bytes() for pool in pools)


def _why_no_cuda():
    """What stands in the way of a GPU, in one line with the command that helps; or nothing."""
    global _cupy
    if _cupy is not None:
        return ""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed; install it by `pip install cupy-cuda12x[ctk]`"
    if not cupy.cuda.is_available():
        return ("CuPy is installed but finds no working NVIDIA driver or GPU; `nvidia-smi` tells "
                "which; a driver is installed by `sudo ubuntu-drivers install`, elsewhere than on "
                "Ubuntu from www.nvidia.com/drivers")
    try:
        cupy.ones(1) + 1  # to compile even this, CuPy needs libraries that come separately
    except Exception as error:
        return (f"CuPy cannot use its CUDA libraries ({type(error).__name__}: "
                f"{' '.join(str(error).split()):.200}); `pip install cupy-cuda12x[ctk]` "
                f"installs them")
    _cupy = cupy
    return ""


def module_for(name):
    """numpy or cupy, for a device's name (None: the default device).

    Raises ValueError for an unknown name and RuntimeError where there is no GPU to use.
    """
    name = _default if name is None else device(name)
    if name == "cpu":
        return numpy
    reason = _why_no_cuda()
    if reason:
        raise RuntimeError(f"device 'cuda': {reason}")
    return _cupy


def module_of(array):
    """numpy or cupy, whichever made this array."""
    return numpy if _cupy is None or isinstance(array, (numpy.ndarray, numpy.generic)) else _cupy


def device_of(array):
    return device("cpu" if module_of(array) is numpy else "cuda")


def moved(array, name):
    """The array on the named device: itself if it is there already, otherwise a copy."""
    target = module_for(name)
    if module_of(array) is target:
        return array
    refuse("moving to another device", "move it outside and pass it on")
    return target.asarray(array) if target is not numpy else _cupy.asnumpy(array)


def set_device(name):
    """Make new tensors on this device: "cpu", "cuda", or "auto" for a GPU if there is one."""
    global _default
    if isinstance(name, str) and name == "auto":
        name = "cuda" if cuda.is_available() else "cpu"
    module_for(name)
    _default = device(name)


def default_device():
    return _default


def manual_seed(seed):
    """Start the random streams of all devices anew from one whole number, 0 or more."""
    if isinstance(seed, (builtins.bool, numpy.bool_)) or not isinstance(
            seed, (int, numpy.integer)) or seed < 0:
        raise ValueError(f"manual_seed: expected a whole number of at least 0, "
                         f"got {describe(seed)}")
    _generators["cpu"] = numpy.random.default_rng(seed)
    if _cupy is not None:
        _generators["cuda"] = _cupy.random.default_rng(seed)


def generator(name=None):
    """The random stream of a device: a Generator of numpy.random or cupy.random."""
    refuse("random numbers", "draw them outside and pass them on")
    name = _default if name is None else device(name)
    if name not in _generators:
        # The GPU's is seeded from the CPU's stream, so that one manual_seed decides both.
        seed = None if name == "cpu" else int(generator("cpu").integers(2**31))
        _generators[name] = module_for(name).random.default_rng(seed)
    return _generators[name]
