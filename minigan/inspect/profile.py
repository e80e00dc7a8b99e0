"""Where the time and the memory go: of every operation, forward and backward."""

import time
from collections import defaultdict

from minigan.tensor import Tensor
from minigan.checks import check_int
from minigan.inspect.memory import arrays_within, closed_over, in_words, owner
from minigan.hooks import Observer


class Inner:
    """What the calls made by the one that is running took: seconds, and arrays of new memory."""

    def __init__(self):
        self.seconds = 0.0
        self.new = []


class profile(Observer):
    """A context that times each operation, each backward and each optimiser's step inside it, and
    tells how much memory their results take.

    >>> with minigan.profile() as p:
    ...     train_a_step()
    >>> print(p)

    rows     {(name, phase): [calls, seconds]}, phase being "forward", "backward" or "step"; an
             operation that calls another one is not charged for it
    bytes    {(name, phase): bytes} of new memory in what was returned: of the arrays of a forward,
             of the gradients of a backward. Not views of what was there before, nor gradients
             written into an optimiser's memory; nor what an operation used on the way and what it
             keeps for its backward, of which `summary` tells
    seconds  from entering to leaving, everything included but the counting of bytes

    steps    how many training steps will run inside: the printed table is of one of them

    Timing costs about half a microsecond for each call; counting bytes takes some five more, which
    are left out of all times. On a GPU the time is that to launch the work.
    ValueError for less than one step, RuntimeError if entered while another profile runs.
    """

    def __init__(self, steps=1):
        self.steps = check_int("profile", "steps", steps)
        self.rows = {}
        self.bytes = defaultdict(int)
        self.seconds = 0.0
        self.start = None  # when it was entered
        self.inner = [Inner()]

    def __enter__(self):
        super().__enter__()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.seconds += time.perf_counter() - self.start
        self.start = None
        super().__exit__(*exception)

    def run(self, phase, name, function, args, kwargs):
        self.inner.append(Inner())
        result = None
        start = time.perf_counter()
        try:
            result = function(*args, **kwargs)
            return result
        finally:
            seconds = time.perf_counter() - start
            inner = self.inner.pop()
            row = self.rows.setdefault((name, phase), [0, 0.0])
            row[0] += 1
            row[1] += seconds - inner.seconds
            if result is not None:
                new = new_memory(result, function, args, kwargs, inner.new)
                self.bytes[name, phase] += sum(array.nbytes for array in new)
                if len(self.inner) > 1:
                    self.inner[-1].new += new
                counting = time.perf_counter() - start - seconds
                self.seconds -= counting
                seconds += counting
            self.inner[-1].seconds += seconds

    def __str__(self):
        """The table, what took longest first; the last but one is Python between the operations."""
        seconds_in_all = self.seconds
        if self.start is not None:  # still inside
            seconds_in_all += time.perf_counter() - self.start
        share = 100 / (seconds_in_all or 1)
        names = {name: 0.0 for name, _ in self.rows}
        for (name, _), (_, seconds) in self.rows.items():
            names[name] += seconds
        lines = [f"{'operation':32}{'forward':>20}{'new':>10}{'backward, step':>20}{'new':>10}"
                 f"{'share':>8}"]
        for name in sorted(names, key=names.get, reverse=True):
            cells = "".join(self.cell(name, phases)
                            for phases in (("forward",), ("backward", "step")))
            lines.append(f"{name:32}{cells}{share * names[name]:7.1f}%")
        between = seconds_in_all - sum(names.values())
        lines.append(f"{'between the operations':62}{1e6 * between / self.steps:>17,.1f} us{'':10}"
                     f"{share * between:7.1f}%")
        new = [sum(size for (_, phase), size in self.bytes.items() if (phase == "forward") == first)
               for first in (True, False)]
        new = [in_words(size / self.steps) for size in new]
        lines.append(f"{'in all':52}{new[0]:>10}{1e6 * seconds_in_all / self.steps:>17,.1f} us"
                     f"{new[1]:>10}")
        return "\n".join(lines)

    def cell(self, name, phases):
        """Calls, the time of one and the new memory of all, for a step; blank if there are none."""
        for phase in phases:
            if (name, phase) in self.rows:
                calls, seconds = self.rows[name, phase]
                new = self.bytes.get((name, phase), 0) / self.steps
                return (f"{f'{calls / self.steps:g} x {1e6 * seconds / calls:,.1f} us':>20}"
                        f"{in_words(new) if new else '-':>10}")
        return " " * 30


def new_memory(result, function, args, kwargs, inner):
    """The arrays, each owning its memory, of a result that were neither given to the function nor
    closed over by it, nor counted for a call within it.

    It looks for those only where operations have them: deeper would take longer than many a call.
    """
    new = {id(whole): whole for whole in map(owner, arrays_within(result))}
    if new:
        given = (*args, *kwargs.values(), getattr(function, "__self__", None))
        for value in (*given, *closed_over(function), *inner):
            if isinstance(value, Tensor):
                new.pop(id(owner(value.array)), None)
                if value.grad_buffer is not None:
                    new.pop(id(owner(value.grad_buffer.array)), None)
            elif hasattr(value, "base"):
                new.pop(id(owner(value)), None)
    return list(new.values())
