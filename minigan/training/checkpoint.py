"""A training run's state as a file: all that is needed to go on as if nothing had happened."""

import platform

import numpy

from minigan.device import random_state, set_random_state
from minigan.checks import DamagedFileError, check_type, short_repr
from minigan.nn import Module
from minigan.optim import Optimizer
from minigan.serialization import sealed
from minigan.training.arrays import as_numpy

KIND, FORMAT = "checkpoint", 1
FACTS = {"versions": dict, "random": dict, "optimisers": dict}  # those that are added here


def write_checkpoint(path, facts, parts, arrays, previous=None):
    """Write a checkpoint; see serialization/sealed.py for how.

    facts     a dict as JSON can hold it
    parts     {name: Module or Optimizer}
    arrays    {name: NumPy array}, whatever else there is
    previous  where the file before is kept

    The random stream of the CPU and the versions of the libraries are added. OSError if it cannot
    be written.
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
            steps = {}
            for number, remembered in state["state"].items():
                steps[number] = remembered["step"]
                arrays.update((f"optimisers/{name}/{number}/{key}", as_numpy(value))
                              for key, value in remembered.items() if key != "step")
            facts["optimisers"][name] = {"groups": state["param_groups"], "steps": steps}
    sealed.write(path, facts, arrays, previous)


class Checkpoint:
    """What `write_checkpoint` has written: `path`, `facts`, and what it puts back.

    OSError if it cannot be read, DamagedFileError if it is damaged or something else.
    """

    def __init__(self, path):
        self.path = path
        self.facts, self._arrays = sealed.read(path)
        if self.facts.get("kind") != KIND or self.facts.get("format") != FORMAT:
            raise DamagedFileError(
                f"{path}: expected a {KIND} of format {FORMAT}, found "
                f"{self.facts.get('kind')!r:.40} of format {self.facts.get('format')!r:.40}")
        for name, kind in FACTS.items():
            if not isinstance(self.facts.get(name), kind):
                raise DamagedFileError(f"{path}: expected the fact {name!r} as {kind.__name__}, "
                                       f"found {short_repr(self.facts.get(name))}")

    def restore(self, parts):
        """Put the state back into Modules and Optimizers of the same names, and into the random
        stream. ValueError for parts that it does not fit."""
        check_type("restore", "parts", parts, dict)
        for name, part in parts.items():
            if isinstance(part, Module):
                part.load_state_dict(self._below(f"networks/{name}/"))
        # Afterwards: an optimiser lays out the parameters anew.
        for name, part in parts.items():
            if isinstance(part, Optimizer):
                part.load_state_dict(self._optimiser(name))
        set_random_state(self.facts["random"])

    def arrays(self):
        """Whatever else was written: {name: NumPy array}."""
        return self._below("others/")

    def _below(self, prefix):
        return {name[len(prefix):]: array for name, array in self._arrays.items()
                if name.startswith(prefix)}

    def _optimiser(self, name):
        try:
            saved = self.facts["optimisers"][name]
        except KeyError:
            raise ValueError(f"{self.path}: expected an optimiser {name}, found none") from None
        state = {int(number): {"step": step} for number, step in saved["steps"].items()}
        for key, array in self._below(f"optimisers/{name}/").items():
            number, _, moment = key.partition("/")
            state[int(number)][moment] = array
        return {"state": state, "param_groups": saved["groups"]}


def versions():
    """{name: version} of what decides about the last digits."""
    from importlib.metadata import version

    return {"python": platform.python_version(), "numpy": numpy.__version__,
            "minigan": version("minigan")}
