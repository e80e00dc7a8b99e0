"""Adam."""

import math
from numbers import Real

from minigan.device import array_module
from minigan.checks import check_options, describe, explain_errors
from minigan.kernels.cuda import optim as on_gpu
from minigan.optim.optimizer import OPTIONS, Optimizer


class Adam(Optimizer):
    """Steps of equal size in all parameters: the mean of the gradient over the root of the mean
    of its square, both running means with their start at 0 corrected.

    D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015, in the order of
    section 2's last lines: the corrections go into the step size and eps.
    """

    remembers = ("exp_avg", "exp_avg_sq")
    numbers = ("lr", "eps", "weight_decay")
    counts_steps = True

    @explain_errors
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, **options):
        check_options("Adam", options, OPTIONS | {
            "amsgrad": (False,), "capturable": (False, True), "decoupled_weight_decay": (False,)})
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def check(self, group):
        super().check(group)
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(
                isinstance(beta, Real) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam: betas must be two numbers, 0 <= beta < 1, "
                             f"got {describe(betas)}")

    def options(self, group):
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"]

    def launch(self, options, step, p, g, m, v):
        on_gpu.adam(options, step, p, g, m, v)

    def update(self, group, step, d, p, g, m, v):
        beta1, beta2 = group["betas"]
        xp = array_module(p)
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        m *= beta1
        xp.multiply(g, 1 - beta1, out=d)
        m += d
        v *= beta2
        xp.multiply(g, g, out=d)
        d *= 1 - beta2
        v += d
        # lr / c1 * m / (sqrt(v) / sqrt(c2) + eps), with sqrt(c2) brought out of the fraction
        c1, root = 1 - beta1 ** step, math.sqrt(1 - beta2 ** step)
        xp.sqrt(v, out=d)
        d += group["eps"] * root
        xp.divide(m, d, out=d)
        d *= group["lr"] * root / c1
        p -= d
