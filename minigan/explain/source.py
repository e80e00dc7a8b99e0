"""The source of an operation, with its backward marked."""

import ast
import inspect
from pathlib import Path

PACKAGE = Path(__file__).parents[2]


def marked_source(operation, backward):
    """The operation's source, and that of the function in which its backward is defined, if that is
    another one.

    backward  the function that was recorded, or None
    """
    code = inspect.unwrap(operation).__code__
    elsewhere = backward is None or code.co_filename != backward.__code__.co_filename
    yield from block(code, None if elsewhere else backward.__code__)
    if backward is not None:
        function, mark = enclosing_function(code), find_function(backward.__code__)
        if (elsewhere or not function.lineno <= mark.lineno <= function.end_lineno):
            yield from block(backward.__code__, backward.__code__)


def block(code, marked):
    """The lines of the top-level function around a code object, without its docstring and with a
    rule before and after the lines of the marked code object."""
    function = enclosing_function(code)
    mark = None if marked is None else find_function(marked)
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


def enclosing_function(code):
    """The syntax tree of the top-level function around a code object."""
    return next(node for node in parse_file(code).body if isinstance(node, ast.FunctionDef) and (
        first_line(node) <= code.co_firstlineno <= node.end_lineno))


def find_function(code):
    """The syntax tree of the function or lambda that was compiled to a code object."""
    return next(node for node in ast.walk(parse_file(code)) if isinstance(
        node, (ast.FunctionDef, ast.Lambda)) and first_line(node) == code.co_firstlineno)


def first_line(node):
    """The line that the compiler calls a function's first: that of its first decorator."""
    decorators = getattr(node, "decorator_list", None)
    return decorators[0].lineno if decorators else node.lineno


def parse_file(code):
    return ast.parse(Path(code.co_filename).read_text())
