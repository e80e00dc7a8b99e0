"""The source of an operation, with its backward marked."""

import inspect
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2]


def marked_source(operation, backward):
    """The operation's source, and that of the function in which its backward is defined, if that is
    another one.

    backward  the function that was recorded, or None
    """
    function = inspect.unwrap(operation)
    if backward is None:
        yield from block(function, None)
        return
    # The qualified name of a nested function begins with that of the outermost.
    outer = inspect.unwrap(getattr(sys.modules[backward.__module__],
                                   backward.__qualname__.partition(".")[0]))
    if outer is not function:
        yield from block(function, None)
    yield from block(outer, backward)


def block(function, backward):
    """The lines of a function without its docstring, those of its backward between two rules."""
    path = Path(inspect.getsourcefile(function)).relative_to(PACKAGE)
    lines, first = inspect.getsourcelines(function)
    yield heading(f"{path}, line {first}")
    if backward is not None:
        marked, start = inspect.getsourcelines(backward)
        start -= first
        rule = "-" * 88 + "\n"
        lines[start:start + len(marked)] = [f"{'-------- backward ':-<88}\n", *marked, rule]
    source = "".join(lines)
    if function.__doc__:
        before, _, after = source.split('"""', 2)
        source = before.rstrip() + after
    yield source.rstrip()


def heading(text):
    return f"\n{text}\n{'=' * len(text)}"
