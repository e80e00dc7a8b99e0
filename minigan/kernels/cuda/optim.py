"""Steps of optimisers over flat arrays, each in one launch."""

from minigan.kernels.cuda.source import launch_for_each


def adam(options, step, p, g, m, v):
    """options float64 (5,): lr, beta1, beta2, eps, weight_decay; step int64 (1,)."""
    launch_for_each("adam", p, p.size, options, step, p, g, m, v, p.size)


def sgd(options, p, g, b):
    """options float64 (4,): lr, momentum, weight_decay, nesterov."""
    launch_for_each("sgd", p, p.size, options, p, g, b, p.size)
