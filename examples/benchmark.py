"""How long a training step takes, beside PyTorch and JAX if they are installed.

    python examples/benchmark.py                                    minigan alone
    python examples/benchmark.py --against torch torch-compile jax  and these, in turns
    python examples/benchmark.py --workload cnn-1 cgan-1 --against torch
    python examples/benchmark.py --device cuda --against torch      on a GPU
    python examples/benchmark.py --profile --workload cnn-1         where minigan's time goes
    python examples/benchmark.py --imports                          how long importing it takes
    python examples/benchmark.py --dry-run --workload dcgan-256x64  a step's launches on a GPU, counted
                                                                    without one, and a modelled time
    python examples/benchmark.py --help                             everything else

A step is forward pass, loss, backward pass and Adam, on the networks of the examples. In a GAN's
step the discriminator is frozen while the generator learns, in every engine. Each engine runs in a
process of its own, pinned to the same cores, while the others are stopped. They take turns, so that
a machine that slows down does so for all, and the ratio is the median over the turns. They start
from the same weights, and the losses of their first two steps are compared: measuring two different
computations would say nothing. Neither would a busy machine: if times scatter, no figure is
printed, and the exit status is 1.

The rows:

    minigan           as the examples run it, with its compiled kernels
    minigan textbook  without them (MINIGAN_KERNELS=off): NumPy alone
    torch             PyTorch as everyone writes it
    torch fused       with Adam(fused=True)
    torch compiled    and with the forward and backward passes under torch.compile, which needs a
                      C++ compiler; compiling is not counted, and may take two minutes
    jax               the whole step in one function, compiled by jax.jit
    minigan captured  the step by minigan.capture: recorded once and then repeated; on a GPU as one
                      CUDA graph
    torch captured    on a GPU: the same by torch.cuda.graph, with the fused Adam

Each step has another batch than the one before. The columns: microseconds per step; images per
second; how many times minigan's step that is, with the lowest and the highest turn, and how many
times its captured step; the share of the machine's rate that the step's matrix products
reach, where the rate is that of a product of two large matrices (by NumPy; on a GPU by CuPy) in the
same turns; peak memory of the process, and how much of that came after importing the engine. On a
GPU it is the memory that the engine's pools hold there. All compute in float32; on a GPU every
workload is measured a second time with products in TF32, in every engine.

One core is what the small networks need. On a GPU each engine has four, as PyTorch runs the backward
pass in a thread of its own.
"""

import importlib.util
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import ExitStack
from dataclasses import astuple

import minigan
from engines import ENGINES, dry_run
from engines.blas import blas, blas_report
from engines.dry_run import Gpu
from engines.in_numpy import SIZES, operations
from engines.machine import available_cores, cpu_name, gpu_name, versions
from engines.worker import Worker, WorkerFailed, search_path
from engines.workloads import WORKLOADS
from minigan import kernels
from minigan.device import cupy_packages
from minigan.training import ArgumentParser, positive_float, positive_int, run

AGAINST = ("torch", "torch-compile", "jax")
SECONDS_PER_TURN = 0.5
FIRST_STEPS = 5  # for what only first steps do, such as capturing a graph
COMPILE_SECONDS = 120  # for an engine that may fail, to begin
# How far the engines' first losses may be apart, relative to minigan's.
TOLERANCE = {"float32": 1e-3, "tf32": 2e-2}
THREADS = {"cpu": 1, "cuda": 4}
# How far apart the quartiles of an engine's turns may be, relative to their median. On a quiet
# machine it is a few hundredths.
MOST_SCATTER = 0.25
HEADLINE = (f"{'workload':17} {'engine':16} {'us per step':>11} {'images/s':>9} "
            f"{'times minigan':>21} {'captured':>8} {'share':>6} {'peak MB':>8} {'steps MB':>9}")


class LossesDiffer(Exception):
    """The engines do not compute the same; the message is one line."""


# Measuring

