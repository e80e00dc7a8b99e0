"""profile: the time and new memory of every operation, forward and backward."""

import time
from collections import defaultdict

from minigan.tensor import Tensor
from minigan.checks import check_int
from minigan.inspect.memory import arrays_within, closure_values, format_bytes, owner
from minigan.inspect.tables import html_table
from minigan.hooks import Observer


class Nested:
    """The total of the calls nested in a running one: seconds, and arrays with new memory."""

    def __init__(self):
        self.seconds = 0.0
        self.new = []


class profile(Observer):
    """A context that times each operation, each backward and each optimiser's step inside it, and
    counts the new memory of their results.

    >>> with minigan.profile() as p:
    ...     train_a_step()
    >>> print(p)

    steps    the number of training steps that will run inside: the printed table shows one of them

    rows     {(name, phase): [calls, seconds]}, phase being "forward", "backward" or "step"; the
             time of an operation excludes the operations that it calls
    bytes    {(name, phase): bytes} of new memory in what was returned: the arrays of a forward,
             the gradients of a backward. Views of existing memory and gradients written into an
             optimiser's memory do not count; nor do temporary arrays and what an operation saves
             for its backward, which `summary` reports
    seconds  from entering to leaving, without the counting of bytes

    Timing costs about half a microsecond for each call; counting bytes costs some five more, which
    are left out of all times. On a GPU the time is that of launching the work.
    Raises ValueError for less than one step, RuntimeError if another observer is active.
    """

    def __init__(self, steps=1):
        self.steps = check_int("profile", "steps", steps)
        self.rows = {}
        self.bytes = defaultdict(int)
        self.seconds = 0.0
        self.start = None  # the time of entering, while inside
        self.nested = [Nested()]  # one for each running call, the innermost last

    def __enter__(self):
        super().__enter__()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.seconds += time.perf_counter() - self.start
        self.start = None
        super().__exit__(*exception)

    def run(self, phase, name, function, args, kwargs):
        self.nested.append(Nested())
        result = None
        start = time.perf_counter()
        try:
            result = function(*args, **kwargs)
            return result
        finally:
            seconds = time.perf_counter() - start
            nested = self.nested.pop()
            row = self.rows.setdefault((name, phase), [0, 0.0])
            row[0] += 1
            row[1] += seconds - nested.seconds
            if result is not None:
                new = new_memory(result, function, args, kwargs, nested.new)
                self.bytes[name, phase] += sum(array.nbytes for array in new)
                if len(self.nested) > 1:
                    self.nested[-1].new += new
                counting = time.perf_counter() - start - seconds
                self.seconds -= counting
                seconds += counting
            self.nested[-1].seconds += seconds

    def __str__(self):
        lines = [f"{'operation':40}{'calls':>8}{'us a call':>14}{'us':>14}{'new':>15}{'share':>9}"]
        for name, count, each, time, new, share in self._table():
            lines.append(f"{name:40}{count:>8}{each:>14}{time:>14}{new:>15}{share:>9}")
        return "\n".join(lines)

    def _repr_html_(self):
        """For notebooks."""
        return html_table(["operation", "calls", "us a call", "us", "new", "share"], self._table(),
                          "lrrrrr")

    def _table(self):
        """The rows as texts, slowest first; the last but one is Python between the operations."""
        total = self.seconds
        if self.start is not None:  # still inside
            total += time.perf_counter() - self.start
        rows = [(name if phase == "forward" else f"{name}, {phase}", calls, seconds,
                 self.bytes.get((name, phase), 0)) for (name, phase), (calls, seconds)
                in sorted(self.rows.items(), key=lambda row: row[1][1], reverse=True)]
        between = total - sum(seconds for _, _, seconds, _ in rows)
        rows += [("between the operations", 0, between, 0),
                 ("total", 0, total, sum(self.bytes.values()))]
        return [[name, f"{calls / self.steps:g}" if calls else "",
                 f"{1e6 * seconds / calls:,.1f}" if calls else "",
                 f"{1e6 * seconds / self.steps:,.1f}",
                 format_bytes(size / self.steps) if size else "-",
                 f"{100 * seconds / (total or 1):.1f}%"] for name, calls, seconds, size in rows]


def new_memory(result, function, args, kwargs, nested):
    """The arrays that own a result's memory, without the function's arguments, what it closes over,
    and the arrays counted for calls nested in it.

    Only the usual places of arrays are searched: to look deeper would take longer than many calls.
    """
    new = {id(array): array for array in map(owner, arrays_within(result))}
    if new:
        inputs = (*args, *kwargs.values(), getattr(function, "__self__", None))
        for value in (*inputs, *closure_values(function), *nested):
            if isinstance(value, Tensor):
                new.pop(id(owner(value.array)), None)
                if value.grad_buffer is not None:
                    new.pop(id(owner(value.grad_buffer.array)), None)
            elif hasattr(value, "base"):
                new.pop(id(owner(value)), None)
    return list(new.values())
