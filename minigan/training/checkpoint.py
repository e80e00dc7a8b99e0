"""Checkpoints: files with a training run's whole state, from which it resumes bit by bit."""

import platform

import numpy

import minigan
from minigan import kernels
from minigan.device import random_state, set_random_state
from minigan.checks import DamagedFileError, check_type
from minigan.nn import Module
from minigan.optim import Optimizer
from minigan.serialization import read_sealed, write_sealed
from minigan.training.arrays import as_numpy

KIND, FORMAT = "checkpoint", 2


def write_checkpoint(path, facts, parts, arrays, previous=None):
    """Write a checkpoint, a sealed HDF5 file; see serialization.py for its format.

    facts     a dict that JSON can hold
    parts     {name: Module or Optimizer}
    arrays    {name: NumPy array}, anything else to be saved
    previous  the path to keep the old file under, or None

    The state of the CPU's random generator and the libraries' versions are added. OSError if the
    file cannot be written.
    """
    facts = {**facts, "kind": KIND, "format": FORMAT, "versions": versions(),
             "random": random_state(), "optimisers": {}}
    arrays = {f"others/{name}": array for name, array in arrays.items()}
    for name, part in parts.items():
        if isinstance(part, Module):
            arrays.update((f"networks/{name}/{key}", as_numpy(value))
                          for key, value in part.state_dict().items())
        else:
            state = part.state_dict()
            facts["optimisers"][name] = state["param_groups"]
            arrays.update((f"optimisers/{name}/{number}/{key}", as_numpy(value))
                          for number, moments in state["state"].items()
                          for key, value in moments.items())
    write_sealed(path, facts, arrays, previous)


class Checkpoint:
    """A checkpoint that was read: `path`, `facts`, and the state to restore.

    OSError if it cannot be read, DamagedFileError if it is damaged or something else.
    """

    def __init__(self, path):
        self.path = path
        self.facts, self._arrays = read_sealed(path)
        if self.facts.get("kind") != KIND or self.facts.get("format") != FORMAT:
            raise DamagedFileError(
                f"{path}: expected a {KIND} of format {FORMAT}, found "
                f"{self.facts.get('kind')!r:.40} of format {self.facts.get('format')!r:.40}")

    def restore(self, parts):
        """Load the state into Modules and Optimizers of the same names, and into the random
        generator. ValueError for parts that it does not fit."""
        check_type("restore", "parts", parts, dict)
        for name, part in parts.items():
            if isinstance(part, Module):
                part.load_state_dict(self._select(f"networks/{name}/"))
        # After the modules: an optimiser may copy the parameters into an array of its own.
        for name, part in parts.items():
            if isinstance(part, Optimizer):
                part.load_state_dict(self._optimiser_state(name))
        set_random_state(self.facts["random"])

    def arrays(self):
        """What was saved besides the parts: {name: NumPy array}."""
        return self._select("others/")

    def _select(self, prefix):
        return {name[len(prefix):]: array for name, array in self._arrays.items()
                if name.startswith(prefix)}

    def _optimiser_state(self, name):
        groups = self.facts["optimisers"].get(name)
        if groups is None:
            raise ValueError(f"{self.path}: expected an optimiser {name}, found none")
        state = {}
        for key, array in self._select(f"optimisers/{name}/").items():
            number, _, moment = key.partition("/")
            state.setdefault(int(number), {})[moment] = array
        return {"state": state, "param_groups": groups}


def versions():
    """{name: version} of what the last digits of a result depend on."""
    return {"python": platform.python_version(), "numpy": numpy.__version__,
            "minigan": minigan.__version__, "kernels": kernels.form()}
