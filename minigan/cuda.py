"""The part of `torch.cuda` that lessons use: whether there is a GPU, and tensors on it."""

from minigan import creation
from minigan.device import (
    device as device_named, device_module, float32, int64, manual_seed as seed_all, private_pools,
    set_device, why_no_cuda)
from minigan.checks import describe, explain_errors
from minigan.autograd import operation


def is_available():
    """Whether CuPy can be imported and finds a working GPU."""
    return not why_no_cuda()


def device_count():
    """1 where a GPU can be used, otherwise 0: minigan uses only one."""
    return int(is_available())


@explain_errors
def get_device_name(device=0):
    """The GPU's product name. device: 0, 'cuda' or 'cuda:0', which are the same GPU.

    Raises RuntimeError where there is no GPU to use, ValueError for another device.
    """
    if device not in (None, 0) and device_named(device) != "cuda":
        raise ValueError(f"get_device_name: expected 0 or 'cuda', got {describe(device)}")
    cupy = device_module("cuda")
    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()


def memory_allocated(device=None):
    """Bytes of the GPU's memory that arrays occupy. `device` is ignored: there is only one."""
    return sum(pool.used_bytes() for pool in _pools())


def memory_reserved(device=None):
    """Bytes of the GPU's memory that CuPy's pools hold, those of captured steps included."""
    return sum(pool.total_bytes() for pool in _pools())


def _pools():
    if why_no_cuda():
        return []
    return [device_module("cuda").get_default_memory_pool(),
            *(captured.pool for captured in private_pools)]


def manual_seed(seed):
    """The same as `minigan.manual_seed`, which seeds all devices."""
    seed_all(seed)


manual_seed_all = manual_seed


def synchronize(device=None):
    """Wait until the GPU has finished its work; without a GPU, return at once."""
    if is_available():
        device_module("cuda").cuda.Device().synchronize()


@operation
def FloatTensor(*data):
    """`minigan.FloatTensor` on the GPU. RuntimeError where there is none to use."""
    return creation.typed(data, float32, "cuda")


@operation
def LongTensor(*data):
    """`minigan.LongTensor` on the GPU. RuntimeError where there is none to use."""
    return creation.typed(data, int64, "cuda")


@explain_errors
def set_default_tensor_type(t):
    """Make new tensors on the GPU (torch.cuda.FloatTensor) or on the CPU (torch.FloatTensor).

    t  one of these two functions, or its name: 'torch.cuda.FloatTensor', 'torch.FloatTensor'

    Raises RuntimeError where there is no GPU to use, NotImplementedError for any other type.
    """
    if t in (FloatTensor, "torch.cuda.FloatTensor"):
        set_device("cuda")
    elif t in (creation.FloatTensor, "torch.FloatTensor"):
        set_device("cpu")
    else:
        raise NotImplementedError(f"set_default_tensor_type: only FloatTensor and "
                                  f"cuda.FloatTensor are supported, got {describe(t)}")
