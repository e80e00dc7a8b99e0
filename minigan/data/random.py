"""Random inputs for generators, and random images that a discriminator must learn to reject."""

import numpy

from minigan import distributed
from minigan.checks import check_callable, check_int, describe, explain_errors
from minigan.device import device_module, fork_rng, generator, manual_seed
from minigan.tensor import Tensor, from_array

MOST_STEPS, MOST_NUMBERS = 1024, 1 << 22  # that SampleAhead samples at once


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


class SampleAhead:
    """Random inputs for the steps of a training, sampled for many steps at once: for small networks
    on one image, to sample them step by step would take a fifth of the time.

    sample      count -> a Tensor of random numbers of minigan's, or a tuple of them, with `count` rows
    batch_size  rows of a step
    times       how many independent samples a step needs
    seed        determines the numbers, together with a step's number alone: they do not depend on
                `manual_seed`, nor on the steps before, so that a resumed run goes on with the same

    >>> noise = SampleAhead(lambda count: minigan.randn(count, 100), batch_size=16, times=2)
    >>> for step, images in enumerate(loader):
    ...     noise_for_d, noise_for_g = noise(step, len(images))

    Calling it with a step's number gives a tuple: the Tensors of the first sample, those of the
    second, and so on, on the default device; with a count, only so many rows of each. They are
    views of what was sampled. Of several processes (minigan.distributed) each gets others.
    """

    @explain_errors
    def __init__(self, sample, batch_size, times=1, seed=0):
        self.sample = check_callable("SampleAhead", "sample", sample)
        self.batch_size = check_int("SampleAhead", "batch_size", batch_size)
        self.times = check_int("SampleAhead", "times", times)
        self.seed = check_int("SampleAhead", "seed", seed, least=0)
        self._steps = 0  # of a block: not known before the size of a sample is
        self._number, self._block = None, []  # the arrays of these steps: (steps,times,N,...)

    def __call__(self, step, count=None):
        if not self._steps:
            size = sum(array.size for array in self._sampled(0, 1))
            self._steps = max(1, min(MOST_STEPS, MOST_NUMBERS // max(size, 1)))
        number, row = divmod(step, self._steps)
        if number != self._number:
            self._block = self._sampled(number, self._steps)
            self._number = number
        return tuple([from_array(array[row, i, :count])
                      for i in range(self.times) for array in self._block])

    def _sampled(self, number, steps):
        """The arrays of a block."""
        source = numpy.random.SeedSequence(distributed.own_seed(self.seed), spawn_key=(number,))
        rows = steps * self.times * self.batch_size
        with fork_rng():
            manual_seed(int(source.generate_state(1)[0]))
            tensors = self.sample(rows)
        tensors = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
        for tensor in tensors:
            if not isinstance(tensor, Tensor) or not tensor.ndim or len(tensor) != rows:
                raise TypeError(f"SampleAhead: sample({rows}) must give Tensors of {rows} rows, got "
                                f"{describe(tensor)}")
        return [tensor.array.reshape(steps, self.times, self.batch_size, *tensor.shape[1:])
                for tensor in tensors]
