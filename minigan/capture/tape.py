"""The tape: all that a training step computes on a CPU, call by call.

NumPy has no stream from which launches could be recorded, as a GPU has. But a subclass of its
arrays is asked about ufuncs and functions, and can override methods (recorded.py). While a step
runs on a tape, the Tensors that it uses hold such arrays: each call is done as usual, and recorded
with its arguments and what it wrote. What cannot be recorded is refused by name; what escapes is
found by the proof, cpu.py.
"""

import gc
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from minigan.capture.host import ANY, BUFFER, HostWork
from minigan.capture.listing import Named
from minigan.capture.recorded import RecordedArray, RecordingNumpy, map_arrays, owner_of, plain
from minigan.hooks import hooks
from minigan.device import address
from minigan.tensor import Tensor


class Buffer:
    """A piece of memory that a step uses.

    nbytes
    root     the array that owns it, if it stays where it is: a parameter's, an argument's, a
             result's. None for memory that lives within the step alone
    is_new   whether the step made it
    """

    __slots__ = ("nbytes", "root", "is_new")

    def __init__(self, nbytes, root=None):
        self.nbytes = nbytes
        self.root = root
        self.is_new = root is None


class Place(NamedTuple):
    """An array in a step: the piece of a buffer that it is, whatever memory that has."""
    buffer: Buffer
    offset: int  # bytes
    shape: tuple
    strides: tuple
    dtype: numpy.dtype


@dataclass(frozen=True)
class Label:
    """What a call belongs to, for people who read the tape."""
    phase: str = ""      # "forward", "backward" or "update"
    operation: str = ""
    layer: str = ""


@dataclass
class Call:
    """function(*args, **kwargs), with Places where there were arrays.

    reads, writes  lists of Places; what is changed in place is in both
    is_launch      whether `function` launches a compiled kernel
    """
    name: str
    function: Any
    args: tuple
    kwargs: dict
    reads: list
    writes: list
    label: Label
    is_launch: bool = False


