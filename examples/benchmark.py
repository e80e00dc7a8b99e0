"""How long training steps take, beside PyTorch's and JAX's if they are installed.

    python examples/benchmark.py                            minigan alone
    python examples/benchmark.py --against torch jax        and these, in turns
    python examples/benchmark.py --work cnn-1 cgan-1 --against torch
    python examples/benchmark.py --device cuda --against torch      on a GPU
    python examples/benchmark.py --profile --work cnn-1     where minigan's time goes
    python examples/benchmark.py --imports                  how long importing it takes
    python examples/benchmark.py --help                     everything else

A step is forward pass, loss, backward pass and Adam, on the networks of the examples. Every engine
runs in a process of its own, pinned to the same cores, while the others are stopped. They take
turns, so that a machine that slows down does so for all, and the ratio is the median over the
turns. They start from the same weights, and their first losses are compared: a benchmark of two
different things is none. Nor is one on a busy machine: from times that scatter no figure is given,
and the exit status is 1.

PyTorch stands there twice: as everyone writes it, and with Adam(fused=True), its fastest setting.
JAX has the whole step in one compiled function.

On a GPU minigan's step is recorded (minigan.capture) and launched as one CUDA graph; "no graph" is
minigan launch by launch, and "torch graph" PyTorch's step as a CUDA graph, with the fused Adam. All
multiply in float32, or with --tf32 all in TF32.

The columns: microseconds a step; images a second; how many times minigan's step that is, with the
lowest and the highest turn; which share it is of the rate of a product of two large matrices (by
NumPy; on a GPU by CuPy) in the same turns, where what counts is a step's matrix products; peak
memory of the process, and how much of that came after importing the engine. On a GPU it is the
memory that the engine's pools hold on it.
"""

import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

import minigan
from engines import ENGINES
from engines.blas import blas, blas_in_words
from engines.in_numpy import SIZES, operations
from engines.machine import available_cores, cpu_name, gpu_name, versions
from engines.worker import Worker, WorkerFailed, search_path
from engines.works import WORKS
from minigan.training import ArgumentParser, positive_int, run

AGAINST = ("torch", "jax")
SECONDS_A_TURN = 0.5
FIRST_STEPS = 5  # do what only first steps do, such as to record a graph
# How far apart the engines' first losses may be, in parts of them.
TOLERANCE, TF32_TOLERANCE = 1e-3, 2e-2
# How far the quarters of an engine's turns may lie apart, over their median. On a quiet machine
# it is a few hundredths.
TOO_SCATTERED = 0.25
HEADLINE = (f"{'work':11} {'engine':11} {'us a step':>10} {'images/s':>9} "
            f"{'times minigan':>21} {'share':>6} {'peak MB':>8} {'steps MB':>9}")


class LossesDiffer(Exception):
    """The engines do not compute the same; the message is one line."""


# Measuring

def tell(text):
    """A line on stderr, written over the one before; on a terminal only."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + text[:width].ljust(width) + ("" if text else "\r"))
        sys.stderr.flush()


def check_first_losses(losses, tolerance=1e-3):
    """LossesDiffer unless all engines have minigan's."""
    for name, theirs in losses.items():
        ours = losses["minigan"]
        close = len(theirs) == len(ours) and all(
            abs(a - b) <= tolerance * (1e-3 + abs(b)) for a, b in zip(ours, theirs))
        if not close:  # nan is not close to anything
            raise LossesDiffer(f"first losses differ: minigan {ours}, {name} {theirs}")


