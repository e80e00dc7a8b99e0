"""Training by several processes: `mpiexec -n 8` in front of a command, on one machine or many.

Each process has the whole network and its part of every batch. After the backward pass the
gradients are averaged over all processes, so that every optimiser does the same step, and all
processes hold the same weights. `init` joins the processes that mpiexec started; alone it does
nothing, and everything here is then for one process.

    minigan.distributed.init()
    minigan.manual_seed(minigan.distributed.rank())     # each has its own noise
    loader = DataLoader(dataset, batch_size=16)
    loader.divide()                                     # 16 other items in each process
    broadcast(model)                                    # all start from process 0's weights
    for x, t in loader:
        optimiser.zero_grad()
        loss(model(x), t).backward()
        average_gradients(optimiser)
        optimiser.step()

A training.Run does all of this by itself.
"""

from minigan.distributed.gradients import average_gradients, broadcast
from minigan.distributed.processes import (
    AllEnd, abort_together, barrier, gather, in_all, init, largest, on_every, own_seed, rank, report_once, size)
from minigan.distributed.reduction import all_reduce
