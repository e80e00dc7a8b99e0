"""AdamW."""

from minigan.autograd import dispatched
from minigan.checks import explain_errors
from minigan.optim.adam import Adam, move


class AdamW(Adam):
    """Adam with the weight decay beside the step instead of in the gradient: p -= lr * decay * p.

    I. Loshchilov and F. Hutter, Decoupled weight decay regularization, 2019.
    """

    @explain_errors
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2,
                 amsgrad=False, **options):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)

    @dispatched
    def update(self, group, params, grads, steps, exp_avgs, exp_avg_sqs):
        for p, *others in zip(params, grads, steps, exp_avgs, exp_avg_sqs):
            p *= 1 - group["lr"] * group["weight_decay"]
            move(p, *others, group)
