"""An engine in a process of its own, which runs only while it is asked for something.

In between it is stopped: the threads of PyTorch and of XLA spin for a while when they have nothing
more to do, and would take the core from whoever comes next.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module

from engines import ENGINES
from engines.machine import environment, peak_memory, pin

CAN_STOP = hasattr(signal, "SIGSTOP")
PR_SET_PDEATHSIG = 1  # Linux's sys/prctl.h


class WorkerFailed(Exception):
    """An engine raised an error or its process ended; the message is one line."""


class Worker:
    """The process, seen from the benchmark; a context, with which it ends whatever happens."""

    def __init__(self, name, cores):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engines.worker", name, *map(str, cores)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**environment(len(cores)), "PYTHONPATH": search_path()})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()  # this ends a stopped one too
        self.process.wait()
        self.process.stdout.close()
        with suppress(OSError):  # it may have died with something unread
            self.process.stdin.close()

    def ask(self, order, argument=None):
        """What the method `order` of a Life answers. WorkerFailed if it cannot."""
        try:
            self._send("SIGCONT")
            pickle.dump((order, argument), self.process.stdin)
            self.process.stdin.flush()
            done, answer = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise WorkerFailed(f"{self.name}: {ending(self.process.wait())}") from None
        self._send("SIGSTOP")
        if not done:
            raise WorkerFailed(f"{self.name}: {answer}")
        return answer

    def _send(self, name):
        if CAN_STOP:
            self.process.send_signal(getattr(signal, name))


def search_path():
    """As PYTHONPATH: a process finds minigan and the engines where this one found them."""
    return os.pathsep.join(filter(None, sys.path))


def ending(status):
    """How a process ended, in words."""
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


class Life:
    """The process, seen from inside: each method is an order."""

    def __init__(self, engine):
        self.engine = engine

    def load(self, _):
        """Import the engine: how much memory that took at most, in bytes."""
        self.module = import_module(f"engines.{self.engine.module}")
        return peak_memory()

    def begin(self, task):
        """Build the networks and do the first step: its losses."""
        self.device = task.device
        self.run = self.module.make_run(task, **self.engine.options)
        return self.run(1)

    def time(self, steps):
        """Seconds for each of so many steps."""
        start = time.perf_counter()
        self.run(steps)
        return (time.perf_counter() - start) / steps

    def memory(self, _):
        """The most bytes so far, of the machine's memory or of the GPU's."""
        return peak_memory() if self.device == "cpu" else self.module.gpu_memory()

    def profile(self, steps):
        return self.module.profiled(self.run, steps)


def end_with_parent():
    """On Linux: end when the benchmark does, be it killed and this process stopped."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # no prctl in this C library
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(name, *cores):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the benchmark, which ends this
    end_with_parent()
    pin([int(core) for core in cores])
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to stderr, not among the answers
    life = Life(ENGINES[name])
    while True:
        try:
            order, argument = pickle.load(orders)
        except EOFError:
            return
        try:
            answer = True, getattr(life, order)(argument)
        except Exception as error:
            answer = False, " ".join(f"{type(error).__name__}: {error}".split())
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
