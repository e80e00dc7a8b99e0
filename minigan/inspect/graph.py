"""The recorded graph, as a picture and as text in the language DOT.

A node is a Tensor: an operation's result or a leaf. Drawing a graph leaves it as it is.
"""

import json
from pathlib import Path
from typing import NamedTuple

from minigan.tensor import Tensor
from minigan.checks import describe
from minigan.files import atomic_path, write_atomically
from minigan.nn import Module
from minigan.autograd import topological_order

MOST_NODES = 200  # of a picture that is still readable

# Kind of node -> (text in the legend, colour)
KINDS = {
    "operation": ("operation: its result's shape", "#dce6f2"),
    "parameter": ("leaf that requires a gradient", "#f6d9c7"),
    "data": ("leaf without a gradient", "#e3eedd"),
    "constant": ("constant: a single number", "#f1f1f1"),
}


class Node(NamedTuple):
    """A Tensor of the graph: its kind, from KINDS, and the two lines of text in its box."""
    kind: str
    title: str
    shape: str


class Edge(NamedTuple):
    """From an operation's input to its result, by their indices in the list of nodes."""
    source: int
    target: int
    has_gradient: bool  # whether a gradient flows back along it


def dot(loss, names=None):
    """The graph of a Tensor as text in the language DOT, which Graphviz draws.

    loss, names  as in `draw`; the number of nodes is not limited

    Raises the errors of `draw`.
    """
    nodes, edges = build_graph("dot", loss, names)
    lines = ["digraph recorded {",
             '    node [shape=box, style=filled, fontname="monospace", fontsize=10];']
    for i, node in enumerate(nodes):
        style = ', style="filled,rounded"' if node.kind == "operation" else ""
        # DOT escapes what JSON does: quotes, backslashes and line breaks.
        label = json.dumps(f"{node.title}\n{node.shape}", ensure_ascii=False)
        lines.append(f"    n{i} [label={label}, fillcolor=\"{KINDS[node.kind][1]}\"{style}];")
    for edge in edges:
        lines.append(f"    n{edge.source} -> n{edge.target}"
                     + ("" if edge.has_gradient else " [style=dashed]") + ";")
    return "\n".join([*lines, "}"]) + "\n"


def draw(loss, path=None, names=None):
    """Draw the graph of a Tensor, from the inputs at the top down to the loss.

    >>> minigan.draw(loss, "graph.png", names={"D": discriminator, "G": generator})

    loss   the result of operations, before its backward
    path   ends in .png, .svg or .pdf, or in .dot for the text of `dot`; None for no file
    names  names for leaves: a Module, whose parameters and buffers are named as in its
           state_dict, or a dict {name: Module or Tensor}

    Each box shows the operation or the leaf's name, and the shape. A gradient flows back along the
    solid lines, not along the dashed ones. Returns the file's Path, whose folder is created; without
    a path the figure, which a notebook shows.

    Raises TypeError for a loss that is not a Tensor and for names of another type; ValueError for
    a Tensor without a recorded graph, another suffix, and more than 200 nodes; RuntimeError for a
    graph that a backward pass has freed.
    """
    path = path if path is None else Path(path)
    if path is not None and path.suffix == ".dot":
        write_atomically(path, dot(loss, names).encode())
        return path
    if path is not None and path.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError(f"draw: path must end in .png, .svg, .pdf or .dot, got {str(path)!r}")
    nodes, edges = build_graph("draw", loss, names)
    if len(nodes) > MOST_NODES:
        raise ValueError(f"draw: the graph has {len(nodes)} nodes, too many for a picture (at most "
                         f"{MOST_NODES}); write it as text by draw(loss, 'graph.dot') and let "
                         f"Graphviz draw it: dot -Tsvg graph.dot -o graph.svg")
    from minigan.inspect.picture import draw_graph  # matplotlib takes long to import

    figure = draw_graph(nodes, edges)
    if path is None:
        return figure
    with atomic_path(path, path.suffix) as unfinished:
        figure.savefig(unfinished)
    return path


def build_graph(name, loss, names):
    """(nodes, edges) of the graph of a loss, which is the last node; `name` is for errors."""
    if not isinstance(loss, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {describe(loss)}")
    leaf_names = resolve_names(name, names)
    if loss.is_leaf:
        raise ValueError(f"{name}: no operation recorded this Tensor, {describe(loss)}: no input "
                         f"requires a gradient, or it was made under no_grad, or detached")
    results = recorded_tensors(loss)
    if any(tensor.node.backward is None for tensor in results):
        raise RuntimeError(f"{name}: this graph has been used by a backward pass, and its memory "
                           f"was freed; draw it before backward(), or use retain_graph=True there")
    nodes, edges, indices = [], [], {}

    def index_of(tensor):
        if id(tensor) not in indices:
            indices[id(tensor)] = len(nodes)
            nodes.append(make_node(tensor, leaf_names.get(id(tensor))))
        return indices[id(tensor)]

    for tensor in results:
        sources = [index_of(x) for x in tensor.node.inputs]
        target = index_of(tensor)
        edges += [Edge(source, target, needed)
                  for source, needed in zip(sources, tensor.node.needs_input_grad)]
    return nodes, edges


def recorded_tensors(root):
    """The results of all recorded operations that the root depends on, in topological order."""
    nodes = topological_order(root.node)
    results = {root.node: root}
    for node in nodes:
        results.update((x.node, x) for x in node.inputs if x.node is not None)
    return [results[node] for node in nodes]


def resolve_names(name, names):
    """{id of a Tensor: its name} for the `names` of `draw`."""
    if names is None:
        return {}
    named = {"": names} if isinstance(names, Module) else names
    if not isinstance(named, dict):
        raise TypeError(f"{name}: names must be a Module or a dict, got {describe(names)}")
    result = {}
    for prefix, value in named.items():
        if isinstance(value, Tensor):
            result[id(value)] = str(prefix)
        elif isinstance(value, Module):
            for path, tensor in (*value.named_parameters(), *value.named_buffers()):
                result[id(tensor)] = f"{prefix}.{path}".removeprefix(".")
        else:
            raise TypeError(f"{name}: names must map to Modules or Tensors, "
                            f"{prefix!r} is {describe(value)}")
    return result


def make_node(tensor, name):
    shape = str(tuple(tensor.shape))
    if not tensor.is_leaf:
        return Node("operation", tensor.node.name, shape)
    if tensor.requires_grad:
        return Node("parameter", name or "leaf", shape)
    if tensor.ndim == 0:
        return Node("constant", name or f"{tensor.item():.6g}", shape)
    return Node("data", name or "data", shape)
