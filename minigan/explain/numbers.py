"""Arrays as text."""

import numpy


def format_array(title, array):
    """A line with the title, and the array's numbers to four decimals, indented."""
    text = numpy.array2string(array, precision=4, suppress_small=True, max_line_width=96,
                              threshold=1000)
    yield f"\n{title}:"
    yield "\n".join("    " + line if line else "" for line in text.splitlines())
