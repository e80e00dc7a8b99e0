"""Steps of optimisers, twins of their `update`: all parameters in one launch."""

import operator
import weakref
from itertools import chain

import numpy

from minigan.autograd import twin_of
from minigan.device import address, array_module
from minigan.hooks import hooks
from minigan.kernels.launch import covered, is_plain, launch, THREADS
from minigan.optim import SGD, Adam

BLOCKS = 64  # of a GPU, for each parameter: every block works out the step size for itself


@twin_of(Adam.update)
def adam(self, group, params, grads, steps, exp_avgs, exp_avg_sqs):
    def options():
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"]

    return step("adam", self, group, (params, grads, exp_avgs, exp_avg_sqs, steps), options)


@twin_of(SGD.update)
def sgd(self, group, params, grads, steps, buffers):
    def options():
        return (group["lr"], group["momentum"], group["dampening"], group["weight_decay"],
                group["nesterov"])

    return step("sgd", self, group, (params, grads, buffers, steps), options,
                lambda: bool(group["momentum"]))


def step(kernel, optimiser, group, columns, options, counts=lambda: True):
    """A step of all parameters; gives True, as a captured one reads the options anew.

    columns  the parameters' arrays, as the kernel's table has them
    options  returns the numbers that it has beside the table
    counts   returns whether this is a step that counts
    """
    known = tables.setdefault(optimiser, {})
    if len(known) > len(optimiser.param_groups):
        for other in known.keys() - {id(g) for g in optimiser.param_groups}:
            del known[other]  # its group is gone
    table = known.get(id(group))
    if table is None or not table.holds(columns):
        table = Table(columns) if takes(columns) else None
        if table is None:
            return NotImplemented
        known[id(group)] = table
    elif not covered(columns[0][0]):
        return NotImplemented
    table.set_options(options())
    if hooks.capture is not None:
        hooks.capture.before_replay.append(lambda: table.set_options(options()))
        hooks.capture.constants.append((counts, counts()))  # it decides what is launched
    count, first = len(columns[0]), columns[0][0]
    if counts() and not isinstance(first, numpy.ndarray):
        launch("count_step", first, 1, count, (table.addresses[-2], count))
    launch(kernel, first, BLOCKS, THREADS, (table.addresses, table.options, table.size, count),
           grid_rows=count, others=tuple(chain(*columns)))
    return True


def takes(columns):
    """Whether the kernels take these arrays, whose addresses are all that they get: of one dtype
    and device, all of a parameter's in its shape, each in one piece that may be written."""
    params, *others, steps = columns
    first = params[0]
    return covered(first) and all(
        x.dtype == first.dtype and type(x) is type(first) and is_plain(x) and x.size
        for x in chain(params, *others)) and all(
        x.shape == p.shape for column in others for x, p in zip(column, params)) and all(
        x.dtype == "int64" and type(x) is type(first) and is_plain(x) and x.size == 1
        for x in steps)


# {optimiser: {id of a group: Table}}; where an optimiser is copied or pickled its tables stay here.
tables = weakref.WeakKeyDictionary()


class Table:
    """The addresses of arrays, and the options of a step, where a kernel can read them.

    arrays     kept, so that the addresses stay good
    gradients  weak references: a gradient that only its tensor keeps may be written anew
    addresses  (columns + 1, parameters) of integers; the last row holds the parameters' sizes
    options    (5,) of float64
    """

    def __init__(self, columns):
        params, gradients, *others = columns
        self.arrays = [*params, *chain(*others)]
        self.gradients = [weakref.ref(g) for g in gradients]
        xp = numpy if isinstance(params[0], numpy.ndarray) else array_module(params[0])
        sizes = [p.size for p in params]
        self.size = sum(sizes)  # how much work a launch is
        rows = [[*map(address, column)] for column in columns]
        self.addresses = xp.asarray(numpy.array([*rows, sizes], "int64"))
        self.options = xp.empty(5, "float64")
        self.known = None  # the options that are there

    def holds(self, columns):
        """Whether these are its arrays, the very same."""
        params, gradients, *others = columns
        return len(gradients) == len(self.gradients) and all(
            map(operator.is_, chain(params, *others), self.arrays)) and all(
            map(operator.is_, [reference() for reference in self.gradients], gradients))

    def set_options(self, options):
        """Write the options if they are others than before."""
        options = tuple(map(float, options))
        if options != self.known:
            values = numpy.array(options, "float64")
            if isinstance(self.options, numpy.ndarray):
                self.options[...] = values
            else:
                self.options.set(values)
            self.known = options
