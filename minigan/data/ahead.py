"""Batches prepared by a thread while the training step runs."""

import atexit
import queue
import sys
import threading
from numbers import Integral

from minigan.tensor import Tensor, from_array
from minigan.device import to_device
from minigan.checks import describe


class ReadAhead:
    """Iterates over an iterable while a thread prepares the next items.

    iterable  yields the items, such as a DataLoader
    ahead     how many items may be ready and waiting

    >>> loader = DataLoader(ImageDataset("faces", device="cpu"), batch_size=16, shuffle=True)
    >>> for images in ReadAhead(loader): ...

    The items keep the iterable's order. Tensors, also those in tuples, are copied to the default
    device by the loop itself: with a data set on the CPU, as here, the thread never uses the GPU.
    An exception in the thread is raised in the loop, after the items before it. The thread ends
    with the loop, whether that is exhausted or left early. ValueError if `ahead` is not an integer
    of at least 1.
    """

    def __init__(self, iterable, ahead=4):
        if isinstance(ahead, bool) or not isinstance(ahead, Integral) or ahead < 1:
            raise ValueError(f"ReadAhead: ahead must be an integer of at least 1, "
                             f"got {describe(ahead)}")
        if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
            raise TypeError(f"ReadAhead: {describe(iterable)} is not iterable")
        self.iterable = iterable
        self.ahead = ahead

    def __len__(self):
        return len(self.iterable)

    def __iter__(self):
        return self._read_ahead(self.iterable)

    def batches(self, first=0):
        """As `DataLoader.batches`, for the loader that this reads from."""
        return self._read_ahead(self.iterable.batches(first))

    def _read_ahead(self, iterable):
        ready = queue.SimpleQueue()
        room = threading.Semaphore(self.ahead)
        stopped = threading.Event()
        # A daemon thread: Python does not wait for it at exit if the loop was never left.
        thread = threading.Thread(target=_prepare, args=(iterable, ready, room, stopped),
                                  daemon=True, name="ReadAhead")

        def stop():
            stopped.set()
            room.release()  # wakes a thread that waits for room
            thread.join()

        # At exit Python freezes daemon threads, this one perhaps inside h5py and holding its lock:
        # it is stopped before that.
        atexit.register(stop)
        thread.start()
        try:
            while True:
                item, error = ready.get()
                if error is not None:
                    raise error
                if item is _END:
                    return
                room.release()
                yield _to_default_device(item)
        finally:
            atexit.unregister(stop)
            if not sys.is_finalizing():
                stop()


_END = object()


def _prepare(iterable, ready, room, stopped):
    """Put pairs (item, None) into `ready`, and finally (_END, the error or None)."""
    try:
        room.acquire()
        for item in iterable:
            ready.put((item, None))
            room.acquire()
            if stopped.is_set():
                return
        ready.put((_END, None))
    except BaseException as error:  # of any kind: the loop raises it
        ready.put((_END, error))


def _to_default_device(item):
    if isinstance(item, Tensor):
        return from_array(to_device(item.array, None))
    if isinstance(item, (tuple, list)):
        return tuple(map(_to_default_device, item))
    return item
