"""Gradients that are computed when somebody reads them.

While a GAN's generator learns, the walk back goes through the discriminator. What its weights get
is added to their last gradients, and the next zero_grad throws both away. A large one is therefore
kept as what it is the product of, and computed by whoever reads it first: mostly an optimiser.
"""

import numpy

from minigan.device import array_module
from minigan.hooks import hooks

# Multiply-adds from which the wait is worth its copies. On a CPU a smaller product takes
# microseconds; on a GPU it takes no longer than the launches of the copies.
LARGE = 100_000
LARGE_ON_GPU = 100_000_000


def is_large(size, array):
    """Whether a gradient that takes so many multiply-adds should wait, for a weight's array."""
    return size >= (LARGE if array_module(array) is numpy else LARGE_ON_GPU)


class Deferred:
    """A gradient still to be computed: product(*factors, place), an array in that place.

    product  the operation's function for it
    factors  arrays that nobody else changes, see `private`
    place    an array of the gradient's shape and dtype
    before   a gradient to add it to instead, or None
    """

    __slots__ = ("product", "factors", "place", "before")

    def __init__(self, product, factors, place, before):
        self.product = product
        self.factors = factors
        self.place = place
        self.before = before

    @property
    def shape(self):
        return self.place.shape

    @property
    def dtype(self):
        return self.place.dtype

    def computed(self):
        if hooks.observer is None:
            return self._computed()
        name = self.product.__qualname__.partition(".")[0]
        return hooks.observer.run("backward", f"{name}, weight", self._computed, (), {})

    def _computed(self):
        if self.before is None:
            return self.product(*self.factors, self.place)
        self.before += self.product(*self.factors, None)
        return self.before


def private(array, source):
    """The array; a copy if it may share memory with its source, which people can change."""
    if array_module(array).may_share_memory(array, source):
        return array.copy(order="K")
    return array
