"""Size: the shape of a tensor."""

import math


class Size(tuple):
    """A shape: a tuple of integers that shows itself, and is cut and joined, as PyTorch's."""

    __slots__ = ()

    def numel(self):
        """How many elements a tensor of this shape has."""
        return math.prod(self)

    def __getitem__(self, index):
        part = super().__getitem__(index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other): return Size((*self, *other))
    def __radd__(self, other): return Size((*other, *self))
    def __repr__(self): return f"minigan.Size({list(self)})"
