"""Gradient checks: every backward against finite differences of its forward.

`gradcheck` checks one function; `python -m minigan.gradcheck` checks every operation and layer
and prints a table. A check that means something needs:

- float64, in which a central difference is accurate to about ten digits;
- cotangents that are not all ones: the sum of a softmax or of a batch-norm's output does not
  depend on the input, so with a cotangent of ones a backward that returns zeros would pass;
- inputs away from kinks, where a difference quotient straddles two slopes;
- a gradient that is not zero everywhere: 0 = 0 proves nothing.
"""

import numpy

from minigan.tensor import Tensor
from minigan.device import array_module, to_device
from minigan.checks import check_callable, check_int, describe, check_number
from minigan.grad_mode import no_grad


class GradcheckError(RuntimeError):
    """A gradient that differs from finite differences, or a check that could not fail."""


def gradcheck(function, inputs, eps=1e-6, tolerance=1e-6, direction=False, seed=0):
    """Check a function's gradients and return the worst error; GradcheckError if it is too large.

    function   called with the inputs, returns one Tensor; it must be deterministic
    inputs     Tensors; those that require a gradient are checked and must be float64 leaves. They
               may be parameters of a network that the function uses directly, ignoring its
               arguments.
    eps        the step of the central difference (f(x + eps) - f(x - eps)) / (2 eps)
    tolerance  the largest error allowed
    direction  False: the full Jacobian, entry by entry, from unit cotangents, and its product
               with a random cotangent. True, for whole networks: the derivative along one random
               direction for each input, with one random cotangent.
    seed       of the cotangent and the directions

    The error is normwise, for each input max |analytic - numeric| / max(|analytic|, |numeric|)
    with both maxima over all entries, so that a single tiny entry is not decisive.

    Raises TypeError or ValueError for inputs that cannot be checked.
    """
    check_callable("gradcheck", "function", function)
    if not check_number("gradcheck", "eps", eps) > 0:
        raise ValueError(f"gradcheck: eps must be above 0, got {eps}")
    check_number("gradcheck", "tolerance", tolerance, 0)
    check_int("gradcheck", "seed", seed, least=0)
    try:
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    except TypeError:
        raise TypeError(f"gradcheck: inputs must be Tensors, got {describe(inputs)}") from None
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: none of the inputs requires a gradient")
    for x in checked:
        if x.dtype != "float64" or not x.is_leaf:
            raise TypeError(f"gradcheck: inputs must be float64 leaves, got {describe(x)}")
    output = function(*inputs)
    if not isinstance(output, Tensor) or not output.requires_grad:
        raise GradcheckError(f"the function returned {describe(output)}, which has no gradient to "
                             f"check: an input's gradient was lost")
    # Not default_rng(seed) itself: a caller who generated the input by it would check a batch-norm
    # with a cotangent equal to the input, along which its gradient is zero.
    random = numpy.random.default_rng([seed, 1])
    # From here on everything is compared on the CPU, wherever the function computes.
    cotangent = numpy.asarray(random.standard_normal(output.shape))
    gradients = _gradients(checked, output, cotangent)
    jacobian = [] if direction else [_gradients(checked, output, unit)
                                     for unit in units(output.shape)]
    worst = 0.0
    for i, (x, g) in enumerate(zip(checked, gradients)):
        if direction:
            d = numpy.asarray(random.standard_normal(x.shape))
            numeric = numpy.vdot(cotangent, derivative(function, inputs, x, d, eps))
            pairs = [(" along a random direction", numpy.vdot(g, d), numeric)]
        else:
            # Both as matrices: entry (k, j) is d output[k] / d x[j].
            analytic = numpy.reshape([row[i] for row in jacobian], (output.numel(), x.numel()))
            numeric = [derivative(function, inputs, x, unit, eps) for unit in units(x.shape)]
            numeric = numpy.reshape(numeric, (x.numel(), output.numel())).T
            # A backward may branch on which inputs need a gradient: in the first layer of a
            # network the weight does and the input does not.
            alone, = _gradients([x], _output_for(x, function, inputs, checked), cotangent)
            pairs = [("", analytic, numeric),
                     (" with a random cotangent", g.ravel(), cotangent.ravel() @ numeric),
                     (" as the only one with a gradient", alone, g)]
        for how, analytic, numeric in pairs:
            worst = max(worst, _compare(f"input {i}{how}", analytic, numeric, tolerance))
    return worst


def units(shape):
    """Arrays of zeros with a single 1, at each entry in turn."""
    for index in numpy.ndindex(shape):
        unit = numpy.zeros(shape)
        unit[index] = 1
        yield unit


def derivative(function, inputs, x, direction, eps):
    """The central difference of the function's value along a direction of one of its inputs."""
    above, below = (value_at(function, inputs, x, step * direction) for step in (eps, -eps))
    return (above - below) / (2 * eps)


def value_at(function, inputs, x, shift):
    """The function's value, on the CPU, with `shift` added to one of its inputs."""
    here = x.array.copy()
    try:
        x.array[...] = here + array_module(here).asarray(shift)
        with no_grad():
            # A copy: the function may return a view of the input, which is about to change.
            return copy_to_cpu(function(*inputs).array)
    finally:
        x.array[...] = here


def _output_for(x, function, inputs, checked):
    """The function's output, with x as the only input that requires a gradient."""
    try:
        for other in checked:
            other.requires_grad_(other is x)
        return function(*inputs)
    finally:
        for other in checked:
            other.requires_grad_()


def _gradients(checked, output, cotangent):
    """The gradient of each checked input by backward, for one cotangent."""
    for x in checked:
        x.grad = None
    output.backward(cotangent, retain_graph=True)
    for i, x in enumerate(checked):
        if x.grad is None:
            raise GradcheckError(f"input {i}: backward left it with no gradient")
    gradients = [copy_to_cpu(x.grad.array) for x in checked]
    for x in checked:
        x.grad = None
    return gradients


def copy_to_cpu(array):
    return numpy.array(to_device(array, "cpu"))


def _compare(what, analytic, numeric, tolerance):
    difference = abs(analytic - numeric)
    size = max(float(abs(analytic).max(initial=0)), float(abs(numeric).max(initial=0)))
    if size == 0:
        raise GradcheckError(f"{what}: the gradient is zero everywhere, so the check proves "
                             f"nothing; choose other inputs")
    error = float(difference.max()) / size
    if not error <= tolerance:  # nan fails too
        worst = int(difference.argmax())
        raise GradcheckError(
            f"{what}: relative error {error:.1e}, allowed {tolerance:.1e}; worst at entry "
            f"{worst}: backward {float(analytic.ravel()[worst]):.8g}, finite difference "
            f"{float(numeric.ravel()[worst]):.8g}")
    return error