def show_progress(text):
    """A line on stderr that overwrites the one before; on a terminal only."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + text[:width].ljust(width) + ("" if text else "\r"))
        sys.stderr.flush()


def check_first_losses(losses, tolerance=TOLERANCE["float32"]):
    """LossesDiffer unless all engines have minigan's."""
    for name, theirs in losses.items():
        ours = losses["minigan"]
        close = len(theirs) == len(ours) and all(
            abs(a - b) <= tolerance * (1e-3 + abs(b)) for a, b in zip(ours, theirs))
        if not close:  # nan is not close to anything
            raise LossesDiffer(f"first losses differ: minigan {ours}, {name} {theirs}")


def measure(workload, names, cores, turns, device="cpu", precision="float32"):
    """{engine: seconds per step in each turn}, {engine: (its peak memory, that of its import)}, and
    {engine: why it failed} of those that may fail."""
    task = WORKLOADS[workload].task(device, precision == "tf32")
    workers, imported, losses, steps, failures = {}, {}, {}, {}, {}
    with ExitStack() as stack:
        for name in names:
            show_progress(f"{workload}: {name}, first steps")
            worker = stack.enter_context(Worker(name, cores))
            limit = {"limit": COMPILE_SECONDS} if ENGINES[name].may_fail else {}
            try:
                loaded = worker.call("load")
                first = worker.call("begin", task, **limit)
            except WorkerFailed as error:
                if not ENGINES[name].may_fail:
                    raise
                failures[name] = textwrap.shorten(str(error), 200, placeholder=" ...")
                continue
            worker.call("time", FIRST_STEPS)
            steps[name] = max(1, round(SECONDS_PER_TURN / worker.call("time", 2)))
            workers[name], losses[name] = worker, first
            imported[name] = loaded if device == "cpu" else 0  # a GPU holds nothing yet
        check_first_losses({name: losses[name] for name in losses if name != "product"},
                           TOLERANCE[precision])
        seconds = {name: [] for name in workers}
        start = time.perf_counter()
        for turn in range(turns):
            left = (turns - turn) * (time.perf_counter() - start) / turn if turn else None
            for name, worker in workers.items():
                show_progress(f"{workload}: turn {turn + 1} of {turns}, {name}"
                              + (f", {left:.0f} s left" if turn else ""))
                seconds[name].append(worker.call("time", steps[name]))
        show_progress("")
        memory = {name: (worker.call("memory"), imported[name]) for name, worker in workers.items()}
    return seconds, memory, failures


def profile(workload, cores):
    """Where the time of minigan's step goes, as a table."""
    with Worker("minigan", cores) as worker:
        worker.call("load")
        worker.call("begin", WORKLOADS[workload].task())
        seconds = min(worker.call("time", 1) for _ in range(3))
        return worker.call("profile", max(1, round(SECONDS_PER_TURN / seconds)))


def imports(turns):
    """{module: milliseconds of a Python process that imports it}, medians over the turns."""
    times = {"numpy": [], "minigan": []}
    with tempfile.TemporaryDirectory() as folder:
        # The first turn compiles the bytecode into this folder, and does not count.
        env = {**os.environ, "PYTHONPATH": search_path(), "PYTHONPYCACHEPREFIX": folder}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(turns + 1):
            for module, values in times.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", f"import {module}"], env=env, check=True)
                if turn:
                    values.append(1e3 * (time.perf_counter() - start))
    return {module: statistics.median(values) for module, values in times.items()}


# Figures

