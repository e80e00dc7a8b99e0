"""minigan; `captured` is the step as minigan.capture captures and replays it."""

import minigan
from engines import eager


def make_run(task, captured=False):
    minigan.set_device(task.device)
    minigan.backends.cuda.matmul.allow_tf32 = minigan.backends.cudnn.allow_tf32 = task.tf32
    return eager.make_run(minigan, task, minigan.optim.Adam,
                          captured=minigan.capture if captured else eager.unchanged)


def gpu_memory():
    return minigan.cuda.memory_reserved()


def profiled(run, steps):
    """Where the time of a step goes, as a table: the mean of that many steps."""
    with minigan.profile(steps) as p:
        run(steps)
    return str(p)
