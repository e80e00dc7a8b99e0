"""capture: a training step recorded once and replayed by the GPU as a whole, as a CUDA graph.

With small networks and batches a GPU waits most of the time for Python to launch the next of some
hundred kernels. A graph holds them all; launching it is one call.
"""

import contextlib
import sys

from minigan.tensor import Tensor
from minigan.device import default_device, device_module, device_of, private_pools
from minigan.checks import describe
from minigan.hooks import hooks

# Steps made as usual first: they compile kernels, make handles and the gradients' memory.
WARM_UP = 2


def capture(step):
    """The training step, to be called in its place; with default device 'cuda' as a CUDA graph.

    >>> def step(images, targets):
    ...     loss = loss_function(model(images), targets)
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     optimiser.step()
    ...     return loss
    >>> step = minigan.capture(step)
    >>> for images, targets in loader: loss = step(images, targets)

    Each call makes one step. The first two run as usual, the third is recorded, and it and all
    later ones are launched as one graph. On the CPU, and inside a profile or detect_anomaly, the
    function is simply called.

    What the function must keep to on a GPU:

    - its arguments are Tensors, of the same shapes and dtypes in every call; on either device
    - it draws no random numbers: draw them outside and pass them on
    - it reads nothing from the GPU (item(), print, if) and moves nothing to it or from it
    - it does the same in each call: what Python computes in it is computed only once
    - buffers and other tensors that it uses keep their memory: change them in place

    Learning rates and other options of optimisers may change between the calls. Results are
    Tensors without a history, alone or in tuples, lists and dicts; the next call overwrites them,
    so clone() what is to be kept.

    Raises TypeError for arguments that are no Tensors, ValueError for one of another shape or
    dtype than before, RuntimeError for a step that cannot be recorded.
    """
    if not callable(step):
        raise TypeError(f"capture: expected a function, got {describe(step)}")
    return _Captured(step)


class Recording:
    """What the host has to do for each step: a graph holds only the GPU's part of it.

    steps          (optimiser, group, its parameters with gradients, their states) of each update
    versions       of all tensors that were changed in place
    leaves         whose gradients were written or forgotten
    before_replay  functions to call before each replay
    """

    def __init__(self):
        self.steps = []
        self.versions = []
        self.leaves = []
        self.before_replay = []
        self.left = []  # (leaf, its array, its gradient as the step left it)

    def end(self):
        """Keep what the step has left behind: each replay leaves the same."""
        self.left = [(leaf, leaf.array, leaf._grad) for leaf in dict.fromkeys(self.leaves)]

    def fits(self):
        """Whether everything still lies where it was when it was recorded."""
        return all(leaf.array is array for leaf, array, _ in self.left) and all(
            any(own is group for own in optimiser.param_groups)
            and {*map(id, params)} <= {*map(id, group["params"])}
            and all(optimiser.state.get(p) is state for p, state in zip(params, states))
            for optimiser, group, params, states in self.steps)

    def prepare_replay(self):
        for function in self.before_replay:
            function()

    def after_replay(self):
        for version in self.versions:
            version[0] += 1
        for leaf, _, grad in self.left:
            leaf._grad = grad


