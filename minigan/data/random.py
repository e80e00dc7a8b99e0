"""Random inputs for generators, and random images that a discriminator must learn to reject."""

from numbers import Integral

import numpy

from minigan.tensor import Tensor
from minigan.device import generator, device_module
from minigan.checks import explain_errors, short_repr


@explain_errors
def generate_random_image(size):
    """Pixels uniform in [0, 1): float32 of shape (size,), or of shape `size` if it is a tuple."""
    shape = _shape("generate_random_image", size)
    return Tensor(generator().random(shape, dtype=numpy.float32))


@explain_errors
def generate_random_seed(size):
    """Standard normal noise: float32 of shape (size,), or of shape `size` if it is a tuple."""
    shape = _shape("generate_random_seed", size)
    return Tensor(generator().standard_normal(shape, dtype=numpy.float32))


@explain_errors
def generate_random_one_hot(size):
    """A one at a random index, zeros elsewhere: float32 (size,)."""
    size = _check_size("generate_random_one_hot", size)
    # Compared on the device: the index is never copied to the host.
    index = generator().integers(size, size=1)
    return Tensor((device_module(None).arange(size) == index).astype(numpy.float32))


def _shape(name, size):
    return tuple(_check_size(name, n) for n in (size if isinstance(size, tuple) else (size,)))


def _check_size(name, size):
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise ValueError(f"{name}: size must be an integer of at least 1, "
                         f"got {short_repr(size)}")
    return size
