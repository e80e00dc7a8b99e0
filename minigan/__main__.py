"""python -m minigan: commands, examples, GPU, compiled kernels, caches: what there is."""

import ast
import json
import platform
import textwrap
from pathlib import Path

import numpy

import minigan
from minigan import cuda
from minigan.device import why_no_cuda
from minigan.files import cache_folder
from minigan.inspect.memory import format_bytes
from minigan.kernels import compiler, launch
from minigan.training import ArgumentParser, run

PACKAGE = Path(minigan.__file__).parent
EXAMPLES = PACKAGE.parent / "examples"  # in a checkout; an installed package comes without
WIDTH = 100


def commands():
    """(command, what it does) of the package's parts that can be run."""
    for path in sorted(PACKAGE.glob("*/__main__.py")):
        command = f"python -m minigan.{path.parent.name}"
        yield command, first_paragraph(path).removeprefix(f"{command}: ")


def examples():
    for path in sorted(EXAMPLES.glob("*.py")):
        yield f"python {nearest(path)}", first_paragraph(path)
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        title, = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"][:1]
        yield f"jupyter lab {nearest(path)}", title.strip("# \n") + "."


def first_paragraph(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def nearest(path):
    """The path as it is typed here."""
    below = path.is_relative_to(Path.cwd())
    return path.relative_to(Path.cwd()) if below else path


def machine():
    """(what, its state) of all that results and speed depend on."""
    yield "versions", (f"minigan {minigan.__version__}, Python {platform.python_version()}, NumPy "
                       f"{numpy.__version__}")
    yield "GPU", why_no_cuda() or cuda.get_device_name()
    single, double = kernels("f"), kernels("d")
    if single == double:
        yield "CPU kernels", single
    else:
        yield "CPU kernels, float32", single
        yield "CPU kernels, float64", double
    try:
        yield "cache", cache(cache_folder())
    except RuntimeError as error:  # there is no home folder
        yield "cache", f"none: {error}"
    if Path("runs", "index.html").is_file():
        yield "runs", f"{Path('runs', 'index.html')} lists them"


def kernels(char):
    """Whether the kernels for 'f' or 'd' are compiled, and by what; nothing is compiled for this."""
    if launch.switched_off():
        return "off (MINIGAN_KERNELS)"
    try:
        command = compiler.find_compiler()
        key = compiler.key_of(compiler.cpu_source(char), command)
        folder = compiler.own_folder()
        if compiler.cached(folder, key) is None:
            return (f"not compiled yet: {compiler.version_of(command)} will do that in some seconds "
                    f"when an operation first needs them")
    except (compiler.Unavailable, OSError, RuntimeError) as error:
        return f"none, operations run by NumPy alone, slower: {error}"
    if not launch.load(char):
        return f"none, operations run by NumPy alone, slower: {launch.switch.reason}"
    library = launch.switch.libraries[char]
    return f"compiled by {library.built_by()}, in {library.path.parent}"


def cache(folder):
    """What is in the cache folder."""
    parts = []
    for path in sorted(folder.glob("*")):
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        parts.append(f"{path.name} {format_bytes(sum(p.stat().st_size for p in files))}")
    return f"{folder}: {', '.join(parts) or 'empty'}"


def table(title, rows):
    rows = list(rows)
    width = max(len(first) for first, _ in rows) + 4
    print(f"\n{title}")
    for first, second in rows:
        print(textwrap.fill(second, WIDTH, initial_indent=f"  {first}".ljust(width),
                            subsequent_indent=" " * width, break_long_words=False,
                            break_on_hyphens=False))


def main():
    parser = ArgumentParser("Print what there is: commands, examples, GPU, kernels, caches.",
                            prog="python -m minigan")
    parser.parse_args()
    print("minigan, a small deep-learning engine to read and trust")
    table("Commands", commands())
    if EXAMPLES.is_dir():
        table("Examples (--help lists what they take)", examples())
    table("This machine", machine())
    print(f"\nThe code to read is in {nearest(PACKAGE)}: tensor.py first, then autograd.py")


if __name__ == "__main__":
    run(main)
