"""What the host does in a captured step, beside the arrays' numbers: the versions of what changes,
where gradients go, and what must still be as it was for the step to be repeated."""

import weakref
from collections import Counter

import numpy

# What a gradient was when a step first used it, and is at the step's end, beside None or an array:
ANY = "any"        # the step clears it before it looks
BUFFER = "buffer"  # the leaf's grad_buffer


class HostWork:
    """The host's part of a step. The engine reports to it while `hooks.capture` is set to it.

    changes        {id of a version counter: changes} of the tensors that were changed in place
    gradients      {leaf: its gradient when the step first used it: None, ANY, BUFFER or an array}
    optimisers     those that were stepped
    constants      (function, what it returned then): numbers of the host that the capture holds
    before_replay  functions to call before each replay
    """

    numpy = numpy  # the module that makes new arrays on the CPU
    keeps_buffers = True  # gradients stay in their places, whoever keeps them
    own_references = 0    # to such a place
    communicates = False  # whether other processes take part in the step

    def __init__(self):
        self.changes = Counter()  # of tensors in place, by the id of the version counter
        self.counters = {}        # id: version counter
        self.gradients = {}
        self.optimisers = []
        self.constants = []
        self.before_replay = []
        # At the end of the step:
        self.versions = []
        self.leaves = []  # (leaf, its array, weak reference to where its gradients go, gradient)
        self.parts = []   # (optimiser, its groups, parameters and arrays)
        self.lost = []    # references to places of gradients that are gone

    # What the engine reports

    def refuse(self, reason):
        """The step did what a capture cannot repeat."""
        raise RuntimeError(reason)

    def watch(self, *tensors):
        """These Tensors are about to be used or changed."""

    def changed(self, tensor):
        """The Tensor was changed in place."""
        self.changes[id(tensor.version)] += 1
        self.counters[id(tensor.version)] = tensor.version

    def uses_gradient(self, leaf, clears=False):
        """The step is about to read, change or clear the gradient of a leaf."""
        if leaf not in self.gradients:
            self.gradients[leaf] = ANY if clears else gradient_of(leaf)

    def launch(self, name, function, args, outputs, others):
        """A kernel of the CPU is to be launched. The arguments are explained in tape.py."""
        function(*args)

    def call(self, function, args, writes):
        """A function of arrays is to be called, which may look at their numbers."""
        function(*args)

    # Afterwards

    def end(self):
        """Remember what there is at the end of the step: each replay ends with the same."""
        of_buffers = {}
        for leaf in self.gradients:
            buffer, grad = leaf.grad_buffer, leaf._grad
            reference = None if buffer is None else weakref.ref(buffer, self.lost.append)
            self.leaves.append((leaf, leaf.array, reference,
                                BUFFER if grad is not None and grad is buffer else grad))
            if buffer is not None:
                of_buffers[id(buffer.version)] = leaf
        # Counters of gradient buffers are reached by their leaves: who keeps a gradient is found by
        # counting references, see `is_kept`.
        self.versions, self.gradient_versions = [], Counter()
        for key, count in self.changes.items():
            if key in of_buffers:
                self.gradient_versions[of_buffers[key]] += count
            elif key in self.counters:
                self.versions.append((self.counters[key], count))
        self.counters = {}
        self.parts = [(o, o._parts()) for o in dict.fromkeys(self.optimisers)]

    def has_its_arrays(self):
        """Whether parameters and optimisers are what they were at the end of the step."""
        for leaf, array, buffer, _ in self.leaves:
            if leaf.array is not array or not is_the_buffer(leaf.grad_buffer, buffer):
                return False
        for optimiser, parts in self.parts:
            now = optimiser._parts()
            if len(parts) != len(now) or any(a is not b for a, b in zip(parts, now)):
                return False
        return True

    def is_valid(self):
        """Whether a replay does what the step would do now."""
        for leaf, gradient in self.gradients.items():
            if gradient is not ANY and gradient is not gradient_of(leaf):
                return False
        return self.has_its_arrays() and all(
            function() == value for function, value in self.constants)

    def prepare_replay(self):
        for function in self.before_replay:
            function()

    def after_replay(self):
        self.set_gradients()
        self.count_up()

    def set_gradients(self):
        for leaf, _, _, gradient in self.leaves:
            leaf._grad = leaf.grad_buffer if gradient is BUFFER else gradient

    def count_up(self):
        for version, count in self.versions:
            version[0] += count
        for leaf, count in self.gradient_versions.items():
            leaf.grad_buffer.version[0] += count


def gradient_of(leaf):
    """None, BUFFER or the array of a leaf's gradient."""
    if leaf._grad is None:
        return None
    return BUFFER if leaf._grad is leaf.grad_buffer else leaf._grad.array


def is_the_buffer(buffer, reference):
    """Whether it is what the weak reference was made of; None stands for no buffer."""
    return buffer is None if reference is None else buffer is not None and reference() is buffer
