"""The walk back over the recorded graph, from a loss to the parameters.

Operations record (see `autograd.node`); here their `backward` functions are called, newest first,
and what they give is summed where it belongs. Gradients are plain arrays while they travel.
"""

from operator import attrgetter

from minigan.capturing import capturing
from minigan.deferred import Deferred
from minigan.device import array_module
from minigan.checks import describe
from minigan.hooks import hooks


def walk_back(root, gradient, retain_graph):
    """What `Tensor.backward` does."""
    if not root.requires_grad:
        raise RuntimeError("backward: the tensor does not require a gradient and was not "
                           "made from one that does")
    g = _first_gradient(root, gradient)
    if root._backward is None:
        accumulate(root, g)
        return
    order = oldest_first(root)
    # Seen before anything is computed, so that a refused walk leaves no half-made gradients.
    for tensor in order:
        _check_usable(tensor)
    gradients = {root.number: g}
    while order:
        tensor = order.pop()  # lets go of it, so that memory is freed behind the walk
        g = gradients.pop(tensor.number, None)
        if g is not None:
            if hooks.observer is None:
                given = tensor._backward(g)
            else:
                given = hooks.observer.run("backward", operation_name(tensor._backward),
                                              tensor._backward, (g,), {})
            for x, needed, gx in zip(tensor.inputs, tensor.needs, given):
                if gx is None or not needed:
                    continue
                if gx.shape != x.array.shape or gx.dtype is not x.array.dtype:
                    gx = fitted(gx, x.array)
                if x._backward is None:
                    accumulate(x, gx)
                elif x.number in gradients:
                    gradients[x.number] = gradients[x.number] + gx
                else:
                    gradients[x.number] = gx
        if not retain_graph:
            tensor._backward = used_up
            tensor.inputs = tensor.needs = ()


def _first_gradient(tensor, gradient):
    array = tensor.array
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(f"backward: only a tensor of one element starts by itself; this one "
                               f"has shape {array.shape} and needs a gradient of that shape")
        return array_module(array).ones_like(array)
    gradient = getattr(gradient, "array", gradient)
    try:
        gradient = array_module(array).asarray(gradient, dtype=array.dtype)
    except (TypeError, ValueError):
        raise TypeError(f"backward: gradient must be a Tensor, an array or numbers, "
                        f"got {describe(gradient)}") from None
    if gradient.shape != array.shape and gradient.size * array.size != 1:
        raise ValueError(f"backward: expected a gradient of shape {array.shape}, "
                         f"got {gradient.shape}")
    return gradient.reshape(array.shape)


def oldest_first(root):
    """Every recorded tensor below the root, each behind the tensors it was made from.

    The walk back takes them from the end. The order must be topological: with b = a + a and
    c = b + b, the walk may go through b only when both of c's contributions to it have arrived.
    Going through b once per path would give 2^n visits for n such steps; going through it too
    early would lose one of them. An operation's inputs exist before its result, so the order of
    creation is such an order.
    """
    found = {root.number: root}
    waiting = [root]
    while waiting:
        for x in waiting.pop().inputs:
            if x._backward is not None and x.number not in found:
                found[x.number] = x
                waiting.append(x)
    return sorted(found.values(), key=attrgetter("number"))


def used_up(g):
    """Stands where `backward` was after a walk without retain_graph."""


def _check_usable(tensor):
    if tensor._backward is used_up:
        raise RuntimeError("backward: the graph was already walked and its memory freed; "
                           "use retain_graph=True in the first backward")
    if versions_of(tensor) != tensor.versions:
        raise RuntimeError(
            f"backward: an input of {operation_name(tensor._backward)}, one of shapes "
            f"{', '.join(str(x.shape) for x in tensor.inputs)}, or its result was changed in "
            f"place after the forward pass (by an optimiser step, an assignment or "
            f"load_state_dict), so its gradient would be wrong")


def accumulate(leaf, g):
    """Add to a leaf's gradient, in the optimiser's slot where there is one.

    The first contribution is copied: `g` may be shared with another tensor.
    """
    if capturing.recording is not None:
        capturing.recording.leaves.append(leaf)
    if type(g) is Deferred:  # it knows of the gradient before, see autograd.weight_gradient
        leaf._gradient = g
    elif leaf._gradient is not None:
        leaf.gradient += g
    elif leaf.slot is not None:
        if g is not leaf.slot:  # a weight's may be in it already
            leaf.slot[...] = g
        leaf.gradient = leaf.slot
    else:
        leaf.gradient = g.copy() if g.ndim else array_module(g).array(g)


def clear_gradients(leaves, set_to_none):
    """Forget the gradients of leaves, or fill them with zeros."""
    for leaf in leaves:
        if capturing.recording is not None:
            capturing.recording.leaves.append(leaf)
        if set_to_none:
            leaf.gradient = None
        elif leaf.gradient is not None:
            leaf.gradient[...] = 0


def fitted(g, array):
    """The gradient summed over the axes along which `array` was broadcast, in its dtype."""
    if g.shape != array.shape:
        extra = g.ndim - array.ndim
        if extra < 0:
            raise ValueError(f"backward: an operation gave a gradient of shape {g.shape} for an "
                             f"input of shape {array.shape}")
        g = g.sum(axis=tuple(range(extra))) if extra > 0 else g
        repeated = tuple(axis for axis, size in enumerate(array.shape)
                         if size == 1 and g.shape[axis] != 1)
        if repeated:
            g = g.sum(axis=repeated, keepdims=True)
    if g.shape != array.shape:
        raise ValueError(f"backward: an operation gave a gradient of shape {g.shape} for an input "
                         f"of shape {array.shape}")
    return g if g.dtype == array.dtype else g.astype(array.dtype)


def versions_of(result):
    """The versions of a result and its inputs, summed: they only rise, so the sum tells."""
    total = result.version[0]
    for x in result.inputs:
        total += x.version[0]
    return total


def operation_name(backward):
    return backward.__qualname__.partition(".")[0]
