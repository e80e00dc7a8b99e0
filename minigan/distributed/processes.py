"""The processes of a training: which one this is, what they agree on, and how they end."""

import contextlib
import os
import sys
import time
import traceback

import numpy

from minigan.messages import report
from minigan.threads import set_threads, threads

# What launchers tell each process: MPICH's mpiexec and Open MPI's. PMIx tells it only its rank, and
# srun, which has it do so, how many there are.
LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
BUSY, NAP = 0.005, 0.0005  # seconds that `wait` looks all the time, and then between two looks
offer_core = getattr(os, "sched_yield", lambda: None)
PATIENCE = 3.0  # seconds that a process which fails waits for the others to fail too
FLUSH_DELAY = 0.3  # seconds for mpiexec to print a message, before it is told to end everything


class Processes:
    """This process among the others; `mpi` and the communicators are None if it is alone.

    world   all processes
    local   those of this machine, which can share memory
    across  those with the same rank within their machines, one of each
    ending  all, for those that end early
    """

    rank, size = 0, 1
    mpi = world = local = across = ending = None


processes = Processes()


def init():
    """Join the other processes that mpiexec started; does nothing for one that is alone, and
    nothing the second time.

    From then on an exception that nobody catches ends all processes. Those of one machine divide
    its cores and GPUs among them, unless mpiexec has.

    RuntimeError if there are several processes, and mpi4py is not installed or belongs to another
    MPI than mpiexec.
    """
    names = [*LAUNCHERS, *["SLURM_STEP_NUM_TASKS"] * ("PMIX_RANK" in os.environ)]
    launched = max(int(os.environ.get(name) or 1) for name in names)
    if launched == 1 or processes.mpi is not None:
        return
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise RuntimeError(f"distributed: this is one of {launched} processes, and they need mpi4py: "
                           f"pip install mpi4py mpich ({error})") from error
    world = MPI.COMM_WORLD
    if world.size != launched:
        raise RuntimeError(f"distributed: mpiexec started {launched} processes, mpi4py finds "
                           f"{world.size}: it was built for another MPI than this mpiexec's")
    processes.mpi, processes.world = MPI, world.Dup()
    processes.rank, processes.size = world.rank, world.size
    processes.ending = world.Dup()
    local = world.Split_type(MPI.COMM_TYPE_SHARED)
    divide_cores(local)
    divide_gpus(local)
    if len(set(world.allgather(local.size))) > 1:
        local = MPI.COMM_SELF.Dup()  # machines with more processes than others share no memory
    processes.local = local
    processes.across = world.Split(local.rank)
    sys.excepthook = end_by_exception


def divide_cores(local):
    """Let each process of a machine run on its part of the cores, if all may run on the same."""
    if not hasattr(os, "sched_setaffinity"):
        set_threads(max(1, threads() // local.size))
        return
    cores = sorted(os.sched_getaffinity(0))
    if local.size == 1 or len(set(map(tuple, local.allgather(cores)))) > 1:
        return
    own = cores[local.rank::local.size] or [cores[local.rank % len(cores)]]
    os.sched_setaffinity(0, own)
    set_threads(min(threads(), len(own)))  # fewer, if the environment says so


def divide_gpus(local):
    """Let each process of a machine see a GPU of its own, unless the launcher has seen to it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if local.size > 1 and len(set(local.allgather(visible))) == 1:
        names = list(map(str, range(local.size))) if visible is None else visible.split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[local.rank:local.rank + 1])


def rank():
    """The number of this process, from 0."""
    return processes.rank


def size():
    """How many processes there are."""
    return processes.size


def barrier():
    """Wait until all processes are here."""
    if processes.size > 1:
        wait(processes.world.Ibarrier().Test)


def wait(is_done):
    """Wait until is_done() for what the other processes do, such as the Test of a communication that
    has begun. MPI itself would keep the core busy meanwhile, which the others may need to get there:
    it is offered to them each time, and after a while left."""
    deadline = time.perf_counter() + BUSY
    while not is_done():
        if time.perf_counter() < deadline:
            offer_core()
        else:
            time.sleep(NAP)


def gather(value):
    """What each process gives, a list in the order of their ranks, in all of them. Any picklable
    value."""
    barrier()
    return [value] if processes.size == 1 else processes.world.allgather(value)


def largest(*values):
    """For each of these integers, the largest that any process gives."""
    if processes.size == 1:
        return values
    numbers = numpy.array(values, "int64")
    wait(processes.world.Iallreduce(processes.mpi.IN_PLACE, numbers, processes.mpi.MAX).Test)
    return numbers.tolist()


def own_seed(seed):
    """A seed for this process alone: process 0 takes the seed as it is."""
    if processes.rank == 0:
        return seed
    return int(numpy.random.SeedSequence((seed, processes.rank)).generate_state(1)[0])


def on_every(text):
    """The first text that is not empty, of those that the processes give; all get the same."""
    return next(filter(None, gather(text)), "")


def in_all(function):
    """Call a function in all processes; an OSError or ValueError in one of them is raised in all."""
    error = result = None
    try:
        result = function()
    except (OSError, ValueError) as its:
        error = its
    error = next(filter(None, gather(error)), None)
    if error is not None:
        raise error
    return result


def report_once(text):
    """Write a line to stderr, in one of the processes: all call this with much the same text."""
    if processes.rank == 0:
        report(text)


# Ending

class AllEnd(SystemExit):
    """All processes exit, and the message was printed."""


def abort_together(message, status, patience=None):
    """End all processes: exit with a status after a message on stderr, which is printed once.

    A process that fails alone leaves the others waiting for it. So each that fails waits a little
    for the others to fail as well, `patience` seconds; where they do not, it says who it is, and
    ends them.
    """
    if processes.size == 1 or all_are_ending(PATIENCE if patience is None else patience):
        report_once(message)
        raise AllEnd(status)
    report(f"process {processes.rank} of {processes.size}: {message}")
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()  # MPI ends the process at once
    time.sleep(FLUSH_DELAY)
    processes.mpi.COMM_WORLD.Abort(status)


def all_are_ending(patience):
    """Whether all processes call this, within so many seconds."""
    arrived = processes.ending.Ibarrier()
    deadline = time.monotonic() + patience
    while not arrived.Test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def end_by_exception(kind, error, trace):
    """As sys.excepthook: print the traceback, and end all processes."""
    status = 130 if issubclass(kind, KeyboardInterrupt) else 1
    abort_together("".join(traceback.format_exception(kind, error, trace)).rstrip(), status)
