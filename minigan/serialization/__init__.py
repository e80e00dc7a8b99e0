"""Saving and loading what has been learned: a module's state as an .npz or an HDF5 file.

The names in a file are those of `state_dict`, as PyTorch spells them, and nothing in it is code.
An .npz file is NumPy's: a zip archive with an .npy array for each name. An .h5 file says of itself
whether it is whole, see sealed.py.
"""

from pathlib import Path

import numpy

from minigan.device import to_device
from minigan.checks import DamagedFileError, describe
from minigan.nn import Module
from minigan.serialization import npz, sealed

KIND = "state"  # what the facts of a sealed file call it


def save(state, path):
    """Write a Module's state, or a dict of names and Tensors or arrays, to an .npz or .h5 file.

    The file appears whole or not at all; its folder is made. Returns the Path. TypeError for
    anything else, ValueError for another ending and for names or arrays that files cannot hold,
    OSError if it cannot be written.
    """
    path = _checked("save", path)
    state = state.state_dict() if isinstance(state, Module) else state
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"save: expected a Module or a dict of names and Tensors, "
                        f"got {describe(state)}")
    arrays = {name: _array(name, value) for name, value in state.items()}
    if path.suffix == ".npz":
        npz.write(path, arrays)
    else:
        sealed.write(path, {"kind": KIND}, arrays)
    return path


def load(path):
    """The state in an .npz or .h5 file: a dict of NumPy arrays, as `load_state_dict` takes it.

    OSError if it cannot be read, DamagedFileError if it is damaged or something else.
    """
    path = _checked("load", path)
    if path.suffix == ".npz":
        return npz.read(path)
    facts, arrays = sealed.read(path)
    if facts.get("kind") != KIND:
        raise DamagedFileError(f"{path}: expected a file of minigan.save, found a "
                               f"{facts.get('kind')!r:.40}")
    return arrays


def _checked(name, path):
    if not isinstance(path, (str, Path)):
        raise TypeError(f"{name}: path must be a file's name, got {describe(path)}")
    path = Path(path)
    if path.suffix not in (".npz", ".h5"):
        raise ValueError(f"{name}: {path}: expected a file name that ends in .npz or .h5")
    return path


def _array(name, value):
    array = numpy.asarray(to_device(getattr(value, "array", value), "cpu"))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"save: {name}: expected numbers, got {describe(value)}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)
