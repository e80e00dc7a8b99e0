"""Learning rates that change from epoch to epoch.

A scheduler sets the `lr` of its optimiser's groups, at first for epoch 0 and in `step` for the next
one. The rates are PyTorch's: all but LambdaLR change the rate that they find, so that several
schedulers of one optimiser, or changes by hand, work together.
"""

import math
from collections import Counter

from minigan.hooks import refuse_in_capture
from minigan.checks import (
    check_callable, check_int, check_number, check_type, describe, explain_errors)
from minigan.optim.optimizer import Optimizer


# What PyTorch's state has beside ours, and serves nothing here.
OTHER_KEYS = {"_step_count", "_is_initial", "_get_lr_called_within_step", "_last_lr", "lr_lambdas",
              "verbose"}


class LRScheduler:
    """Base class; a subclass defines `rate(lr, initial, i)`, the rate of group i in `last_epoch` from
    the one before and the first one, and the names of the numbers that its state has (`options`).

    last_epoch  the epoch that was the last, for an optimiser whose groups have an 'initial_lr'
    """

    options = ()

    @explain_errors
    def __init__(self, optimizer, last_epoch=-1):
        name = type(self).__name__
        self.optimizer = check_type(name, "optimizer", optimizer, Optimizer)
        self.last_epoch = check_int(name, "last_epoch", last_epoch, -1)
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(f"{name}: last_epoch={last_epoch} needs an 'initial_lr' in each "
                                 f"parameter group")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.is_initial = True  # the step that only sets the rates there are
        self.step()
        self.is_initial = False

    def step(self):
        """Set the rates of the next epoch."""
        refuse_in_capture("a scheduler's step", "take it outside")
        self.last_epoch += 1
        groups = self.optimizer.param_groups
        for group in groups[len(self.base_lrs):]:  # added since
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))
        for i, (group, initial) in enumerate(zip(groups, self.base_lrs)):
            group["lr"] = self.rate(group["lr"], initial, i)

    def get_last_lr(self):
        """The rates of the groups, as they are now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        """What `load_state_dict` takes: numbers alone, without the functions of a LambdaLR."""
        return {name: getattr(self, name) for name in ("base_lrs", "last_epoch", *self.options)}

    @explain_errors
    def load_state_dict(self, state_dict):
        """Go on from another's state, also one of PyTorch's. The optimiser's own state has the
        rates."""
        names = {"base_lrs", "last_epoch", *self.options}
        if not isinstance(state_dict, dict) or state_dict.keys() - OTHER_KEYS != names:
            raise ValueError(f"load_state_dict: {type(self).__name__}: expected a dict with "
                             f"{', '.join(sorted(names))}, got {describe(state_dict)}")
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(f"load_state_dict: {type(self).__name__} has {len(self.base_lrs)} "
                             f"groups, the state has {len(state_dict['base_lrs'])}")
        vars(self).update({name: state_dict[name] for name in names},
                          base_lrs=list(state_dict["base_lrs"]))


class LambdaLR(LRScheduler):
    """initial * lr_lambda(epoch); lr_lambda a function, or a list of one for each group."""

    @explain_errors
    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        groups = len(check_type("LambdaLR", "optimizer", optimizer, Optimizer).param_groups)
        lambdas = lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(lambdas) != groups:
            raise ValueError(f"LambdaLR: expected {groups} functions, got {len(lambdas)}")
        self.lr_lambdas = [check_callable("LambdaLR", "lr_lambda", each) for each in lambdas]
        super().__init__(optimizer, last_epoch)

    def rate(self, lr, initial, i):
        return initial * self.lr_lambdas[i](self.last_epoch)


class StepLR(LRScheduler):
    """Times gamma after every step_size epochs."""

    options = ("step_size", "gamma")

    @explain_errors
    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size = check_int("StepLR", "step_size", step_size)
        self.gamma = check_number("StepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def rate(self, lr, initial, i):
        return lr if not self.last_epoch or self.last_epoch % self.step_size else lr * self.gamma


class MultiStepLR(LRScheduler):
    """Times gamma at each of the milestones, numbers of epochs."""

    options = ("milestones", "gamma")

    @explain_errors
    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        if not isinstance(milestones, (list, tuple)):
            raise TypeError(f"MultiStepLR: milestones must be a list, got {describe(milestones)}")
        self.milestones = [check_int("MultiStepLR", "milestones", n, 0) for n in milestones]
        self.gamma = check_number("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def rate(self, lr, initial, i):
        # A Counter in PyTorch's state, and a list in others, has the epochs as often as they count.
        return lr * self.gamma ** Counter(self.milestones)[self.last_epoch]


class ExponentialLR(LRScheduler):
    """Times gamma after every epoch."""

    options = ("gamma",)

    @explain_errors
    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = check_number("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def rate(self, lr, initial, i):
        return lr if self.is_initial else lr * self.gamma


class CosineAnnealingLR(LRScheduler):
    """From the initial rate down to eta_min within T_max epochs, along a cosine, and up again.

    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """

    options = ("T_max", "eta_min")

    @explain_errors
    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = check_int("CosineAnnealingLR", "T_max", T_max)
        self.eta_min = check_number("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def rate(self, lr, initial, i):
        if self.is_initial:
            return lr
        before, now = (math.cos(math.pi * epoch / self.T_max)
                       for epoch in (self.last_epoch - 1, self.last_epoch))
        if (self.last_epoch - 1) % (2 * self.T_max) == self.T_max:  # from eta_min, up again
            return lr + (initial - self.eta_min) * (1 + now) / 2
        return self.eta_min + (lr - self.eta_min) * (1 + now) / (1 + before)
