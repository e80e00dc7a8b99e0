"""How long training steps take, beside PyTorch's and JAX's if they are installed.

    python examples/benchmark.py                            minigan alone
    python examples/benchmark.py --against torch jax        and these, in turns
    python examples/benchmark.py --work cnn-1 cgan-1 --against torch
    python examples/benchmark.py --profile --work cnn-1     where minigan's time goes
    python examples/benchmark.py --help                     everything else

A step is forward pass, loss, backward pass and Adam, on the networks of the examples. Every engine
runs in a process of its own, pinned to the same cores, while the others are stopped. They take
turns, so that a machine that slows down does so for all, and the ratio is the median over the
turns. They start from the same weights, and their first losses are compared: a benchmark of two
different things is none. Nor is one on a busy machine: from times that scatter no figure is given.

PyTorch stands there twice: as everyone writes it, and with Adam(fused=True), its fastest setting.
JAX has the whole step in one compiled function.

The share is that of the rate at which NumPy computes one large matrix product on the same cores, in
the same turns. What is counted for a step are the operations of its matrix products alone.
"""

import importlib.util
import json
import platform
import shutil
import statistics
import sys
import time
from contextlib import ExitStack

from engines import ENGINES
from engines.blas import VARIABLES, blas, blas_in_words
from engines.in_numpy import OPERATIONS
from engines.machine import available_cores, cpu_name, versions
from engines.worker import Worker, WorkerFailed
from engines.works import WORKS, operations
from minigan.training import ArgumentParser, positive_int, run

AGAINST = ("torch", "jax")
SECONDS_A_TURN = 0.5
# How far the quarters of an engine's turns may lie apart, over their median. On a quiet machine
# it is a few hundredths.
TOO_SCATTERED = 0.25
HEADLINE = (f"{'work':11} {'engine':11} {'us a step':>11} {'images/s':>9}   {'times minigan (from, to)':24}"
            f" {'share':>6} {'peak MB':>8} {'its step':>8}")


class LossesDiffer(Exception):
    """The engines do not compute the same; the message is one line."""


# Measuring

def tell(text):
    """A line on stderr, written over the one before; on a terminal only."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + text[:width].ljust(width) + ("" if text else "\r"))
        sys.stderr.flush()


def check_first_losses(losses):
    """LossesDiffer unless all engines have minigan's, to a thousandth."""
    for name, theirs in losses.items():
        ours = losses["minigan"]
        close = len(theirs) == len(ours) and all(
            abs(a - b) <= 1e-3 * (1e-3 + abs(b)) for a, b in zip(ours, theirs))
        if not close:  # nan is not close to anything
            raise LossesDiffer(f"first losses differ: minigan {ours}, {name} {theirs}")


def steps_in_a_turn(worker):
    return max(1, round(SECONDS_A_TURN / worker.ask("time", 2)))


def measure(work, task, names, cores, turns):
    """{engine: seconds a step in each turn} and {engine: its peak memory, that of its import}."""
    with ExitStack() as stack:
        workers, imported, losses, steps = {}, {}, {}, {}
        for name in names:
            tell(f"{work}: {name}, first steps")
            worker = workers[name] = stack.enter_context(Worker(name, cores))
            imported[name] = worker.ask("load")
            losses[name] = worker.ask("begin", task)
            steps[name] = steps_in_a_turn(worker)
        check_first_losses({name: losses[name] for name in names if name != "product"})
        seconds = {name: [] for name in names}
        start = time.perf_counter()
        for turn in range(turns):
            for number, (name, worker) in enumerate(workers.items()):
                done = turn * len(names) + number
                left = (turns * len(names) - done) * (time.perf_counter() - start) / max(1, done)
                tell(f"{work}: turn {turn + 1} of {turns}, {name}"
                     + (f", {left:.0f} s left for this work" if done else ""))
                seconds[name].append(worker.ask("time", steps[name]))
        tell("")
        return seconds, {name: (worker.ask("memory"), imported[name])
                         for name, worker in workers.items()}


# Figures

def spread(values):
    """How far the quarters of the values lie apart, in parts of their median."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def middle_and_ends(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def figures(batch, seconds, memory, counts):
    """{engine: {figure: value}}, with None for what scattered times do not allow to say.

    batch    images a step
    counts   {engine: floating-point operations of a step's products}
    """
    spreads = {name: spread(values) for name, values in seconds.items()}
    result = {}
    for name, values in seconds.items():
        worst = {other: max(spreads[name], spreads[other]) for other in ("minigan", "product")}
        median = statistics.median(values) if spreads[name] <= TOO_SCATTERED else None
        ratio = share = None
        if name != "minigan" and worst["minigan"] <= TOO_SCATTERED:
            ratio = middle_and_ends([a / b for a, b in zip(values, seconds["minigan"])])
        if worst["product"] <= TOO_SCATTERED:
            share = statistics.median([counts[name] / OPERATIONS * b / a
                                       for a, b in zip(values, seconds["product"])])
        peak, imported = memory[name]
        ...