def measure(work, names, cores, turns, device="cpu", tf32=False):
    """{engine: seconds a step in each turn} and {engine: (its peak memory, that of its import)}."""
    task = WORKS[work].task(device, tf32)
    with ExitStack() as stack:
        workers, imported, losses, steps = {}, {}, {}, {}
        for name in names:
            tell(f"{work}: {name}, first steps")
            worker = workers[name] = stack.enter_context(Worker(name, cores))
            loaded = worker.ask("load")
            imported[name] = loaded if device == "cpu" else 0  # on a GPU nothing is there yet
            losses[name] = worker.ask("begin", task)
            worker.ask("time", FIRST_STEPS)
            steps[name] = max(1, round(SECONDS_A_TURN / worker.ask("time", 2)))
        check_first_losses({name: losses[name] for name in names if name != "product"},
                           TF32_TOLERANCE if tf32 else TOLERANCE)
        seconds = {name: [] for name in names}
        start = time.perf_counter()
        for turn in range(turns):
            left = (f", {(turns - turn) * (time.perf_counter() - start) / turn:.0f} s left for it"
                    if turn else "")
            for name, worker in workers.items():
                tell(f"{work}: turn {turn + 1} of {turns}, {name}{left}")
                seconds[name].append(worker.ask("time", steps[name]))
        tell("")
        return seconds, {name: (worker.ask("memory"), imported[name])
                         for name, worker in workers.items()}


def profile(work, cores):
    """Where the time of minigan's step goes, as a table."""
    with Worker("minigan", cores) as worker:
        worker.ask("load")
        worker.ask("begin", WORKS[work].task())
        seconds = min(worker.ask("time", 1) for _ in range(3))
        return worker.ask("profile", max(1, round(SECONDS_A_TURN / seconds)))


def imports(turns):
    """{module: milliseconds of a Python process that imports it}, medians of turns."""
    times = {"numpy": [], "minigan": []}
    with tempfile.TemporaryDirectory() as folder:
        # In the first turn, which does not count, bytecode is compiled and kept there.
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

