"""Stochastic gradient descent, with momentum."""

from minigan.device import array_module
from minigan.checks import check_options, describe, explain_errors
from minigan.kernels.cuda import optim as on_gpu
from minigan.optim.optimizer import OPTIONS, Optimizer


class SGD(Optimizer):
    """p -= lr * d, where d is the gradient (plus weight_decay * p), or with momentum its sum
    b = momentum * b + d; nesterov looks one step ahead, d + momentum * b.

    I. Sutskever et al., On the importance of initialization and momentum, 2013 (PyTorch's form).
    """

    remembers = ("momentum_buffer",)
    numbers = ("lr", "momentum", "weight_decay")

    @explain_errors
    def __init__(self, params, lr=1e-3, momentum=0, weight_decay=0, nesterov=False, **options):
        check_options("SGD", options, OPTIONS | {"dampening": (0,)})
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay,
                                      nesterov=nesterov))

    def check(self, group):
        super().check(group)
        if not isinstance(group["nesterov"], int):
            raise ValueError(f"SGD: nesterov must be True or False, "
                             f"got {describe(group['nesterov'])}")
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov needs a momentum above 0")

    def options(self, group):
        return group["lr"], group["momentum"], group["weight_decay"], float(group["nesterov"])

    def launch(self, options, step, p, g, b):
        on_gpu.sgd(options, p, g, b)

    def update(self, group, step, d, p, g, b):
        momentum = group["momentum"]
        xp = array_module(p)
        if group["weight_decay"]:
            xp.multiply(p, group["weight_decay"], out=d)
            d += g
        else:
            d[...] = g
        if momentum:
            b *= momentum
            b += d
            if group["nesterov"]:
                d += momentum * b
            else:
                d[...] = b
        d *= group["lr"]
        p -= d
