"""One operation explained: its formula, its source, and its gradient against finite differences.

`python -m minigan.explain conv2d` prints the explanation, part by part; without a name it lists
the operations.
"""

from inspect import cleandoc, signature
from textwrap import shorten

from minigan import functional
from minigan.explain.columns import PICTURES
from minigan.explain.examples import cases_of, example_of
from minigan.explain.gradient import checks, differences
from minigan.explain.numbers import shown
from minigan.explain.source import marked_source
from minigan.gradcheck.cases import make_inputs

WIDTH = 100


def explanation(name):
    """Lines that explain an operation of minigan.functional. KeyError for an unknown name."""
    if name not in functional.__all__:
        raise KeyError(name)
    operation = getattr(functional, name)
    yield heading(name)
    yield cleandoc(operation.__doc__)
    if not cases_of(name):  # it has no gradient
        yield from marked_source(operation, None)
        return
    case = example_of(name)
    inputs = make_inputs(case, device="cpu")
    names = list(signature(case.function).parameters)[:len(inputs)]
    output = case.function(*inputs)
    yield from marked_source(operation, output.node.backward)

    yield heading("Example" + (f": {case.configuration}" if case.configuration else ""))
    shapes = ", ".join(f"{argument} {x.shape}" for argument, x in zip(names, inputs))
    yield f"{shapes} -> {output.shape}"
    for argument, x in zip(names, inputs):
        yield from shown(argument + ("" if x.requires_grad else ", which has no gradient"), x.array)
    yield from shown("the output", output.array)
    if name in PICTURES:
        yield from PICTURES[name](*inputs)

    yield heading("Gradient")
    yield from differences(case.function, inputs, names, output)
    yield heading("minigan.gradcheck: every entry, in every configuration")
    yield from checks(name)


def heading(text):
    return f"\n{text}\n{'=' * len(text)}"


def listing():
    """A line for each operation: its name and how its docstring begins."""
    for name in functional.__all__:
        first = cleandoc(getattr(functional, name).__doc__).partition("\n")[0]
        yield f"{name:34}{shorten(first, WIDTH - 34, placeholder=' ...')}"
