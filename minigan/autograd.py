"""Automatic differentiation: operations record a graph, and the backward pass goes through it.

An operation computes an array and ends with `return node(array, inputs, backward)`. Its `backward`
turns the gradient with respect to the result into the gradients with respect to the inputs, by
the chain rule; `Tensor.backward` calls those of a whole graph, the newest first. Gradients are
plain arrays.
"""

import functools
import itertools
import sys
from operator import attrgetter, is_, itemgetter

import numpy

from minigan.checks import EXPLAINABLE, explanation
from minigan.device import array_module
from minigan.grad_mode import grad_mode
from minigan.hooks import hooks
from minigan.tensor import from_array

# Operations

twins = {}  # textbook function -> the kernels' function that may take its place


def no_twin(*args, **kwargs):
    return NotImplemented


def dispatched(function):
    """The function, or its twin in minigan.kernels where that covers the arguments."""
    @functools.wraps(function)
    def call(*args, **kwargs):
        result = twins.get(function, no_twin)(*args, **kwargs)
        return by_formula(function, args, kwargs) if result is NotImplemented else result

    return call


def by_formula(function, args, kwargs):
    with numpy.errstate(all="ignore"):  # infinity and nan are results like others
        return function(*args, **kwargs)


def operation(function):
    """Mark an operation on Tensors: it is dispatched, observers see it, and its errors name it and
    its arguments."""
    compute = dispatched(function)
    name = function.__name__

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            if hooks.observer is not None:
                return hooks.observer.run("forward", name, compute, args, kwargs)
            result = twins.get(function, no_twin)(*args, **kwargs)  # as `compute`, one call fewer
            return by_formula(function, args, kwargs) if result is NotImplemented else result
        except EXPLAINABLE as error:
            if str(error).startswith(f"{name}:"):
                raise
            # The error is not kept in a name: its traceback holds this frame, and such a cycle
            # would keep all arguments alive until the garbage collector runs.
            raise explanation(name, function, args, kwargs, error) from error

    return call


def twin_of(operation):
    """Decorate a kernel's function to take the place of an operation of the textbook. It has the
    same signature, and returns NotImplemented for arguments that it does not cover."""
    def register(twin):
        twins[operation.__wrapped__] = twin
        return twin

    return register


# Recording the graph

class Node:
    """How an operation made a tensor: from which inputs, and how gradients go back to them.

    inputs            the Tensors it was made from
    needs_input_grad  which of them required a gradient then
    backward          gradient of the result -> one gradient for each input, or None
    order             the position in the order of creation
    counters          the version counters of the result and the inputs, see Tensor
    versions          their sum at the time: they only ever rise, so it tells of any change
    name              the operation's
    """

    __slots__ = ("inputs", "needs_input_grad", "backward", "order", "counters", "versions", "name")

    def __init__(self, inputs, needs_input_grad, backward, counter, name):
        self.inputs = inputs
        self.needs_input_grad = needs_input_grad
        self.backward = backward
        self.order = next(_order)
        self.counters = [counter, *map(counter_of, inputs)]
        self.versions = sum(map(value, self.counters))
        self.name = name or operation_of(backward.__qualname__)

    def is_unchanged(self):
        """Whether the result and the inputs still hold what they held, in the same memory."""
        return sum(map(value, self.counters)) == self.versions and all(
            map(is_, map(counter_of, self.inputs), self.counters[1:]))


@functools.cache
def operation_of(qualified_name):
    """The name of the function in which a backward of this name was defined."""
    return qualified_name.split(".<locals>.")[-2].rpartition(".")[2]


_order = itertools.count()
needs_grad, counter_of, value = attrgetter("_requires_grad"), attrgetter("version"), itemgetter(0)


def node(array, inputs, backward, name=None, view_of=None):
    """The Tensor that an operation returns, with the Node it came from if a gradient is needed.

    inputs    the Tensors it was made from
    backward  g -> one gradient for each input, None where there is none. They may be larger than
              the input by broadcasting. It closes over arrays and never over the result: such a
              cycle would keep the graph alive until the garbage collector runs.
    name      the operation's, if it is not the function in which `backward` was defined
    view_of   the input whose memory the array shares: a change of one is a change of the other
    """
    result = from_array(array)
    if view_of is not None:
        result.version = view_of.version
    if grad_mode.enabled:
        needs_input_grad = list(map(needs_grad, inputs))
        if True in needs_input_grad:
            result._requires_grad = True
            result.node = Node(inputs, needs_input_grad, backward, result.version, name)
    return result


# The backward pass

def backward_pass(root, gradient, retain_graph):
    """Add the gradients of `root`, weighted by an array `gradient`, to the leaves below it."""
    if root.node is None:
        return accumulate(root, gradient)
    nodes = topological_order(root.node)
    check_usable(nodes)  # before anything is computed: a refused pass leaves no gradients behind
    gradients = {root.node: gradient}
    fresh, late = set(), {}  # leaves without a gradient yet, and what to add to those that had one
    while nodes:
        node = nodes.pop()  # the newest; letting go of it frees memory during the pass
        g = gradients.pop(node, None)
        if g is not None:
            for x, needed, gx in zip(node.inputs, node.needs_input_grad, run_backward(node, g),
                                     strict=True):
                if gx is None or not needed:
                    continue
                if gx.shape != x.array.shape or gx.dtype is not x.array.dtype:
                    gx = unbroadcast(gx, x.array)
                if x.node is None and (x._grad is None or x in fresh):
                    fresh.add(x)
                    accumulate(x, gx)
                elif x.node is None:  # not yet: the graph may compute with that gradient
                    late[x] = late[x] + gx if x in late else gx
                elif x.node in gradients:
                    gradients[x.node] = gradients[x.node] + gx  # a tensor used twice has the sum
                else:
                    gradients[x.node] = gx
        if not retain_graph:
            node.inputs, node.backward = (), None
    for leaf, g in late.items():
        accumulate(leaf, g)


