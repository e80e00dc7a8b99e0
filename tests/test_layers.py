"""The layers of the package: a file imports only from its own layer or from below."""

import ast
import subprocess
import sys
from pathlib import Path

import minigan

ROOT = Path(minigan.__file__).parent
# Lowest first. A module or package may import from its own layer and all below.
LAYERS = [
    {"backends", "checks", "device", "files", "grad_mode", "hooks", "indexing",
     "messages", "size", "threads"},
    {"accelerator", "autograd", "tensor", "creation", "cuda", "distributed", "gradients",
     "interchange"},
    {"functional"},
    {"nn", "optim"},
    {"capture", "data", "explain", "gradcheck", "inspect", "kernels", "serialization", "training"},
    {"utils"},
    {"__main__"},
]
# The operators of Tensor call the operations, which are written in terms of Tensor.
CIRCLE = {("tensor", "functional")}


def layer_of(name):
    return next(number for number, names in enumerate(LAYERS) if name in names)


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module] if node.module != "minigan" else [
                f"minigan.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("minigan."):
                yield name.split(".")[1]
            assert name != "examples" and not name.startswith("examples."), path


def test_imports_go_down_only():
    seen = set()
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if name == "__init__":
            continue
        seen.add(name)
        for other in imported_names(path):
            assert layer_of(other) <= layer_of(name) or (name, other) in CIRCLE, (
                f"{path} imports {other}")
    assert seen == set().union(*LAYERS)


def test_the_textbook_does_not_know_of_kernels():
    for name in ("tensor.py", "autograd.py", "functional", "nn", "optim"):
        path = ROOT / name
        for file in [path] if path.is_file() else path.rglob("*.py"):
            assert "kernels" not in imported_names(file), file


def test_importing_loads_only_what_is_needed():
    """What takes long to load is loaded when it is used: `import minigan` is not much slower than
    `import numpy`."""
    code = ("import sys, numpy; before = set(sys.modules); import minigan; "
            "print(*set(sys.modules) - before)")
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=True).stdout.split()
    heavy = {"numpy.random", "zipfile", "urllib.request", "matplotlib", "h5py", "cupy",
             "minigan.explain", "minigan.gradcheck.cases", "minigan.inspect.picture"}
    assert heavy.isdisjoint(loaded) and "minigan.optim" in loaded
