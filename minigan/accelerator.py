"""`torch.accelerator`: the CUDA GPU, if there is one to use."""

from minigan.cuda import device_count, is_available, synchronize
from minigan.device import device


def current_accelerator():
    """The device "cuda", or None where no GPU can be used."""
    return device("cuda") if is_available() else None
