"""Data sets as sequences of items, and batches of them."""

import numpy

from minigan import distributed
from minigan.tensor import Tensor, from_array
from minigan.device import generator, array_module, to_device
from minigan.checks import check_options, check_int, describe, explain_errors, short_repr


class Dataset:
    """A sequence of items: subclasses define `__len__` and `__getitem__`.

    `__getitem__` raises IndexError past the end, which ends a `for` loop. A subclass that can load
    many items at once also defines `batch(indices)`, for an int64 array (N,) or a slice, which
    returns what `collate` would make of these items.

    at_once  how many items to ask `batch` for at a time. From the tuple of Tensors that it returns a
             DataLoader slices smaller batches, which are views: clone() those to keep
    """

    at_once = 0

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")


class TensorDataset(Dataset):
    """Tensors of equal length; an item is a tuple of one row of each.

    Raises TypeError for anything but Tensors, ValueError for none or for different lengths.
    """

    @explain_errors
    def __init__(self, *tensors):
        if not all(isinstance(x, Tensor) for x in tensors):
            raise TypeError(f"TensorDataset: expected Tensors, got {_kinds(tensors)}")
        lengths = {len(x) for x in tensors}
        if len(lengths) != 1:
            raise ValueError(f"TensorDataset: expected Tensors of equal length, "
                             f"got {sorted(lengths)}")
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(f"TensorDataset: no item {index}, it has {len(self)}")
        return tuple(x[index] for x in self.tensors)

    def batch(self, indices):
        return tuple(from_array(to_device(x[indices].array, None)) for x in self.tensors)


class DataLoader:
    """Iterates over a data set in batches; each `for` loop over it is an epoch.

    dataset     anything with `__len__` and `__getitem__`, and `batch` if it has one
    batch_size  items in a batch; the last batch may be smaller
    shuffle     whether each epoch has a new random order
    drop_last   whether to leave out a last batch that is not full
    seed        determines the orders; by default `minigan.manual_seed` does
    num_workers, pin_memory  accepted as in PyTorch, without effect: each batch is made when the
                loop asks for it. `ReadAhead` makes batches in a thread

    Each of several processes (minigan.distributed) sees all items, unless they `divide` them.

    Raises ValueError for a batch size that is not an integer of at least 1, for a negative
    num_workers and for a data set without a single batch; NotImplementedError for PyTorch's
    sampler, batch_sampler, collate_fn and worker_init_fn, unless they are None.
    """

    @explain_errors
    def __init__(self, dataset, batch_size=1, shuffle=False, *, drop_last=False, seed=None,
                 num_workers=0, pin_memory=False, **options):
        check_options("DataLoader", options, {option: (None,) for option in (
            "sampler", "batch_sampler", "collate_fn", "worker_init_fn")})
        if not _is_integer(num_workers) or num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must be an integer of at least 0, "
                             f"got {short_repr(num_workers)}")
        if not _is_integer(batch_size) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be an integer of at least 1, "
                             f"got {short_repr(batch_size)}")
        if seed is not None and (not _is_integer(seed) or seed < 0):
            raise ValueError(f"DataLoader: seed must be None or an integer of at least 0, "
                             f"got {short_repr(seed)}")
        if len(dataset) < (batch_size if drop_last else 1):
            raise ValueError(f"DataLoader: the data set has {len(dataset)} items, not enough for "
                             f"one batch (batch_size {batch_size}, drop_last {drop_last})")
        self._at_once = check_int("DataLoader", "the data set's at_once",
                                  getattr(dataset, "at_once", 0), least=0)
        self.dataset = dataset
        self.batch_size = batch_size
        self.processes = 1  # among which the items are divided
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._random = None if seed is None else numpy.random.default_rng(seed)
        self._last_state = None  # of the generator before the last order was sampled
        self._next_state = None  # to be restored before the next one is

    def divide(self):
        """Divide the items among all processes, which call this together.

        Each of N processes gets its part of batches of N * batch_size items, in an order that is
        the same for all: together they see what one process sees with batches of that size. Where
        the last batch of an epoch cannot be divided equally, some of the first items fill it up.

        Raises ValueError where there are not enough items for one batch, as for a new DataLoader.
        """
        self.processes = distributed.size()
        if not len(self):
            raise ValueError(f"divide: the data set has {len(self.dataset)} items, not enough for one "
                             f"batch of {self.batch_size} for each of {self.processes} processes")
        if self.shuffle and self._random is None and self.processes > 1:
            seed = distributed.gather(int(generator("cpu").integers(1 << 32)))[0]
            self._random = numpy.random.default_rng(seed)

    def __len__(self):
        """The number of batches in an epoch."""
        return self.batches_for(self.processes)

    def batches_for(self, processes):
        """The number of batches in an epoch with so many processes."""
        full, rest = divmod(len(self.dataset), self.batch_size * processes)
        return full + bool(rest and not self.drop_last)

    def __iter__(self):
        return self.batches()

    def batches(self, first=0):
        """An epoch's batches from index `first` on; those before it are not read."""
        first = check_int("batches", "first", first, least=0)
        order = self._sampled_order() if self.shuffle else None
        if hasattr(self.dataset, "batch"):
            yield from self._loaded_batches(order, first)
            return
        for i in range(first, len(self)):
            indices = self._indices(order, [self._own_range(i)])
            indices = range(len(self.dataset))[indices] if isinstance(indices, slice) else (
                indices.tolist())
            yield collate([self.dataset[index] for index in indices])

    def _loaded_batches(self, order, first):
        """The same by the data set's `batch`, several from one call if the data set asks for it."""
        several = max(1, self._at_once // self.batch_size)
        i = first
        while i < len(self):
            ranges = [self._own_range(k) for k in range(i, min(i + several, len(self)))]
            batch = self.dataset.batch(self._indices(order, ranges))
            if len(ranges) == 1:
                yield batch
            elif not _has_rows(batch, sum(end - start for start, end in ranges)):
                several = 1  # nothing to divide: one by one from here on
                continue
            else:
                arrays, place = [x.array for x in batch], 0
                for start, end in ranges:
                    part = slice(place, place + end - start)
                    yield tuple([from_array(array[part]) for array in arrays])
                    place = part.stop
            i += len(ranges)

    def _own_range(self, i):
        """Where this process's items of batch i start and end; past the end of the order it starts
        over."""
        size = self.batch_size * self.processes
        start, end = i * size, min((i + 1) * size, len(self.dataset))
        return (start, end) if self.processes == 1 else own_part(start, end)

    def _indices(self, order, ranges):
        """The indices of items in these ranges of an order, or without one: a slice or an array."""
        length, start, end = len(self.dataset), ranges[0][0], ranges[-1][1]
        if end <= length and (self.processes == 1 or len(ranges) == 1):
            return slice(start, end) if order is None else order[start:end]
        places = numpy.concatenate([numpy.arange(*own) for own in ranges]) % length
        return places if order is None else order[places]

    def _sampled_order(self):
        rng = self._order_rng()
        self._last_state = rng.bit_generator.state
        order = numpy.arange(len(self.dataset))
        rng.shuffle(order)
        return order

    def _order_rng(self):
        """The random generator to sample an order from."""
        if self._next_state is None:
            return self._random or generator("cpu")
        rng = numpy.random.default_rng()
        rng.bit_generator.state, self._next_state = self._next_state, None
        if self._random is not None:
            self._random = rng
        return rng

    def order_state(self, begun):
        """The state of the generator that samples an epoch's order, as JSON can hold it.

        begun  whether it is the order of the current epoch, or of the next one

        None if there is no such state: without shuffling, and where the global generator is used.
        """
        if not self.shuffle or not begun and self._random is None:
            return None
        return self._last_state if begun else self._random.bit_generator.state

    def set_order_state(self, state):
        """Sample the next order from this state; `batches(first)` then resumes the epoch.

        ValueError for anything but a result of `order_state`.
        """
        if state is not None:
            try:
                numpy.random.default_rng().bit_generator.state = state
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"set_order_state: expected the state of a random "
                                 f"generator: {error}") from error
        self._next_state = state


