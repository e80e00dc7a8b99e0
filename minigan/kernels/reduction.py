"""Twins of distributed/reduction.py."""

from minigan.autograd import twin_of
from minigan.distributed import reduction
from minigan.distributed.processes import wait
from minigan.kernels.launch import covered, switch


@twin_of(reduction.become_mean)
def become_mean(shared):
    """Called by a captured step as it is repeated, and not noted as a launch of its own."""
    if not covered(shared.array):
        return NotImplemented
    part = shared.parts[shared.rank]
    mean = switch.functions[part.dtype.char]["mean_of_processes"]
    shared.meetings += 2

    def is_done():
        mean(shared.addresses, shared.rank, len(shared.parts), shared.meetings, part.size)
        return shared.are_here()

    wait(is_done)
