"""Parameters side by side in one flat array, and their gradients in another."""

from typing import NamedTuple

import numpy

from minigan.device import array_module
from minigan.kernels.cuda.source import has_kernels_for

# An update is a dozen passes over its arrays: on the CPU over pieces that stay in the cache.
PIECE = 1 << 18


class Run(NamedTuple):
    """Neighbours in a block that have had equally many steps: nearly always all of it."""
    first: int  # of the parameters
    last: int   # exclusive
    start: int  # of the numbers
    end: int
    step: int


class Block:
    """Parameters of one group, dtype and device, side by side.

    values, gradients  the flat arrays; views, slots: their parts in the parameters' shapes
    moments            name -> flat array of what the optimiser remembers, such as 'exp_avg'
    steps              how many steps each parameter has had

    On a GPU also `counters`, the steps as an array there, and `options`, the optimiser's options
    there: a recorded launch reads them anew each time.
    """

    def __init__(self, parameters, names, options):
        self.parameters = parameters
        self.shapes = [p.array.shape for p in parameters]
        first = parameters[0].array
        xp = array_module(first)
        self.ends = []
        total = 0
        for p in parameters:
            total += p.array.size
            self.ends.append(total)
        self.values, self.gradients = (xp.empty(total, first.dtype) for _ in range(2))
        self.moments = {name: xp.zeros(total, first.dtype) for name in names}
        self.steps = [0] * len(parameters)
        self.has_kernels = has_kernels_for(self.values)
        if self.has_kernels:
            self.counters = xp.zeros(len(parameters), numpy.int64)
            self.options = xp.empty(len(options), numpy.float64)
            self.uploaded = None  # what `options` holds
        else:
            self.scratch = xp.empty(min(total, PIECE) if xp is numpy else total, first.dtype)
        self.views, self.slots = self.parts(self.values), self.parts(self.gradients)
        for p, view, slot in zip(parameters, self.views, self.slots):
            view[...] = p.array
            p.array = view
            p.slot = slot

    def parts(self, flat):
        """A flat array as views in the parameters' shapes."""
        return [flat[start:end].reshape(shape)
                for start, end, shape in zip([0, *self.ends], self.ends, self.shapes)]

    def is_in_place(self):
        """Whether the parameters still lie here: `to`, `data = ` or another optimiser move them."""
        return all(p.array is view for p, view in zip(self.parameters, self.views))

    def flats(self):
        return self.values, self.gradients, *self.moments.values()

    def advance(self):
        """Count a step for each parameter that has a gradient; the runs of them."""
        runs = []
        start = 0
        for i, p in enumerate(self.parameters):
            end = self.ends[i]
            gradient = p.gradient
            if gradient is not None:
                if gradient is not self.slots[i]:  # set by hand, or in another's slot
                    self.slots[i][...] = gradient
                self.steps[i] += 1
                p.changed()
                step = self.steps[i]
                if runs and runs[-1].last == i and runs[-1].step == step:
                    runs[-1] = runs[-1]._replace(last=i + 1, end=end)
                else:
                    runs.append(Run(i, i + 1, start, end, step))
            start = end
        return runs

    def set_steps(self, steps):
        self.steps = steps
        if self.has_kernels:
            self.counters.set(numpy.array(steps, numpy.int64))

    def set_options(self, options):
        """Copy the options to the GPU if they are others than before."""
        if options != self.uploaded:
            self.options.set(numpy.array(options, numpy.float64))
            self.uploaded = options


class RecordedStep:
    """An optimiser's step over one block within a recording: what the host does at its replays."""

    def __init__(self, optimiser, group, block, runs):
        self.optimiser, self.group, self.block, self.runs = optimiser, group, block, runs

    def fits(self):
        """Whether the block is still in use, and its parameters lie there."""
        return any(block is self.block for _, block in self.optimiser.blocks) and (
            self.block.is_in_place())

    def before(self):
        self.block.set_options(self.optimiser.options(self.group))

    def after(self, steps=1):
        for run in self.runs:
            for i in range(run.first, run.last):
                self.block.steps[i] += steps

    def undo(self):
        self.after(-1)