def topological_order(root):
    """All nodes below the root, each after those it was made from; the pass takes the last first.

    With b = a + a and c = b + b, the pass may go through b only when both of c's contributions
    have arrived there. Going through b once for each path would take 2^n steps for n such lines;
    going through it too early would lose a contribution. Since an operation's inputs exist before
    its result does, the order of creation is a topological order.
    """
    found = {root}
    waiting = [root]
    while waiting:
        for x in waiting.pop().inputs:
            if x.node is not None and x.node not in found:
                found.add(x.node)
                waiting.append(x.node)
    return sorted(found, key=attrgetter("order"))


def run_backward(node, g):
    if isinstance(g, numpy.generic):  # which NumPy makes of arrays without dimensions
        g = numpy.asarray(g)
    if hooks.observer is None:
        return node.backward(g)
    return hooks.observer.run("backward", node.name, node.backward, (g,), {})


def check_usable(nodes):
    for node in nodes:
        if node.backward is None:
            raise RuntimeError("backward: this graph has been used by a backward pass before, and "
                               "its memory was freed; use retain_graph=True in the first backward")
        if not node.is_unchanged():
            raise RuntimeError(
                f"backward: an input of {node.name}, one of shapes "
                f"{', '.join([str(x.shape) for x in node.inputs])}, or its result was changed in "
                f"place after the forward pass (by an optimiser step, an assignment or "
                f"load_state_dict), so its gradient could be wrong")


def accumulate(leaf, g):
    """Add to a leaf's gradient. The first contribution is copied, as `g` may be shared."""
    if not leaf._requires_grad:  # frozen since the forward pass
        return
    if hooks.capture is not None:
        hooks.capture.uses_gradient(leaf)
    if leaf._grad is not None:
        leaf._grad.array += g
    elif leaf.grad_buffer is not None:
        leaf._grad = leaf.grad_buffer
        if g is not leaf._grad.array:  # a kernel may have written it there, see gradient_buffer
            leaf._grad.array[...] = g
    else:
        leaf._grad = from_array(g.copy() if g.ndim else array_module(g).array(g))
    leaf._grad.changed()


def gradient_buffer(leaf, inputs):
    """Where a backward may write the gradient of one of its inputs: into the optimiser's memory
    if that is free and the tensor stands only once among the inputs, else into a new array."""
    if leaf.grad_buffer is not None and leaf._grad is None and leaf._requires_grad and (
            [*map(id, inputs)].count(id(leaf)) == 1):
        if hooks.capture is not None:
            hooks.capture.uses_gradient(leaf)
        return leaf.grad_buffer.array
    return array_module(leaf.array).empty(leaf.array.shape, leaf.array.dtype)


def unbroadcast(g, array):
    """The gradient summed over the axes along which `array` was broadcast, in its dtype."""
    if g.shape != array.shape:
        extra = g.ndim - array.ndim  # axes that broadcasting has put in front
        if extra < 0 or any(n not in (1, m) for n, m in zip(array.shape, g.shape[extra:])):
            raise ValueError(f"backward: an operation gave a gradient of shape {g.shape} for an "
                             f"input of shape {array.shape}")
        repeated = [extra + axis for axis, n in enumerate(array.shape) if n != g.shape[extra + axis]]
        g = sum_in_float64(g, (*range(extra), *repeated)).reshape(array.shape)
    return g.astype(array.dtype, copy=False)


def sum_in_float64(x, axis=None, keepdims=False):
    """The sum over some axes, added up in float64: in float32 NumPy adds the rows of a large
    array one by one to a running sum, whose rounding errors grow with their number."""
    total = x.sum(axis=axis, dtype="float64", keepdims=keepdims)
    return array_module(x).asarray(total, dtype=x.dtype)


def is_kept(leaf):
    """Whether anything beside the leaf refers to its gradient buffer, the array or a view of it."""
    known = 2
    if hooks.capture is not None:
        if hooks.capture.keeps_buffers:
            return False
        known += hooks.capture.own_references
    return (sys.getrefcount(leaf.grad_buffer) > known
            or sys.getrefcount(leaf.grad_buffer.array) > known
            or sys.getrefcount(leaf.grad_buffer.version) > 2)


def clear_gradients(leaves, set_to_none):
    """Forget the gradients of leaves, or fill them with zeros."""
    for leaf in leaves:
        if hooks.capture is not None:
            hooks.capture.uses_gradient(leaf, clears=set_to_none)
        if set_to_none:
            leaf._grad = None
            if leaf.grad_buffer is not None and is_kept(leaf):
                leaf.grad_buffer = None  # who keeps a gradient keeps its numbers, as in PyTorch
        elif leaf._grad is not None:
            leaf._grad.array[...] = 0
            leaf._grad.changed()