def spread(values):
    """How far the quarters of the values lie apart, in parts of their median."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def scattered(seconds):
    """The engines whose turns scatter: nothing that rests on them may be quoted."""
    return {name for name, values in seconds.items() if spread(values) > TOO_SCATTERED}


def figures(work, name, seconds, memory, device="cpu"):
    """{figure: value} of one engine; None where times scatter or the system does not tell."""
    busy = scattered(seconds)
    values = seconds[name]
    ratios = [theirs / ours for theirs, ours in zip(values, seconds["minigan"])]
    shares = [WORKS[work].operations() / operations(device) * product / own
              for own, product in zip(values, seconds["product"])]
    peak, imported = memory[name]
    quoted = name not in busy
    step = statistics.median(values)
    return {
        "seconds a step": step if quoted else None,
        "images a second": WORKS[work].batch / step if quoted else None,
        "times minigan": ([statistics.median(ratios), min(ratios), max(ratios)]
                          if quoted and "minigan" not in busy else None),
        "share": statistics.median(shares) if quoted and "product" not in busy else None,
        "peak bytes": peak,
        "bytes after import": None if peak is None else peak - imported}


def line(work, name, found):
    """The table's line of one engine."""
    def cell(key, width, form):
        return f"{'-' if found[key] is None else form(found[key]):>{width}}"

    return " ".join([
        f"{work:11} {name:11}",
        cell("seconds a step", 10, lambda seconds: f"{1e6 * seconds:.0f}"),
        cell("images a second", 9, lambda rate: f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"),
        cell("times minigan", 21, lambda ratio: "{:.2f} ({:.2f} to {:.2f})".format(*ratio)),
        cell("share", 6, lambda share: f"{share:.0%}"),
        cell("peak bytes", 8, lambda count: f"{count / 1e6:.0f}"),
        cell("bytes after import", 9, lambda count: f"{count / 1e6:.0f}")])


def installed(name):
    return importlib.util.find_spec(name) is not None


def engines_of(libraries, device):
    return [name for name, engine in ENGINES.items()
            if engine.library in libraries and device in engine.devices]


def check_device(parser, args):
    """Ends the program if the device is not there, or something else asked for is not for it."""
    for name in args.work:
        if args.device not in WORKS[name].devices:
            parser.error(f"--work {name}: it is too large for --device {args.device}")
    if args.device == "cpu":
        if args.tf32:
            parser.error("--tf32: only a GPU has it; --device cuda")
        return
    if args.profile or args.imports:
        parser.error("--profile and --imports are of the CPU: no --device cuda")
    try:
        minigan.set_device("cuda")
    except RuntimeError as error:
        parser.error(str(error))
    minigan.set_device("cpu")  # here only the tasks are prepared


def parsed():
    parser = ArgumentParser(__doc__.partition("\n")[0])
    parser.add_argument("--against", nargs="+", choices=AGAINST, default=[],
                        help="run this too, in turns")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tf32", action="store_true", help="on a GPU, multiply in TF32")
    parser.add_argument("--work", nargs="+", choices=list(WORKS), metavar="NAME",
                        help="some of " + ", ".join(WORKS))
    parser.add_argument("--threads", type=positive_int, help="cores for each engine")
    parser.add_argument("--turns", type=positive_int, default=11)
    parser.add_argument("--profile", action="store_true",
                        help="instead, where the time of minigan's steps goes")
    parser.add_argument("--imports", action="store_true",
                        help="instead, how long `import minigan` takes beside `import numpy`")
    parser.add_argument("--json", metavar="FILE",
                        help="also write all times and figures to this file")
    args = parser.parse_args()
    cores = available_cores()
    if args.imports and (args.work or args.threads):
        parser.error("--imports: no --work, no --threads; it imports, and nothing else")
    args.threads = args.threads or 1
    args.work = args.work or [name for name in WORKS if args.device in WORKS[name].devices]
    if args.threads > len(cores):
        parser.error(f"--threads {args.threads}: this process may use {len(cores)} cores")
    if args.turns < 3:
        parser.error("--turns: expected at least 3, for a median and its spread")
    if (args.profile or args.imports) and (args.against or args.json):
        parser.error("--profile and --imports are of minigan alone, and printed: no --against, "
                     "no --json")
    check_device(parser, args)
    for name in args.against:
        if not installed(name):
            parser.error(f"--against {name}: it is not installed")
        if not engines_of([name], args.device):
            parser.error(f"--against {name}: it is not compared on {args.device}")
    if args.json:
        try:
            open(args.json, "a").close()  # told now, not after the measurement
        except OSError as error:
            parser.error(f"--json {args.json}: {error.strerror}")
    return args, cores[-args.threads:]


def main():
    args, cores = parsed()
    if args.imports:
        took = imports(args.turns)
        print(f"import numpy {took['numpy']:.0f} ms, import minigan {took['minigan']:.0f} ms: "
              f"{took['minigan'] / took['numpy']:.2f} times")
        return
    names = engines_of(["minigan", "numpy", *args.against], args.device)
    libraries = dict.fromkeys(ENGINES[name].library for name in names)
    if args.device == "cuda":
        libraries["cupy-cuda12x"] = None
    machine = {"cpu": cpu_name(), "system": platform.platform(), "cores": cores,
               "versions": versions(libraries), "blas": blas()}
    print(f"{machine['cpu']}, {len(cores)} of its cores; "
          + ", ".join(f"{name} {version}" for name, version in machine["versions"].items()))
    if args.device == "cuda":
        machine["gpu"] = gpu_name()
        print(f"{machine['gpu']}; products in {'TF32' if args.tf32 else 'float32'}", flush=True)
    else:
        print("\n".join(blas_in_words()), flush=True)
    try:
        if args.profile:
            for work in args.work:
                print(f"\n{work}\n{profile(work, cores)}", flush=True)
            return
        results, products, busy = {}, [], set()
        print(HEADLINE)
        for work in args.work:
            seconds, memory = measure(work, names, cores, args.turns, args.device, args.tf32)
            products += seconds["product"]
            results[work] = {name: {"seconds of turns": seconds[name],
                                    **figures(work, name, seconds, memory, args.device)}
                             for name in names}
            for name in names:
                if name != "product":
                    print(line(work, name, results[work][name]), flush=True)
            busy.update(f"{name} ({work})" for name in scattered(seconds))
    except (WorkerFailed, LossesDiffer) as error:
        sys.exit(f"benchmark: {error}")
    size, maker = SIZES[args.device], "NumPy" if args.device == "cpu" else "CuPy"
    print(f"{maker}'s product of two {size} x {size} matrices: "
          f"{operations(args.device) / statistics.median(products) / 1e9:.0f} billion operations "
          f"a second")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "works": results}, file, indent=1)
    if busy:
        sys.exit("benchmark: the machine was busy, these times scatter and are not quoted: "
                 + ", ".join(sorted(busy)))


if __name__ == "__main__":
    run(main)
