"""One of several processes that train a GAN together, by minigan or by PyTorch's
DistributedDataParallel: `mpiexec -n 2 python -m engines.parallel ENGINE FILE SECONDS`.

See scaling.py. FILE holds a Task. Process 0 prints the steps done and the seconds that they took.
"""

import itertools
import os
import sys
import time

from engines import load_task
from engines.layers import built
from engines.machine import available_cores, pin

WARM_UP = 20  # steps


def in_minigan(task):
    """(minigan, the step, a function that waits for the other processes, one that gives the largest
    of their numbers, this one's rank)."""
    import minigan
    from minigan import distributed
    distributed.init()
    networks = [built(minigan, *network) for network in task.networks]
    optimisers = [minigan.optim.Adam(network.parameters(), lr=task.lr) for network in networks]
    for network, optimiser in zip(networks, optimisers):
        distributed.broadcast(network)
        optimiser.register_step_pre_hook(
            lambda optimiser, args, kwargs: distributed.average_gradients(optimiser))
    step = minigan.capture(make_step(minigan, networks, networks, optimisers))
    return minigan, step, distributed.barrier, lambda n: distributed.largest(n)[0], distributed.rank()


def in_torch(task):
    """The same of PyTorch."""
    import torch
    rank, size = (int(os.environ.get(name, default)) for name, default in (
        ("PMI_RANK", "0"), ("PMI_SIZE", "1")))
    pin([available_cores()[rank]])
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{sys.argv[2]}.{os.getppid()}", rank=rank, world_size=size)
    networks = [built(torch, *network) for network in task.networks]
    learning = networks if size == 1 else [
        torch.nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)
        for network in networks]
    optimisers = [torch.optim.Adam(network.parameters(), lr=task.lr, fused=True)
                  for network in networks]

    def largest(n):
        x = torch.tensor(n)
        torch.distributed.all_reduce(x, torch.distributed.ReduceOp.MAX)
        return x.item()

    return (torch, make_step(torch, networks, learning, optimisers), torch.distributed.barrier,
            largest, rank)


def make_step(m, networks, learning, optimisers):
    """The step of the examples; `learning` are the networks whose gradients are averaged."""
    loss_function = m.nn.BCELoss()
    discriminator, generator = networks

    def joined(x, labels):
        return m.cat((x, *labels), -1) if labels else x

    def learn(network, x, target, optimiser):
        loss = loss_function(network(x), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def step(*arguments):
        n = len(arguments) // 3
        parts = [arguments[i:i + n] for i in range(0, 3 * n, n)]
        (images, *labels, real), (noise, *fake_labels, fake), (new_noise, *new_labels, _) = parts
        losses = [learn(learning[0], joined(images, labels), real, optimisers[0])]
        with m.no_grad():
            images = generator(joined(noise, fake_labels))
        losses.append(learn(learning[0], joined(images, fake_labels), fake, optimisers[0]))

        discriminator.requires_grad_(False)
        images = learning[1](joined(new_noise, new_labels))
        loss = loss_function(discriminator(joined(images, new_labels)), real)
        optimisers[1].zero_grad()
        loss.backward()
        optimisers[1].step()
        discriminator.requires_grad_(True)
        return [*losses, loss]

    return step


def main(engine, file, seconds):
    task, seconds = load_task(file), float(seconds)
    m, step, barrier, largest, rank = {"minigan": in_minigan, "torch": in_torch}[engine](task)
    batches = itertools.cycle([
        [m.tensor(array) for part in batch for array in part if array is not None]
        for batch in task.batches()])
    for _ in range(WARM_UP):
        step(*next(batches))
    start = time.perf_counter()
    step(*next(batches))
    steps = largest(max(2, round(seconds / (time.perf_counter() - start))))
    barrier()
    start = time.perf_counter()
    for _ in range(steps):
        step(*next(batches))
    barrier()
    if rank == 0:
        print(steps, time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