def scatter(values):
    """The interquartile range of the values, relative to their median."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def scattered(seconds):
    """The engines whose turns scatter: no figure that rests on them is printed."""
    return {name for name, values in seconds.items() if scatter(values) > MOST_SCATTER}


def figures(workload, name, seconds, memory, device="cpu"):
    """{figure: value} of one engine; None where times scatter or the system cannot say."""
    busy = scattered(seconds)
    values = seconds[name]
    ratios, of_captured = ([theirs / ours for theirs, ours in zip(values, seconds.get(engine, ()))]
                           for engine in ("minigan", "minigan captured"))
    shares = [WORKLOADS[workload].operations() / operations(device) * product / own
              for own, product in zip(values, seconds["product"])]
    peak, imported = memory[name]
    quiet = name not in busy
    step = statistics.median(values)
    return {
        "seconds per step": step if quiet else None,
        "images per second": WORKLOADS[workload].batch / step if quiet else None,
        "times minigan": ([statistics.median(ratios), min(ratios), max(ratios)]
                          if quiet and "minigan" not in busy else None),
        "times captured": (statistics.median(of_captured)
                           if of_captured and quiet and "minigan captured" not in busy else None),
        "share": statistics.median(shares) if quiet and "product" not in busy else None,
        "peak bytes": peak,
        "bytes after import": None if peak is None else peak - imported}


def row(workload, name, found):
    """The table's row of one engine; `found` is empty for one that failed."""
    def cell(key, width, form):
        value = found.get(key)
        return f"{'-' if value is None else form(value):>{width}}"

    return " ".join([
        f"{workload:17} {name:16}",
        cell("seconds per step", 11, lambda seconds: f"{1e6 * seconds:.0f}"),
        cell("images per second", 9, lambda rate: f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"),
        cell("times minigan", 21, lambda ratio: "{:.2f} ({:.2f} to {:.2f})".format(*ratio)),
        cell("times captured", 8, "{:.2f}".format),
        cell("share", 6, lambda share: f"{share:.0%}"),
        cell("peak bytes", 8, lambda count: f"{count / 1e6:.0f}"),
        cell("bytes after import", 9, lambda count: f"{count / 1e6:.0f}")])


# The program

def engines_of(choices, device):
    return [name for name, engine in ENGINES.items()
            if engine.choice in choices and device in engine.devices]


def check_device(parser, args):
    """End the program if the device is missing, or if another option does not go with it."""
    for name in args.workload:
        if args.device not in WORKLOADS[name].devices:
            parser.error(f"--workload {name}: it is too large for --device {args.device}")
    if args.device == "cpu":
        if "tf32" in args.precision:
            parser.error("--precision tf32: only a GPU has it; use --device cuda")
        return
    if args.profile or args.imports:
        parser.error("--profile and --imports measure the CPU: no --device cuda")
    try:
        minigan.set_device("cuda")
    except RuntimeError as error:
        parser.error(str(error))
    minigan.set_device("cpu")  # this process only prepares the tasks


def parse_arguments():
    """The arguments, and the cores to measure on."""
    parser = ArgumentParser(__doc__.partition("\n")[0])
    parser.add_argument("--against", nargs="+", choices=AGAINST, default=[],
                        help="measure this too, in turns")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", nargs="+", choices=list(TOLERANCE),
                        help="of products: on a GPU both, one after the other, unless one is named")
    parser.add_argument("--workload", nargs="+", choices=list(WORKLOADS), metavar="NAME",
                        help="some of " + ", ".join(WORKLOADS))
    parser.add_argument("--threads", type=positive_int, help="number of cores for each engine: by default "
                        "1, on a GPU 4")
    parser.add_argument("--turns", type=positive_int, default=11)
    parser.add_argument("--profile", action="store_true",
                        help="instead, show where the time of minigan's steps goes")
    parser.add_argument("--imports", action="store_true",
                        help="instead, measure `import minigan` beside `import numpy`")
    parser.add_argument("--dry-run", action="store_true",
                        help="instead, count what a step launches on a GPU, and model its time")
    parser.add_argument("--model", nargs=4, type=positive_float, metavar=(
        "GB/s", "FLOAT32", "TF32", "MICROSECONDS"), default=list(astuple(Gpu())),
        help="for --dry-run: the memory's bandwidth, the products' TFLOP/s in each precision, and "
             "what a launch takes at least")
    parser.add_argument("--json", metavar="FILE",
                        help="also write all times and figures to this file")
    args = parser.parse_args()
    cores = available_cores()
    if args.imports and (args.workload or args.threads):
        parser.error("--imports: it only imports; no --workload, no --threads")
    args.threads = args.threads or min(THREADS[args.device], len(cores))
    args.precision = args.precision or ["float32", "tf32"][:1 + (args.device == "cuda")]
    args.workload = args.workload or [
        name for name in WORKLOADS if args.dry_run or args.device in WORKLOADS[name].devices]
    if args.threads > len(cores):
        parser.error(f"--threads {args.threads}: this process may use {len(cores)} cores")
    if args.turns < 3:
        parser.error("--turns: expected at least 3, for a median and its scatter")
    if (args.profile or args.imports or args.dry_run) and (args.against or args.json):
        parser.error("--profile, --imports and --dry-run look at minigan alone and print the result: "
                     "no --against, no --json")
    if not args.dry_run:
        check_device(parser, args)
    for choice in args.against:
        names = engines_of([choice], args.device)
        if not names:
            parser.error(f"--against {choice}: it is not compared on {args.device}")
        if importlib.util.find_spec(ENGINES[names[0]].library) is None:
            parser.error(f"--against {choice}: {ENGINES[names[0]].library} is not installed")
    if args.json:
        try:
            open(args.json, "a").close()  # an error is reported now, not after the measurement
        except OSError as error:
            parser.error(f"--json {args.json}: {error.strerror}")
    return args, cores[-args.threads:]


