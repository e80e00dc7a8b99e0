"""RMSprop."""

from minigan.autograd import dispatched
from minigan.checks import check_options, explain_errors
from minigan.device import array_module
from minigan.optim.optimizer import OPTIONS, Optimizer


class RMSprop(Optimizer):
    """Each step is the gradient over the root of a running mean of its square, v; centered: over
    that of its variance, v - m^2. With momentum the steps are summed, b = momentum * b + step.

    T. Tieleman and G. Hinton, Lecture 6.5: rmsprop, 2012; centered: A. Graves, Generating sequences
    with recurrent neural networks, 2013.
    """

    state_names = ("step", "square_avg", "momentum_buffer", "grad_avg")
    numbers = ("lr", "alpha", "eps", "weight_decay", "momentum")

    @explain_errors
    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0,
                 centered=False, **options):
        check_options("RMSprop", options, OPTIONS | {"capturable": (False,)})
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay,
                                      momentum=momentum, centered=bool(centered)))

    @dispatched
    def update(self, group, params, grads, steps, square_avgs, buffers, grad_avgs):
        lr, alpha, momentum = group["lr"], group["alpha"], group["momentum"]
        for p, g, t, v, b, m in zip(params, grads, steps, square_avgs, buffers, grad_avgs):
            t += 1
            if group["weight_decay"]:
                g = g + group["weight_decay"] * p
            v *= alpha
            v += (1 - alpha) * (g * g)
            variance = v
            if group["centered"]:
                m *= alpha
                m += (1 - alpha) * g
                variance = v - m * m
            step = g / (array_module(p).sqrt(variance) + group["eps"])
            if momentum:
                b *= momentum
                b += step
                step = b
            p -= lr * step
