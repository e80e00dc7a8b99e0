"""Random inputs for generators, and random images that a discriminator must learn to reject."""

import numpy

from minigan.checks import check_int, explain_errors
from minigan.device import device_module, generator
from minigan.tensor import from_array


@explain_errors
def generate_random_image(size):
    """Pixels uniform in [0, 1): float32 of shape (size,), or of shape `size` if it is a tuple."""
    shape = _shape("generate_random_image", size)
    return from_array(generator().random(shape, dtype=numpy.float32))


@explain_errors
def generate_random_seed(size):
    """Standard normal noise: float32 of shape (size,), or of shape `size` if it is a tuple."""
    shape = _shape("generate_random_seed", size)
    return from_array(generator().standard_normal(shape, dtype=numpy.float32))


@explain_errors
def generate_random_one_hot(size):
    """A one at a random index, zeros elsewhere: float32 (size,)."""
    size = check_int("generate_random_one_hot", "size", size)
    # Compared on the device: the index is never copied to the host.
    index = generator().integers(size, size=1)
    return from_array((device_module(None).arange(size) == index).astype(numpy.float32))


def _shape(name, size):
    return tuple(check_int(name, "size", n) for n in (size if isinstance(size, tuple) else (size,)))
