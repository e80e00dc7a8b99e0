"""minigan."""

import minigan
from engines import eager


def make_run(task):
    return eager.make_run(minigan, task, minigan.optim.Adam)


def profiled(run, steps):
    """Where the time of a step goes, as a table: the mean of so many."""
    with minigan.profile(steps) as p:
        run(steps)
    return str(p)
