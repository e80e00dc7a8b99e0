"""Sums and means of arrays over all processes: by memory that they share, by MPI, and by NCCL."""

import functools

import numpy

from minigan.autograd import dispatched
from minigan.device import array_module, is_on_gpu
from minigan.distributed.processes import processes, wait
from minigan.hooks import hooks, run

LINE = 128  # bytes: a line of the caches and the one beside it, which are fetched together


def all_reduce(array):
    """Make an array the sum of all processes' arrays, in place; it must be in one piece.

    All processes call this in the same order, with equal shapes and dtypes.
    """
    if processes.size > 1:
        communicates()
        run(sum_over_processes, (array,), (array,))


def communicates():
    """Let a step that is being captured know that other processes take part in it."""
    if hooks.capture is not None:
        hooks.capture.communicates = True


def sum_over_processes(array):
    if is_on_gpu(array):
        sum_on_gpus(array)
    else:
        wait(processes.world.Iallreduce(processes.mpi.IN_PLACE, array).Test)


class Flat:
    """One flat array in each process, and their mean.

    On a CPU those of one machine lie in memory that its processes share. Each sums up a part of all
    of them, with the processes that have the same part on other machines by MPI, and writes the
    mean into all of them. On one machine the order of each sum is that of the ranks: equal bits in
    all processes, and from run to run.
    """

    def __init__(self, count, like):
        """count numbers, of the dtype and on the device of an array `like`."""
        self.on_gpu = is_on_gpu(like)
        if self.on_gpu:
            self.array = array_module(like).zeros(count, like.dtype)
            return
        local = processes.local
        numbers = -(-count * like.dtype.itemsize // LINE) * LINE  # bytes
        self.window = processes.mpi.Win.Allocate_shared(numbers + LINE, 1, comm=local)
        self.window.Lock_all()  # once and for all: each then reads and writes the others' memory
        memory = [self.window.Shared_query(rank)[0] for rank in range(local.size)]
        self.array = numpy.frombuffer(memory[local.rank], like.dtype, count)
        first, end = (count * (local.rank + i) // local.size for i in range(2))
        self.parts = [numpy.frombuffer(m, like.dtype, count)[first:end] for m in memory]
        self.meetings = 0
        self.arrived = [numpy.frombuffer(m, "int64", 1, numbers) for m in memory]  # at which of them
        self.arrived[local.rank][0] = 0
        wait(local.Ibarrier().Test)

    def average(self):
        """Make the array the mean of all processes' arrays."""
        if self.on_gpu:
            sum_on_gpus(self.array)
            self.array /= processes.size
            return
        self.meet()
        if processes.across.size == 1:
            become_mean(self.parts)
        else:
            total = sum_in_order(self.parts)
            wait(processes.across.Iallreduce(processes.mpi.IN_PLACE, total).Test)
            total /= processes.size
            for part in self.parts:
                part[...] = total
        self.meet()

    def meet(self):
        """Wait for the processes of this machine; each then sees what the others have written."""
        self.meetings += 1
        self.window.Sync()  # what this one has written comes before its arrival
        self.arrived[processes.local.rank][0] = self.meetings
        wait(self.are_here)
        self.window.Sync()

    def are_here(self):
        """Whether all have arrived at this meeting."""
        for arrived in self.arrived:
            if arrived[0] < self.meetings:
                return False
        return True


@dispatched
def become_mean(arrays):
    """Each of these arrays becomes their mean."""
    mean = sum_in_order(arrays)
    mean /= len(arrays)
    for x in arrays:
        x[...] = mean


def sum_in_order(arrays):
    total = arrays[0].copy()
    for x in arrays[1:]:
        total += x
    return total


# ---- GPUs ----

def sum_on_gpus(array):
    """The sum by NCCL, on CuPy's current stream; it can be captured in a CUDA graph."""
    cupy = array_module(array)
    nccl = cupy.cuda.nccl
    kind = {"f": nccl.NCCL_FLOAT32, "d": nccl.NCCL_FLOAT64}[array.dtype.char]
    communicator(cupy).allReduce(array.data.ptr, array.data.ptr, array.size, kind, nccl.NCCL_SUM,
                                 cupy.cuda.get_current_stream().ptr)


@functools.cache
def communicator(cupy):
    """NCCL's, among all processes; made when it is first used."""
    nccl = cupy.cuda.nccl
    identity = processes.world.bcast(nccl.get_unique_id() if processes.rank == 0 else None)
    return nccl.NcclCommunicator(processes.size, identity, processes.rank)
