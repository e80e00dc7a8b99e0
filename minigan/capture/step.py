"""capture: the function to call in place of a training step."""

from html import escape

from minigan.capture.cpu import CpuStep
from minigan.capture.graph import GpuStep
from minigan.capture.listing import Page
from minigan.checks import check_callable
from minigan.device import default_device
from minigan.hooks import hooks
from minigan.kernels.launch import switch, switched_off
from minigan.messages import report


def capture(step, profile=False):
    """A function to call in place of a training step, which is recorded once and then repeated.

    >>> def step(images, targets):
    ...     loss = loss_function(model(images), targets)
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     optimiser.step()
    ...     return loss
    >>> step = minigan.capture(step)
    >>> for images, targets in loader: loss = step(images, targets)

    Each call is one training step. The first calls run as usual. Then the step is recorded: on a
    GPU as a CUDA graph, on the CPU as a list of the calls that it makes; and all later calls repeat
    that. Inside a profile or detect_anomaly the function is simply called.

    The function must meet these conditions:

    - its arguments are Tensors, with the same shapes and dtypes in every call, on either device
    - it leaves its arguments as they are, and they share no memory with what it changes: from the
      second call on it gets copies of them
    - it generates no random numbers: generate them outside and pass them in
    - it reads no tensor's numbers (item(), print, if), and copies nothing from one device to
      another
    - it does the same in every call: its Python code does not run any more
    - buffers and other tensors that it uses keep their memory: change them in place
    - it is called by one thread at a time

    A step that cannot be recorded raises an error on a GPU; on the CPU it is reported on stderr,
    once, and runs as usual. There a recording is also proven before it is trusted, see CpuStep.

    Learning rates and other options of optimisers may change between calls. Where parameters, their
    gradients, modules, or an optimiser's groups or state were replaced, the step is recorded anew.
    Results are detached Tensors, alone or in tuples, lists and dicts; the next call overwrites
    them, so clone() those to keep.

    print(step) shows what was recorded as a table, the whole training step on a page: call by call
    with shapes, and the operation and layer that each came from; on a GPU operation by operation.
    With profile=True each call is timed on the CPU, and the table has the means.

    Raises TypeError for arguments that are not Tensors, ValueError for an argument whose shape or
    dtype has changed or that requires a gradient, RuntimeError on a GPU for a step that cannot be
    captured.
    """
    return CapturedStep(check_callable("capture", "step", step), profile)


class CapturedStep:
    """The function that `capture` returns."""

    def __init__(self, step, profile=False):
        self.step = step
        self.profile = profile
        self._on = {}  # device: how it is repeated there
        self._reported = False

    def __call__(self, *inputs):
        # A captured step inside another is part of that one, and observers see every step.
        if hooks.capture is not None or hooks.observer is not None:
            return self.step(*inputs)
        device = default_device()
        if device == "cuda" and (switch.disabled or switched_off()):
            return self._without_kernels(inputs)
        if device not in self._on:
            self._on[device] = (CpuStep(self.step, self.profile) if device == "cpu" else
                                GpuStep(self.step))
        return self._on[device](*inputs)

    def __getstate__(self):
        """For copies and pickles: what was recorded is of this object's tensors."""
        return {**vars(self), "_on": {}}

    def _without_kernels(self, inputs):
        """CuPy's own products of matrices cannot be captured."""
        if not self._reported:
            report("minigan: capture: without kernels a step on a GPU runs as usual")
            self._reported = True
        return self.step(*inputs)

    def __str__(self):
        return str(self._page())

    __repr__ = __str__

    def _repr_html_(self):
        """For notebooks."""
        page = self._page()
        return page._repr_html_() if isinstance(page, Page) else f"<div>{escape(page)}</div>"

    def _page(self):
        """A Page, or a text that says why there is none."""
        name = getattr(self.step, "__name__", type(self.step).__name__)
        captured = self._on.get(default_device())
        return captured.page(name) if captured else f"{name}: not recorded yet"
