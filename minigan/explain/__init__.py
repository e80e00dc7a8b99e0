"""An operation explained: its formula, its source, and its gradient against finite differences.

`python -m minigan.explain conv2d` prints the explanation of an operation; without a name it lists
all of them. Explained are the formulas of `minigan.functional`, not the kernels that may take
their place.
"""

from inspect import cleandoc, signature
from textwrap import shorten

from minigan import functional, kernels
from minigan.explain.columns import ILLUSTRATIONS
from minigan.explain.examples import choose_example, find_cases
from minigan.explain.gradient import compare_gradients, run_gradchecks
from minigan.explain.numbers import format_array
from minigan.explain.source import marked_source
from minigan.gradcheck.cases import make_inputs

WIDTH = 100


def explanation(name):
    """Lines that explain an operation of minigan.functional. KeyError for an unknown name."""
    if name not in functional.__all__:
        raise KeyError(name)
    with kernels.disabled():
        return list(explain(name, getattr(functional, name)))


def explain(name, operation):
    yield heading(name)
    yield cleandoc(operation.__doc__)
    if not find_cases(name):  # it has no gradient
        yield from marked_source(operation, None)
        return
    case = choose_example(name)
    inputs = make_inputs(case, device="cpu")
    names = list(signature(case.function).parameters)[:len(inputs)]
    output = case.function(*inputs)
    yield from marked_source(operation, output.node.backward)

    yield heading("Example" + (f": {case.configuration}" if case.configuration else ""))
    shapes = ", ".join(f"{argument} {x.shape}" for argument, x in zip(names, inputs))
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
    yield from run_gradchecks(name)


def heading(text):
    return f"\n{text}\n{'=' * len(text)}"


def listing():
    """A line for each operation: its name and the first line of its docstring."""
    for name in functional.__all__:
        first = cleandoc(getattr(functional, name).__doc__).partition("\n")[0]
        yield f"{name:34}{shorten(first, WIDTH - 34, placeholder=' ...')}"
