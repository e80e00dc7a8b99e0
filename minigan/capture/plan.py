"""The plan: how a step is repeated from its tape.

Calls whose results nobody reads are left out. What lives within the step shares one piece of
memory, the arena: a result's place there is used again after its last reader.
"""

import inspect
import time
from collections import Counter
from functools import partial

import numpy
from numpy.lib.stride_tricks import as_strided

from minigan.capture.recorded import map_arrays
from minigan.capture.tape import Place
from minigan.device import address
from minigan.kernels.launch import host_functions, switch

ALIGNMENT = 64  # bytes: a line of the CPU's caches


class Plan:
    """calls   the Calls that are repeated, in order: see `repeated`
    inputs  the arrays that the step's arguments had when it was recorded
    arena   the bytes in which the step's own arrays lie; another plan's that is not used at the same
            time, if it is large enough

    Launches can read other arrays in place of the inputs, see `take_inputs` in kernels/host.cpp:

    uses     for each input an array (uses,3) of a launch, an argument's index and an offset in
             bytes; None for an input that something other than a launch reads
    taken    (inputs,) the addresses of the arrays that they read now
    written  (pieces,2) where the memory begins and ends that a replay writes
    """

    def __init__(self, calls, inputs, profile, arena):
        self.times = None  # of each call, all replays together
        self.replays = 0
        self.calls = calls
        offsets, size = layout(self.calls)
        if arena is None or arena.size < size:
            memory = numpy.empty(size + ALIGNMENT, "uint8")
            start = -memory.__array_interface__["data"][0] % ALIGNMENT
            arena = memory[start:start + size]
        self.arena = arena
        self._offsets = offsets
        self.state = self.changed_arrays(is_new=False)
        self.results = self.changed_arrays(is_new=True)
        self.steps = self.prepared(grouped=not profile)
        self.uses = tuple([self.uses_of(x) for x in inputs])
        self.taken = numpy.array([address(x) for x in inputs], "uintp")
        self.written = numpy.array([(address(x), address(x) + bytes_of(x).size) for x in (
            self.arena, *self.state, *self.results)], "uintp")
        # Whether nothing in it raises floating-point warnings, so that no errstate is needed.
        self.is_compiled = all(isinstance(step, Launches) or inspect.isfunction(step.func)
                               and step.func.__module__.startswith("minigan.kernels")
                               for step in self.steps)
        if profile:
            self.times = [0.0] * len(self.steps)

    def prepared(self, grouped):
        """A list of functions that repeat the step: neighbouring launches in one, if grouped."""
        steps, launches = [], []
        for call in self.calls:
            args, kwargs = self.arrays(call.args), self.arrays(call.kwargs)
            launch = (call.function, args) if call.is_launch else as_launch(call, args, kwargs)
            if launch is not None:
                launches.append(launch)
            if launches and (launch is None or not grouped):
                steps.append(Launches(launches))
                launches = []
            if launch is None:
                steps.append(partial(call.function, *args, **kwargs))
        return steps + ([Launches(launches)] if launches else [])

    def arrays(self, x):
        """x with arrays in place of Places."""
        if isinstance(x, Place):
            return self.array(x)
        if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
            return type(x)([self.arrays(part) for part in x])
        if isinstance(x, dict):
            return {key: self.arrays(part) for key, part in x.items()}
        return x

    def array(self, place):
        """The array that a Place is."""
        root = place.buffer.root
        if root is None:
            return array_at(place, self.arena, self._offsets[place.buffer])
        return array_at(place, bytes_of(root), 0)

    def uses_of(self, input):
        """Which launches read an input, see above."""
        uses = []
        for step in self.steps:
            if isinstance(step, Launches):
                for launch, (_, args) in zip(step.addresses, step.launches):
                    uses += [(launch, i, address(x) - address(input))
                             for i, x in enumerate(args) if lies_in(x, input)]
            else:
                found = []
                map_arrays(lambda x: found.append(lies_in(x, input)), (step.args, step.keywords))
                if any(found):
                    return None
        return numpy.array(uses, "uintp").reshape(-1, 3)

    def changed_arrays(self, is_new):
        """What a replay changes: of the memory that was there before, or of its own results."""
        places = {}
        for call in self.calls:
            for place in call.writes:
                if place.buffer.root is not None and place.buffer.is_new == is_new:
                    places[place] = self.array(place)
        return list(places.values())

    def replay(self):
        if self.times is not None:
            self.replay_timed()
        elif self.is_compiled:
            for step in self.steps:
                step()
        else:
            with numpy.errstate(all="ignore"):
                for step in self.steps:
                    step()

    def replay_timed(self):
        self.replays += 1
        with numpy.errstate(all="ignore"):
            for i, step in enumerate(self.steps):
                start = time.perf_counter()
                step()
                self.times[i] += time.perf_counter() - start

    def give_up_memory(self):
        """Let go of the arena. The plan cannot be replayed any more."""
        self.arena = self.steps = None

    def seconds(self):
        """The mean time of each call in a replay, or None."""
        return self.times and [total / max(self.replays, 1) for total in self.times]


