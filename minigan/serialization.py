"""Saving and loading what has been learned: a module's state as an .npz or an HDF5 file.

The names in a file are those of `state_dict`, as PyTorch spells them; nothing in it is code. An
.npz file is NumPy's, a zip archive of .npy arrays. Under any other ending but .h5, such as .pt, a
file also holds dicts, lists and tuples of Tensors and numbers, as PyTorch's programs save them.

These files, .h5 files and a training run's checkpoint are *sealed* HDF5 files. One holds arrays by
name, each with the CRC-32 of its bytes as an attribute, and facts, a JSON data set. The HDF5 part
follows 512 bytes of text (a "user block" to HDF5, whose tools read the file as any other):

    minigan: arrays and facts in HDF5, behind these 512 bytes
    format 1
    bytes 104520
    sha256 9f2c...

Only when length and digest are right does libhdf5, which is large, written in C and trusts its
input, see the content. (This protects against damage; an attacker can seal a file too.) The file is
built in memory and written as bytes, so a full disk is an ordinary error, raised before the old
file is replaced.
"""

import io
import json
import zlib
from pathlib import Path

import numpy

from minigan.device import device as device_named, to_device
from minigan.checks import DamagedFileError, describe, short_repr
from minigan.files import write_durably, atomic_path
from minigan.nn import Module
from minigan.size import Size
from minigan.tensor import Tensor, from_array

KIND, OBJECT = "state", "object"  # in the facts of a sealed file
FORMAT = 1
SEAL = 512  # bytes; the first offset after 0 at which HDF5 looks for its signature
TITLE = b"minigan: arrays and facts in HDF5, behind these 512 bytes"
ARRAYS, FACTS = "arrays", "facts"
LONGEST_NAME = 60_000  # bytes; somewhat less than fits into the header of a zip entry


def save(state, path):
    """Write a Module's state, or a dict of names and Tensors or arrays, to an .npz or .h5 file;
    to a file of another ending dicts, lists and tuples of Tensors, arrays, numbers, texts and None.

    The write is atomic; the folder is created if needed. Returns the Path. TypeError for anything
    else, ValueError for names or arrays that the format cannot hold, OSError if the file cannot be
    written.
    """
    path = _check_path("save", path)
    if path.suffix not in (".npz", ".h5"):
        arrays = {}
        try:
            structure = _pack_object("state", state, arrays)
        except RecursionError:
            raise ValueError("save: state contains itself, or is nested too deeply") from None
        write_sealed(path, {"kind": OBJECT, "structure": structure}, arrays)
        return path
    state = state.state_dict() if isinstance(state, Module) else state
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"save: expected a Module or a dict of names and Tensors, "
                        f"got {describe(state)}")
    arrays = {name: _to_array(name, value) for name, value in state.items()}
    if path.suffix == ".npz":
        _write_npz(path, arrays)
    else:
        write_sealed(path, {"kind": KIND}, arrays)
    return path


def load(path, map_location=None, *, weights_only=True):
    """What `save` wrote: from an .npz or .h5 file the state, a dict of NumPy arrays as
    `load_state_dict` takes it; from another the same dicts, lists and tuples again.

    map_location  the device of the Tensors in it; None for the default device. A function, as in
                  PyTorch, gets each Tensor on the CPU and 'cpu', a dict has an entry 'cpu' or
                  leaves them there
    weights_only  accepted; a file has nothing but numbers

    OSError if it cannot be read, DamagedFileError if it is damaged or something else, such as a
    file of torch.save, which holds pickled code.
    """
    path = _check_path("load", path)
    place = _placement(map_location)
    if path.suffix == ".npz":
        return _read_npz(path)
    facts, arrays = read_sealed(path)
    kind = facts.get("kind")
    if kind == KIND:
        return arrays
    try:
        if kind == OBJECT:
            return _unpack_object(facts["structure"], arrays, place)
    except (KeyError, TypeError, ValueError) as error:  # another program has sealed it
        raise DamagedFileError(f"{path}: expected what minigan.save wrote, found something else: "
                               f"{error}") from error
    raise DamagedFileError(f"{path}: expected a file of minigan.save, found a {kind!r:.40}")


