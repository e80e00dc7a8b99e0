"""An engine in a process of its own, which runs only while it executes a command.

In between it is stopped: the threads of PyTorch and of XLA spin for a while when they have nothing
more to do, and would take the core from the next engine.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
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
    """The process, seen from the benchmark; a context, at whose end the process is killed."""

    def __init__(self, name, cores):
        self.name = name
        # A session of its own: signals reach compilers that it has started, too.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engines.worker", name, *map(str, cores)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**environment(len(cores)), **ENGINES[name].environment,
                 "PYTHONPATH": search_path()})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._signal("SIGKILL")  # this ends a stopped process too
        self.process.wait()
        self.process.stdout.close()
        with suppress(OSError):  # it may have died before it read everything
            self.process.stdin.close()

    def call(self, command, argument=None, limit=threading.TIMEOUT_MAX):
        """The result of a method of Commands. WorkerFailed if it raises an error, if the process
        ends, or if it takes more than `limit` seconds."""
        start = time.monotonic()
        timer = threading.Timer(limit, self._signal, ["SIGKILL"])
        timer.start()
        try:
            self._signal("SIGCONT")
            pickle.dump((command, argument), self.process.stdin)
            self.process.stdin.flush()
            done, result = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            reason = ending(self.process.wait())
            if time.monotonic() - start >= limit:
                reason = f"not done within {limit} s"
            raise WorkerFailed(f"{self.name}: {reason}") from None
        finally:
            timer.cancel()
        self._signal("SIGSTOP")
        if not done:
            raise WorkerFailed(f"{self.name}: {result}")
        return result

    def _signal(self, name):
        """Send a signal to the process and to those that it has started. Windows can only kill."""
        if CAN_STOP and self.process.poll() is None:
            os.killpg(self.process.pid, getattr(signal, name))
        elif name == "SIGKILL":
            self.process.kill()


def search_path():
    """As PYTHONPATH: a process finds minigan and the engines where this one found them."""
    return os.pathsep.join(filter(None, sys.path))


def ending(status):
    """How a process ended, in words."""
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


class Commands:
    """The process, seen from inside: each method is a command."""

    def __init__(self, engine):
        self.engine = engine

    def load(self, _):
        """Import the engine. The peak memory of that, in bytes."""
        self.module = import_module(f"engines.in_{self.engine.library}")
        return peak_memory()

    def begin(self, task):
        """Build the networks and do two steps. The losses of both: those of the second depend on
        everything that the first has changed."""
        self.device = task.device
        self.run = self.module.make_run(task, **self.engine.options)
        return [*self.run(1), *self.run(1)]

    def time(self, steps):
        """Seconds per step, over this number of steps."""
        start = time.perf_counter()
        self.run(steps)
        return (time.perf_counter() - start) / steps

    def memory(self, _):
        """The peak memory so far, in bytes: the process's, or on a GPU that of the engine's pools."""
        return peak_memory() if self.device == "cpu" else self.module.gpu_memory()

    def profile(self, steps):
        return self.module.profiled(self.run, steps)


def end_with_parent():
    """On Linux: end when the benchmark ends, even if it is killed while this process is stopped."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # no prctl in this C library
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(name, *cores):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the benchmark, which ends this
    end_with_parent()
    pin([int(core) for core in cores])
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to stderr, not among the replies
    commands = Commands(ENGINES[name])
    while True:
        try:
            command, argument = pickle.load(requests)
        except EOFError:
            return
        try:
            reply = True, getattr(commands, command)(argument)
        except Exception as error:
            reply = False, " ".join(f"{type(error).__name__}: {error}".split())
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
