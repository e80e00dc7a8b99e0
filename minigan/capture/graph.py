"""A training step as a CUDA graph, which the GPU replays as a whole.

With small networks and batches a GPU spends most of its time waiting for Python to launch the next
of some hundred kernels. A CUDA graph holds them all and is launched by a single call.
"""

import contextlib
import sys

from minigan.capture.host import HostWork
from minigan.capture.arguments import check_inputs, fill, fixed_inputs, without_history
from minigan.capture.listing import Operations, Page, network_names
from minigan.device import device_module, private_pools
from minigan.hooks import hooks

# Ordinary steps before the capture: they compile kernels, create handles and allocate gradients.
WARM_UP = 2


class GpuStep:
    """A captured step on a GPU: the first two calls run as usual, the third is captured."""

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
        cupy = device_module("cuda")
        if self.inputs is None:
            # A pool for this graph alone: a replay writes to blocks that were freed in the step.
            self.pool = cupy.cuda.MemoryPool()
            private_pools.add(self)
            self.stream = capture_stream(cupy)
            self.inputs = fixed_inputs(inputs, "cuda")
            self.events = [cupy.cuda.Event(disable_timing=True) for _ in range(2)]
        check_inputs(inputs, self.inputs)
        current = cupy.cuda.get_current_stream()
        self.stream.wait_event(current.record(self.events[0]))
        try:
            with self.stream:
                fill(self.inputs, inputs)
                return self._advance(cupy)
        finally:
            current.wait_event(self.stream.record(self.events[1]))

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
        host_work, operations = HostWork(), Operations(network_names(self.step))
        self.stream.begin_capture()
        try:
            with operations:
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
        self.lines = operations.lines

    def page(self, name):
        """The step on a page, as far as the host knows it."""
        if self.graph is None:
            return f"{name}: not captured yet"
        return Page(f"{name}, captured as a CUDA graph: {len(self.lines)} operations", self.lines)


_streams = {}


def capture_stream(cupy):
    """The stream that all captures share, as cuBLAS has a workspace for each stream."""
    if cupy not in _streams:
        _streams[cupy] = cupy.cuda.Stream(non_blocking=True)
    return _streams[cupy]
