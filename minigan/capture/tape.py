"""The tape: all that a training step computes on a CPU, call by call.

NumPy has no stream from which launches could be recorded, as a GPU has. But a subclass of its
arrays is asked about ufuncs and functions, and can override methods. While a step runs on a tape, the
Tensors that it uses hold such arrays: each call is done as usual, and recorded with its arguments and
what it wrote. What cannot be recorded is refused by name; what escapes is found by the proof, cpu.py.
"""

import gc
import operator
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from minigan.capture.host import ANY, BUFFER, HostWork
from minigan.capture.listing import Named
from minigan.hooks import hooks
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
    kernel         (dtype's letter, name) of a compiled kernel, which is launched by `function`
    """
    name: str
    function: Any
    args: tuple
    kwargs: dict
    reads: list
    writes: list
    label: Label
    kernel: tuple | None = None


class Tape(HostWork):
    """Notes the calls of a step that runs with `hooks.capture` and `hooks.observer` set by it.

    names      {Module: its name} of networks
    calls      what was done, in order
    reason     why the step can never be repeated from a tape, or ""
    keeps      the shape of a tensor that it made and somebody keeps, or None
    modules    {module: its attributes} of those that were called
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

    def note(self, name, function, args, kwargs={}, writes=(), kernel=None, reads=None):
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
        self.calls.append(Call(name, function, args, kwargs, read, writes, self.label, kernel))

    def launch(self, name, char, function, args, outputs, others):
        """Launch a kernel.

        outputs  for each argument, whether it is an array that the kernel may write
        others   arrays that it finds by their addresses, and may write
        """
        function(*args)
        self._by_address += [x for x in others if self.place(x).buffer.root is None]
        arrays = [x for x in args if isinstance(x, numpy.ndarray)]
        written = [x for x, is_output in zip(args, outputs) if is_output and x is not None]
        self.note(name, function, args, writes=(*written, *others), kernel=(char, name),
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
                self.modules.setdefault(module, dict(vars(module)))
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
        """Whether the modules that were called have the attributes that they had."""
        return all(vars(module).keys() == attributes.keys() and all(
            value is attributes[name] for name, value in vars(module).items())
            for module, attributes in self.modules.items())

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
        kept = []
        for thing in gc.get_objects():
            if issubclass(type(thing), Tensor) and isinstance(
                    getattr(thing, "array", None), RecordedArray):
                thing.array = plain(thing.array)
                kept.append(thing)
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
        self.tape.modules.setdefault(module, dict(vars(module)))
        return super().call(module, inputs, options)


# Recorded arrays

def plain(array):
    """A recorded array as NumPy's own, on the same memory."""
    return array.view(numpy.ndarray) if isinstance(array, RecordedArray) else array


def owner_of(array):
    """The array that owns the memory of this one."""
    while isinstance(array.base, numpy.ndarray):
        array = array.base
    return array


def address(array):
    return array.__array_interface__["data"][0]


def map_arrays(function, x):
    """x with function(array) in place of the arrays in it, also within tuples, lists and dicts."""
    if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
        return type(x)([map_arrays(function, part) for part in x])
    if isinstance(x, dict):
        return {key: map_arrays(function, part) for key, part in x.items()}
    return function(x) if isinstance(x, numpy.ndarray) else x


def map_tensors(function, x):
    if isinstance(x, Tensor):
        function(x)
    elif isinstance(x, (tuple, list)):
        for part in x:
            map_tensors(function, part)
    elif isinstance(x, dict):
        for part in x.values():
            map_tensors(function, part)


def copy_result(function, out, *args, **kwargs):
    """For functions that cannot write into an array."""
    out[...] = function(*args, **kwargs)


class RecordedArray(numpy.ndarray):
    """An array whose calls are noted on a tape."""

    tape = None

    @property
    def recording_module(self):
        return self.tape.numpy

    def __array_finalize__(self, parent):
        self.tape = getattr(parent, "tape", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        tape = tape_of((inputs, out, kwargs))
        function = getattr(ufunc, method)
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        if method == "at":  # changes its first argument
            function(*map_arrays(plain, inputs))
            tape.note(name, function, inputs, writes=inputs[:1])
            return None
        given = {"out": map_arrays(plain, tuple(out))} if any(x is not None for x in out) else {}
        results = function(*map_arrays(plain, inputs), **given, **map_arrays(plain, kwargs))
        several = isinstance(results, tuple)
        results = [y if x is not None else tape.new(y) for x, y in zip(
            out or [None] * ufunc.nout, results if several else [results])]
        results = [x if x is not None else y for x, y in zip(out or results, results)]
        tape.note(name, function, inputs, {"out": tuple(results), **kwargs}, writes=results)
        return tuple(results) if several else results[0]

    def __array_function__(self, function, types, args, kwargs):
        tape = tape_of((args, kwargs))
        if function in AS_WRITTEN:  # in Python, in terms of what is noted
            return super().__array_function__(function, types, args, kwargs)
        if function in NO_NUMBERS:
            return function(*map_arrays(plain, args), **map_arrays(plain, kwargs))
        if function is numpy.copyto:
            function(*map_arrays(plain, args), **map_arrays(plain, kwargs))
            tape.note("copyto", function, args, kwargs, writes=args[:1])
            return None
        if function in VIEWS:
            return tape.view(function(*map_arrays(plain, args), **kwargs))
        if function in LIKE:
            return tape.new(function(*map_arrays(plain, args), **map_arrays(plain, kwargs)))
        if function not in COMPUTED:
            tape.refuse(f"numpy.{function.__name__} cannot be recorded")
        return computed(tape, function.__name__, function, args, kwargs)

    # Methods that bypass __array_ufunc__ and __array_function__

    def copy(self, order="C"):
        return copied(self, self.dtype, order)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        dtype = numpy.dtype(dtype)
        return self if not copy and dtype == self.dtype else copied(self, dtype, order)

    def reshape(self, *shape, **options):
        result = plain(self).reshape(*shape, **options)
        if not self.size or numpy.may_share_memory(result, plain(self)):
            return self.tape.view(result)
        return copied(self, self.dtype, "C").reshape(*shape, **options)

    def ravel(self, order="C"):
        return self.reshape(-1) if order == "C" else method(self, "ravel", order)

    def flatten(self, order="C"):
        return copied(self, self.dtype, "C").reshape(-1) if order == "C" else method(
            self, "flatten", order)

    def fill(self, value):
        self[...] = value

    def dot(self, other, out=None):
        return numpy.dot(self, other) if out is None else numpy.dot(self, other, out=out)

    def argmax(self, axis=None, out=None, *, keepdims=False):
        self._refuse_out("argmax", out)
        return method(self, "argmax", axis, keepdims=keepdims)

    def argmin(self, axis=None, out=None, *, keepdims=False):
        self._refuse_out("argmin", out)
        return method(self, "argmin", axis, keepdims=keepdims)

    def take(self, indices, axis=None, out=None, mode="raise"):
        self._refuse_out("take", out)
        return method(self, "take", indices, axis, mode=mode)

    def _refuse_out(self, name, out):
        if out is not None:
            raise NotImplementedError(f"{name}: out= cannot be recorded")

    def repeat(self, repeats, axis=None):
        return method(self, "repeat", repeats, axis)

    def cumsum(self, axis=None, dtype=None, out=None):
        self._refuse_out("cumsum", out)
        return numpy.add.accumulate(self.reshape(-1) if axis is None else self, axis or 0, dtype)

    def argsort(self, axis=-1, kind=None, order=None, *, stable=None):
        return method(self, "argsort", axis, kind)

    def sort(self, axis=-1, kind=None, order=None, *, stable=None):
        plain(self).sort(axis, kind)
        self.tape.note("sort", numpy.ndarray.sort, (self, axis, kind), writes=(self,))

    def __getitem__(self, index):
        tape = self.tape
        found = plain(self)[map_arrays(plain, index)]
        if isinstance(found, numpy.generic):
            if not any(isinstance(part, (numpy.ndarray, list)) for part in as_tuple(index)):
                return tape.view(plain(self)[as_view(index)])  # the number's memory
        elif is_view(index):
            return tape.view(found)
        if any(getattr(part, "dtype", None) == bool for part in as_tuple(index)):
            tape.refuse("an index by booleans has no fixed shape")
        result = tape.new(found)
        tape.note("index", copy_result, (operator.getitem, result, self, index), writes=(result,))
        return result

    def __setitem__(self, index, value):
        if is_view(index):
            part = self.tape.view(plain(self)[as_view(index)])
            value = value if isinstance(value, (numpy.ndarray, int, float)) else numpy.asarray(value)
            numpy.copyto(part, value, casting="unsafe")
        else:
            plain(self)[map_arrays(plain, index)] = plain(value)
            self.tape.note("set index", operator.setitem, (self, index, value), writes=(self,))

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # Reading numbers: done as usual, but it cannot be repeated

    def _read(self, how):
        self.tape.refuse(f"{how} reads a number; return the Tensor and read it outside")
        return plain(self)

    def __bool__(self):
        return bool(self._read("if"))

    def __float__(self):
        return float(self._read("float()"))

    def __int__(self):
        return int(self._read("int()"))

    def __index__(self):
        return operator.index(self._read("an index"))

    def item(self, *args):
        return self._read("item").item(*args)

    def tolist(self):
        return self._read("tolist").tolist()

    def tobytes(self, order="C"):
        return self._read("tobytes").tobytes(order)

    def nonzero(self):
        return self._read("nonzero").nonzero()


def unsupported(name):
    def method(self, *args, **kwargs):
        self.tape.refuse(f"the method {name} of an array cannot be recorded")
        return getattr(plain(self), name)(*args, **kwargs)

    return method


for _name in ("byteswap", "choose", "compress", "cumprod", "partition", "argpartition", "put", "resize",
              "round", "searchsorted", "setfield", "trace", "dump", "dumps", "tofile"):
    setattr(RecordedArray, _name, unsupported(_name))


def as_tuple(index):
    return index if isinstance(index, tuple) else (index,)


def as_view(index):
    """The index, so that NumPy gives an array also for a single element."""
    parts = as_tuple(index)
    return index if any(part is Ellipsis for part in parts) else (*parts, ...)


def is_view(index):
    """Whether an index gives a view: numbers, slices, None and ... alone."""
    return all(part is None or part is Ellipsis or isinstance(part, (int, slice, numpy.integer))
               and not isinstance(part, bool) for part in as_tuple(index))


def tape_of(x):
    """The tape of the recorded arrays in x."""
    tapes = []

    def look(array):
        if isinstance(array, RecordedArray):
            tapes.append(array.tape)
        return array

    map_arrays(look, x)
    return tapes[0]


def copied(array, dtype, order):
    """A copy of a recorded array."""
    tape = array.tape
    result = tape.new(plain(array).astype(dtype, order=order))
    tape.note("copyto", numpy.copyto, (result, array), {"casting": "unsafe"}, writes=(result,))
    return result


def computed(tape, name, function, args, kwargs):
    """What a function returns that makes a new array, whose shape depends on those of its arguments
    alone."""
    found = function(*map_arrays(plain, args), **map_arrays(plain, kwargs))
    if not isinstance(found, (numpy.ndarray, numpy.generic)):
        tape.refuse(f"numpy.{name} cannot be recorded")
        return found
    if kwargs.get("out") is not None:
        tape.note(name, function, args, kwargs, writes=(kwargs["out"],))
        return kwargs["out"]
    result = tape.new(found)
    if function in WITH_OUT:
        tape.note(name, function, args, {**kwargs, "out": result}, writes=(result,))
    else:
        tape.note(name, copy_result, (function, result, *args), kwargs, writes=(result,))
    return result


def method(array, name, *args, **kwargs):
    return computed(array.tape, name, getattr(numpy.ndarray, name), (array, *args), kwargs)


WITH_OUT = {numpy.concatenate, numpy.dot, numpy.ndarray.argmax, numpy.ndarray.argmin}
COMPUTED = {*WITH_OUT, numpy.where, numpy.inner, numpy.vdot, numpy.cross}
LIKE = {numpy.empty_like}
NO_NUMBERS = {numpy.may_share_memory, numpy.shares_memory, numpy.result_type, numpy.can_cast,
              numpy.shape, numpy.ndim, numpy.size, numpy.min_scalar_type, numpy.broadcast_shapes}
AS_WRITTEN = {
    numpy.stack, numpy.vstack, numpy.hstack, numpy.tensordot, numpy.outer, numpy.zeros_like,
    numpy.ones_like, numpy.full_like, numpy.sum, numpy.mean, numpy.var, numpy.std,
    numpy.prod, numpy.max, numpy.min, numpy.amax, numpy.amin, numpy.any, numpy.all, numpy.ptp,
    numpy.clip, numpy.transpose, numpy.swapaxes, numpy.moveaxis, numpy.reshape, numpy.ravel,
    numpy.squeeze, numpy.expand_dims, numpy.argmax, numpy.argmin, numpy.argsort, numpy.sort, numpy.take,
    numpy.repeat, numpy.take_along_axis, numpy.put_along_axis, numpy.flip, numpy.roll, numpy.split,
    numpy.array_split, numpy.cumsum, numpy.diagonal, numpy.atleast_1d, numpy.atleast_2d,
    numpy.tile}
VIEWS = {numpy.broadcast_to, numpy.real}


class RecordingNumpy:
    """NumPy, for a step on a tape: what it makes is recorded."""

    def __init__(self, tape):
        self._tape = weakref.proxy(tape)

    def __getattr__(self, name):
        return getattr(numpy, name)

    def _filled(self, array, value):
        result = self._tape.new(array)
        result[...] = value
        return result

    def empty(self, *args, **kwargs):
        return self._tape.new(numpy.empty(*args, **kwargs))

    def zeros(self, shape, dtype=float, order="C"):
        return self._filled(numpy.empty(shape, dtype, order), 0)

    def ones(self, shape, dtype=float, order="C"):
        return self._filled(numpy.empty(shape, dtype, order), 1)

    def full(self, shape, fill_value, dtype=None, order="C"):
        return self._filled(numpy.full(shape, plain(fill_value), dtype, order), fill_value)

    def array(self, x, dtype=None, copy=True, order="K"):
        """A copy; `order` as in NumPy."""
        if not isinstance(x, RecordedArray):
            return numpy.array(x, dtype, copy=copy, order=order)
        return copied(x, x.dtype if dtype is None else dtype, order)

    def asarray(self, x, dtype=None):
        if not isinstance(x, RecordedArray):
            return numpy.asarray(x, dtype)
        return x if dtype is None else x.astype(dtype, copy=False)

    def ascontiguousarray(self, x, dtype=None):
        x = self.asarray(x, dtype)
        return x if x.flags.c_contiguous else self.array(x, order="C")
