"""matplotlib's Figure as plots return it: a notebook shows it, without pyplot and its state."""

import io

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows as the result of a cell; `display(figure)` shows it anywhere
    else in a cell, `figure.savefig(path)` saves it."""

    def _repr_png_(self):
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
