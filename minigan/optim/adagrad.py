"""Adagrad."""

from minigan.autograd import dispatched
from minigan.checks import check_options, explain_errors
from minigan.device import array_module
from minigan.optim.optimizer import OPTIONS, Optimizer


class Adagrad(Optimizer):
    """Each step is the gradient over the root of the sum of its squares so far; the learning rate
    falls as lr / (1 + steps * lr_decay).

    J. Duchi et al., Adaptive subgradient methods for online learning, 2011.
    """

    state_names = ("step", "sum")
    numbers = ("lr", "lr_decay", "weight_decay", "eps")
    needs_state = True

    @explain_errors
    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0,
                 eps=1e-10, **options):
        options["initial_accumulator_value"] = initial_accumulator_value
        check_options("Adagrad", options, OPTIONS | {"initial_accumulator_value": (0,)})
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps))

    @dispatched
    def update(self, group, params, grads, steps, sums):
        for p, g, t, s in zip(params, grads, steps, sums):
            xp = array_module(p)
            if group["weight_decay"]:
                g = g + group["weight_decay"] * p
            lr = xp.asarray(group["lr"] / (1 + t * group["lr_decay"]), dtype=p.dtype)
            t += 1
            s += g * g
            p -= lr * (g / (xp.sqrt(s) + group["eps"]))
