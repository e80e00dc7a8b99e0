"""The graph that operations recorded, as a picture and as DOT text.

A node is a Tensor: what an operation gave, or a leaf. Looking at the graph uses nothing up.
"""

from pathlib import Path
from typing import NamedTuple

from minigan.tensor import Tensor
from minigan.checks import describe
from minigan.files import whole_file, write_whole
from minigan.nn import Module
from minigan.autograd import topological_order

MOST_NODES = 200  # in a picture; more are not readable

# Kind of node -> its name in the legend, its colour
KINDS = {
    "operation": ("operation: its result's shape", "#dce6f2"),
    "parameter": ("leaf that requires a gradient", "#f6d9c7"),
    "data": ("leaf without a gradient", "#e3eedd"),
    "constant": ("constant: a single number", "#f1f1f1"),
}


class Node(NamedTuple):
    """A Tensor of the graph: its kind (see KINDS) and the two lines of text in its box."""
    kind: str
    title: str
    shape: str


class Edge(NamedTuple):
    """From an operation's input to its result, by their places in the list of nodes."""
    source: int
    target: int
    needs: bool  # whether a gradient flows back


def dot(loss, names=None):
    """The graph below a Tensor as text in the language DOT, which Graphviz draws.

    loss, names  as in `draw`; a graph may have any number of nodes here

    Errors as `draw`.
    """
    nodes, edges = graph_of("dot", loss, names)
    lines = ["digraph recorded {",
             '    node [shape=box, style=filled, fontname="monospace", fontsize=10];']
    for number, node in enumerate(nodes):
        style = ', style="filled,rounded"' if node.kind == "operation" else ""
        label = quoted(f"{node.title}\n{node.shape}")
        lines.append(f"    n{number} [label={label}, fillcolor=\"{KINDS[node.kind][1]}\"{style}];")
    for edge in edges:
        lines.append(f"    n{edge.source} -> n{edge.target}"
                     + ("" if edge.needs else " [style=dashed]") + ";")
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text):
    """A string of DOT: only quotes and backslashes need one before them; \\n breaks the line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def draw(loss, path="graph.png", names=None):
    """The graph below a Tensor as a picture: from the inputs, at the top, down to the loss.

    >>> minigan.draw(loss, "graph.png", names={"D": discriminator, "G": generator})

    loss   a Tensor that operations made, before its backward
    path   ends in .png, .svg or .pdf; with .dot the text that `dot` gives is written
    names  what to call leaves: a Module, whose parameters and buffers have the names of
           its state_dict, or a dict of names with Modules and Tensors

    Each box has the operation or the leaf's name, and the shape. A gradient flows back along the
    solid lines, not along the dashed ones. Returns the file's Path; its folder is made.

    Raises TypeError for no Tensor and no names; ValueError for a Tensor that no recorded operation
    made, another ending, and more than 200 nodes; RuntimeError for a graph that is used up.
    """
    path = Path(path)
    if path.suffix == ".dot":
        write_whole(path, dot(loss, names).encode())
        return path
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError(f"draw: path must end in .png, .svg, .pdf or .dot, got {str(path)!r}")
    nodes, edges = graph_of("draw", loss, names)
    if len(nodes) > MOST_NODES:
        raise ValueError(f"draw: the graph has {len(nodes)} nodes, too many for a picture (at most "
                         f"{MOST_NODES}); write it as text by draw(loss, 'graph.dot') and let "
                         f"Graphviz draw it: dot -Tsvg graph.dot -o graph.svg")
    from minigan.inspect.picture import picture

    figure = picture(nodes, edges)
    with whole_file(path, path.suffix) as unfinished:
        figure.savefig(unfinished)
    return path


def graph_of(name, loss, names):
    """(nodes, edges) of the graph below the loss, which is the last node."""
    if not isinstance(loss, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {describe(loss)}")
    called = names_of(name, names)
    if loss.is_leaf:
        raise ValueError(f"{name}: no operation recorded this Tensor, {describe(loss)}: it was "
                         f"made from nothing that requires a gradient, under no_grad, or detached")
    operations = recorded_tensors(loss)
    if any(tensor.node.backward is None for tensor in operations):
        raise RuntimeError(f"{name}: this graph has been used by a backward pass, and its memory "
                           f"was freed; look at it before backward(), or use retain_graph=True there")
    nodes, edges, places = [], [], {}

    def place(tensor):
        if id(tensor) not in places:
            places[id(tensor)] = len(nodes)
            nodes.append(node_of(tensor, called.get(id(tensor))))
        return places[id(tensor)]

    for tensor in operations:
        sources = [place(x) for x in tensor.node.inputs]
        target = place(tensor)
        edges += [Edge(source, target, needs)
                  for source, needs in zip(sources, tensor.node.needs_input_grad)]
    return nodes, edges


def recorded_tensors(root):
    """The Tensors that operations made on the way to the root, in topological order."""
    nodes = topological_order(root.node)
    made = {root.node: root}
    for node in nodes:
        made.update((x.node, x) for x in node.inputs if x.node is not None)
    return [made[node] for node in nodes]


def names_of(name, names):
    """id of a Tensor -> its name, for the `names` of `draw`."""
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
            raise TypeError(f"{name}: names must give Modules or Tensors, "
                            f"{prefix!r} is {describe(value)}")
    return result


def node_of(tensor, name):
    shape = str(tensor.shape)
    if not tensor.is_leaf:
        return Node("operation", tensor.node.name, shape)
    if tensor.requires_grad:
        return Node("parameter", name or "leaf", shape)
    if tensor.ndim == 0:
        return Node("constant", name or f"{tensor.item():.6g}", shape)
    return Node("data", name or "data", shape)
