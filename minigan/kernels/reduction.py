"""Twins of distributed/reduction.py."""

import numpy

from minigan.autograd import twin_of
from minigan.device import address
from minigan.distributed import reduction
from minigan.kernels.launch import covered, switch


@twin_of(reduction.become_mean)
def become_mean(arrays):
    """Called by a captured step as it is repeated, and not noted as a launch of its own."""
    first = arrays[0]
    if not covered(first):
        return NotImplemented
    addresses = numpy.array([*map(address, arrays)], "int64")
    switch.functions[first.dtype.char]["become_mean"](addresses, len(arrays), first.size)
