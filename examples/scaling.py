"""How much faster several processes train than one: mpiexec -n N on this machine's cores.

    python examples/scaling.py                    minigan, with two processes
    python examples/scaling.py --against torch    and PyTorch's DistributedDataParallel (gloo)
    python examples/scaling.py --help             everything else

Each process has one core. `weak`: every process has a batch of the work's size; `strong`: they
divide one such batch. One process and several take turns, and so do the engines; a ratio is the
median over the turns of images per second, beside one process of the same engine with the work's
batch. The steps are the examples', by minigan.capture in minigan, with the fused Adam in PyTorch.

The last lines are a model of N machines, from the measured step and the bytes of its gradients: see
minigan/distributed/README.md.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from engines.machine import available_cores, cpu_name, environment, pin
from engines.worker import search_path
from engines.workloads import WORKLOADS
from minigan.training import ArgumentParser, Progress, positive_float, positive_int, run

WORKS = ("cgan-64", "dcgan-32x8")
NETWORKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9}  # bytes per second
MACHINES = (2, 8, 64)


class Failed(Exception):
    """A process failed; the message is one line."""


def images_per_second(engine, file, seconds, processes, batch, cores):
    """By so many processes, each with a batch of this size, in about so many seconds."""
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    launcher = [] if processes == 1 else [mpiexec, "-n", str(processes)]
    if None in launcher:
        raise Failed("mpiexec was not found; it comes with pip install mpi4py mpich")
    ended = subprocess.run(
        [*launcher, sys.executable, "-m", "engines.parallel", engine, file, str(seconds)], text=True,
        capture_output=True, env={**environment(1), "PYTHONPATH": search_path()},
        preexec_fn=lambda: pin(cores[:processes]))
    if ended.returncode:
        raise Failed(f"{engine}, {processes} processes: " + " ".join(ended.stderr.split())[-300:])
    steps, seconds = map(float, ended.stdout.split())
    return steps * batch * processes / seconds


def measure(work, engines, processes, turns, seconds, cores, folder):
    """{(engine, form): images per second in each turn}, forms: 'one', 'weak' and 'strong'."""
    workload = WORKLOADS[work]
    forms = {"one": (1, workload.batch), "weak": (processes, workload.batch),
             "strong": (processes, workload.batch // processes)}
    files = {}
    for form, (_, batch) in forms.items():
        files[form] = f"{folder}/{work}-{form}.npz"
        replace(workload, batch=batch).task().save(files[form])
    rates = {}
    with Progress(turns * len(engines) * len(forms), work, "measurements") as progress:
        for _ in range(turns):
            for engine in engines:
                for form, (count, batch) in forms.items():
                    rates.setdefault((engine, form), []).append(
                        images_per_second(engine, files[form], seconds, count, batch, cores))
                    progress.advance()
    return rates


def report(work, engines, rates):
    for engine in engines:
        one = rates[engine, "one"]
        line = f"{work:11} {engine:8} {statistics.median(one):10.4g}"
        for form in ("weak", "strong"):
            ratios = sorted(a / b for a, b in zip(rates[engine, form], one))
            line += (f"  {statistics.median(rates[engine, form]):10.4g}"
                     f"  {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        print(line)


def model(work, rate):
    """Lines: the share of N times one machine's images per second that a model of the time of an
    all-reduce in a ring leaves, 2 (N - 1) / N * bytes / rate of the network."""
    workload = WORKLOADS[work]
    discriminator, generator = (4 * sum(p.numel() for p in network.parameters())
                                for network in workload.networks())
    sent = 2 * discriminator + generator  # the discriminator steps twice
    step = workload.batch / rate
    for name, bandwidth in NETWORKS.items():
        shares = [step / (step + 2 * (n - 1) / n * sent / bandwidth) for n in MACHINES]
        yield (f"{work:11} {sent / 1e6:6.2f} MB a step of {1e3 * step:.3g} ms, {name:>10}: "
               + ", ".join(f"{n} machines {100 * share:.0f} %" for n, share in zip(MACHINES, shares)))


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("--workload", nargs="+", choices=[
        name for name, work in WORKLOADS.items() if work.kind != "cnn" and work.batch > 1],
        default=WORKS, help="what is trained")
    parser.add_argument("--processes", type=positive_int, default=2, help="beside one")
    parser.add_argument("--against", choices=["torch"], help="another engine")
    parser.add_argument("--turns", type=positive_int, default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=positive_float, default=1.0, help="of each measurement")
    args = parser.parse_args()
    cores = available_cores()
    if args.processes < 2 or args.processes > len(cores):
        parser.error(f"--processes {args.processes}: expected 2 to {len(cores)}, the number of cores")
    engines = ["minigan", *filter(None, [args.against])]
    print(f"{cpu_name()}, {args.processes} processes of one core each")
    print(f"{'workload':11} {'engine':8} {'one':>10}  {'weak':>10}  {'times one':18}  "
          f"{'strong':>10}  times one   (images per second)")
    with parser.report_errors(), tempfile.TemporaryDirectory() as folder:
        modelled = []
        for work in args.workload:
            try:
                rates = measure(work, engines, args.processes, args.turns, args.seconds, cores,
                                folder)
            except Failed as error:
                parser.error(str(error))
            report(work, engines, rates)
            modelled += model(work, statistics.median(rates["minigan", "one"]))
        print("\nA model, not measured: machines joined by a network, batches as above in each")
        for line in modelled:
            print(line)


if __name__ == "__main__":
    run(main)
