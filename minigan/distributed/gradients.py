"""What keeps the networks of all processes equal: the same first weights, and the mean gradients."""

import weakref

import numpy

from minigan.checks import describe
from minigan.device import address, aligned_starts, array_module
from minigan.distributed.processes import processes
from minigan.distributed.reduction import Flat, communicates
from minigan.hooks import hooks, run
from minigan.tensor import changed, from_array


def broadcast(module):
    """Give the Module's parameters and buffers process 0's values, in all processes. TypeError for
    anything else."""
    if not hasattr(module, "state_dict") or not hasattr(module, "parameters"):
        raise TypeError(f"broadcast: module must be a Module, got {describe(module)}")
    if processes.size == 1:
        return
    for tensor in module.state_dict().values():
        values = numpy.ascontiguousarray(tensor.detach().cpu().array)
        processes.world.Bcast(values)
        tensor.array[...] = array_module(tensor.array).asarray(values)
        tensor.changed()


def average_gradients(optimizer):
    """Make each gradient of an optimiser's parameters its mean over all processes.

    Call it in all processes, after the backward pass and before `optimizer.step`. A process in
    which a parameter got no gradient counts as one whose gradient is zero; if it got none in any,
    it has none afterwards. Gradients of one dtype travel as one array. TypeError for anything else.
    """
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(f"average_gradients: optimizer must be an Optimizer, got "
                        f"{describe(optimizer)}")
    if processes.size == 1:
        return
    params = [p for group in optimizer.param_groups for p in group["params"]]
    layout = layouts.get(optimizer)
    if layout is None or not layout.is_for(params):
        layouts[optimizer] = layout = Layout(params)
    communicates()
    for part in layout.parts:
        part.average()


layouts = weakref.WeakKeyDictionary()  # {optimizer: Layout}


class Layout:
    """Where the gradients of parameters lie: those of one dtype and device in one Flat."""

    def __init__(self, params):
        self.params = params
        self.kinds = [(p.dtype, p.device) for p in params]
        self.parts = [Part([p for p, its in zip(params, self.kinds) if its == kind])
                      for kind in dict.fromkeys(self.kinds)]

    def is_for(self, params):
        return len(params) == len(self.params) and all(
            p is q and (p.dtype, p.device) == kind
            for p, q, kind in zip(params, self.params, self.kinds))


class Part:
    """The gradients of some parameters in one flat array, and how many processes have each."""

    def __init__(self, params):
        self.params = params
        starts = aligned_starts([p.array for p in params])
        self.flat = Flat(starts[-1] + len(params), params[0].array)
        self.places = [self.flat.array[start:start + p.array.size].reshape(p.array.shape)
                       for p, start in zip(params, starts)]
        self.counts = self.flat.array[starts[-1]:]
        self.known = {}  # arrays for them
        # Weak references: `is_kept` would take a strong one for the user's.
        self.buffers = [weakref.ref(self.adopt(p, place)) for p, place in zip(params, self.places)]

    def adopt(self, p, place):
        """Let backward passes write the parameter's gradient into its place."""
        own = place[...]  # a view of its own: references to it are counted
        if p.grad_buffer is None:
            p.grad_buffer = from_array(own)
        else:
            own[...] = p.grad_buffer.array
            p.grad_buffer.array = own
        return own

    def average(self):
        if hooks.capture is not None:
            for p in self.params:
                hooks.capture.uses_gradient(p)
        found = tuple([p._grad is not None for p in self.params])
        gradients = [p._grad.array if has else
                     array_module(place).zeros_like(place) if p._requires_grad else None
                     for p, has, place in zip(self.params, found, self.places)]
        in_place = False not in found and all(
            [g is buffer() or fills(g, place)
             for g, buffer, place in zip(gradients, self.buffers, self.places)])
        if in_place:
            run(self.exchange_in_place, (gradients,), (self.flat.array, *gradients))
            changed([p._grad for p in self.params])
            return
        run(self.exchange, (gradients, found),
            (self.flat.array, *[g for g in gradients if g is not None]))
        for i, (p, g) in enumerate(zip(self.params, gradients)):
            if not found[i]:
                self.take_over(p, g, i)
            if p._grad is not None:
                p._grad.changed()

    def exchange_in_place(self, gradients):
        """Average arrays that all lie in their places. (They are arguments so that a captured step
        knows what this reads.)"""
        self.counts.fill(1)
        self.flat.average()

    def exchange(self, gradients, found):
        """Average arrays, or zeros for None, each in its place or by way of it.

        A place where no gradient is now keeps its numbers: somebody may have kept a gradient of
        before.
        """
        elsewhere = []
        for place, g in zip(self.places, gradients):
            if g is None or not fills(g, place):
                shares = g is not None and array_module(place).may_share_memory(g, place)
                before = None if shares else place.copy()  # to put it back would overwrite g
                elsewhere.append((place, g, before))
                place[...] = 0 if g is None else g
        self.counts[...] = self.ones_of(found)
        self.flat.average()
        for place, g, before in elsewhere:
            if g is not None:
                g[...] = place
            if before is not None:
                place[...] = before

    def ones_of(self, found):
        """An array of ones and zeros. It is kept: a step that is captured on a GPU cannot copy it
        there."""
        if found not in self.known:
            self.known[found] = array_module(self.counts).asarray(found, self.counts.dtype)
        return self.known[found]

    def take_over(self, p, mean, i):
        """The gradient of a parameter that got none here, if it got one in another process."""
        if not p._requires_grad:
            return
        if hooks.capture is not None:
            hooks.capture.refuse("a parameter has no gradient here, and may have one in another "
                                 "process")
        if self.counts[i] > 0:
            p._grad = from_array(mean)


def fills(array, place):
    """Whether its elements are those of the place, in the same order."""
    return address(array) == address(place) and array.strides == place.strides
