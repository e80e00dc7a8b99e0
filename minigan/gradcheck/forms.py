"""A gradient check in one of two forms: by the textbook's formulas, or by the kernels."""

import contextlib

from minigan import kernels
from minigan.autograd import twins
from minigan.creation import ones
from minigan.device import float64
from minigan.gradcheck import gradcheck
from minigan.gradcheck.cases import prepare
from minigan.kernels.launch import covered

FORMS = {"textbook": kernels.disabled, "kernels": contextlib.nullcontext}


def check(case, device, form):
    """The worst error of a case in a form; None if no kernel computes any of its operations."""
    with FORMS[form]():
        function, inputs = prepare(case, device)
        if form == "kernels" and not find_twins(function, inputs):
            return None
        return gradcheck(function, inputs, direction=case.direction)


def have_kernels(device):
    """Whether the device has kernels, and they are not switched off."""
    return covered(ones(1, dtype=float64, device=device).array)


def find_twins(function, inputs):
    """The operations of a function that a kernel computes: the keys of autograd.twins."""
    found = set()

    def watch(operation, twin):
        def call(*args, **kwargs):
            result = twin(*args, **kwargs)
            if result is not NotImplemented:
                found.add(operation)
            return result

        return call

    originals = dict(twins)
    twins.update({operation: watch(operation, twin) for operation, twin in originals.items()})
    try:
        function(*inputs)
    finally:
        twins.update(originals)
    return found
