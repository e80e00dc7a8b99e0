"""How long training steps take, beside PyTorch's if it is installed.

    python examples/benchmark.py                            minigan alone
    python examples/benchmark.py --against torch            and PyTorch, in turns
    python examples/benchmark.py --work cnn-1 cgan-1 --against torch
    python examples/benchmark.py --help                     everything else

A step is forward pass, loss, backward pass and Adam, on the networks of the examples. Every engine
runs in a process of its own, pinned to the same cores; they take turns, so that a machine that
slows down does so for all, and the ratio is the median over the turns. They start from the same
weights, and their first losses are compared: a benchmark of two different things is none.

PyTorch stands there twice: as everyone writes it, and with Adam(fused=True), its fastest setting.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy

import minigan
import cgan
import dcgan
import mnist_cnn
from minigan.training import ArgumentParser, positive_int

# Name: the network, the batch size, and for the DCGAN its width.
WORKS = {
    "cnn-1": ("cnn", 1, None),
    "cnn-64": ("cnn", 64, None),
    "cgan-1": ("cgan", 1, None),
    "cgan-64": ("cgan", 64, None),
    "dcgan-32x8": ("dcgan", 8, 32),
    "dcgan-256x1": ("dcgan", 1, 256),
}
ENGINES = {"minigan": ("minigan",), "torch": ("torch", "torch fused")}
SECONDS_A_TURN = 0.5
TOO_SCATTERED = 0.5  # how far the quarters of an engine's turns may lie apart, over the median


# One engine, in its own process

class Minigan:
    """What the workers need of an engine; `Torch` has the same under PyTorch."""
    module = minigan

    def network(self, network):
        return network

    def tensor(self, array):
        return minigan.tensor(array)

    def adam(self, network, lr):
        return minigan.optim.Adam(network.parameters(), lr=lr)


class Torch:
    def __init__(self, fused):
        import torch

        self.module = torch
        self.fused = fused
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def network(self, network):
        return in_torch(network, self.module)

    def tensor(self, array):
        return self.module.from_numpy(array.copy())

    def adam(self, network, lr):
        return self.module.optim.Adam(network.parameters(), lr=lr, fused=self.fused or None)


def in_torch(network, torch):
    """A Sequential of minigan as one of PyTorch, with the same weights."""
    nn = torch.nn
    layers = []
    for layer in network:
        name = type(layer).__name__
        if name == "Linear":
            layers.append(nn.Linear(layer.in_features, layer.out_features))
        elif name in ("Conv2d", "ConvTranspose2d"):
            layers.append(getattr(nn, name)(layer.in_channels, layer.out_channels,
                                            layer.kernel_size, layer.stride, layer.padding))
        elif name == "BatchNorm2d":
            layers.append(nn.BatchNorm2d(layer.num_features))
        elif name == "LayerNorm":
            layers.append(nn.LayerNorm(layer.normalized_shape))
        elif name == "LeakyReLU":
            layers.append(nn.LeakyReLU(layer.negative_slope))
        elif name == "View":
            layers.append(nn.Unflatten(1, layer.shape) if len(layer.shape) > 1 else nn.Flatten(1))
        else:
            layers.append(getattr(nn, name)())
    result = nn.Sequential(*layers)
    result.load_state_dict({key: torch.tensor(value.numpy())
                            for key, value in network.state_dict().items()})
    return result


def make_step(engine, kind, N, width):
    """A function that does one training step and returns its losses, one for each part."""
    minigan.manual_seed(0)
    random = numpy.random.default_rng(0)
    loss_function = engine.module.nn.BCELoss()

    def given(*shape):
        return engine.tensor(random.random(shape, dtype="float32"))

    if kind == "cnn":
        model = engine.network(mnist_cnn.make_model())
        optimiser = engine.adam(model, 0.001)
        images = given(N, 1, 28, 28)
        targets = engine.tensor(numpy.eye(10, dtype="float32")[numpy.arange(N) % 10])

        def step():
            loss = loss_function(model(images), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return [loss]

        return step

    if kind == "cgan":
        networks = cgan.make_discriminator(), cgan.make_generator()
        # Batch 1 as single vectors, without a batch axis: as a lesson writes it.
        batch = () if N == 1 else (N,)
        images, seeds = given(*batch, 784), given(*batch, 100)
        labels = engine.tensor(numpy.broadcast_to(numpy.eye(10, dtype="float32")[3],
                                                  (*batch, 10)))
        ones, zeros = engine.module.ones(*batch, 1), engine.module.zeros(*batch, 1)

        def with_label(x):
            return engine.module.cat((x, labels), -1)
    else:
        networks = dcgan.make_discriminator(width, "gelu"), dcgan.make_generator(width, "gelu")
        images, seeds = given(N, 3, 128, 128), given(N, 100)
        ones, zeros = engine.module.ones(N, 1), engine.module.zeros(N, 1)

        def with_label(x):
            return x

    discriminator, generator = map(engine.network, networks)
    optimisers = engine.adam(discriminator, 0.0001), engine.adam(generator, 0.0001)

    def part(images, target, optimiser):
        loss = loss_function(discriminator(with_label(images)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def step():
        return [part(images, ones, optimisers[0]),
                part(generator(with_label(seeds)).detach(), zeros, optimisers[0]),
                part(generator(with_label(seeds)), ones, optimisers[1])]

    return step


def work_off(name):
    """The life of a worker: a line with a work's name, or a number of steps to be timed."""
    engine = Minigan() if name == "minigan" else Torch(fused=name.endswith("fused"))
    step = None
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, str):
            step = make_step(engine, *WORKS[order])
            answer = [loss.item() for loss in step()]
        else:
            start = time.perf_counter()
            for _ in range(order):
                step()
            answer = (time.perf_counter() - start) / order
        print(json.dumps(answer), flush=True)


