"""capture: a training step captured once as a CUDA graph, which the GPU then replays as a whole.

With small networks and batches a GPU spends most of its time waiting for Python to launch the next
of some hundred kernels. A CUDA graph holds them all and is launched by a single call.
"""

import contextlib
import operator
import sys

from minigan.tensor import Tensor
from minigan.device import default_device, device_module, device_of, private_pools
from minigan.checks import describe
from minigan.hooks import hooks

# Ordinary steps before the capture: they compile kernels, create handles and allocate gradients.
WARM_UP = 2


def capture(step):
    """A function to call in place of a training step; on a GPU it replays a CUDA graph.

    >>> def step(images, targets):
    ...     loss = loss_function(model(images), targets)
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     optimiser.step()
    ...     return loss
    >>> step = minigan.capture(step)
    >>> for images, targets in loader: loss = step(images, targets)

    Each call is one training step. If the default device is 'cuda', the first two run as usual and
    the third is captured; it and all later ones are launched as one graph. On the CPU, and inside
    a profile or detect_anomaly, the function is simply called.

    On a GPU the function must meet these conditions:

    - its arguments are Tensors, with the same shapes and dtypes in every call, on either device
    - it generates no random numbers: generate them outside and pass them in
    - it reads nothing from the GPU (item(), print, if) and copies nothing to or from it
    - it does the same in every call: its Python code runs during the capture only
    - buffers and other tensors that it uses keep their memory: change them in place

    Learning rates and other options of optimisers may change between calls. Where parameters, their
    gradients, or an optimiser's groups or state were replaced, the step is captured anew. Results
    are detached Tensors, alone or in tuples, lists and dicts; the next call overwrites them, so
    clone() those to keep.

    Raises TypeError for arguments that are not Tensors, ValueError for an argument whose shape or
    dtype has changed, RuntimeError for a step that cannot be captured.
    """
    if not callable(step):
        raise TypeError(f"capture: expected a function, got {describe(step)}")
    return _Captured(step)


class HostWork:
    """What the host has to do in each step: the CUDA graph holds only the GPU's part of it.

    versions       version counters of all tensors that were changed in place
    gradients      {leaf: the array of its gradient when the step first used it, or None; ANY where
                   the step cleared it first}
    optimisers     those that were stepped
    constants      (function, what it returned then): numbers of the host that the graph holds
    before_replay  functions to call before each replay
    """

    def __init__(self):
        self.versions = []
        self.gradients = {}
        self.optimisers = []
        self.constants = []
        self.before_replay = []
        # At the end of the step:
        self.leaves = []  # (leaf, its array, where its gradients go, its gradient)
        self.parts = []   # (optimiser, its groups, parameters and arrays)

    def uses_gradient(self, leaf, clears=False):
        """To be called before a step reads, changes or clears the gradient of a leaf."""
        if leaf not in self.gradients:
            self.gradients[leaf] = ANY if clears else gradient_array(leaf)

    def end(self):
        """Remember what there is at the end of the step: each replay ends with the same."""
        self.leaves = [(leaf, leaf.array, leaf.grad_buffer, leaf._grad) for leaf in self.gradients]
        self.parts = [(o, o._parts()) for o in dict.fromkeys(self.optimisers)]

    def has_its_arrays(self):
        """Whether parameters and optimisers are what they were at the end of the step."""
        return all(leaf.array is array and leaf.grad_buffer is buffer
                   for leaf, array, buffer, _ in self.leaves) and all(
            len(parts) == len(now) and all(map(operator.is_, parts, now))
            for parts, now in ((parts, optimiser._parts()) for optimiser, parts in self.parts))

    def is_valid(self):
        """Whether a replay does what the step would do now."""
        return self.has_its_arrays() and all(
            array is ANY or array is gradient_array(leaf)
            for leaf, array in self.gradients.items()) and all(
            function() == value for function, value in self.constants)

    def prepare_replay(self):
        for function in self.before_replay:
            function()

    def after_replay(self):
        for version in self.versions:
            version[0] += 1
        for leaf, _, _, grad in self.leaves:
            leaf._grad = grad


ANY = object()


def gradient_array(leaf):
    return None if leaf._grad is None else leaf._grad.array


