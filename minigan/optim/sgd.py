"""Stochastic gradient descent, with momentum."""

from minigan.autograd import dispatched
from minigan.checks import check_options, describe, explain_errors
from minigan.device import array_module
from minigan.optim.optimizer import OPTIONS, Optimizer


class SGD(Optimizer):
    """p -= lr * d, where d is the gradient (plus weight_decay * p), or with momentum its sum
    b = momentum * b + (1 - dampening) * d; nesterov looks one step ahead, d + momentum * b.

    I. Sutskever et al., On the importance of initialization and momentum, 2013 (PyTorch's form).
    """

    state_names = ("step", "momentum_buffer")
    numbers = ("lr", "momentum", "dampening", "weight_decay")

    @explain_errors
    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False,
                 **options):
        check_options("SGD", options, OPTIONS)
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening,
                                      weight_decay=weight_decay, nesterov=nesterov))

    def check(self, group):
        super().check(group)
        if not isinstance(group["nesterov"], int):
            raise ValueError(f"SGD: nesterov must be True or False, "
                             f"got {describe(group['nesterov'])}")
        if group["nesterov"] and (not group["momentum"] or group["dampening"]):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0")

    @dispatched
    def update(self, group, params, grads, steps, buffers):
        lr, momentum, weight_decay = group["lr"], group["momentum"], group["weight_decay"]
        for p, g, t, b in zip(params, grads, steps, buffers):
            d = g + weight_decay * p if weight_decay else g
            if momentum:
                t += 1
                # The first step starts the sum with d itself, as in PyTorch.
                share = array_module(p).where(t == 1, 1, 1 - group["dampening"]).astype(p.dtype)
                b[...] = momentum * b + share * d
                d = d + momentum * b if group["nesterov"] else b
            p -= lr * d
