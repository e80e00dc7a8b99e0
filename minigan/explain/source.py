"""The source of an operation, in which its backward is marked."""

import ast
import inspect
from pathlib import Path

PACKAGE = Path(__file__).parents[2]


def marked_source(operation, backward):
    """The operation's source; and that of the function which holds its backward, if it is another.

    backward  the function that was recorded, or None
    """
    code = inspect.unwrap(operation).__code__
    yield from block(code, None if backward is None else backward.__code__)
    if backward is not None:
        holder, mark = top_level(code), node_at(backward.__code__)
        if (code.co_filename != backward.__code__.co_filename
                or not holder.lineno <= mark.lineno <= holder.end_lineno):
            yield from block(backward.__code__, backward.__code__)


def block(code, marked):
    """The lines of the function in whose source a code is, without its docstring, and with a rule
    before and after those of the marked code."""
    function = top_level(code)
    mark = None if marked is None else node_at(marked)
    docstring = function.body[0] if ast.get_docstring(function) else None
    path = Path(code.co_filename)
    title = f"{path.relative_to(PACKAGE)}, line {function.lineno}"
    yield f"\n{title}\n{'=' * len(title)}"
    lines = path.read_text().splitlines()
    for number in range(function.lineno, function.end_lineno + 1):
        if docstring and docstring.lineno <= number <= docstring.end_lineno:
            continue
        if mark and number == mark.lineno:
            yield "-------- backward " + "-" * 70
        yield lines[number - 1]
        if mark and number == mark.end_lineno:
            yield "-" * 88


def top_level(code):
    """The syntax tree of the function, not within another, in whose source a code is."""
    return next(node for node in tree_of(code).body if isinstance(node, ast.FunctionDef) and (
        first_line(node) <= code.co_firstlineno <= node.end_lineno))


def node_at(code):
    """The syntax tree of the function or lambda that was compiled to a code."""
    return next(node for node in ast.walk(tree_of(code)) if isinstance(
        node, (ast.FunctionDef, ast.Lambda)) and first_line(node) == code.co_firstlineno)


def first_line(node):
    """Where a function begins for the compiler: at its first decorator."""
    decorators = getattr(node, "decorator_list", None)
    return decorators[0].lineno if decorators else node.lineno


def tree_of(code):
    return ast.parse(Path(code.co_filename).read_text())