class _Captured:
    """The function that `capture` returns."""

    def __init__(self, step):
        self.step = step
        self.inputs = None  # Tensors at fixed addresses, filled by each call
        self.stream = self.pool = None
        self._discard()

    def _discard(self):
        self.warm_ups = 0
        self.graph = self.host_work = self.outputs = None

    def __del__(self):
        # CuPy does not return the free blocks of an unreferenced pool by itself.
        if getattr(self, "pool", None) is not None and not sys.is_finalizing():
            self._discard()
            self.pool.free_all_blocks()

    def __call__(self, *inputs):
        # A captured step inside another is part of that one's graph, and observers see every step.
        if (default_device() == "cpu" or hooks.capture is not None
                or hooks.observer is not None):
            return self.step(*inputs)
        cupy = device_module("cuda")
        if self.inputs is None:
            # A pool for this graph alone: a replay writes to blocks that were freed in the step.
            self.pool = cupy.cuda.MemoryPool()
            private_pools.add(self)
            self.stream = capture_stream(cupy)
            self.inputs = [self._allocate(cupy, i, x) for i, x in enumerate(inputs)]
            self.events = [cupy.cuda.Event(disable_timing=True) for _ in range(2)]
        self._check(inputs)
        current = cupy.cuda.get_current_stream()
        self.stream.wait_event(current.record(self.events[0]))
        try:
            with self.stream:
                for fixed, x in zip(self.inputs, inputs):
                    fill(fixed.array, x.array)
                return self._advance(cupy)
        finally:
            current.wait_event(self.stream.record(self.events[1]))

    def _allocate(self, cupy, i, x):
        """A Tensor at a fixed address for argument i of the step."""
        if not isinstance(x, Tensor):
            raise TypeError(f"capture: argument {i} of a step must be a Tensor, "
                            f"got {describe(x)}")
        return Tensor(cupy.empty(x.shape, x.dtype))

    def _check(self, inputs):
        """ValueError for arguments that do not match those of the capture."""
        if len(inputs) != len(self.inputs):
            raise ValueError(f"capture: the step had {len(self.inputs)} arguments before, now "
                             f"{len(inputs)}")
        for i, (fixed, x) in enumerate(zip(self.inputs, inputs)):
            if not isinstance(x, Tensor) or (x.shape, x.dtype) != (fixed.shape, fixed.dtype):
                raise ValueError(
                    f"capture: argument {i} was {describe(fixed)} before, now {describe(x)}; "
                    f"a captured step has fixed shapes: call the function itself for a smaller "
                    f"last batch, or capture it again for the other shape")

    def _advance(self, cupy):
        """One step, on the fixed inputs and the capture stream."""
        if self.host_work is not None:
            # After the very first step there are gradients that it did not find: no such change.
            if not (self.host_work.has_its_arrays() if self.warm_ups == 1 else
                    self.host_work.is_valid()):
                self._discard()
            else:
                self.host_work.prepare_replay()
        if self.graph is not None:
            self.graph.launch()
            self.host_work.after_replay()
            return self.outputs
        if self.warm_ups < WARM_UP:
            self.warm_ups += 1
            self.host_work = HostWork()
            return self._run(cupy, self.host_work)
        self._capture(cupy)
        self.graph.launch()
        return self.outputs

    def _run(self, cupy, host_work):
        hooks.capture = host_work
        try:
            with cupy.cuda.using_allocator(self.pool.malloc):
                outputs = without_history(self.step(*self.inputs))
            host_work.end()
            return outputs
        finally:
            hooks.capture = None

    def _capture(self, cupy):
        host_work = HostWork()
        self.stream.begin_capture()
        try:
            outputs = self._run(cupy, host_work)
            graph = self.stream.end_capture()
        except BaseException as error:
            with contextlib.suppress(RuntimeError):  # the failure itself is reported below
                self.stream.end_capture()
            if not isinstance(error, Exception):
                raise
            raise RuntimeError(
                f"capture: the step cannot be captured: {error}. It must not read numbers from the "
                f"GPU (item(), print, if), copy to or from it, generate random numbers, or differ "
                f"from the calls before") from error
        self.host_work, self.graph, self.outputs = host_work, graph, outputs


_streams = {}


def capture_stream(cupy):
    """The stream that all captures share, as cuBLAS has a workspace for each stream."""
    if cupy not in _streams:
        _streams[cupy] = cupy.cuda.Stream(non_blocking=True)
    return _streams[cupy]


def fill(fixed, array):
    """Copy an array from either device into one on the GPU."""
    if device_of(array) == "cpu":
        fixed.set(array if array.flags.c_contiguous else array.copy())
    else:
        fixed[...] = array


def without_history(outputs):
    """The outputs with Tensors, also in tuples, lists and dicts, detached from the step's graph."""
    if isinstance(outputs, Tensor):
        return outputs.detach()
    if isinstance(outputs, (tuple, list)):
        parts = map(without_history, outputs)
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)
    if isinstance(outputs, dict):
        return {key: without_history(value) for key, value in outputs.items()}
    return outputs
