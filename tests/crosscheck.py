"""NumPy against another device: the same operation on the same numbers, forward and backward."""

import numpy

import minigan
from minigan.gradcheck.cases import all_cases, prepare

DTYPES = ("float32", "float64")
# It draws from its device's own random numbers.
NOT_COMPARABLE = {"dropout"}


def cross_check(device):
    """Yields (name, dtype, what, error) for every operation and layer that gradcheck knows.

    what   "forward", "backward", or "backward, first input": with no gradient wanted of the others,
           for which some operations have a form of their own
    error  the largest difference over the largest number of both: normwise, as in gradcheck
    """
    tf32 = minigan.backends.cudnn.allow_tf32
    minigan.backends.cudnn.allow_tf32 = False  # its errors would hide all others
    try:
        yield from _all_errors(device)
    finally:
        minigan.backends.cudnn.allow_tf32 = tf32


def _all_errors(device):
    for case in all_cases():
        if case.operation in NOT_COMPARABLE:
            continue
        name = f"{case.operation} {case.configuration}".strip()
        for dtype in DTYPES:
            ours, theirs = (computed(case, dtype, place) for place in ("cpu", device))
            for what in ours:
                pairs = zip(ours[what], theirs[what], strict=True)
                yield name, dtype, what, max(difference(a, b) for a, b in pairs)


def computed(case, dtype, device):
    """{what: NumPy arrays} of a case."""
    minigan.set_device(device)
    try:
        function, inputs = prepare(case, device, dtype)
        outputs, gradients = walked(function, inputs)
        results = {"forward": outputs}
        if gradients:
            results["backward"] = gradients
        for x in inputs[1:]:
            x.requires_grad_(False)
            x.grad = None
        inputs[0].grad = None
        if len(gradients) > 1 and inputs[0].requires_grad:
            _, results["backward, first input"] = walked(function, inputs)
        return results
    finally:
        minigan.set_device("cpu")


def walked(function, inputs):
    """The results of a function, and the gradients of its inputs for random cotangents."""
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    random = numpy.random.default_rng(1)
    for y in outputs:
        if y.requires_grad:
            cotangent = numpy.asarray(random.standard_normal(y.shape))
            y.backward(minigan.tensor(cotangent, dtype=y.dtype), retain_graph=True)
    return ([y.detach().cpu().numpy() for y in outputs],
            [x.grad.cpu().numpy() for x in inputs if x.grad is not None])


def difference(a, b):
    """Normwise; infinite where the shapes or dtypes differ, or what is not finite."""
    finite = numpy.isfinite(a)
    if a.shape != b.shape or a.dtype != b.dtype or not numpy.array_equal(finite, numpy.isfinite(b)):
        return numpy.inf
    a, b = a[finite], b[finite]
    largest = max(abs(a).max(initial=0), abs(b).max(initial=0))
    return float(abs(a - b).max(initial=0) / largest) if largest else 0.0
