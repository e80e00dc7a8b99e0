"""On which numbers an operation is shown: those of one of its gradient checks, or smaller ones."""

import numpy

from minigan import functional as F
from minigan.gradcheck.cases import Case, all_cases


def counted(first, *shape):
    """The numbers first, first + 1, ... in that shape."""
    return lambda random: first + numpy.arange(numpy.prod(shape), dtype="float64").reshape(shape)


SMALL = {
    "conv2d": Case("conv2d", "an image of 4x4 pixels and a kernel of 2x2", F.conv2d,
                   (counted(0, 1, 1, 4, 4), counted(1, 1, 1, 2, 2))),
    "conv_transpose2d": Case(
        "conv_transpose2d", "an image of 3x3 pixels and a kernel of 2x2", F.conv_transpose2d,
        (counted(1, 1, 1, 3, 3), counted(1, 1, 1, 2, 2))),
}


def cases_of(name):
    """All gradient checks of an operation; none for one without a gradient."""
    return [case for case in all_cases() if case.operation == name]


def example_of(name):
    """The case to show: a small one, the plain operation without options, or the first."""
    if name in SMALL:
        return SMALL[name]
    cases = cases_of(name)
    return next((case for case in cases if case.function is getattr(F, name)), cases[0])
