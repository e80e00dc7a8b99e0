"""What others must know while a training step runs that replay.py records for a GPU."""

import threading
import weakref


class _Capturing(threading.local):
    recording = None  # the Recording of the step that runs, to warm up or to be recorded


capturing = _Capturing()
own_pools = weakref.WeakSet()  # captured steps, each with a `pool` of memory


class Recording:
    """What the host has to do for each step: a graph holds only the GPU's part of it.

    steps     steps of optimisers, with methods `fits`, `before`, `after` and `undo`
    versions  of all tensors that were changed in place
    leaves    whose gradients were written or forgotten
    """

    def __init__(self):
        self.steps = []
        self.versions = []
        self.leaves = []
        self.left = []  # (leaf, its array, its gradient as the step left it)

    def end(self):
        """Keep what the step has left behind: each replay leaves the same."""
        self.left = [(leaf, leaf.array, leaf._gradient) for leaf in dict.fromkeys(self.leaves)]

    def fits(self):
        """Whether everything still lies where it was when it was recorded."""
        return all(step.fits() for step in self.steps) and all(
            leaf.array is array for leaf, array, _ in self.left)

    def before_replay(self):
        for step in self.steps:
            step.before()

    def after_replay(self):
        for step in self.steps:
            step.after()
        for version in self.versions:
            version[0] += 1
        for leaf, _, gradient in self.left:
            leaf._gradient = gradient  # one that waits is computed anew for whoever reads it

    def undo(self):
        """Take back what the host counted while it recorded, since nothing has been computed."""
        for step in self.steps:
            step.undo()


def refuse(what, instead):
    """RuntimeError inside a step that is to be recorded."""
    if capturing.recording is not None:
        raise RuntimeError(f"{what}: not inside a step given to minigan.capture, which is repeated "
                           f"by the GPU alone; {instead}")