class _Captured:
    """The function that `capture` returns."""

    def __init__(self, step):
        self.step = step
        self.inputs = None  # Tensors in fixed places, which each call fills
        self.stream = self.pool = None
        self._forget()

    def _forget(self):
        self.warm_ups = 0
        self.graph = self.recording = self.outputs = None

    def __del__(self):
        # CuPy keeps the free blocks of a pool that nobody has any more.
        if getattr(self, "pool", None) is not None and not sys.is_finalizing():
            self._forget()
            self.pool.free_all_blocks()

    def __call__(self, *inputs):
        # One within another is part of that one's graph; and an observer is to see every step.
        if (default_device() == "cpu" or hooks.capture is not None
                or hooks.observer is not None):
            return self.step(*inputs)
        cupy = device_module("cuda")
        if self.inputs is None:
            # Memory that only this graph uses: what is freed in it will be written by a replay.
            self.pool = cupy.cuda.MemoryPool()
            private_pools.add(self)
            self.stream = capture_stream(cupy)
            self.inputs = [self._fixed(cupy, number, x) for number, x in enumerate(inputs)]
            self.events = [cupy.cuda.Event(disable_timing=True) for _ in range(2)]
        self._check(inputs)
        around = cupy.cuda.get_current_stream()
        self.stream.wait_event(around.record(self.events[0]))
        try:
            with self.stream:
                for fixed, x in zip(self.inputs, inputs):
                    fill(fixed.array, x.array)
                return self._advance(cupy)
        finally:
            around.wait_event(self.stream.record(self.events[1]))

    def _fixed(self, cupy, number, x):
        if not isinstance(x, Tensor):
            raise TypeError(f"capture: argument {number} of a step must be a Tensor, "
                            f"got {describe(x)}")
        return Tensor(cupy.empty(x.shape, x.dtype))

    def _check(self, inputs):
        """ValueError for what the recording was not made for."""
        if len(inputs) != len(self.inputs):
            raise ValueError(f"capture: the step had {len(self.inputs)} arguments before, now "
                             f"{len(inputs)}")
        for number, (fixed, x) in enumerate(zip(self.inputs, inputs)):
            if not isinstance(x, Tensor) or (x.shape, x.dtype) != (fixed.shape, fixed.dtype):
                raise ValueError(
                    f"capture: argument {number} was {describe(fixed)} before, now {describe(x)}; "
                    f"a recorded step has fixed shapes: call the function itself for a smaller "
                    f"last batch, or capture it once more for the other shape")

    def _advance(self, cupy):
        """One step, on the fixed inputs and the stream of captures."""
        if self.recording is not None:
            if not self.recording.fits():
                self._forget()  # parameters lie elsewhere now
            else:
                self.recording.prepare_replay()
        if self.graph is not None:
            self.graph.launch()
            self.recording.after_replay()
            return self.outputs
        if self.warm_ups < WARM_UP:
            self.warm_ups += 1
            self.recording = Recording()
            return self._run(cupy, self.recording)
        self._record(cupy)
        self.graph.launch()
        return self.outputs

    def _run(self, cupy, recording):
        hooks.capture = recording
        try:
            with cupy.cuda.using_allocator(self.pool.malloc):
                return without_history(self.step(*self.inputs))
        finally:
            hooks.capture = None

    def _record(self, cupy):
        recording = Recording()
        self.stream.begin_capture()
        try:
            outputs = self._run(cupy, recording)
            graph = self.stream.end_capture()
            recording.end()
        except BaseException as error:
            with contextlib.suppress(RuntimeError):  # that it was broken off is told below
                self.stream.end_capture()
            if not isinstance(error, Exception):
                raise
            raise RuntimeError(
                f"capture: the step cannot be recorded: {error}. It must not read numbers from the "
                f"GPU (item(), print, if), copy to or from it, draw random numbers, or do "
                f"something else than in the calls before") from error
        self.recording, self.graph, self.outputs = recording, graph, outputs


_streams = {}


def capture_stream(cupy):
    """The one stream that all captures use: cuBLAS has a workspace for each stream."""
    if cupy not in _streams:
        _streams[cupy] = cupy.cuda.Stream(non_blocking=True)
    return _streams[cupy]


def fill(fixed, array):
    """Copy an array of either device into one on the GPU."""
    if device_of(array) == "cpu":
        fixed.set(array if array.flags.c_contiguous else array.copy())
    else:
        fixed[...] = array


def without_history(outputs):
    """Tensors, within tuples, lists and dicts, detached: their graph belongs to the recording."""
    if isinstance(outputs, Tensor):
        return outputs.detach()
    if isinstance(outputs, (tuple, list)):
        parts = map(without_history, outputs)
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)
    if isinstance(outputs, dict):
        return {key: without_history(value) for key, value in outputs.items()}
    return outputs
