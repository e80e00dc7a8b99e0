"""Dropout: elements or whole channels zeroed at random, in training only."""

import numpy

from minigan.autograd import node, operation
from minigan.checks import check_floating
from minigan.device import array_module, device_of, generator
from minigan.tensor import Tensor


@operation
def dropout(input: Tensor, p=0.5, training=True, inplace=False):
    """Each element zeroed with probability p, the others scaled by 1 / (1 - p); in training only.

    N. Srivastava et al., Dropout, 2014.
    """
    return dropped("dropout", input, p, training, input.array.shape)


@operation
def dropout2d(input: Tensor, p=0.5, training=True, inplace=False):
    """As dropout, for whole channels of (N,C,H,W). ValueError for any other shape."""
    if input.array.ndim != 4:
        raise ValueError(f"dropout2d: input must have shape (N,C,H,W), got {input.array.shape}")
    return dropped("dropout2d", input, p, training, (*input.shape[:2], 1, 1))


def dropped(name, input, p, training, shape):
    """Dropout with one random number for each element of a shape that broadcasts to the input's."""
    p = float(p)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must lie between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    x = input.array
    check_floating(name, x)
    xp = array_module(x)
    kept = generator(device_of(x)).random(shape, dtype=numpy.float32) >= p
    scale = 1 / (1 - p) if p < 1 else 0
    return node(xp.where(kept, x * scale, 0), (input,), lambda g: (xp.where(kept, g * scale, 0),),
                name)
