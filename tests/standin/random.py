"""cupy.random: a Generator with the methods that CuPy's has."""

import types

import numpy

from standin.array import new_from
from standin.streams import refuse_in_capture


class Generator:
    def __init__(self, seed):
        self.random_numbers = numpy.random.default_rng(seed)

    def _drawn(self, name, *args, **kwargs):
        refuse_in_capture("random numbers", NotImplementedError(
            "random number generation is not supported in CUDA graph capture"))
        return new_from(numpy.asarray(getattr(self.random_numbers, name)(*args, **kwargs)))

    def random(self, size=None, dtype=numpy.float64, out=None):
        return self._drawn("random", size, dtype)

    def standard_normal(self, size=None, dtype=numpy.float64, out=None):
        return self._drawn("standard_normal", size, dtype)

    def integers(self, low, high=None, size=None, dtype=numpy.int64, endpoint=False):
        return self._drawn("integers", low, high, size, dtype, endpoint)


module = types.ModuleType("cupy.random")
module.default_rng = lambda seed=None: Generator(seed)
module.Generator = Generator
