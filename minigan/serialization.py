"""Saving and loading what has been learned: a module's state in NumPy's own .npz form.

An .npz file is a zip archive with one .npy array for each name; the names are those of
`state_dict`, as PyTorch spells them. Nothing in it is code.
"""

import io
from pathlib import Path

import numpy

from minigan.device import moved
from minigan.errors import describe
from minigan.files import whole_file
from minigan.nn import Module


def save(state, path):
    """Write a Module's state, or a dict of Tensors and arrays, to an .npz file.

    The file appears whole or not at all; its folder is made. Returns the Path. TypeError for
    anything else, ValueError for another ending than .npz, OSError if it cannot be written.
    """
    import zipfile  # here: it takes as long to load as all of minigan

    path = _checked("save", path)
    state = state.state_dict() if isinstance(state, Module) else state
    if not isinstance(state, dict):
        raise TypeError(f"save: expected a Module or a dict of Tensors, got {describe(state)}")
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, value in state.items():
            array = numpy.asarray(moved(getattr(value, "array", value), "cpu"))
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, array, allow_pickle=False)
    return path


def load(path):
    """The state in an .npz file: a dict of NumPy arrays, as `load_state_dict` takes it.

    OSError if it cannot be read, ValueError if it is damaged or something else.
    """
    path = _checked("load", path)
    content = path.read_bytes()
    try:
        # From memory: given a path, NumPy leaves a damaged file open.
        with numpy.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy's reader has many ways to fail
        raise ValueError(f"load: {path}: expected an .npz file of arrays, found a damaged or "
                         f"foreign one: {error}") from error


def _checked(name, path):
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{name}: {path}: expected a file name that ends in .npz")
    return path
