"""Whether everything is as it was when a step was recorded, in less time than a small step takes.

kernels/host.cpp makes the same checks where it could be compiled, for a fraction of the time.
Attributes of Tensors are slots, and lie at fixed offsets in them.
"""

import ctypes
import functools
import sys

import numpy

from minigan.kernels import launch
from minigan.tensor import Tensor, from_array


class Watch:
    """Things that must stay the very same objects.

    >>> watch = Watch()
    >>> watch.slot(tensor, "array", array)
    >>> watch.entries(optimiser.param_groups)
    >>> watch.is_unchanged()
    """

    def __init__(self):
        self.slots = []  # (tensor, name of a slot, its value)
        self.lists, self.dicts = [], []  # (list or dict, tuple of what is in it)
        self._for_host = None

    def slot(self, tensor, name, value):
        """The slot of a Tensor holds the value, which is not kept alive by this."""
        self.slots.append((tensor, name, id(value)))

    def entries(self, container):
        """A list or the values of a dict stay what they are."""
        if isinstance(container, dict):
            self.dicts.append((container, tuple(container.values())))
        else:
            self.lists.append((container, tuple(container)))

    def is_unchanged(self):
        host = host_functions()
        if host is None:
            return (all(id(getattr(tensor, name)) == value for tensor, name, value in self.slots)
                    and all(same(now, then) for now, then in self.lists)
                    and all(same(now.values(), then) for now, then in self.dicts))
        if self._for_host is None:
            offsets = slot_offsets()
            pairs = [(id(tensor) + offsets[name], value) for tensor, name, value in self.slots]
            self._for_host = (numpy.array(pairs, "uintp"), len(pairs),
                              sum(self.lists, ()), sum(self.dicts, ()))
        pairs, count, lists, dicts = self._for_host
        return host["same_pointers"](pairs, count) and host["same_entries"](lists, dicts)


class Counters:
    """The version counters that a replay raises."""

    def __init__(self, tape):
        self.tape = tape
        self._pairs = self._kept = None

    def count_up(self):
        host = host_functions()
        if host is None:
            return self.tape.count_up()
        if self._pairs is None:
            pointers = numpy.array([id(counter) for counter, _ in self.tape.versions], "uintp")
            self._kept = pointers  # as `pairs` has their addresses
            first = pointers.ctypes.data
            pairs = [(first + 8 * i, by) for i, (_, by) in enumerate(self.tape.versions)]
            offset = slot_offsets()["version"]
            pairs += [(id(leaf.grad_buffer) + offset, by)
                      for leaf, by in self.tape.gradient_versions.items()]
            self._pairs = numpy.array(pairs, "uintp"), len(pairs)
        host["count_up"](*self._pairs)


def take_inputs(arrays, inputs, plan):
    """Let a plan read the arrays of Tensors where they lie, or copies of them in `arrays`. False if
    they do not fit, see kernels/host.cpp: nothing has changed then."""
    host = host_functions()
    if host is None:
        return False
    offsets = slot_offsets()
    return host["take_inputs"](
        arrays, inputs, offsets["array"], Tensor, offsets["_requires_grad"], False,
        plan.uses, plan.taken, plan.written, len(plan.written))


def same(now, then):
    """Whether two sequences have the very same entries."""
    return len(now) == len(then) and all(a is b for a, b in zip(now, then))


def host_functions():
    """The functions of kernels/host.cpp, or None."""
    functions = launch.host_functions()
    return functions if functions and slot_offsets() else None


@functools.cache
def slot_offsets():
    """{name: bytes from a Tensor's beginning to the slot}; empty where they cannot be found."""
    if sys.implementation.name != "cpython":
        return {}
    offsets = {}
    for name in ("array", "version", "_grad", "grad_buffer", "_requires_grad"):
        tensor, marker = from_array(numpy.zeros(1)), object()
        setattr(tensor, name, marker)
        found = [offset for offset in range(object.__basicsize__, Tensor.__basicsize__, 8)
                 if ctypes.c_size_t.from_address(id(tensor) + offset).value == id(marker)]
        if len(found) != 1:
            return {}
        offsets[name] = found[0]
    return offsets
