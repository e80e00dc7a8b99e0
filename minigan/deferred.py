"""Gradients that are computed when somebody reads them.

While a GAN's generator learns, the walk back goes through the discriminator, whose weights get
gradients that the next zero_grad throws away unread. A large one is therefore kept as what it is
the product of, and computed by whoever reads it first: nearly always the optimiser's step.
"""

from minigan.device import module_of
from minigan.watching import watching

# Multiply-adds from which the wait is worth its copies. A smaller product takes microseconds.
LARGE = 100_000


class Deferred:
    """A gradient still to be computed: product(*factors, place), an array in that place.

    product  the operation's function for it
    factors  arrays (or None) that nobody else changes, see `private`
    place    an array of the gradient's shape and dtype
    """

    __slots__ = ("product", "factors", "place")

    def __init__(self, product, factors, place):
        self.product = product
        self.factors = factors
        self.place = place

    @property
    def shape(self):
        return self.place.shape

    @property
    def dtype(self):
        return self.place.dtype

    def computed(self):
        arguments = (*self.factors, self.place)
        if watching.observer is None:
            return self.product(*arguments)
        name = self.product.__qualname__.partition(".")[0]
        return watching.observer.run("backward", f"{name}, weight", self.product, arguments, {})


def private(array, *others):
    """The array; a copy if it may share memory with one of the others, which people can change."""
    may_share_memory = module_of(array).may_share_memory
    if any(may_share_memory(array, other) for other in others):
        return array.copy(order="K")
    return array
