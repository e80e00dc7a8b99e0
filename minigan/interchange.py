"""Tensors that share memory with another library's arrays.

A change by either side is visible to both. The check that the tensors of a recorded graph are
unchanged does not notice changes made by the other library.
"""

import numpy

from minigan.checks import check_dtype
from minigan.tensor import Tensor, from_array
from minigan.creation import tensor
from minigan.device import default_device, device_module
from minigan.checks import describe
from minigan.autograd import operation

# DLPack's device types: kDLCPU and kDLCUDAHost (pinned memory), kDLCUDA and kDLCUDAManaged.
DEVICE_TYPES = {1: "cpu", 3: "cpu", 2: "cuda", 13: "cuda"}


@operation
def from_numpy(ndarray):
    """A Tensor on the CPU that shares the memory of a NumPy array.

    If the array is read-only, changing the Tensor in place raises ValueError.
    Raises TypeError for anything but an array of numbers in the machine's byte order.
    """
    if not isinstance(ndarray, numpy.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {describe(ndarray)}")
    if not check_dtype("from_numpy", ndarray.dtype).isnative:
        raise TypeError(f"from_numpy: expected the machine's byte order, got {ndarray.dtype.str}; "
                        f"tensor() converts it")
    return from_array(ndarray)


@operation
def as_tensor(data, dtype=None, device=None):
    """`tensor(data)`, but without a copy where none is needed: for a Tensor or a NumPy array that
    is on the device already (None: a Tensor's own device, the default one for an array) and has
    that dtype.

    Raises the errors of `tensor`.
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, numpy.ndarray) and data.dtype.kind in "biuf" and data.dtype.isnative:
        return from_numpy(data).to(device=default_device() if device is None else device,
                                   dtype=dtype)
    return tensor(data, dtype, device)


@operation
def from_dlpack(ext_tensor):
    """A Tensor that shares the memory of any array with `__dlpack__`: PyTorch's, JAX's, CuPy's,
    NumPy's. It is on the array's device, the CPU or the GPU.

    Raises TypeError for an object without `__dlpack__` or a dtype that is not numeric, ValueError
    for another device, and whatever the other library raises, such as PyTorch's BufferError for a
    tensor that requires a gradient.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack: expected an array with __dlpack__, "
                        f"got {describe(ext_tensor)}")
    # These need no DLPack; NumPy 2.0 refuses read-only arrays, and imports all as read-only.
    if isinstance(ext_tensor, Tensor) and not ext_tensor.requires_grad:
        return ext_tensor.detach()
    if isinstance(ext_tensor, numpy.ndarray):
        return from_numpy(ext_tensor)
    device_type, _ = ext_tensor.__dlpack_device__()
    if device_type not in DEVICE_TYPES:
        raise ValueError(f"from_dlpack: expected an array on the CPU or a CUDA GPU, got DLPack's "
                         f"device type {int(device_type)}")
    array = device_module(DEVICE_TYPES[device_type]).from_dlpack(ext_tensor)
    check_dtype("from_dlpack", array.dtype)
    return from_array(array)