class Tape(HostWork):
    """Notes the calls of a step that runs with `hooks.capture` and `hooks.observer` set by it.

    names      {Module: its name} of networks
    calls      what was done, in order
    reason     why the step can never be repeated from a tape, or ""
    keeps      the shape of a tensor that it made and somebody keeps, or None
    modules    {module: its attributes} of those that were called, and of the networks
    """

    keeps_buffers = False
    own_references = 1  # in `_watched`

    def __init__(self, names):
        super().__init__()
        self.calls = []
        self.reason = ""
        self.keeps = None
        self.modules = {}
        self.numpy = RecordingNumpy(self)
        self.watcher = Watcher(self, names)
        self.label = Label()
        # Of the array that owns memory: its id, a weak reference (an id may become another's),
        # and the Buffer.
        self._buffers = {}
        self.version_ids = set()  # of the tensors that were there before
        self.tensors = []    # (tensor, its array, whether it required a gradient), likewise
        self._watched = []   # (tensor, its array, the recorded view of it, requires_grad)
        self._by_address = []  # the step's own arrays whose addresses kernels have: kept alive

    # What the engine reports

    def refuse(self, reason):
        self.reason = self.reason or reason

    def watch(self, *tensors):
        """Let the Tensors hold recorded arrays from now on."""
        for tensor in tensors:
            array = tensor.array
            if isinstance(array, RecordedArray):
                continue
            if not isinstance(array, numpy.ndarray):
                self.refuse("a tensor is on a GPU, the default device is the CPU")
                continue
            tensor.array = self.view(array)
            self._watched.append((tensor, array, tensor.array, tensor._requires_grad))

    def changed(self, tensor):
        self.watch(tensor)
        self.changes[id(tensor.version)] += 1

    def uses_gradient(self, leaf, clears=False):
        super().uses_gradient(leaf, clears)
        for tensor in (leaf, leaf.grad_buffer, leaf._grad):
            if tensor is not None:
                self.watch(tensor)

    # Noting calls

    def view(self, array):
        """The array as one that is recorded."""
        result = array.view(RecordedArray)
        result.tape = self
        return result

    def new(self, array):
        """The same for an array that a call has just made."""
        array = numpy.asarray(array)  # NumPy makes scalars of arrays without dimensions
        owner = owner_of(array)
        if self._buffer_of(owner) is None:
            self._buffers[id(owner)] = weakref.ref(owner), Buffer(owner.nbytes)
        return self.view(array)

    def _buffer_of(self, owner):
        """The Buffer of an array that owns memory, or None."""
        reference, buffer = self._buffers.get(id(owner), (None, None))
        return buffer if reference is not None and reference() is owner else None

    def place(self, array):
        owner = owner_of(array)
        buffer = self._buffer_of(owner)
        if buffer is None:  # it was there before the step
            buffer = Buffer(owner.nbytes, owner)
            self._buffers[id(owner)] = weakref.ref(owner), buffer
        return Place(buffer, address(array) - address(owner), array.shape, array.strides,
                     array.dtype)

    def pin(self, array):
        """Keep the memory of an array that the step made where it is."""
        self.place(array).buffer.root = owner_of(array)

    def note(self, name, function, args, kwargs={}, writes=(), is_launch=False, reads=None):
        """Note a call that was done: its arguments, and the arrays among them that it wrote."""
        if hooks.capture is not self:  # a recorded array is used after the step, or by a thread
            return
        read = []

        def placed(x):
            if isinstance(x, numpy.ndarray):
                read.append(self.place(x))
                return read[-1]
            return x

        args, kwargs = (map_arrays(placed, x) for x in (args, kwargs))
        if reads is not None:
            read = [self.place(x) for x in reads]
        writes = [self.place(x) for x in writes]
        self.calls.append(Call(name, function, args, kwargs, read, writes, self.label,
                               is_launch))

    def launch(self, name, function, args, outputs, others):
        """Launch a kernel.

        outputs  for each argument, whether it is an array that the kernel may write
        others   arrays that it finds by their addresses, and may write
        """
        function(*args)
        self._by_address += [x for x in others if self.place(x).buffer.root is None]
        arrays = [x for x in args if isinstance(x, numpy.ndarray)]
        written = [x for x, is_output in zip(args, outputs) if is_output and x is not None]
        self.note(name, function, args, writes=(*written, *others), is_launch=True,
                  reads=(*others, *arrays))

    def call(self, function, args, writes):
        """Call a function of plain arrays that returns nothing, and changes `writes`."""
        function(*map_arrays(plain, args))
        self.note(function.__name__, function, args, writes=writes)

    # Running a step

    def __enter__(self):
        self.watcher.__enter__()
        return self

    def __exit__(self, *exception):
        self.watcher.__exit__(*exception)

    def finish(self, outputs, arguments):
        """Give all Tensors plain arrays again; those that live on keep the memory they have.

        outputs    the Tensors that the step returned
        arguments  those that it got
        """
        self.counters = {id(tensor.version): tensor.version for tensor, _, _, _ in self._watched}
        self.tensors = self._what_it_was_recorded_with(arguments)
        # Of tensors that this keeps alive: other ids may become another's.
        self.version_ids = {id(tensor.version) for tensor, _, _ in self.tensors}
        self._restore()
        self.gradients = {leaf: gradient for leaf, gradient in self.gradients.items()
                          if not self._is_new(leaf.array)}  # others are the step's own
        for network in self.watcher.names:
            for module in network.modules():
                self.modules.setdefault(module, attributes_of(module))
        gradients = [leaf._grad for leaf in self.gradients
                     if leaf._grad is not None and leaf._grad is not leaf.grad_buffer]
        for tensor in (*outputs, *gradients):
            if isinstance(tensor.array, RecordedArray):
                self.pin(tensor.array)
                tensor.array = plain(tensor.array)
        self._by_address = [x for x in self._by_address if self.place(x).buffer.root is None]
        self._check_that_nothing_is_kept(arguments)
        self.end()

    def _what_it_was_recorded_with(self, arguments):
        """All tensors that were there before, but the arguments, and those of gradients, which are
        looked after with their leaves."""
        others = {id(tensor) for leaf in self.gradients
                  for tensor in (leaf.grad_buffer, leaf._grad)} | set(map(id, arguments))
        return [(tensor, array, requires_grad) for tensor, array, _, requires_grad in self._watched
                if id(tensor) not in others]

    def writes(self, array):
        """Whether a call changed this array, which was there before."""
        buffer = self.place(array).buffer
        return any(place.buffer is buffer for call in self.calls for place in call.writes)

    def finds_gradients(self):
        """Whether it found gradients that are not where an optimiser wants them."""
        return any(gradient is not None and gradient is not ANY and gradient is not BUFFER
                   for gradient in self.gradients.values())

    def is_valid(self):
        return super().is_valid() and all(
            tensor.array is array and tensor._requires_grad is requires_grad
            for tensor, array, requires_grad in self.tensors)

    def has_its_modules(self):
        """Whether the modules have the attributes that they had."""
        for module, attributes in self.modules.items():
            now = attributes_of(module)
            if now.keys() != attributes.keys() or any(
                    value is not attributes[name] for name, value in now.items()):
                return False
        return True

    def changes_of(self, host_work):
        """{id of a version counter: changes} of the tensors that were there before."""
        return {key: count for key, count in host_work.changes.items() if key in self.version_ids}

    def _check_that_nothing_is_kept(self, arguments):
        """What the step made and keeps for itself would not change in a replay."""
        kept = self._restore_all()
        for tensor in kept:
            self.keeps = tensor.shape
            if any(owner_of(tensor.array) is owner_of(x.array) for x in arguments):
                self.refuse("it keeps a part of an argument, of which it gets a copy")
        if not kept and self._lives():
            gc.collect()
            self.keeps = self._lives()

    def _lives(self):
        """The shape of an array that the step made for itself and that is still there, or None."""
        for reference, buffer in self._buffers.values():
            owner = reference()
            if owner is not None and buffer.root is None:
                return owner.shape
        return None

    def _is_new(self, array):
        return isinstance(array, RecordedArray) and self.place(array).buffer.root is None

    def give_back(self):
        """Give all Tensors plain arrays again, after an error."""
        self._restore()
        self._restore_all()

    def _restore(self):
        for tensor, array, recorded, _ in self._watched:
            if tensor.array is recorded:
                tensor.array = array
        self._watched = []

    def _restore_all(self):
        """The same for Tensors that the step made and somebody keeps: these Tensors."""
        # All objects refer to their types. (gc.get_objects would refer to tuples, too, that another
        # thread is still making, which CPython does not allow.)
        kept = [thing for thing in gc.get_referrers(*with_subclasses(Tensor))
                if isinstance(thing, Tensor)
                and isinstance(getattr(thing, "array", None), RecordedArray)]
        for tensor in kept:
            tensor.array = plain(tensor.array)
        return kept


