"""The example on which an operation is explained: one of its gradient checks, or a smaller one."""

import numpy

from minigan import functional as F
from minigan.gradcheck.cases import Case, all_cases


def count_from(first, *shape):
    """The numbers first, first + 1, ... in that shape."""
    return lambda random: first + numpy.arange(numpy.prod(shape), dtype="float64").reshape(shape)


SMALL = {
    "conv2d": Case("conv2d", "an image of 4x4 pixels and a kernel of 2x2", F.conv2d,
                   (count_from(0, 1, 1, 4, 4), count_from(1, 1, 1, 2, 2))),
    "conv_transpose2d": Case(
        "conv_transpose2d", "an image of 3x3 pixels and a kernel of 2x2", F.conv_transpose2d,
        (count_from(1, 1, 1, 3, 3), count_from(1, 1, 1, 2, 2))),
}


def find_cases(name):
    """All gradient checks of an operation; none for one without a gradient."""
    return [case for case in all_cases() if case.operation == name]


def choose_example(name):
    """The small case, else the operation without options, else its first case."""
    if name in SMALL:
        return SMALL[name]
    cases = find_cases(name)
    return next((case for case in cases if case.function is getattr(F, name)), cases[0])
