"""Devices: NumPy on the CPU, CuPy on a CUDA GPU; the dtypes and the random generators of both.

An array's type says where it lives; nothing else in the engine keeps track of devices.
CuPy is imported when a GPU is first asked for, never before.
"""

import builtins
import contextlib
import weakref

import numpy

from minigan.hooks import hooks, refuse_in_capture
from minigan.checks import describe

float16, float32, float64 = (numpy.dtype(name) for name in ("float16", "float32", "float64"))
uint8, int8, int16, int32, int64 = (
    numpy.dtype(name) for name in ("uint8", "int8", "int16", "int32", "int64"))
bool = numpy.dtype("bool")


class device(str):
    """The name of a device, "cpu" or "cuda"; equal to that string.

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
CUPY_PACKAGES = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
private_pools = weakref.WeakSet()  # captured steps, each with a `pool` of GPU memory
_generators = {}  # by device; each is made when first used, as numpy.random takes time to load


def why_no_cuda():
    """Why no GPU can be used, in one line with the command that helps; "" if one can."""
    global _cupy
    if _cupy is not None:
        return ""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return ("CuPy is not installed; install it by `pip install \"cupy-cuda12x[ctk]\"`, or "
                    "cupy-cuda13x[ctk] where the driver is for CUDA 13 (`nvidia-smi` shows it)")
        return _describe_broken_cupy(error)
    except Exception as error:
        return _describe_broken_cupy(error)
    if not cupy.cuda.is_available():
        return ("CuPy is installed but finds no working NVIDIA driver or GPU; `nvidia-smi` shows "
                "which is missing; install the driver by `sudo ubuntu-drivers install` on Ubuntu, "
                "otherwise from www.nvidia.com/drivers")
    try:
        # To compile and to multiply even this, CuPy needs libraries that come separately.
        cupy.ones((1, 1)) @ (cupy.ones((1, 1)) + 1)
    except Exception as error:
        return _describe_broken_cupy(error)
    _cupy = cupy
    return ""


def _describe_broken_cupy(error):
    packages = cupy_packages()
    found = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
    if len(packages) > 1:
        return (f"{' and '.join(packages)} are installed, which break each other ({found}); "
                f"`pip uninstall {' '.join(packages)}`, then install one of them")
    package = packages[0] if packages else "cupy-cuda12x"
    return (f"CuPy is installed but cannot use its CUDA libraries ({found}); `pip install "
            f"\"{package}[ctk]\"` installs them")


def cupy_packages():
    """The installed packages that are CuPy: one for CUDA 12 or for CUDA 13."""
    from importlib import metadata  # slow to load, and seldom needed

    return [name for name in CUPY_PACKAGES if list(metadata.distributions(name=name))]


def device_module(name):
    """numpy or cupy, for a device's name (None: the default device).

    Raises ValueError for an unknown name and RuntimeError where there is no GPU to use.
    """
    name = _default if name is None else device(name)
    if name == "cpu":
        return numpy if hooks.capture is None else hooks.capture.numpy
    reason = why_no_cuda()
    if reason:
        raise RuntimeError(f"device 'cuda': {reason}")
    return _cupy


def array_module(array):
    """numpy or cupy, whichever this array belongs to; for an array that a capture records
    (capture/tape.py) NumPy as it does that."""
    if type(array) is numpy.ndarray:
        return numpy
    module = getattr(array, "recording_module", None)
    if module is not None:
        return module
    return numpy if _cupy is None or isinstance(array, (numpy.ndarray, numpy.generic)) else _cupy


def filled(xp, shape, value, dtype):
    """An array of one value. NumPy's `full` and `ones` take longer."""
    array = xp.empty(shape, dtype)
    array.fill(value)
    return array


def plain_array(array):
    """An array for a Tensor; NumPy gives scalars where an array would be 0-d."""
    if hasattr(array, "recording_module"):
        return array
    if isinstance(array, (numpy.generic, numpy.ndarray)):
        return numpy.asarray(array)
    if not is_on_gpu(array) and not hasattr(array, "__cuda_array_interface__"):
        raise TypeError(f"from_array: expected an array, got {describe(array)}")
    return array


def aligned_starts(arrays):
    """Where each begins if they lie side by side, at multiples of 64 numbers for the matrix products
    that write them; and where the last one ends."""
    starts = [0]
    for array in arrays:
        starts.append(starts[-1] + -(-array.size // 64) * 64)
    return starts


def address(array):
    """Where an array's data lies."""
    if isinstance(array, numpy.ndarray):
        return array.ctypes.data
    return array.data.ptr


def is_on_gpu(array):
    """Whether the array lies in a GPU's memory. (hasattr(array, "__cuda_array_interface__") would
    build a dict.)"""
    return _cupy is not None and isinstance(array, _cupy.ndarray)


def device_of(array):
    return device("cuda" if is_on_gpu(array) else "cpu")


def to_device(array, name):
    """The array itself if it is on the named device already, otherwise a copy of it there; on a GPU
    in the machine's byte order, the only one that it has."""
    target = device_module(name)
    if is_on_gpu(array) is (target is _cupy):
        return array
    refuse_in_capture("moving to another device", "move it outside and pass it in")
    if target is numpy:
        return _cupy.asnumpy(array)
    return target.asarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def set_device(name):
    """Make new tensors on this device: "cpu", "cuda", or "auto" for a GPU if there is one.

    Raises ValueError for an unknown name and RuntimeError where there is no GPU to use.
    """
    global _default
    if isinstance(name, str) and name == "auto":
        name = "cpu" if why_no_cuda() else "cuda"
    device_module(name)
    _default = device(name)


def set_default_device(device):
    """PyTorch's name for `set_device`."""
    set_device(device)


def default_device():
    return _default


def manual_seed(seed):
    """Seed the random generators of all devices. ValueError for anything but an integer >= 0."""
    if isinstance(seed, (builtins.bool, numpy.bool_)) or not isinstance(
            seed, (int, numpy.integer)) or seed < 0:
        raise ValueError(f"manual_seed: seed must be an integer of at least 0, "
                         f"got {describe(seed)}")
    _generators["cpu"] = numpy.random.default_rng(seed)
    if _cupy is not None:
        _generators["cuda"] = _cupy.random.default_rng(seed)


def random_state():
    """The state of the CPU's random generator, as values that JSON can hold."""
    return generator("cpu").bit_generator.state


def set_random_state(state):
    """Continue from a state that `random_state` returned; ValueError for anything else.

    The GPU's generator is seeded anew from the CPU's: CuPy does not expose its state.
    """
    try:
        generator("cpu").bit_generator.state = state
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"set_random_state: expected the state of a random generator: {error}"
                         ) from error
    _generators.pop("cuda", None)


def generator(name=None):
    """A device's random generator: a Generator of numpy.random or cupy.random."""
    refuse_in_capture("random numbers", "generate them outside and pass them in")
    name = _default if name is None else device(name)
    if name not in _generators:
        # The GPU's is seeded by a number from the CPU's, so that one manual_seed decides both.
        seed = None if name == "cpu" else int(generator("cpu").integers(2**31))
        _generators[name] = device_module(name).random.default_rng(seed)
    return _generators[name]


@contextlib.contextmanager
def fork_rng():
    """A context with random generators of its own: those outside continue after it as if nothing
    had been sampled inside. The name is PyTorch's."""
    before = dict(_generators)
    _generators.clear()
    try:
        yield
    finally:
        _generators.clear()
        _generators.update(before)
