"""What test_distributed.py lets several processes do: mpiexec -n 2 python distributed_programs.py NAME.

Each program asserts in every process; process 0 writes what is to be compared to the path given.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import numpy

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "examples"),
                str(Path(__file__).parent)]

import cgan
import dcgan
import minigan
from minigan import distributed, nn, optim, training
from minigan.data import DataLoader, TensorDataset
from minigan.training import Run
import standin

STEPS = 50


def parts_of(rng, shapes, per_process):
    """Batches of all processes together, from a generator that is the same in each; own part."""
    own = slice(distributed.rank() * per_process, (distributed.rank() + 1) * per_process)
    together = per_process * distributed.size()
    return [minigan.tensor(make(rng, together)[own]) for make in shapes]


def images(*shape):
    return lambda rng, n: rng.random((n, *shape), dtype="float32")


def noise(rng, n):
    return rng.standard_normal((n, 100), dtype="float32")


def labels(rng, n):
    return numpy.eye(10, dtype="float32")[rng.integers(0, 10, n)]


def train(gan, shapes, total, steps, captures):
    """Steps on batches of `total` items of all processes; the losses' means and all weights."""
    for network in (gan.discriminator, gan.generator):
        distributed.broadcast(network)
    for optimiser in (gan.discriminator_optimiser, gan.generator_optimiser):
        optimiser.register_step_pre_hook(
            lambda optimizer, args, kwargs: distributed.average_gradients(optimizer))
    step = minigan.capture(gan.train_step) if captures else gan.train_step
    rng = numpy.random.default_rng(1)
    losses = []
    for _ in range(steps):
        values = step(*parts_of(rng, shapes, total // distributed.size()))
        losses.append(numpy.mean(distributed.gather([x.item() for x in values.values()]), axis=0))
    weights = numpy.concatenate([p.detach().cpu().numpy().ravel() for net in (gan.discriminator, gan.generator)
                                 for p in net.parameters()])
    everywhere = distributed.gather(weights.tobytes())
    assert all(other == everywhere[0] for other in everywhere), "the weights differ"
    return numpy.array(losses), weights


def gan_of(kind):
    minigan.manual_seed(distributed.rank())  # so that the broadcast has something to do
    if kind == "cgan":
        return cgan.ConditionalGAN(1e-3), [images(784), labels, labels, noise, labels, noise]
    gan = dcgan.DCGAN(4, "gelu", 2e-4)
    if distributed.size() > 1:
        for name in ("discriminator", "generator"):
            nn.SyncBatchNorm.convert_sync_batchnorm(getattr(gan, name))
    return gan, [images(3, 128, 128), noise, noise]


def gan(path, kind, total, captures, device="cpu"):
    with standin.in_place_of_cupy() if device == "standin" else contextlib.nullcontext():
        minigan.set_device("cpu" if device == "cpu" else "cuda")
        gan, shapes = gan_of(kind)
        steps = STEPS if device == "cpu" else 6  # the stand-in is slow
        losses, weights = train(gan, shapes, int(total), steps, captures == "captured")
    if distributed.rank() == 0:
        numpy.savez(path, losses=losses, weights=weights)


def batch_norm(path):
    """Forward and backward against one process with all items."""
    rng = numpy.random.default_rng(2)
    x, g = rng.standard_normal((2, 12, 3, 5, 4), dtype="float32")
    sizes = [3, 9] if distributed.size() == 2 else [12]
    start = sum(sizes[:distributed.rank()])
    own = slice(start, start + sizes[distributed.rank()])
    layer = nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(3))
    layer.weight.data.copy_(minigan.tensor([1.0, 2.0, -1.0]))
    part = minigan.tensor(x[own], requires_grad=True)
    y = layer(part)
    y.backward(minigan.tensor(g[own]))
    y = y.detach()
    gathered = distributed.gather([y.numpy(), part.grad.numpy()])
    summed = distributed.gather([layer.weight.grad.numpy(), layer.bias.grad.numpy()])
    if distributed.rank() == 0:
        numpy.savez(path, y=numpy.concatenate([part[0] for part in gathered]),
                    gx=numpy.concatenate([part[1] for part in gathered]),
                    gw=sum(part[0] for part in summed), gb=sum(part[1] for part in summed),
                    mean=layer.running_mean.numpy(), var=layer.running_var.numpy())


def gradients():
    """Means of gradients: where a process has none, where none has, and where they lie elsewhere."""
    rank, size = distributed.rank(), distributed.size()
    for dtype in ("float32", "float64"):
        a, b, c, d = (nn.Parameter(minigan.zeros(n, dtype=dtype)) for n in (3, 70, 2, 1))
        optimiser = optim.SGD([a, b, c, d], lr=1.0)
        for turn in range(3):
            optimiser.zero_grad()
            (a * (rank + 1.0)).sum().backward()
            if rank == size - 1:
                (b * (2.0 * size)).sum().backward()
            if turn == 1:
                a.grad = minigan.full((3,), rank + 1.0, dtype=dtype)  # not where it was
            kept = a.grad
            distributed.average_gradients(optimiser)
            mean = (size + 1) / 2
            assert a.grad is kept and a.grad.tolist() == [mean] * 3
            assert b.grad.tolist() == [2.0] * 70 and c.grad is None and d.grad is None
            before = a.detach().clone()
            optimiser.step()
            assert (before - a).tolist() == [mean] * 3 and c.tolist() == [0, 0]
        e = nn.Parameter(minigan.zeros(5, dtype=dtype))
        optimiser.add_param_group({"params": [e]})
        optimiser.zero_grad()
        (e * float(rank)).sum().backward()
        distributed.average_gradients(optimiser)
        assert e.grad.tolist() == [(size - 1) / 2] * 5 and a.grad is None

        kept, values = e.grad, e.grad.tolist()  # who keeps a gradient keeps its numbers
        for turn in range(2):
            optimiser.zero_grad()
            if turn:
                (e * (rank + 7.0)).sum().backward()
            distributed.average_gradients(optimiser)
            assert kept.tolist() == values
        assert e.grad.tolist() == [7 + (size - 1) / 2] * 5

        # In its place, but not in its order
        h = nn.Parameter(minigan.zeros(2, 2, dtype=dtype))
        optimiser = optim.SGD([h], lr=1.0)
        for _ in range(2):
            optimiser.zero_grad()
            (h * minigan.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=dtype)).sum().backward()
            if rank == 0:
                h.grad = h.grad.t()
            distributed.average_gradients(optimiser)
            across = numpy.array([[1.0, 3.0], [2.0, 4.0]])
            numpy.testing.assert_allclose(
                h.grad.numpy(), (across + (size - 1) * across.T) / size, rtol=1e-6)

        # Frozen here, with a gradient in another process: in a captured step too.
        f, g = (nn.Parameter(minigan.zeros(1, dtype=dtype)) for _ in range(2))
        optimiser = optim.SGD([f, g], lr=1.0)
        if rank:
            g.requires_grad_(False)

        def step(x):
            optimiser.zero_grad()
            (x * f + g).sum().backward()
            distributed.average_gradients(optimiser)
            return x * 1

        step = minigan.capture(step)
        for turn in range(5):
            step(minigan.tensor([float(turn)], dtype=dtype))
            assert f.grad.tolist() == [turn]
            assert g.grad is None if rank else abs(g.grad.item() - 1 / size) < 1e-6


