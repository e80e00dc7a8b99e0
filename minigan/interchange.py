"""Tensors on memory that another library's arrays share.

A change made by either side is seen by both. Those made outside are not noticed by the check that
a recorded graph finds its tensors as they were.
"""

import numpy

from minigan.checks import check_dtype
from minigan.tensor import Tensor
from minigan.creation import tensor
from minigan.device import default_device, device_module
from minigan.checks import describe
from minigan.autograd import operation

# The numbers that DLPack has for places: the CPU's memory and that which a GPU reads as well, then
# the GPU's own and that which it manages.
PLACES = {1: "cpu", 3: "cpu", 2: "cuda", 13: "cuda"}


@operation
def from_numpy(ndarray):
    """A Tensor on the memory of a NumPy array, on the CPU.

    Of a read-only array it can be read and not changed: a change in place is a ValueError.
    Raises TypeError for anything else than an array of numbers in the machine's byte order.
    """
    if not isinstance(ndarray, numpy.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {describe(ndarray)}")
    if not check_dtype("from_numpy", ndarray.dtype).isnative:
        raise TypeError(f"from_numpy: expected the machine's byte order, got {ndarray.dtype.str}; "
                        f"tensor() turns it round")
    return Tensor(ndarray)


@operation
def as_tensor(data, dtype=None, device=None):
    """`tensor(data)` without a copy where none is needed: of a Tensor or a NumPy array that lies
    on the device (None: a Tensor's own, the default device for an array) in that dtype.

    Errors as `tensor`.
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, numpy.ndarray) and data.dtype.kind in "biuf" and data.dtype.isnative:
        return from_numpy(data).to(device=default_device() if device is None else device,
                                   dtype=dtype)
    return tensor(data, dtype, device)


@operation
def from_dlpack(ext_tensor):
    """A Tensor on the memory of any array with `__dlpack__`: of PyTorch, JAX, CuPy, NumPy.

    It lies where the array lies, on the CPU or on the GPU. Raises TypeError for what has no
    `__dlpack__` or holds no numbers, ValueError for another place, and passes on the other
    library's refusal, such as PyTorch's of a tensor that requires a gradient.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack: expected an array with __dlpack__, "
                        f"got {describe(ext_tensor)}")
    place, _ = ext_tensor.__dlpack_device__()
    if place not in PLACES:
        raise ValueError(f"from_dlpack: expected an array on the CPU or a CUDA GPU, got DLPack's "
                         f"device {int(place)}")
    array = device_module(PLACES[place]).from_dlpack(ext_tensor)
    check_dtype("from_dlpack", array.dtype)
    return Tensor(array)
