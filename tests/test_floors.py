"""The house plan: a file imports only from its own floor or from below."""

import ast
import subprocess
import sys
from pathlib import Path

import minigan

ROOT = Path(minigan.__file__).parent
# Lowest first. A room may import from its own floor and all below.
FLOORS = [
    {"backends", "capturing", "checks", "deferred", "files", "indexing", "recording", "walk", "device",
     "hooks", "kernels"},
    {"autograd", "creation", "cuda", "interchange"},
    {"functional"},
    {"nn", "optim"},
    {"gradcheck", "replay", "serialization", "data", "training", "inspect", "explain"},
    {"utils"},
]


def floor_of(room):
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imported_rooms(path):
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
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        seen.add(room)
        for other in imported_rooms(path):
            assert floor_of(other) <= floor_of(room), f"{path} imports {other}"
    assert seen == set().union(*FLOORS)


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