def describe_machine(args, cores, names):
    """What the measurement ran on, printed and as a dict."""
    libraries = dict.fromkeys(ENGINES[name].library for name in names)
    if args.device == "cuda":
        libraries.update(dict.fromkeys(cupy_packages()))
    machine = {"cpu": cpu_name(), "system": platform.platform(), "cores": cores,
               "versions": versions(libraries), "blas": blas()}
    print(f"{machine['cpu']}, {len(cores)} of its cores; "
          + ", ".join(f"{name} {version}" for name, version in machine["versions"].items()))
    if args.device == "cuda":
        machine["gpu"] = gpu_name()
        print(machine["gpu"], flush=True)
    else:
        machine["kernels"] = kernels.status()
        print("\n".join([*blas_report(), f"minigan's {machine['kernels']}"]), flush=True)
    return machine


def main():
    args, cores = parse_arguments()
    if args.imports:
        took = imports(args.turns)
        print(f"import numpy {took['numpy']:.0f} ms, import minigan {took['minigan']:.0f} ms: "
              f"{took['minigan'] / took['numpy']:.2f} times")
        return
    if args.dry_run:
        for workload in args.workload:
            print("\n".join(dry_run.report(workload, WORKLOADS[workload], Gpu(*args.model))),
                  end="\n\n", flush=True)
        return
    names = engines_of(["minigan", "numpy", *args.against], args.device)
    machine = describe_machine(args, cores, names)
    try:
        if args.profile:
            for workload in args.workload:
                print(f"\n{workload}\n{profile(workload, cores)}", flush=True)
            return
        results, products, busy = {}, {}, set()
        print(HEADLINE)
        for workload, precision in itertools.product(args.workload, args.precision):
            label = workload if precision == "float32" else f"{workload} {precision}"
            seconds, memory, failures = measure(workload, names, cores, args.turns, args.device,
                                                precision)
            products.setdefault(precision, []).extend(seconds["product"])
            busy.update(f"{name} ({label})" for name in scattered(seconds))
            results[label] = {name: {"failed": failures[name]} if name in failures else
                              {"seconds of turns": seconds[name],
                               **figures(workload, name, seconds, memory, args.device)}
                              for name in names}
            for name, found in results[label].items():
                if name != "product":
                    print(row(label, name, found), flush=True)
            for reason in failures.values():
                print(f"{label:17} {reason}", flush=True)
    except (WorkerFailed, LossesDiffer) as error:
        sys.exit(f"benchmark: {error}")
    size, maker = SIZES[args.device], "NumPy" if args.device == "cpu" else "CuPy"
    for precision, times in products.items():
        print(f"{maker}'s product of two {size} x {size} matrices in {precision}: "
              f"{operations(args.device) / statistics.median(times) / 1e9:.0f} billion operations "
              f"per second")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "workloads": results}, file, indent=1)
    if busy:
        sys.exit("benchmark: the machine was busy; these times scatter, and nothing is printed "
                 "for them: " + ", ".join(sorted(busy)))


if __name__ == "__main__":
    run(main)
