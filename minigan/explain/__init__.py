"""An operation explained: its formula, its source, and its gradient against finite differences.

`python -m minigan.explain conv2d` prints the explanation of an operation; without a name it lists
all of them. Explained are the formulas of `minigan.functional`, not the kernels that may take
their place.
"""

from inspect import cleandoc, signature
from textwrap import shorten

import numpy

from minigan import functional, kernels
from minigan.explain.columns import ILLUSTRATIONS
from minigan.explain.gradient import compare_gradients, format_array
from minigan.explain.source import heading, marked_source
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.gradcheck.cases import Case, all_cases, make_inputs, prepare

WIDTH = 100


def count_from(first, *shape):
    """The numbers first, first + 1, ... in that shape."""
    return lambda random: first + numpy.arange(numpy.prod(shape), dtype="float64").reshape(shape)


# Smaller examples than the gradient checks have.
SMALL = {
    "conv2d": Case("conv2d", "an image of 4x4 pixels and a kernel of 2x2", functional.conv2d,
                   (count_from(0, 1, 1, 4, 4), count_from(1, 1, 1, 2, 2))),
    "conv_transpose2d": Case(
        "conv_transpose2d", "an image of 3x3 pixels and a kernel of 2x2",
        functional.conv_transpose2d, (count_from(1, 1, 1, 3, 3), count_from(1, 1, 1, 2, 2))),
}


def explanation(name):
    """Lines that explain an operation of minigan.functional. KeyError for an unknown name."""
    if name not in functional.__all__:
        raise KeyError(name)
    with kernels.disabled():
        return list(explain(name, getattr(functional, name)))


def explain(name, operation):
    yield heading(name)
    yield cleandoc(operation.__doc__)
    cases = [case for case in all_cases() if case.operation == name]
    if not cases:  # it has no gradient
        yield from marked_source(operation, None)
        return
    plain = [case for case in cases if case.function is operation]  # without options
    case = SMALL.get(name) or (plain or cases)[0]
    inputs = make_inputs(case, device="cpu")
    names = list(signature(case.function).parameters)[:len(inputs)]
    output = case.function(*inputs)
    yield from marked_source(operation, output.node.backward)

    yield heading("Example" + (f": {case.configuration}" if case.configuration else ""))
    shapes = ", ".join(f"{argument} {tuple(x.shape)}" for argument, x in zip(names, inputs))
    yield f"{shapes} -> {output.shape}"
    for argument, x in zip(names, inputs):
        title = argument if x.requires_grad else f"{argument}, which has no gradient"
        yield from format_array(title, x.array)
    yield from format_array("the output", output.array)
    if name in ILLUSTRATIONS:
        yield from ILLUSTRATIONS[name](*inputs)

    yield heading("Gradient")
    yield from compare_gradients(case.function, inputs, names, output)
    yield heading("minigan.gradcheck: every entry, in every configuration")
    yield f"{'configuration':40}{'worst error':>12}"
    for case in cases:
        try:
            cell = f"{gradcheck(*prepare(case, 'cpu'), direction=case.direction):12.1e}"
        except GradcheckError as error:
            cell = f"      FAILED: {error}"
        yield f"{case.configuration or 'plain':40}{cell}"


def listing():
    """A line for each operation: its name and the first line of its docstring."""
    for name in functional.__all__:
        first = cleandoc(getattr(functional, name).__doc__).partition("\n")[0]
        yield f"{name:34}{shorten(first, WIDTH - 34, placeholder=' ...')}"
