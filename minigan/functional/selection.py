"""Choosing between elements, and picking them out by index along one dimension."""

from minigan.autograd import node, operation
from minigan.checks import check_axis, check_fill, check_int, check_mask, check_one_hot, check_places
from minigan.device import array_module
from minigan.functional.arithmetic import as_operand, operands
from minigan.tensor import Tensor, from_array


@operation
def where(condition: Tensor, input, other):
    """input where the condition is True, other elsewhere; all three broadcast.

    condition  a bool Tensor
    """
    check_mask("where", "condition", condition)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        input = as_operand(input, condition)
    a, b = operands(input, other)
    c = condition.array
    xp = array_module(c)
    # Selected, not multiplied by 0 and 1: an infinite gradient times 0 would be nan.
    return node(xp.where(c, a.array, b.array), (a, b),
                lambda g: (xp.where(c, g, 0), xp.where(c, 0, g)))


@operation
def masked_fill(input: Tensor, mask: Tensor, value):
    """The input with one number wherever a bool mask, which broadcasts to it, is True."""
    check_mask("masked_fill", "mask", mask)
    x, m = input.array, mask.array
    xp = array_module(x)
    check_fill("masked_fill", value, x.dtype)
    fill = value.array if isinstance(value, Tensor) else as_operand(value, input).array
    y = xp.where(m, fill.astype(x.dtype), x)
    return node(y, (input,), lambda g: (xp.where(m, 0, g),))


@operation
def gather(input: Tensor, dim, index: Tensor):
    """Elements by their index along one dimension: y[i,j] = input[i, index[i,j]] for dim 1.

    index  int64, of as many dimensions as the input, none longer except along dim
    ValueError for other shapes and an index out of range.
    """
    x, i = input.array, index.array
    axis = check_axis("gather", dim, x.ndim)
    check_places("gather", x, axis, i)
    xp = array_module(x)
    places = places_along(i, axis)

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        xp.add.at(gx, places, g)  # an element that is picked twice has both gradients
        return (gx,)

    return node(xp.asarray(x[places]), (input,), backward)


def places_along(index, axis):
    """The places that `index` points to along an axis: along all others they are its own."""
    xp = array_module(index)
    own = [xp.arange(n).reshape([-1 if b == a else 1 for b in range(index.ndim)])
           for a, n in enumerate(index.shape)]
    own[axis:axis + 1] = [index]
    return tuple(own)


@operation
def one_hot(input: Tensor, num_classes=-1):
    """Rows of zeros with a 1 where an integer points: (...) -> (..., num_classes), int64.

    num_classes  -1: one more than the largest integer there is
    ValueError for integers outside 0..num_classes - 1.
    """
    i = input.array
    if num_classes == -1 and i.size:
        num_classes = input.max().item() + 1  # waits for the device, as PyTorch's does
    C = check_int("one_hot", "num_classes", num_classes)
    check_one_hot(i, C)
    return from_array((i[..., None] == array_module(i).arange(C)).astype("int64"))
