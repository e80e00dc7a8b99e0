"""One large matrix product of NumPy's: how many operations a second the machine gives."""

import numpy

SIZE = 2048
OPERATIONS = 2 * SIZE**3


def make_run(task):
    """`task` is not looked at: the step is the product."""
    a, b = numpy.random.default_rng(0).random((2, SIZE, SIZE), dtype="float32")
    product = numpy.empty_like(a)

    def run(steps):
        for _ in range(steps):
            numpy.matmul(a, b, out=product)
        return []

    return run
