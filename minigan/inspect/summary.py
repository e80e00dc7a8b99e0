"""summary: a table of a network's layers with output shapes, parameters, work and memory."""

import contextlib
import math
from dataclasses import dataclass
from inspect import signature
from numbers import Integral

from minigan.checks import check_dtype, describe, explain_errors
from minigan.tensor import Tensor
from minigan.creation import zeros
from minigan.device import float32, fork_rng
from minigan.inspect.graph import recorded_tensors
from minigan.inspect.memory import arrays_within, format_bytes, owner, tensors_within
from minigan.inspect.tables import html_table
from minigan.nn import Module, Parameter
from minigan.grad_mode import enable_grad
from minigan.hooks import Observer

# Multiply-adds of an operation with result y and inputs x and w: elements of y times the products
# that each sums; in a transposed convolution, elements of x times the products that each is in.
MULTIPLY_ADDS = {
    "linear": lambda y, x, w: y.numel() * x.shape[-1],
    "matmul": lambda y, x, w: y.numel() * x.shape[-1],
    "conv2d": lambda y, x, w: y.numel() * math.prod(w.shape[1:]),
    "conv_transpose2d": lambda y, x, w: x.numel() * math.prod(w.shape[1:]),
}


@dataclass
class Row:
    """One call of a layer: its own part, without the layers inside it.

    path           its name in the model, such as 'features.0', and '' for the model itself; '?' for
                   a layer that is no attribute of the model, which does not know its parameters
    kind           the name of its class
    output_shape   the shape of its result, a list of shapes for several; None if it did not run
    parameters     the number of its parameters' elements, without those in an earlier row
    shared         the number of those in an earlier row
    multiply_adds  of its matrix products
    memory         bytes kept for the backward, without those in an earlier row
    """
    path: str
    kind: str
    output_shape: object = None
    parameters: int = 0
    shared: int = 0
    multiply_adds: int = 0
    memory: int = 0

    @property
    def layer(self):
        return f"{self.path} ({self.kind})" if self.path else self.kind


class Summary:
    """The result of `summary`; printed, it is a table.

    rows                      a Row for each call of a layer, in the order of the calls
    trainable, not_trainable  the numbers of elements of the model's parameters
    multiply_adds, memory     the sums of all rows
    """

    def __init__(self, rows, parameters):
        self.rows = rows
        self.trainable = sum(p.numel() for p in parameters if p.requires_grad)
        self.not_trainable = sum(p.numel() for p in parameters if not p.requires_grad)
        self.multiply_adds = sum(row.multiply_adds for row in rows)
        self.memory = sum(row.memory for row in rows)

    def __str__(self):
        lines = self._table()
        widths = [max(map(len, column)) for column in zip(*lines)]
        table = ["  ".join([layer.ljust(widths[0]), shape.ljust(widths[1]),
                            *map(str.rjust, numbers, widths[2:])])
                 for layer, shape, *numbers in lines]
        rule = "-" * len(table[0])
        return "\n".join([table[0], rule, *table[1:-1], rule, table[-1], *self._notes()])

    __repr__ = __str__

    def _repr_html_(self):
        """For notebooks."""
        header, *rows = self._table()
        return html_table(header, rows, "llrrr", notes=self._notes())

    def _table(self):
        """The rows as texts: the header, one for each layer, the total."""
        lines = [("layer", "output shape", "parameters", "multiply-adds", "memory, bytes")]
        for row in self.rows:
            shape = "did not run" if row.output_shape is None else str(row.output_shape)
            only_shared = row.shared and not row.parameters
            lines.append((row.layer, shape, "shared" if only_shared else f"{row.parameters:,}",
                          f"{row.multiply_adds:,}", f"{row.memory:,}"))
        lines.append(("total", "", f"{self.trainable + self.not_trainable:,}",
                      f"{self.multiply_adds:,}", f"{self.memory:,}"))
        return lines

    def _notes(self):
        return [f"parameters: {self.trainable:,} trainable, {self.not_trainable:,} not trainable",
                f"memory for backward: {format_bytes(self.memory)}"]


