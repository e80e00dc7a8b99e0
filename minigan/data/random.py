"""Random inputs for generators, and random images that a discriminator must learn to refuse."""

from numbers import Integral

import numpy

from minigan.tensor import Tensor
from minigan.device import generator, device_module
from minigan.checks import explain_errors, short_repr


@explain_errors
def generate_random_image(size):
    """Pixels between 0 and 1, all equally likely: float32 of shape (size,), or of a given tuple."""
    shape = _shape("generate_random_image", size)
    return Tensor(generator().random(shape, dtype=numpy.float32))


@explain_errors
def generate_random_seed(size):
    """Numbers from the standard normal distribution: float32 (size,), or of a given tuple."""
    shape = _shape("generate_random_seed", size)
    return Tensor(generator().standard_normal(shape, dtype=numpy.float32))


@explain_errors
def generate_random_one_hot(size):
    """A one at a random place among zeros: float32 (size,)."""
    size = _whole("generate_random_one_hot", size)
    # Compared on the device, so that the place need not travel to the host.
    place = generator().integers(size, size=1)
    return Tensor((device_module(None).arange(size) == place).astype(numpy.float32))


def _shape(name, size):
    return tuple(_whole(name, n) for n in (size if isinstance(size, tuple) else (size,)))


def _whole(name, size):
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise ValueError(f"{name}: size must be a whole number of at least 1, "
                         f"got {short_repr(size)}")
    return size