def as_launch(call, args, kwargs):
    """(kernel, arguments) for the small calls of NumPy that a step has beside its kernels; None for
    any other."""
    if call.name == "add":
        (x, n), (out,) = args, kwargs["out"]
        functions = host_functions()
        if functions and type(n) is int and x.dtype == out.dtype == "int64" and x.size == 1 and (
                address(x) == address(out)):
            return functions["add_integer"], (x, n)
    if call.name == "copyto":
        y, x = args
        functions = switch.functions.get(y.dtype.char)
        if functions and isinstance(x, numpy.ndarray) and y.dtype == x.dtype and (
                y.shape == x.shape and y.ndim <= 4 and not numpy.may_share_memory(x, y)):
            missing = 4 - y.ndim
            shape = numpy.array((1,) * missing + y.shape, "int64")
            strides = [(0,) * missing + array.strides for array in (y, x)]
            strides = numpy.array(strides, "int64") // y.itemsize
            return functions["copy_strided"], (y, x, shape, strides, y.size)
    return None


class Launches:
    """Launches of kernels, done by one call of the compiled library, kernels/host.cpp."""

    def __init__(self, launches):
        self.launches = launches  # kept: they are noted with the addresses of their arrays
        functions = host_functions()
        self.walk, self.forget = functions["walk"], functions["forget"]
        # The type as a further argument: the launch is noted, see kernels/cpu.h.
        addresses = [function(*args, numpy.ndarray) for function, args in launches]
        self.addresses = numpy.array(addresses, "uintp")

    def __call__(self):
        self.walk(self.addresses, len(self.addresses))

    def __del__(self):
        self.forget(self.addresses, len(self.addresses))


def lies_in(x, array):
    """Whether it is an array that begins in the memory of another, which is dense."""
    return isinstance(x, numpy.ndarray) and 0 <= address(x) - address(array) < array.nbytes


def array_at(place, memory, start):
    """The array that a Place is, where its buffer starts in the memory, an array of bytes."""
    if 0 in place.shape:
        return numpy.empty(place.shape, place.dtype)
    return numpy.ndarray(place.shape, place.dtype, memory, start + place.offset, place.strides)


def bytes_of(root):
    """The memory of an array, from its first element to its last."""
    reach = sum((n - 1) * stride for n, stride in zip(root.shape, root.strides)) // root.itemsize
    return as_strided(root, (reach + 1 if root.size else 0,), (root.itemsize,)).view("uint8")


def repeated(tape):
    """Which of its calls a plan repeats."""
    return without_constants(needed(tape.calls))


def needed(calls):
    """The calls that change memory which outlives the step, or is read by such calls; and checks,
    which change nothing."""
    live, kept = set(), []
    for call in reversed(calls):
        if not call.writes or any(place.buffer.root is not None or place.buffer in live
                                  for place in call.writes):
            live.update(place.buffer for place in call.reads)
            kept.append(call)
    return kept[::-1]


def without_constants(calls):
    """The calls without those that always write the same numbers, which are written now."""
    written = Counter(place.buffer for call in calls for place in call.writes)
    kept = []
    for call in calls:
        if call.name == "copyto" and not isinstance(call.args[1], Place):
            buffer = call.args[0].buffer
            if buffer.root is None and written[buffer] == 1:
                buffer.root = numpy.empty(buffer.nbytes, "uint8")
                array = array_at(call.args[0], buffer.root, 0)
                call.function(array, *call.args[1:], **call.kwargs)
                continue
        kept.append(call)
    return kept


def lifetimes(calls):
    """{buffer: [first, last]}: the first and the last call that has it."""
    times = {}
    for i, call in enumerate(calls):
        for place in (*call.reads, *call.writes):
            if place.buffer.root is None:
                times.setdefault(place.buffer, [i, i])[1] = i
    return times


def layout(calls):
    """({buffer: offset in the arena}, size): the largest first, each at the lowest free place."""
    offsets, placed, size = {}, [], 0
    times = lifetimes(calls)
    for buffer in sorted(times, key=lambda buffer: -buffer.nbytes):
        first, last = times[buffer]
        length = -(-max(buffer.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        offset = 0
        for begin, end in sorted((begin, end) for begin, end, other_first, other_last in placed
                                 if other_first <= last and first <= other_last):
            if offset + length <= begin:
                break
            offset = max(offset, end)
        offsets[buffer] = offset
        placed.append((offset, offset + length, first, last))
        size = max(size, offset + length)
    return offsets, size
