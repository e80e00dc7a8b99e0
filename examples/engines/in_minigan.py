"""minigan: on a GPU as a recorded step (minigan.capture), or launch by launch."""

import minigan
from engines import eager


def make_run(task, recorded=True):
    minigan.set_device(task.device)
    minigan.backends.cuda.matmul.allow_tf32 = minigan.backends.cudnn.allow_tf32 = task.tf32
    return eager.make_run(minigan, task, minigan.optim.Adam,
                          minigan.capture if recorded else lambda step: step)


def gpu_memory():
    return minigan.cuda.memory_reserved()


def profiled(run, steps):
    """Where the time of a step goes, as a table: the mean of so many."""
    with minigan.profile(steps) as p:
        run(steps)
    return str(p)
