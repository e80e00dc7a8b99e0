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


def as_classes(name, argument, values, classes):
    """Integers in 0..classes-1 as a NumPy array (N,) with N > 0. ValueError for anything else."""
    values = as_numpy(values)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"{name}: {argument} must have shape (N,) with N > 0, got {values.shape}")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes:
        raise ValueError(f"{name}: {argument} must be integers in 0..{classes - 1}, got "
                         f"{values.dtype} from {values.min()} to {values.max()}")
    return values
