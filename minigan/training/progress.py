"""A line that shows the progress of a loop."""

import shutil
import sys
import time
from collections import defaultdict, deque
from functools import partial

from minigan.checks import check_callable, check_int, explain_errors, check_type, check_number
from minigan.messages import is_terminal, report

SECONDS_BETWEEN_REDRAWS = 0.2
SECONDS_BETWEEN_LOG_LINES = 10
STEPS_IN_A_MEAN = 100


class Progress:
    """A line with the share done, figures such as the loss, the speed and the time left.

    >>> with Progress(len(dataset), "epoch 1/3") as progress:
    ...     for labels, images, targets in loader:
    ...         loss = ...
    ...         progress.advance(len(labels), loss=loss)

    On a terminal and in a notebook the line is rewritten in place; elsewhere (a file, a pipe) a
    full line is printed every ten seconds and at the end.

    total   the number of units in the loop, at least 1 (else ValueError)
    done    how many of these were done before
    later   how many will follow in other loops; the time left for all is shown too
    stream  where the line goes; None for sys.stderr, in a notebook sys.stdout
    clock   returns the time in seconds
    """

    @explain_errors
    def __init__(self, total, name="", unit="images", stream=None, clock=time.perf_counter, done=0,
                 later=0):
        self.total = check_int("Progress", "total", total)
        self.name = check_type("Progress", "name", name, str)
        self.unit = check_type("Progress", "unit", unit, str)
        self.in_notebook = stream is None and in_notebook()
        if stream is None:
            # Notebooks show what comes on stderr as if it were an error.
            stream = sys.stdout if self.in_notebook else sys.stderr
        self.stream = stream
        self.clock = check_callable("Progress", "clock", clock)
        self.done = self.before = check_number("Progress", "done", done, 0)
        self.later = check_number("Progress", "later", later, 0)
        self.rewrites = self.in_notebook or is_terminal(self.stream)
        self.written = 0  # characters of the line, in a notebook
        self.pause = SECONDS_BETWEEN_REDRAWS if self.rewrites else SECONDS_BETWEEN_LOG_LINES
        self.recent = defaultdict(partial(deque, maxlen=STEPS_IN_A_MEAN))

    def __enter__(self):
        self.start = self.clock()
        self.next_line = self.start + self.pause
        if self.rewrites:
            self._write()
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._write()
        if self.rewrites:
            report("", stream=self.stream)

    @explain_errors
    def advance(self, count=1, **figures):
        """Count units as done. figures: numbers or one-element Tensors.

        A figure is shown as its mean over the last 100 calls. Tensors are read only when a line
        is written: reading one waits for the GPU.
        """
        self._add(check_number("advance", "count", count, 0), figures)

    def _add(self, count, figures):
        """`advance` without checks, for callers that have made them."""
        self.done += count
        for name, value in figures.items():
            # The plain array of a Tensor: the Tensor itself would keep its graph in memory.
            self.recent[name].append(getattr(value, "array", value))
        if self.clock() >= self.next_line:
            self._write()

    def _write(self):
        line = self._line() + "\n"
        if self.in_notebook:  # lines have any length there, and stay as long as they were
            line = "\r" + line[:-1].ljust(self.written)
            self.written = len(line) - 1
        elif self.rewrites:
            # One column stays free: a terminal wraps the line when its last one is filled.
            width = shutil.get_terminal_size().columns - 1
            line = "\r" + line[:-1][:width].ljust(width)
        report(line, end="", stream=self.stream)
        self.next_line = self.clock() + self.pause

    def _line(self):
        elapsed = self.clock() - self.start
        parts = [self.name] if self.name else []
        parts.append(f"{int(100 * self.done / self.total):3d}% {self.done}/{self.total}")
        for name, values in self.recent.items():
            parts.append(f"{name} {sum(map(_number, values)) / len(values):#.4g}")
        if self.done > self.before and elapsed > 0:
            speed = (self.done - self.before) / elapsed
            parts.append(f"{speed:.4g} {self.unit}/s" if speed < 100
                         else f"{speed:.0f} {self.unit}/s")
            left = (self.total - self.done) / speed
            parts.append(f"{_duration(left)} left" if left > 0 else f"took {_duration(elapsed)}")
            if self.later:
                parts.append(f"{_duration(left + self.later / speed)} for all")
        return "  ".join(parts)


def in_notebook():
    """Whether this is a notebook's kernel; IPython is not imported for that."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _number(value):
    return value.item() if hasattr(value, "item") else value


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