def _has_rows(batch, count):
    """Whether it is a tuple of Tensors of so many rows each."""
    return type(batch) is tuple and all(
        isinstance(x, Tensor) and x.ndim and len(x) == count and not x.requires_grad for x in batch)


def own_part(start, end):
    """Where this process's items of a batch start and end; all processes have equally many."""
    count = -(-(end - start) // distributed.size())
    start += distributed.rank() * count
    return start, start + count


def _is_integer(value):
    return isinstance(value, (int, numpy.integer)) and not isinstance(value, bool)


@explain_errors
def collate(items):
    """One batch of a list of items, on the default device.

    Tensors and arrays are stacked along a new first axis, ints become an int64 Tensor and floats
    a float32 one, of shape (N,); tuples and lists are collated element by element, into a tuple.

    Raises ValueError for items of different shapes or lengths, TypeError for any other kind.
    """
    first = items[0]
    if isinstance(first, (tuple, list)):
        lengths = {len(item) for item in items}
        if len(lengths) > 1:
            raise ValueError(f"collate: items of different lengths: {sorted(lengths)}")
        return tuple(collate(elements) for elements in zip(*items))
    if isinstance(first, (int, float)):
        numbers = numpy.array(items)
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"collate: expected numbers, got {_kinds(items)}")
        if numbers.dtype.kind == "f":
            numbers = numbers.astype("float32")
        return from_array(to_device(numbers, None))
    arrays = [item.array if isinstance(item, Tensor) else item for item in items]
    if not all(hasattr(array, "shape") for array in arrays):
        raise TypeError(f"collate: expected Tensors, arrays, numbers or tuples of them, "
                        f"got {_kinds(items)}")
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"collate: items of different shapes: {sorted(shapes)}")
    stacked = array_module(arrays[0]).stack(arrays)
    if stacked.dtype.kind not in "biuf":
        raise TypeError(f"collate: expected numbers, got {describe(stacked)}")
    return from_array(to_device(stacked, None))


def _kinds(items):
    return ", ".join(sorted({type(item).__name__ for item in items}))


@explain_errors
def one_hot(labels, num_classes=10):
    """A one at the index that the label gives, zeros elsewhere: float32 (..., num_classes).

    labels  integers from 0 to num_classes - 1: a number, a list, an array or a Tensor

    Raises TypeError for labels that are not integers, ValueError for one out of range.
    """
    num_classes = check_int("one_hot", "num_classes", num_classes)
    labels = to_device(labels.array, "cpu") if isinstance(labels, Tensor) else numpy.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels must be integers, got {labels.dtype}")
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(f"one_hot: labels must be 0 to {num_classes - 1}, got {wrong.flat[0]}")
    return from_array(to_device(numpy.eye(num_classes, dtype="float32")[labels], None))
