"""cupy.random: a Generator with the methods that CuPy's has."""

import types

import numpy

from standin.array import new_from
from standin.streams import refuse_in_capture


class Generator:
    def __init__(self, seed):
        self.random_numbers = numpy.random.default_rng(seed)

    def random(self, size=None, dtype=numpy.float64, out=None):
        """Of any dtype: others than float64 are cast from float32, without a word."""
        drawn = "float64" if numpy.dtype(dtype) == "float64" else "float32"
        return made(lambda: self.random_numbers.random(size, drawn)).astype(dtype, copy=False)

    def standard_normal(self, size=None, dtype=numpy.float64, out=None):
        if numpy.dtype(dtype).char not in "fd":
            raise TypeError(f"Unsupported dtype {numpy.dtype(dtype)} for standard_normal")
        return made(lambda: self.random_numbers.standard_normal(size, dtype))

    def integers(self, low, high=None, size=None, dtype=numpy.int64, endpoint=False):
        low, high = (0, int(low)) if high is None else (int(low), int(high))
        if low > high - (not endpoint):
            raise ValueError("low >= high")
        return made(lambda: self.random_numbers.integers(low, high, size, dtype, endpoint))


def made(draw):
    refuse_in_capture("random numbers", NotImplementedError(
        "random number generation is not supported in CUDA graph capture"))
    return new_from(numpy.asarray(draw()))


module = types.ModuleType("cupy.random")
module.default_rng = lambda seed=None: Generator(seed)
module.Generator = Generator
