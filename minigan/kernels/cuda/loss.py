"""Binary cross entropy, reduced, in one launch for up to a thousand losses and two for more."""

from minigan.device import array_module
from minigan.kernels.cuda.source import MOST_THREADS, dense, in_order_of, launch, launch_for_each

MOST_BLOCKS = 256


def binary_cross_entropy(p, t, share):
    """The sum of all losses, times share: a 0-d array."""
    p = dense(p)
    xp = array_module(p)
    blocks = min(MOST_BLOCKS, -(-p.size // MOST_THREADS))
    sums = xp.empty(blocks, p.dtype)
    launch("binary_cross_entropy", p, (blocks,), MOST_THREADS, p, in_order_of(p, t), sums, p.size,
           share)
    return sums.reshape(()) if blocks == 1 else sums.sum()


def binary_cross_entropy_backward(g, p, t, share):
    p = dense(p)
    gp = array_module(p).empty_like(p)
    launch_for_each("binary_cross_entropy_backward", p, p.size, g, p, in_order_of(p, t), gp, p.size,
                    share)
    return gp
