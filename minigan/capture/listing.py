"""A captured step on a page: a line for each call, with shapes and the layer it came from."""

import inspect
from typing import NamedTuple

from minigan.hooks import Observer
from minigan.inspect.tables import html_table
from minigan.device import address
from minigan.nn import Module

MOST_ARRAYS = 3  # that a call reads or writes, on its line


class Line(NamedTuple):
    """What a captured step does at one point.

    phase    "forward", "backward" or "update"; "" where no operation is running
    call     a kernel, a NumPy function, or an operation
    source   the operation and the layer that it came from
    reads, writes  [array with its shape, as a text]
    seconds  or None
    """
    phase: str
    call: str
    source: str
    reads: list
    writes: list
    seconds: float | None = None


class Page(NamedTuple):
    """The Lines as a table: printed, and as HTML for notebooks."""
    title: str
    lines: list

    def rows(self):
        """Each line's number, call, source, time, and what it reads and writes, as texts; before
        the first line of a phase the phase's name."""
        phase = None
        for i, line in enumerate(self.lines, 1):
            if line.phase and line.phase != phase:
                phase = line.phase
                yield phase
            yield [str(i), line.call, line.source,
                   "" if line.seconds is None else f"{1e6 * line.seconds:.1f} us",
                   listed(line.reads), listed(line.writes)]

    def __str__(self):
        rows = list(self.rows())
        widths = [max((len(row[column]) for row in rows if not isinstance(row, str)), default=0)
                  for column in range(4)]
        text = [self.title]
        for row in rows:
            if isinstance(row, str):
                text += ["", row]
                continue
            number, call, source, time, reads, writes = row
            cells = [number.rjust(widths[0]), call.ljust(widths[1]), source.ljust(widths[2])]
            cells += [time.rjust(widths[3])] if widths[3] else []
            text.append("  ".join([*cells, f"{reads} -> {writes}"]))
        return "\n".join(text)

    def _repr_html_(self):
        columns = ["", "call", "operation and layer", "time", "reads", "writes"]
        align, rows = "rllrll", list(self.rows())
        if all(line.seconds is None for line in self.lines):
            columns.remove("time")
            align = "rllll"
            rows = [row if isinstance(row, str) else [*row[:3], *row[4:]] for row in rows]
        return html_table(columns, rows, align, self.title)


def listed(arrays):
    if len(arrays) > MOST_ARRAYS:
        arrays = [*arrays[:MOST_ARRAYS - 1], f"{len(arrays) - MOST_ARRAYS + 1} more"]
    return ", ".join(arrays)


def shaped(name, shape):
    return f"{name} ({','.join(map(str, shape))})".lstrip()


# Names, as the step's own code has them

def argument_names(step, count):
    """What the step calls its arguments."""
    try:
        names = list(inspect.signature(step).parameters)
    except (TypeError, ValueError):
        names = []
    return [names[i] if i < len(names) else f"argument {i}" for i in range(count)]


def names_found(step):
    """{name: value} of what the step finds where it was defined, and in its own object."""
    found = dict(getattr(getattr(step, "__self__", None), "__dict__", {}))
    function = inspect.unwrap(getattr(step, "__func__", step))
    if inspect.isfunction(function):
        closure = inspect.getclosurevars(function)
        found |= {**closure.globals, **closure.nonlocals}
    return found


def network_names(step):
    """{Module: name} of the networks among them."""
    return {value: name for name, value in names_found(step).items() if isinstance(value, Module)}


class Named(Observer):
    """An Observer that calls layers by the names that the step has for its networks."""

    def __init__(self, names):
        self.names = names
        self.modules = []

    def where(self):
        layer = super().where()
        name = self.names.get(self.modules[0]) if self.modules else None
        if name is None:
            return layer
        kind = type(self.modules[0]).__name__
        return f"{name} ({kind})" if layer == kind else name + layer.removeprefix(kind)


class Operations(Named):
    """Notes the operations of a step where nobody sees the calls that they make: on a GPU."""

    def __init__(self, names):
        super().__init__(names)
        self.lines = []

    def run(self, phase, name, function, args, kwargs):
        result = function(*args, **kwargs)
        layer = self.where().partition(" (")[0]
        self.lines.append(Line("update" if phase == "step" else phase, name, layer,
                               shapes_in((args, kwargs)), shapes_in(result)))
        return result


def shapes_in(x):
    """The shapes of the Tensors and arrays in arguments or results, as texts."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (tuple, list)):
        return [shape for part in x for shape in shapes_in(part)]
    return [shaped("", x.shape)] if hasattr(x, "shape") else []


def lines_of(plan, inputs, input_names, networks, seconds=None):
    """The Lines of a plan's calls.

    inputs, input_names  the step's arguments
    networks  {Module: name}
    seconds   of each call, or None
    """
    known = {address(x.array): name for x, name in zip(inputs, input_names)}
    for network, name in networks.items():
        for part, tensor in (*network.named_parameters(), *network.named_buffers()):
            known[address(tensor.array)] = f"{name}.{part}"
            if tensor.grad_buffer is not None:
                known[address(tensor.grad_buffer.array)] = f"{name}.{part}.grad"
    makers, lines = {}, []  # the number of the line that made what is in a buffer

    def name_of(place):
        if place.buffer.is_new:
            return f"#{makers[place.buffer]}" if place.buffer in makers else "constant"
        return known.get(address(plan.array(place)), "")

    def described(places):
        """Without the integers that kernels have beside their arrays."""
        return [shaped(name_of(place), place.shape) for place in places
                if place.dtype.kind == "f" or place.shape or not place.buffer.is_new]

    for i, call in enumerate(plan.calls):
        written = {place.buffer for place in call.writes}
        reads = described(place for place in call.reads if place.buffer not in written and (
            place.dtype.kind == "f" or name_of(place)))
        for place in call.writes:
            if place.buffer.is_new:
                makers.setdefault(place.buffer, i + 1)
        writes = described(call.writes)
        layer = call.label.layer.partition(" (")[0]  # without its kind, which the operation says
        source = f"{call.label.operation} {layer}".strip()
        lines.append(Line(call.label.phase, call.name, source, reads, writes,
                          None if seconds is None else seconds[i]))
    return lines
