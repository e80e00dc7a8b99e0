"""What users pass to metrics and plots, as NumPy arrays."""

import numpy

from minigan.tensor import Tensor
from minigan.device import to_device
from minigan.checks import describe


def as_numpy(values):
    """The NumPy array of a Tensor, an array of either device, or a list of numbers or Tensors."""
    if isinstance(values, Tensor):
        values = values.array
    if isinstance(values, (list, tuple)):
        return numpy.array([as_numpy(value) for value in values])
    array = numpy.asarray(to_device(values, "cpu"))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected numbers, got {describe(values)}")
    return array
