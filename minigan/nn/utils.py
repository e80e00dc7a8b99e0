"""Gradients kept within bounds, between `backward` and an optimiser's `step`."""

import math

from minigan.checks import check_number, describe, explain_errors
from minigan.creation import zeros
from minigan.functional import norm, stack
from minigan.grad_mode import no_grad
from minigan.tensor import Tensor


@explain_errors
def clip_grad_norm_(parameters, max_norm, norm_type=2.0):
    """Scale all gradients so that their common norm is at most max_norm; returns the norm before,
    a Tensor.

    norm_type  as p in functional.norm, or 'inf'
    """
    check_number("clip_grad_norm_", "max_norm", max_norm, 0)
    norm_type = math.inf if isinstance(norm_type, str) and norm_type == "inf" else norm_type
    grads = _gradients("clip_grad_norm_", parameters)
    if not grads:
        return zeros(())
    with no_grad():
        total = norm(stack([norm(g, norm_type) for g in grads]), norm_type)
        share = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(share)
    return total


@explain_errors
def clip_grad_value_(parameters, clip_value):
    """Limit all gradients to -clip_value..clip_value."""
    check_number("clip_grad_value_", "clip_value", clip_value, 0)
    for g in _gradients("clip_grad_value_", parameters):
        g.clamp_(-clip_value, clip_value)


def _gradients(name, parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in parameters:
        if not isinstance(p, Tensor):
            raise TypeError(f"{name}: expected parameters, got {describe(p)}")
    return [p.grad for p in parameters if p.grad is not None]