def refused():
    """A step that cannot be captured in the last process."""
    p = nn.Parameter(minigan.zeros(1))
    optimiser = optim.SGD([p], lr=1.0)
    calls = [0]

    def step(x):
        calls[0] += distributed.rank() == distributed.size() - 1
        optimiser.zero_grad()
        (p * x).sum().backward()
        distributed.average_gradients(optimiser)
        return x * calls[0]

    step = minigan.capture(step)
    for turn in range(4):
        step(minigan.tensor([float(turn)]))
        assert p.grad.tolist() == [turn]


def machines():
    """Machines with different numbers of processes, each of which has its part of the cores."""
    cores = distributed.gather(sorted(os.sched_getaffinity(0)))
    gpus = distributed.gather(os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert sorted(map(str, gpus)) == ["0", "1", "None"]  # two have a machine, and one has another
    one, other = (cores[gpus.index(name)] for name in "01")
    assert not set(one) & set(other) or len(cores[gpus.index(None)]) == 1
    gradients()


def single_values():
    """A batch of one item in each process is one of several."""
    rank, size = distributed.rank(), distributed.size()
    y = nn.SyncBatchNorm(2, eps=0)(minigan.tensor([[float(rank), 5.0 * rank]]))
    expected = (rank - (size - 1) / 2) / numpy.arange(size).std()
    numpy.testing.assert_allclose(y.tolist(), [[expected] * 2], rtol=1e-6)


def sums():
    for dtype in ("float32", "float64"):
        x = numpy.arange(5, dtype=dtype) + distributed.rank()
        distributed.all_reduce(x)
        n = distributed.size()
        assert x.tolist() == [n * i + n * (n - 1) / 2 for i in range(5)]
    assert distributed.gather(distributed.rank()) == list(range(distributed.size()))
    assert distributed.on_every("" if distributed.rank() == 0 else "b") == (
        "b" if distributed.size() > 1 else "")


def batches():
    """Together the processes see what one sees with batches that are as many times as large."""
    n, size = 23, distributed.size()
    dataset = TensorDataset(minigan.arange(n))
    for options in ({}, {"shuffle": True, "seed": 3}, {"shuffle": True}, {"drop_last": True}):
        minigan.manual_seed(distributed.rank())
        loader = DataLoader(dataset, batch_size=2, **options)
        assert [len(batch[0]) for batch in loader][:11] == [2] * 11  # not divided yet
        loader = DataLoader(dataset, batch_size=2, **options)
        loader.divide()
        own = [batch[0].tolist() for _ in range(2) for batch in loader]
        everywhere = distributed.gather(own)
        together = [sum(parts, []) for parts in zip(*everywhere)]
        full, rest = divmod(n, 2 * size)
        assert len({len(each) for each in everywhere}) == 1
        assert len(own) == 2 * len(loader) == 2 * (
            full + (rest > 0 and "drop_last" not in options))
        for epoch in (together[:len(loader)], together[len(loader):]):
            assert all(len(batch) == 2 * size for batch in epoch[:full])
            seen = sum(epoch, [])
            if "drop_last" in options:
                assert seen == list(range(full * 2 * size))
                continue
            assert sorted(seen[:n]) == list(range(n)) and seen[n:] == seen[:len(seen) - n]
            assert len(seen) - n < size
            if not options:
                assert seen[:n] == list(range(n))
    if size == 1:
        return
    rng = numpy.random.default_rng(3)
    order = numpy.arange(n)
    rng.shuffle(order)
    loader = DataLoader(dataset, batch_size=2, shuffle=True, seed=3)
    loader.divide()
    first = distributed.gather(next(iter(loader))[0].tolist())
    assert sum(first, []) == order[:2 * size].tolist()


def failing(how):
    """One process ends in some way while the others wait for it."""
    x = numpy.ones(3)
    if distributed.rank() == distributed.size() - 1:
        if how == "exception":
            raise ValueError("a shape does not fit")
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "message":
            distributed.abort_together("no such file", 2)
    elif how == "all":
        distributed.abort_together("all have this", 2)
    if how == "all":
        distributed.abort_together("all have this", 2)
    distributed.all_reduce(x)


def exiting():
    """One process of a script exits with an error while the others wait for it."""
    def main():
        print(distributed.rank())
        if distributed.rank():
            sys.exit(3)
        distributed.barrier()

    training.run(main)


def logging(folder):
    """Logged is the mean of the processes' losses, of whatever shape and dtype one element may be."""
    rank = distributed.rank()
    with Run(folder) as run:
        run.register(DataLoader(TensorDataset(minigan.ones(40, 1))), model=nn.Linear(1, 1))
        for _ in run.epochs(1):
            for _ in run.batches():
                run.log({"a": minigan.tensor([[rank + 1.0]]), "b": minigan.tensor(rank)}, 1)
    assert rank or run.history.losses == {"a": [1.5, 1.5], "b": [0.5, 0.5]}, run.history.losses


def ending_slowly(folder):
    """Process 0 takes long for its last report."""
    def write_report(run):
        if run.state == "stopped":
            time.sleep(1)

    training.runs.write_report = write_report
    distributed.processes.PATIENCE = 0.1
    diverging(folder)


def diverging(folder):
    """The loss is nan in one process alone."""
    dataset = TensorDataset(minigan.ones(20, 1))

    def main():
        with Run(folder) as run:
            model = nn.Linear(1, 1)
            optimiser = optim.SGD(model.parameters(), lr=0.1)
            run.register(DataLoader(dataset), model=model, optimiser=optimiser)
            for _ in run.epochs(1):
                for x, in run.batches():
                    loss = model(x).sum()
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    if run.step == 2 and distributed.rank() == 1:
                        loss = loss * float("nan")
                    run.log({"loss": loss}, 1)

    training.run(main)


if __name__ == "__main__":
    distributed.init()
    globals()[sys.argv[1]](*sys.argv[2:])
