"""Streams, and work on them: done at once, or recorded into a graph while a stream captures."""

import contextlib
import itertools
import traceback
from typing import NamedTuple

import numpy


class CUDARuntimeError(RuntimeError):
    pass


class Launch(NamedTuple):
    """A kernel's launch: its name, the bytes that it reads and writes, for a product its sizes
    (m, n, k) and how many there are."""
    name: str
    nbytes: int
    product: tuple | None = None


class _Counts:
    """How often the host read from the device, where last, and how often it copied to it; inside
    `dry_run` the launches, which then only count."""

    def __init__(self):
        self.host_reads = self.uploads = 0
        self.last_read = ""
        self.reads_forbidden = False
        self.launches = None


counts = _Counts()


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        pass


class Graph:
    """Actions on fixed memory, done in order at each launch."""

    def __init__(self):
        self.actions = []

    def launch(self, stream=None):
        for action in self.actions:
            run(action, "of a graph")

    def upload(self, stream=None):
        pass


_addresses = itertools.count(1 << 20, 64)
_current = []


class Stream:
    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else next(_addresses)
        self.graph = None
        self.broken = False

    def __enter__(self):
        _current.append(self)
        return self

    def __exit__(self, *exception):
        _current.pop()

    def record(self, event=None):
        return event or Event()

    def wait_event(self, event):
        if not isinstance(event, Event):
            raise TypeError(f"expected an Event, got {type(event).__name__}")

    def synchronize(self):
        host_read("synchronize")

    def is_capturing(self):
        if self.broken:
            raise RuntimeError("the stream was capturing, but an error has invalidated it")
        return self.graph is not None

    def begin_capture(self, mode=None):
        if not self.ptr:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.graph is not None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is capturing already")
        self.graph, self.broken = Graph(), False

    def end_capture(self):
        if self.graph is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream does not capture")
        graph, self.graph = self.graph, None
        broken, self.broken = self.broken, False
        if broken:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a "
                                   "previous error during capture")
        return graph


Stream.null = Stream(null=True)


def get_current_stream():
    return _current[-1] if _current else Stream.null


def run(action, name, arrays=(), product=None):
    """Do something to memory that is there already; or record it.

    name, product  as a Launch has them
    arrays         that it reads and writes
    """
    if counts.launches is not None:
        counts.launches.append(Launch(name, sum(map(extent, arrays)), product))
        return
    graph = get_current_stream().graph
    if graph is not None:
        graph.actions.append(action)
        return
    with numpy.errstate(all="ignore"):  # a GPU gives no warnings
        action()


def made(function, allocate, name, arrays=()):
    """The array of what function() gives, in memory that is new; recorded, in the same each time.

    allocate  from the values, the new array. While a stream captures, the values are of whatever
              the inputs hold then: only a launch computes the true ones.
    name      as a Launch has it
    arrays    that it reads
    """
    with numpy.errstate(all="ignore"):
        values = function()
    result = allocate(values)

    def again():
        result.host[...] = function()

    if counts.launches is not None or get_current_stream().graph is not None:
        run(again, name, [*arrays, result])
    if counts.launches is None:
        result.host[...] = values
    return result


def extent(array):
    """The bytes of an array, of what is repeated only once; 0 for a number."""
    size = getattr(array, "itemsize", 0)
    for n, step in zip(getattr(array, "shape", ()), getattr(array, "strides", ())):
        size *= n if step else 1
    return size if hasattr(array, "strides") else 0


@contextlib.contextmanager
def dry_run():
    """Launches are counted and nothing is computed: arrays have shapes, and whatever numbers. Gives
    the list of Launches."""
    counts.launches = []
    try:
        yield counts.launches
    finally:
        counts.launches = None


def host_read(what):
    """Whatever makes the host wait for the device."""
    counts.host_reads += 1
    counts.last_read = "".join(traceback.format_stack(limit=6)[:-1])
    if counts.reads_forbidden:
        raise AssertionError(f"{what} makes the host wait for the device, from\n{counts.last_read}")
    refuse_in_capture(what)


def upload():
    """A copy from the host."""
    counts.uploads += 1
    refuse_in_capture("a copy from the host")


def refuse_in_capture(what, error=None):
    stream = get_current_stream()
    if stream.graph is not None:
        stream.broken = True
        raise error or CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: operation not permitted "
                                        f"when stream is capturing ({what})")


@contextlib.contextmanager
def no_host_reads():
    """AssertionError for whatever makes the host wait for the device."""
    counts.reads_forbidden = True
    try:
        yield
    finally:
        counts.reads_forbidden = False
