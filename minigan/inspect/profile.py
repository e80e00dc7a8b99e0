"""Where the time goes: calls and seconds of every operation, forward and backward."""

import time

from minigan.errors import count
from minigan.watching import Observer


class profile(Observer):
    """A context that times each operation, each backward and each optimiser's step inside it.

    >>> with minigan.profile() as p:
    ...     train_a_step()
    >>> print(p)

    rows     {(name, phase): [calls, seconds]}, phase being "forward", "backward" or "step"; an
             operation that calls another one is not charged for it
    seconds  from entering to leaving, everything included

    steps    how many training steps will run inside: the printed table is of one of them

    Timing costs about half a microsecond for each call. On a GPU it is the time to launch the work.
    ValueError for less than one step, RuntimeError if entered while another profile runs.
    """

    def __init__(self, steps=1):
        self.steps = count("profile", "steps", steps)
        self.rows = {}
        self.seconds = 0.0
        self.inner = [0.0]  # seconds spent in the calls made by the one that is running

    def __enter__(self):
        super().__enter__()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.seconds += time.perf_counter() - self.start
        super().__exit__(*exception)

    def run(self, phase, name, function, args, kwargs):
        self.inner.append(0.0)
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds = time.perf_counter() - start
            row = self.rows.setdefault((name, phase), [0, 0.0])
            row[0] += 1
            row[1] += seconds - self.inner.pop()
            self.inner[-1] += seconds

    def __str__(self):
        """The table, what took longest first; the last but one is Python between the operations."""
        names = {name: 0.0 for name, _ in self.rows}
        for (name, _), (_, seconds) in self.rows.items():
            names[name] += seconds
        lines = [f"{'operation':34}{'forward':>20}{'backward, step':>20}{'share':>8}"]
        for name in sorted(names, key=names.get, reverse=True):
            cells = []
            for phases in (("forward",), ("backward", "step")):
                found = [self.rows[name, phase] for phase in phases if (name, phase) in self.rows]
                cells.append("".join(
                    f"{calls / self.steps:g} x {1e6 * seconds / calls:,.1f} us"
                    for calls, seconds in found))
            lines.append(f"{name:34}{cells[0]:>20}{cells[1]:>20}"
                         f"{100 * names[name] / self.seconds:7.1f}%")
        between = self.seconds - sum(names.values())
        lines.append(f"{'between the operations':34}{1e6 * between / self.steps:>37,.1f} us"
                     f"{100 * between / self.seconds:7.1f}%")
        lines.append(f"{'in all':34}{1e6 * self.seconds / self.steps:>37,.1f} us")
        return "\n".join(lines)
