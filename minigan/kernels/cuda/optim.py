"""Steps of optimisers over flat arrays, each in one launch."""

from minigan.kernels.cuda.source import THREADS, blocks_for, launch

MOST_BLOCKS = 1024  # some for each multiprocessor: every block works out the step size for itself


def launch_over(name, p, *args):
    launch(name, p, (min(blocks_for(p.size), MOST_BLOCKS),), THREADS, *args, p.size)


def adam(options, step, p, g, m, v):
    """options float64 (5,): lr, beta1, beta2, eps, weight_decay; step int64 (1,)."""
    launch_over("adam", p, options, step, p, g, m, v)


def sgd(options, p, g, b):
    """options float64 (4,): lr, momentum, weight_decay, nesterov."""
    launch_over("sgd", p, options, p, g, b)
