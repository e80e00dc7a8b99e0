"""pad: rows and columns around images, of one number or copied from inside."""

from numbers import Real

from minigan.autograd import node, operation
from minigan.checks import check_padding, check_type
from minigan.device import array_module
from minigan.tensor import Tensor


@operation
def pad(input: Tensor, pad, mode="constant", value=None):
    """The input with more before and after each of its last dimensions.

    pad    (before, after) of the last dimension, then of the one before it, and so on; negative
           numbers cut off, in mode 'constant'
    mode   'constant': `value`, 0 by default; 'reflect': mirrored without the edge, 2 1 | 0 1 2;
           'replicate': the edge again
    ValueError for more numbers than dimensions and for a reflection wider than the image.
    """
    x = input.array
    sides = check_padding(x, pad, mode, value)
    xp = array_module(x)
    if mode == "constant":
        fill = 0 if value is None else check_type("pad", "value", value, Real)
        shape = [before + n + after for n, (before, after) in zip(x.shape, sides)]
        y = xp.full(shape, fill, x.dtype)
        here = tuple(slice(max(before, 0), n + before + min(after, 0))
                     for n, (before, after) in zip(x.shape, sides))
        there = tuple(slice(max(-before, 0), n + min(after, 0))
                      for n, (before, after) in zip(x.shape, sides))
        y[here] = x[there]

        def backward(g):
            gx = xp.zeros(x.shape, x.dtype)
            gx[there] = g[here]
            return (gx,)

        return node(y, (input,), backward)

    places = []  # (axis, which of its elements stand along it now)
    for axis, (before, after) in enumerate(sides):
        if before or after:
            i, last = xp.arange(-before, x.shape[axis] + after), x.shape[axis] - 1
            places.append(((slice(None),) * axis + (
                last - xp.abs(last - xp.abs(i)) if mode == "reflect" else xp.clip(i, 0, last),)))
    shapes = []
    y = x
    for place in places:
        shapes.append(y.shape)
        y = y[place]

    def backward(g):
        for place, shape in zip(places[::-1], shapes[::-1]):
            gx = xp.zeros(shape, x.dtype)
            xp.add.at(gx, place, g)  # an element that was copied has the sum
            g = gx
        return (g,)

    return node(y if places else x.copy(), (input,), backward)
