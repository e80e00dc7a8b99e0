"""Arrays that note on a tape what is done with them, and NumPy as it makes such arrays.

A call is done as usual, on plain arrays, and then noted by `tape.note`; new memory is made known to
the tape by `tape.new`. What cannot be noted is reported by `tape.refuse`, and done all the same.
"""

import operator
import weakref

import numpy


def plain(array):
    """A recorded array as NumPy's own, on the same memory."""
    return array.view(numpy.ndarray) if isinstance(array, RecordedArray) else array


def owner_of(array):
    """The array that owns the memory of this one."""
    while isinstance(array.base, numpy.ndarray):
        array = array.base
    return array


def map_arrays(function, x):
    """x with function(array) in place of the arrays in it, also within tuples, lists and dicts."""
    if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
        return type(x)([map_arrays(function, part) for part in x])
    if isinstance(x, dict):
        return {key: map_arrays(function, part) for key, part in x.items()}
    return function(x) if isinstance(x, numpy.ndarray) else x


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
            if not isinstance(value, (numpy.ndarray, int, float)):
                value = numpy.asarray(value)
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


for _name in ("byteswap", "choose", "compress", "cumprod", "partition", "argpartition", "put",
              "resize", "round", "searchsorted", "setfield", "trace", "dump", "dumps", "tofile"):
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
    numpy.squeeze, numpy.expand_dims, numpy.argmax, numpy.argmin, numpy.argsort, numpy.sort,
    numpy.take, numpy.repeat, numpy.take_along_axis, numpy.put_along_axis, numpy.flip, numpy.roll,
    numpy.split,
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