def _placement(map_location):
    """The function of an array that gives the Tensor on the device asked for."""
    if callable(map_location):
        return lambda array: map_location(from_array(to_device(array, "cpu")), "cpu")
    if isinstance(map_location, dict):
        map_location = map_location.get("cpu", "cpu")
    device = None if map_location is None else device_named(map_location)
    return lambda array: from_array(to_device(array, device))


def _check_path(name, path):
    if not isinstance(path, (str, Path)):
        raise TypeError(f"{name}: path must be a file's name, got {describe(path)}")
    if not Path(path).name:
        raise ValueError(f"{name}: path must be a file's name, got {describe(path)}")
    return Path(path)


# Dicts, lists and tuples as JSON, in which a number stands for each array: {"Tensor": 0}

CONTAINERS = {"list": list, "tuple": tuple, "Size": Size}


def _pack_object(name, value, arrays):
    """The value as JSON can hold it; its arrays are added to `arrays`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, numpy.generic):
        return _pack_object(name, value.item(), arrays)
    if isinstance(value, (Tensor, numpy.ndarray)):
        key = str(len(arrays))
        arrays[key] = _to_array(name, value)
        return {"Tensor" if isinstance(value, Tensor) else "array": key}
    if isinstance(value, dict):
        return {"dict": [
            [_pack_key(name, key), _pack_object(f"{name}[{short_repr(key)}]", part, arrays)]
            for key, part in value.items()]}
    if type(value) in CONTAINERS.values():
        return {type(value).__name__: [_pack_object(f"{name}[{i}]", part, arrays)
                                       for i, part in enumerate(value)]}
    hint = "; save its state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(f"save: {name}: expected Tensors, numbers, texts, None, and dicts, lists and "
                    f"tuples of them, got {describe(value)}{hint}")


def _pack_key(name, key):
    if key is None or isinstance(key, (bool, int, float, str)):
        return key
    raise TypeError(f"save: {name}: the keys of a dict must be texts or numbers, got "
                    f"{describe(key)}")


def _unpack_object(value, arrays, place):
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()
    if kind in CONTAINERS:
        return CONTAINERS[kind](_unpack_object(part, arrays, place) for part in content)
    if kind == "dict":
        return {key: _unpack_object(part, arrays, place) for key, part in content}
    if kind == "array":
        return arrays[content]
    if kind == "Tensor":
        return place(arrays[content])
    raise ValueError(f"an entry of kind {kind!r:.40}")


def _to_array(name, value):
    array = numpy.asarray(to_device(getattr(value, "array", value), "cpu"))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"save: {name}: expected numbers, got {describe(value)}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


# .npz files

def _write_npz(path, arrays):
    import zipfile  # here: it takes as long to load as all of minigan

    for name in arrays:
        if "\0" in name or len(name.encode()) > LONGEST_NAME:
            raise ValueError(f"the name {short_repr(name)} cannot stand in an .npz file")
    # Not numpy.savez: it takes the names as its own arguments, and so cannot write one called
    # "file".
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, array, allow_pickle=False)


def _read_npz(path):
    with open(path, "rb") as file:
        try:
            with numpy.load(file, allow_pickle=False) as archive:
                # NumPy stops reading an entry where the array ends by its header, and so checks no
                # CRC-32 where that was damaged.
                damaged, names = archive.zip.testzip(), archive.zip.namelist()
                if damaged is not None:
                    raise DamagedFileError(f"{path}: entry {damaged!r:.80}: expected an .npy array "
                                           f"of the CRC-32 in the archive, found a damaged one")
                if len({name.removesuffix(".npy") for name in names}) < len(names):
                    raise ValueError("several entries have the same name")
                arrays = dict(archive)
        except (DamagedFileError, MemoryError):
            raise
        except Exception as error:  # zipfile, zlib and NumPy raise many kinds for damaged files
            raise DamagedFileError(f"{path}: expected an .npz file of arrays, found a damaged or "
                                   f"foreign one: {' '.join(str(error).split()):.200}") from error
    for name, array in arrays.items():
        if not isinstance(array, numpy.ndarray) or array.dtype.kind not in "biuf":
            raise DamagedFileError(f"{path}: entry {name!r:.80}: expected an array of numbers, "
                                   f"found {describe(array)}")
    return {name: array.astype(array.dtype.newbyteorder("="), copy=False)
            for name, array in arrays.items()}


# Sealed HDF5 files

def write_sealed(path, facts, arrays, previous=None):
    """Write facts (a dict that JSON can hold) and arrays ({name: NumPy array}).

    previous  the path to keep the old file under, or None
    ValueError for a name that HDF5 cannot hold, OSError if the file cannot be written.
    """
    body = _pack({**facts, "names": list(arrays)}, arrays)
    write_durably(path, _make_seal(body) + body, previous)


def read_sealed(path):
    """(facts, {name: array}) from a file of `write_sealed`.

    OSError if it cannot be read, DamagedFileError if it is damaged or something else.
    """
    content = Path(path).read_bytes()
    try:
        return _unpack(_check_seal(content))
    except DamagedFileError as error:
        raise DamagedFileError(f"{path}: {error}") from error


def _make_seal(body):
    lines = [TITLE, b"format %d" % FORMAT, b"bytes %d" % len(body),
             b"sha256 " + _hex_digest(body).encode(), b""]
    return b"\n".join(lines).ljust(SEAL, b"\0")


def _hex_digest(body):
    import hashlib  # here: it takes a while to load, and is rarely needed

    return hashlib.sha256(body).hexdigest()


def _check_seal(content):
    """What follows the seal; DamagedFileError unless it is what the seal says."""
    lines = content[:SEAL].rstrip(b"\0").split(b"\n")
    if lines[0] != TITLE:
        raise DamagedFileError(f"byte 0: expected a file written by minigan, which begins with "
                               f"{TITLE.decode()!r}, found {content[:20]!r}")
    if lines[1:2] != [b"format %d" % FORMAT]:
        raise DamagedFileError(f"line 2: expected 'format {FORMAT}', the only one this version of "
                               f"minigan reads, found {b''.join(lines[1:2])!r:.60}")
    body = memoryview(content)[SEAL:]
    if _make_seal(body) != content[:SEAL]:
        expected = b", ".join(lines[2:4]).decode("ascii", "replace")
        raise DamagedFileError(f"from byte {SEAL}: expected {expected!r:.100}, found bytes "
                               f"{len(body)}, sha256 {_hex_digest(body)}: the file is truncated or "
                               f"damaged")
    return body


def _pack(facts, arrays):
    """The bytes of an HDF5 file."""
    import h5py

    def add(name, array):
        try:
            data_set = file.create_dataset(name, data=array)
        except (ValueError, TypeError) as error:  # such as "a" beside "a/b"
            raise ValueError(f"the name {name!r} cannot stand in an HDF5 file beside the others: "
                             f"{error}") from error
        data_set.attrs["crc32"] = _checksum(array)

    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        for name, array in arrays.items():
            if any(part in ("", ".") for part in name.split("/")) or "\0" in name:
                raise ValueError(f"the name {name!r} cannot stand in an HDF5 file")
            add(f"{ARRAYS}/{name}", array)
        add(FACTS, numpy.frombuffer(json.dumps(facts).encode(), numpy.uint8))
        file.flush()
        return file.id.get_file_image()


def _unpack(body):
    import h5py

    def get(name):
        array = file[name][()]
        if _checksum(array) != file[name].attrs["crc32"]:
            raise DamagedFileError(f"{name}: expected the CRC-32 {file[name].attrs['crc32']}, "
                                   f"found {_checksum(array)}")
        return numpy.asarray(array)

    try:
        with h5py.File(io.BytesIO(body), "r") as file:
            facts = json.loads(get(FACTS).tobytes())
            return facts, {name: get(f"{ARRAYS}/{name}") for name in facts.pop("names")}
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DamagedFileError):
            raise
        # The digest is right: another program has sealed it.
        raise DamagedFileError(f"from byte {SEAL}: expected facts and arrays, found something "
                               f"else: {' '.join(str(error).split())}") from error


def _checksum(array):
    return zlib.crc32(numpy.ascontiguousarray(array).tobytes())
