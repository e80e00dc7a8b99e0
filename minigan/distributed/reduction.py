"""Sums and means of arrays over all processes: by memory that they share, by MPI, and by NCCL."""

import functools

import numpy

from minigan.autograd import dispatched
from minigan.device import address, array_module, is_on_gpu
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

    On a CPU those of one machine lie in memory that its processes share, see SharedArrays. What each
    process sums up there, MPI sums over the machines.
    """

    def __init__(self, count, like):
        """count numbers, of the dtype and on the device of an array `like`."""
        self.on_gpu = is_on_gpu(like)
        if self.on_gpu:
            self.array = array_module(like).zeros(count, like.dtype)
            return
        local = processes.local
        size = SharedArrays.size(count, like.dtype)
        self.window = processes.mpi.Win.Allocate_shared(size, 1, comm=local)
        self.window.Lock_all()  # once and for all: each then reads and writes the others' memory
        memory = [self.window.Shared_query(rank)[0] for rank in range(local.size)]
        self.shared = SharedArrays(memory, count, like.dtype, local.rank, self.window.Sync)
        self.array = self.shared.array
        wait(local.Ibarrier().Test)

    def average(self):
        """Make the array the mean of all processes' arrays."""
        if self.on_gpu:
            sum_on_gpus(self.array)
            self.array /= processes.size
        elif processes.across.size == 1:
            become_mean(self.shared)
        else:
            self.shared.meet()
            total = sum_in_order(self.shared.parts)
            wait(processes.across.Iallreduce(processes.mpi.IN_PLACE, total).Test)
            total /= processes.size
            for part in self.shared.parts:
                part[...] = total
            self.shared.meet()


class SharedArrays:
    """An array of each process of a machine, in memory that they share. Each process works on a part
    of all of them, between two meetings.

    array      this process's
    parts      its part of each array
    meetings   how many there were
    arrived    counters, at which of them each process has arrived
    addresses  (2,processes) of the parts and of the counters
    """

    def __init__(self, memory, count, dtype, rank, sync):
        """memory  of each process, of the `size` that is needed
        rank    of this process among them
        sync    lets this process and the others see what each has written before

        All processes must have done this before the first of them meets the others.
        """
        self.rank, self.sync, self.meetings = rank, sync, 0
        # Parts begin with a line: two processes do not write to the same one.
        numbers = LINE // dtype.itemsize
        first, end = (-(-count // numbers) * (rank + i) // len(memory) * numbers for i in range(2))
        arrays = [numpy.frombuffer(m, dtype, count) for m in memory]
        self.array = arrays[rank]
        self.parts = [array[first:end] for array in arrays]
        place = self.size(count, dtype) - LINE
        self.arrived = [numpy.frombuffer(m, "int64", 1, place) for m in memory]
        self.arrived[rank][0] = 0
        self.addresses = numpy.array([[*map(address, self.parts)], [*map(address, self.arrived)]])

    @staticmethod
    def size(count, dtype):
        """Bytes of memory for `count` numbers, and for a counter in a line of its own."""
        return -(-count * dtype.itemsize // LINE) * LINE + LINE

    def meet(self):
        """Wait for the other processes; each then sees what the others have written."""
        self.meetings += 1
        self.sync()  # what this one has written comes before its arrival
        self.arrived[self.rank][0] = self.meetings
        wait(self.are_here)
        self.sync()

    def are_here(self):
        """Whether all have arrived at this meeting."""
        for arrived in self.arrived:
            if arrived[0] < self.meetings:
                return False
        return True


@dispatched
def become_mean(shared):
    """Each array of some SharedArrays becomes their mean. The order of each sum is that of the ranks:
    equal bits in all processes, and from run to run."""
    shared.meet()
    mean = sum_in_order(shared.parts)
    mean /= len(shared.parts)
    for part in shared.parts:
        part[...] = mean
    shared.meet()


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
