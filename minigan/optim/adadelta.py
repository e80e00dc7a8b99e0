"""Adadelta."""

from minigan.autograd import dispatched
from minigan.checks import check_options, explain_errors
from minigan.device import array_module
from minigan.optim.optimizer import OPTIONS, Optimizer


class Adadelta(Optimizer):
    """Each step is the gradient times the ratio of two roots: of the running mean of the squares of
    steps, u, and of gradients, v.

    M. D. Zeiler, Adadelta: an adaptive learning rate method, 2012.
    """

    state_names = ("step", "square_avg", "acc_delta")
    numbers = ("lr", "rho", "eps", "weight_decay")
    needs_state = True

    @explain_errors
    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, **options):
        check_options("Adadelta", options, OPTIONS | {"capturable": (False,)})
        super().__init__(params, dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay))

    def check(self, group):
        super().check(group)
        if group["rho"] > 1:
            raise ValueError(f"Adadelta: rho must be a number in 0..1, got {group['rho']}")

    @dispatched
    def update(self, group, params, grads, steps, square_avgs, acc_deltas):
        rho, eps = group["rho"], group["eps"]
        for p, g, t, v, u in zip(params, grads, steps, square_avgs, acc_deltas):
            xp = array_module(p)
            if group["weight_decay"]:
                g = g + group["weight_decay"] * p
            t += 1
            v *= rho
            v += (1 - rho) * (g * g)
            step = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
            u *= rho
            u += (1 - rho) * (step * step)
            p -= group["lr"] * step