# All of them, in turns

def available_cores():
    """The cores that this process may use; where the system does not tell, all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))


def pin(cores):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


class Worker:
    def __init__(self, name, cores):
        threads = {key: str(len(cores)) for key in (
            "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, **threads},
            preexec_fn=lambda: pin(cores))

    def ask(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"benchmark: a worker ended with status {self.process.wait()}")
        return json.loads(answer)


def measure(work, workers, turns):
    """{engine: seconds a step in each turn}; checks that all compute the same."""
    first = {name: worker.ask(work) for name, worker in workers.items()}
    for name, losses in first.items():
        for a, b in zip(first["minigan"], losses):
            if abs(a - b) > 1e-3 * (1e-3 + abs(b)):
                raise RuntimeError(f"benchmark: {work}: first losses differ: minigan "
                                   f"{first['minigan']}, {name} {losses}")
    steps = {name: max(1, round(SECONDS_A_TURN / worker.ask(2))) for name, worker in
             workers.items()}
    seconds = {name: [] for name in workers}
    for _ in range(turns):
        for name, worker in workers.items():
            seconds[name].append(worker.ask(steps[name]))
    return seconds


def spread(values):
    """How far the quarters of the values lie apart, in parts of their median."""
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle


def told(work, seconds):
    """The table's lines for one work."""
    N = WORKS[work][1]
    for name, values in seconds.items():
        median = statistics.median(values)
        line = f"{work:12} {name:12} {1e6 * median:12.0f} {N / median:12.0f}"
        if name != "minigan":
            ratios = [a / b for a, b in zip(values, seconds["minigan"])]
            line += f"   {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
            if spread(values) > TOO_SCATTERED:
                line += "  scattered: the machine is busy, do not quote this"
        yield line


def main():
    parser = ArgumentParser(__doc__.partition("\n")[0])
    parser.add_argument("--against", nargs="+", choices=["torch"], default=[],
                        help="run this too, in turns")
    parser.add_argument("--work", nargs="+", choices=list(WORKS), default=list(WORKS),
                        metavar="NAME", help="some of " + ", ".join(WORKS))
    parser.add_argument("--threads", type=positive_int, default=1, help="cores for each engine")
    parser.add_argument("--turns", type=positive_int, default=11)
    parser.add_argument("--json", metavar="FILE", help="also write all times to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work_off(args.worker)
        return
    cores = available_cores()
    if args.threads > len(cores):
        parser.error(f"--threads {args.threads}: this machine has {len(cores)} cores")
    if args.turns < 2:
        parser.error("--turns: expected at least 2, for a median and its spread")
    for name in args.against:
        if subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode:
            parser.error(f"--against {name}: it is not installed")
    if "OPENBLAS_CORETYPE" in os.environ:
        print(f"OPENBLAS_CORETYPE is set to {os.environ['OPENBLAS_CORETYPE']}: NumPy's matrix "
              f"products may be slower than this machine allows")
    names = [name for engine in ("minigan", *args.against) for name in ENGINES[engine]]
    workers = {name: Worker(name, cores[-args.threads:]) for name in names}
    print(f"{'work':12} {'engine':12} {'us a step':>12} {'images/s':>12}   "
          f"times minigan's (spread)")
    results = {}
    for work in args.work:
        results[work] = measure(work, workers, args.turns)
        print("\n".join(told(work, results[work])), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
