"""What `torch.autograd` has beside `backward`: grad and Variable."""

from operator import attrgetter

import numpy

from minigan.autograd import check_usable, run_backward, topological_order, unbroadcast
from minigan.checks import describe, explain_errors
from minigan.tensor import Tensor, from_array


class _IsTensor(type):
    def __instancecheck__(cls, value):
        return isinstance(value, Tensor)


class Variable(metaclass=_IsTensor):
    """What Tensors were wrapped in before PyTorch 0.4: gives the Tensor itself, as a leaf on the
    same memory. Every Tensor is an instance of it."""

    @explain_errors
    def __new__(cls, data: Tensor, requires_grad=False):
        return data.detach().requires_grad_(requires_grad)


@explain_errors
def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         only_inputs=True, allow_unused=None):
    """The gradients of outputs with respect to inputs, a tuple of Tensors; no `grad` is changed.

    outputs, inputs  a Tensor or several; inputs may be leaves, or results inside the graph
    grad_outputs     a weight of each output's shape; None: 1, for outputs of one element
    retain_graph     keep what a second backward pass needs
    allow_unused     None for an input that no output was made from, instead of an error

    RuntimeError for such an input, and for a graph that `backward` would refuse;
    NotImplementedError for create_graph=True, gradients of gradients.
    """
    outputs, inputs = _tensors("outputs", outputs), _tensors("inputs", inputs)
    if create_graph or not only_inputs:
        raise NotImplementedError("grad: create_graph=True is not supported: gradients have no "
                                  "gradient here" if create_graph else
                                  "grad: only_inputs=False is not supported")
    weights = grad_outputs if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    weights = [None] * len(outputs) if grad_outputs is None else weights
    if len(weights) != len(outputs):
        raise ValueError(f"grad: expected a grad_output for each of {len(outputs)} outputs, "
                         f"got {len(weights)}")
    for x in (*outputs, *inputs):
        if not x.requires_grad:
            raise RuntimeError(f"grad: {describe(x)} does not require a gradient and was not made "
                               f"from one that does")
    with numpy.errstate(all="ignore"):  # infinity and nan are results like others
        found = _gradients(outputs, [x._first_gradient(w) for x, w in zip(outputs, weights)],
                           {_key(x) for x in inputs}, retain_graph)
    if not allow_unused and any(_key(x) not in found for x in inputs):
        raise RuntimeError("grad: an input was not used by the outputs; allow_unused=True gives "
                           "None for it")
    return tuple(from_array(found[_key(x)].copy()) if _key(x) in found else None for x in inputs)


def _gradients(outputs, weights, wanted, retain_graph):
    """{key: gradient} of the leaves and nodes wanted, by a backward pass that keeps only these."""
    gradients = {}

    def add(x, g):
        gradients[_key(x)] = gradients[_key(x)] + g if _key(x) in gradients else g

    for x, weight in zip(outputs, weights):
        add(x, weight)
    nodes = {node for x in outputs if x.node is not None for node in topological_order(x.node)}
    nodes = sorted(nodes, key=attrgetter("order"))
    check_usable(nodes)
    for node in reversed(nodes):
        g = gradients.get(node) if node in wanted else gradients.pop(node, None)
        if g is not None:
            for x, needed, gx in zip(node.inputs, node.needs_input_grad, run_backward(node, g),
                                     strict=True):
                if gx is not None and needed and (x.node is not None or _key(x) in wanted):
                    add(x, unbroadcast(gx, x.array))
        if not retain_graph:
            node.inputs, node.backward = (), None
    return gradients


def _key(x):
    """What a gradient is added up for: a leaf, or the node that made a tensor."""
    return id(x) if x.node is None else x.node


def _tensors(argument, value):
    value = (value,) if isinstance(value, Tensor) else value
    if not isinstance(value, (tuple, list)) or not value or not all(
            isinstance(x, Tensor) for x in value):
        raise TypeError(f"grad: {argument} must be a Tensor or a sequence of them, "
                        f"got {describe(value)}")
    return tuple(value)
