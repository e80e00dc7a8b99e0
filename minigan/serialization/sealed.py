"""HDF5 files that say of themselves whether they are whole.

Such a file holds arrays by name and facts, JSON in a data set of its own. Before the HDF5 part lie
512 bytes of text (a "user block" to HDF5, whose tools read the file as any other):

    minigan: arrays and facts in HDF5, behind these 512 bytes
    format 1
    bytes 104520
    sha256 9f2c...

Only when length and digest are right is anything given to the HDF5 library, which is large, written
in C and believes what it reads. (That is against damage; whoever means harm can seal a file too.)
Besides, each array carries the CRC-32 of its bytes as an attribute. The file is put together in
memory and written as bytes: then a full disk is an error like any other, told before the old file
is given up.
"""

import io
import json
import zlib
from pathlib import Path

import numpy

from minigan.checks import DamagedFileError
from minigan.files import write_durably

FORMAT = 1
SEAL = 512  # bytes; the first place after 0 where HDF5 looks for its beginning
TITLE = b"minigan: arrays and facts in HDF5, behind these 512 bytes"
ARRAYS, FACTS = "arrays", "facts"


def write(path, facts, arrays, previous=None):
    """Write facts (a dict as JSON can hold it) and arrays ({name: NumPy array}).

    previous  where the file that was there before is kept, or None
    ValueError for a name that HDF5 cannot hold, OSError if it cannot be written.
    """
    body = _packed({**facts, "names": list(arrays)}, arrays)
    write_durably(path, _seal(body) + body, previous)


def read(path):
    """(facts, {name: array}) of a file that `write` has made.

    OSError if it cannot be read, DamagedFileError if it is damaged or something else.
    """
    content = Path(path).read_bytes()
    try:
        return _unpacked(_body(content))
    except DamagedFileError as error:
        raise DamagedFileError(f"{path}: {error}") from error


def _seal(body):
    lines = [TITLE, b"format %d" % FORMAT, b"bytes %d" % len(body),
             b"sha256 " + _digest(body).encode(), b""]
    return b"\n".join(lines).ljust(SEAL, b"\0")


def _digest(body):
    import hashlib  # here: it takes a while to load, and few need it

    return hashlib.sha256(body).hexdigest()


def _body(content):
    """What lies behind the seal, if it is what the seal says."""
    lines = content[:SEAL].rstrip(b"\0").split(b"\n")
    if lines[0] != TITLE:
        raise DamagedFileError(f"byte 0: expected a file that minigan has written, which begins "
                               f"with {TITLE.decode()!r}, found {content[:20]!r}")
    if lines[1:2] != [b"format %d" % FORMAT]:
        raise DamagedFileError(f"line 2: expected 'format {FORMAT}', all that this version of "
                               f"minigan reads, found {b''.join(lines[1:2])!r:.60}")
    body = memoryview(content)[SEAL:]
    if _seal(body) != content[:SEAL]:
        told = b", ".join(lines[2:4]).decode("ascii", "replace")
        raise DamagedFileError(f"from byte {SEAL}: expected {told!r:.100}, found bytes "
                               f"{len(body)}, sha256 {_digest(body)}: the file "
                               f"is truncated or damaged")
    return body


def _packed(facts, arrays):
    import h5py

    def add(name, array):
        try:
            data = file.create_dataset(name, data=array)
        except (ValueError, TypeError) as error:  # 'a' beside 'a/b'
            raise ValueError(f"the name {name!r} cannot stand in an HDF5 file beside the others: "
                             f"{error}") from error
        data.attrs["crc32"] = _checksum(array)

    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        for name, array in arrays.items():
            if any(part in ("", ".") for part in name.split("/")) or "\0" in name:
                raise ValueError(f"the name {name!r} cannot stand in an HDF5 file")
            add(f"{ARRAYS}/{name}", array)
        add(FACTS, numpy.frombuffer(json.dumps(facts).encode(), numpy.uint8))
        file.flush()
        return file.id.get_file_image()


def _unpacked(body):
    import h5py

    def taken(name):
        if file[name].nbytes > len(body):
            raise DamagedFileError(f"{name}: expected no more than a file of {len(body)} bytes can "
                                   f"hold, found a shape of {file[name].shape}")
        array = file[name][()]
        if _checksum(array) != file[name].attrs["crc32"]:
            raise DamagedFileError(f"{name}: expected the CRC-32 {file[name].attrs['crc32']}, "
                                   f"found {_checksum(array)}")
        return array

    try:
        with h5py.File(io.BytesIO(body), "r") as file:
            facts = json.loads(taken(FACTS).tobytes())
            names = facts.pop("names")
            return facts, {name: numpy.asarray(taken(f"{ARRAYS}/{name}")) for name in names}
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DamagedFileError):
            raise
        # The digest is right: somebody else has sealed it.
        raise DamagedFileError(f"from byte {SEAL}: expected facts and arrays, found something "
                               f"else: {' '.join(str(error).split())}") from error


def _checksum(array):
    return zlib.crc32(numpy.ascontiguousarray(array).tobytes())
