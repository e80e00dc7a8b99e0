"""Adam."""

from numbers import Real

from minigan.autograd import dispatched
from minigan.checks import check_options, describe, explain_errors
from minigan.device import array_module
from minigan.optim.optimizer import OPTIONS, Optimizer


class Adam(Optimizer):
    """Each step is scaled by running means: that of the gradient over the root of that of its
    square, both corrected for their start at 0.

    D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015.
    """

    state_names = ("step", "exp_avg", "exp_avg_sq")
    numbers = ("lr", "eps", "weight_decay")
    needs_state = True

    @explain_errors
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
                 amsgrad=False, **options):
        check_options(type(self).__name__, {"amsgrad": amsgrad, **options}, OPTIONS | {
            "amsgrad": (False,), "capturable": (False, True), "decoupled_weight_decay": (False,)})
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def check(self, group):
        super().check(group)
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(
                isinstance(beta, Real) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"{self.name}: betas must be two numbers, 0 <= beta < 1, "
                             f"got {describe(betas)}")

    @dispatched
    def update(self, group, params, grads, steps, exp_avgs, exp_avg_sqs):
        for p, g, *moments in zip(params, grads, steps, exp_avgs, exp_avg_sqs):
            if group["weight_decay"]:
                g = g + group["weight_decay"] * p
            move(p, g, *moments, group)


def move(p, g, t, m, v, group):
    """One step of one parameter: its array, gradient, number of steps and running means."""
    xp = array_module(p)
    beta1, beta2 = group["betas"]
    t += 1
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    # Both means start at 0, and are too small at first by these factors.
    c1, c2 = (xp.asarray(1 - beta ** t, dtype=p.dtype) for beta in (beta1, beta2))
    p -= (group["lr"] / c1) * m / (xp.sqrt(v / c2) + group["eps"])
