"""Arrays as text."""

import numpy


def text_of(array, width=96):
    """The numbers of an array, to four decimals."""
    return numpy.array2string(array, precision=4, suppress_small=True, max_line_width=width,
                              threshold=1000)


def shown(title, array):
    """A line that tells what an array is, and its numbers."""
    yield f"\n{title}:"
    yield indented(text_of(array))


def indented(text):
    return "\n".join("    " + line if line else "" for line in text.splitlines())