class Watcher(Named):
    """Names what runs, and lets the Tensors that operations get hold recorded arrays."""

    def __init__(self, tape, names):
        super().__init__(names)
        self.tape = tape
        self.layers = weakref.WeakKeyDictionary()  # backward: the layer of its forward

    def run(self, phase, name, function, args, kwargs):
        tape = self.tape
        before = tape.label
        layer = self.where() if phase == "forward" else self.layers.get(function, "")
        tape.label = Label("update" if phase == "step" else phase, name, layer)
        map_tensors(tape.watch, (args, kwargs))
        try:
            result = function(*args, **kwargs)
        finally:
            if phase == "forward":
                tape.label = before
        if phase == "forward" and isinstance(result, Tensor) and result.node is not None:
            self.layers.setdefault(result.node.backward, layer)
        return result

    def call(self, module, inputs, options):
        self.tape.modules.setdefault(module, attributes_of(module))
        return super().call(module, inputs, options)


def with_subclasses(kind):
    """The class and all that derive from it."""
    return {kind}.union(*map(with_subclasses, kind.__subclasses__()))


def attributes_of(module):
    """A module's attributes by name, among them `training`, which it may have from its class."""
    return {"training": module.training, **vars(module)}


def map_tensors(function, x):
    if isinstance(x, Tensor):
        function(x)
    elif isinstance(x, (tuple, list)):
        for part in x:
            map_tensors(function, part)
    elif isinstance(x, dict):
        for part in x.values():
            map_tensors(function, part)
