"""Batches prepared while the last one is still being learned from."""

import atexit
import queue
import sys
import threading
from numbers import Integral

from minigan.tensor import Tensor
from minigan.device import to_device
from minigan.checks import describe


class ReadAhead:
    """Goes through an iterable while a thread of its own prepares what comes next.

    iterable  what yields the items, such as a DataLoader
    ahead     how many items may wait, ready, at a time

    >>> loader = DataLoader(ImageDataset("faces", device="cpu"), batch_size=16, shuffle=True)
    >>> for images in ReadAhead(loader): ...

    The items come in the iterable's order. Tensors, and those in tuples, are moved to the default
    device by the loop itself: with a data set on the CPU, as here, the thread leaves a GPU alone.
    An exception in the thread is raised in the loop, after the items before it. The thread ends
    with the loop, at its end or where it is left. ValueError if `ahead` is not a whole number of
    at least 1.
    """

    def __init__(self, iterable, ahead=4):
        if isinstance(ahead, bool) or not isinstance(ahead, Integral) or ahead < 1:
            raise ValueError(f"ReadAhead: ahead must be a whole number of at least 1, "
                             f"got {describe(ahead)}")
        if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
            raise TypeError(f"ReadAhead: {describe(iterable)} is not iterable")
        self.iterable = iterable
        self.ahead = ahead

    def __len__(self):
        return len(self.iterable)

    def __iter__(self):
        return self._ahead_of(self.iterable)

    def batches(self, first=0):
        """As `DataLoader.batches`, of the loader that this reads."""
        return self._ahead_of(self.iterable.batches(first))

    def _ahead_of(self, iterable):
        ready = queue.SimpleQueue()
        room = threading.Semaphore(self.ahead)
        left = threading.Event()
        # A daemon, so that Python does not wait for it at exit where nobody has left the loop.
        thread = threading.Thread(target=_prepare, args=(iterable, ready, room, left),
                                  daemon=True, name="ReadAhead")
        def stop():
            left.set()
            room.release()  # for a thread that waits for room, so that it sees the loop is left
            thread.join()

        # While Python exits, daemons are frozen, this one perhaps within h5py and with its lock:
        # it ends before that.
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
                yield _on_default_device(item)
        finally:
            atexit.unregister(stop)
            if not sys.is_finalizing():
                stop()


_END = object()


def _prepare(iterable, ready, room, left):
    """Put pairs of an item and None into `ready`; at last _END and the error, if there was one."""
    try:
        room.acquire()
        for item in iterable:
            ready.put((item, None))
            room.acquire()
            if left.is_set():
                return
        ready.put((_END, None))
    except BaseException as error:  # of whatever kind, it is for the loop to see
        ready.put((_END, error))


def _on_default_device(item):
    if isinstance(item, Tensor):
        return Tensor(to_device(item.array, None))
    if isinstance(item, (tuple, list)):
        return tuple(map(_on_default_device, item))
    return item