@explain_errors
def summary(model, input_shape, dtype=float32):
    """A table of a model's layers, which are run once on zeros.

    >>> print(minigan.summary(model, (64, 1, 28, 28)))

    model        a Module; it runs in its current mode, and its state is restored afterwards
    input_shape  with the batch axis: (N,...), or a list of such shapes for several inputs
    dtype        of the zeros, or a list with one for each input

    The table's columns:

    parameters     Each is counted once, in the first layer that has it.
    multiply-adds  Those of matrix products, without biases. `linear` and `matmul`: elements of the
                   result * length of the input's last axis. `conv2d`: elements of the result *
                   C * KH * KW, padding included. `conv_transpose2d`: elements of the input *
                   O * KH * KW.
    memory         Bytes that the recorded graph keeps until the backward: the results of operations
                   and whatever else their backwards close over, such as im2col's columns. Each
                   block of memory is counted once, in the first layer that keeps it, and as a
                   whole. Parameters, buffers and the inputs are not counted: they exist anyway.
                   Kernels may keep less than the textbook's formulas.

    Raises TypeError for anything but a Module, a shape and a dtype; ValueError for sizes below 1
    and for a model that fails, naming the layer that did; RuntimeError while another observer
    (profile, detect_anomaly) is active.
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, got {describe(model)}")
    shapes = check_shapes(input_shape)
    dtypes = dtype if isinstance(dtype, (tuple, list)) else [dtype] * len(shapes)
    if len(dtypes) != len(shapes):
        raise ValueError(f"summary: {len(dtypes)} dtypes for {len(shapes)} inputs")
    inputs = [zeros(shape, dtype=check_dtype("summary", d)) for shape, d in zip(shapes, dtypes)]
    parameters = list(model.parameters())
    observer = LayerObserver(model, parameters)
    with restore_state(model), enable_grad(), observer:
        try:
            output = observer.call(model, inputs, {})
        except Exception as error:
            raise ValueError(f"summary: {observer.failed} failed: {error}") from error
        observer.count_memory(output, [*parameters, *model.buffers(), *inputs])
    return Summary(observer.finish_rows(), parameters)


def check_shapes(input_shape):
    """One shape or several, as a list of tuples."""
    shapes = [input_shape]
    if isinstance(input_shape, (tuple, list)) and input_shape and all(
            isinstance(shape, (tuple, list)) for shape in input_shape):
        shapes = input_shape
    for shape in shapes:
        if not isinstance(shape, (tuple, list)) or not shape or not all(
                isinstance(size, Integral) and not isinstance(size, bool) for size in shape):
            raise TypeError(f"summary: input_shape must be a tuple of integers such as (64, 784), "
                            f"or a list of such tuples, got {describe(input_shape)}")
        if min(shape) < 1:
            raise ValueError(f"summary: sizes in input_shape must be at least 1, got {shape}")
    return [tuple(shape) for shape in shapes]


@contextlib.contextmanager
def restore_state(model):
    """A context after which all that a forward may change is restored: the modules' attributes,
    parameters, buffers, random generators."""
    attributes = [(vars(module), dict(vars(module))) for module in model.modules()]
    tensors = [(tensor, tensor.array, tensor.array.copy(), tensor.version, tensor.version[0],
                tensor.grad_buffer) for tensor in (*model.parameters(), *model.buffers())]
    try:
        with fork_rng():
            yield
    finally:
        for now, before in attributes:
            now.clear()
            now.update(before)
        for tensor, array, values, version, number, grad_buffer in tensors:
            tensor.array, tensor.version, tensor.grad_buffer = array, version, grad_buffer
            array[...] = values
            version[0] = number


class LayerObserver(Observer):
    """Makes a Row of each call of a layer."""

    def __init__(self, model, parameters):
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.model = model
        self.known = {id(p) for p in parameters}
        self.uncounted = set(self.known)
        self.rows = []
        self.running = []     # rows of the modules whose forward is running, the outermost first
        self.containers = []  # rows of modules that called others
        self.row_of = {}      # node -> the row of the layer that recorded it
        self.error = None     # what the innermost layer that failed raised
        self.failed = None    # that layer and its inputs, in words

    def call(self, module, inputs, options):
        row = self.new_row(module)
        self.containers += self.running[-1:]
        self.running.append(row)
        try:
            output = super().call(module, inputs, options)
        except Exception as error:
            if error is not self.error:  # otherwise it comes from a layer inside this one
                described = ", ".join(map(describe, inputs))
                self.error, self.failed = error, f"{row.layer} with {described}"
            raise
        finally:
            self.running.pop()
        shapes = [tuple(tensor.shape) for tensor in tensors_within(output)]
        row.output_shape = shapes[0] if isinstance(output, Tensor) else shapes
        return output

    def new_row(self, module):
        row = Row(self.paths.get(id(module), "?"), type(module).__name__)
        for p in vars(module).values():
            if isinstance(p, Parameter) and id(p) in self.known:
                if id(p) in self.uncounted:
                    self.uncounted.remove(id(p))
                    row.parameters += p.numel()
                else:
                    row.shared += p.numel()
        self.rows.append(row)
        return row

    def run(self, phase, name, function, args, kwargs):
        result = function(*args, **kwargs)
        if phase == "forward":
            row = self.running[-1]
            if name in MULTIPLY_ADDS:
                x, w, *_ = signature(function).bind(*args, **kwargs).args
                row.multiply_adds += MULTIPLY_ADDS[name](result, x, w)
            for tensor in tensors_within(result):
                self.row_of.setdefault(tensor.node, row)
        return result

    def count_memory(self, output, exempt):
        """Divide the memory kept by the output's graph among the rows, without that of the exempt
        Tensors."""
        recorded = {}
        for root in tensors_within(output):
            if not root.is_leaf:
                recorded.update((tensor.node.order, tensor) for tensor in recorded_tensors(root))
        # What is made within an operation, such as a copy in another dtype, belongs to its layer.
        rows = dict.fromkeys(recorded, self.rows[0])
        for order in sorted(recorded, reverse=True):
            tensor = recorded[order]
            rows[order] = self.row_of.get(tensor.node, rows[order])
            rows.update((x.node.order, rows[order]) for x in tensor.node.inputs if not x.is_leaf)
        # Parameters of layers that are no attributes of the model.
        exempt = exempt + [x for tensor in recorded.values() for x in tensor.node.inputs
                           if x.is_leaf and x.requires_grad]
        seen = {id(owner(array)) for array in arrays_within(exempt)}
        for order in sorted(recorded):
            tensor = recorded[order]
            for array in (tensor.array, *arrays_within(tensor.node.backward)):
                memory = owner(array)
                if id(memory) not in seen:
                    seen.add(id(memory))
                    rows[order].memory += memory.nbytes

    def finish_rows(self):
        """The rows with layers that did not run, and without containers that only called others."""
        for module in self.model.modules():
            if any(id(p) in self.uncounted for p in vars(module).values()):
                self.new_row(module)
        idle = {id(row) for row in self.containers
                if not (row.parameters or row.shared or row.multiply_adds or row.memory)}
        return [row for row in self.rows if id(row) not in idle]
