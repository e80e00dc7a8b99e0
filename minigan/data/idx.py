"""IDX, the file format of MNIST.

A file consists of two zero bytes, a byte for the data type, a byte for the number of dimensions,
each dimension as a 32-bit integer, and the values, all big-endian.
"""

import gzip
import math
import os
import struct
from pathlib import Path

import numpy

from minigan.data.compressed import RATIO, open_gzip, read_parts
from minigan.checks import DamagedFileError
from minigan.files import write_atomically

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 32  # as in all versions of NumPy


def read_idx(path):
    """The array in an IDX file, gzipped or not; its dtype is the file's, in native byte order.

    Raises OSError if the file cannot be opened, DamagedFileError if it is not a whole IDX file.
    """
    with Path(path).open("rb") as file, open_gzip(file, path) as content:
        size = os.fstat(file.fileno()).st_size
        return _read_array(content, path, size if content is file else RATIO * size)


def _read_array(file, path, most):
    """The array in an open IDX file, which cannot hold more than `most` bytes."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise DamagedFileError(f"{path}: not an IDX file: expected it to start with two zero "
                               f"bytes, a type and a number of dimensions, found {_to_hex(start)}")
    code, ndim = start[2:]
    if code not in TYPES:
        raise DamagedFileError(f"{path}: not an IDX file: expected at byte 2 one of the types "
                               f"{_to_hex(TYPES)}, found {code:02x}")
    if not 1 <= ndim <= MAX_DIMENSIONS:
        raise DamagedFileError(f"{path}: expected at byte 3 1 to {MAX_DIMENSIONS} dimensions, "
                               f"found {ndim}")
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DamagedFileError(f"{path}: expected a header of {4 + 4 * ndim} bytes for {ndim} "
                               f"dimensions, found {4 + len(sizes)} bytes in all")
    shape = struct.unpack(f">{ndim}I", sizes)
    dtype = numpy.dtype(TYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    most -= 4 + 4 * ndim
    data = bytearray()
    # Nothing is decompressed where the header announces more than the file can hold.
    if expected <= most:
        for part in read_parts(file, expected + 1):
            data += part
    if len(data) != expected:
        found = (f"{most} at most" if expected > most else
                 f"{len(data)} at least" if len(data) > expected else len(data))
        raise DamagedFileError(f"{path}: expected {expected} bytes after the header for "
                               f"{dtype.name} of shape {shape}, found {found}")
    array = numpy.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
    try:
        return array.reshape(shape)
    except ValueError as error:
        # Beside a dimension of 0 the others may exceed what any array can have.
        raise DamagedFileError(f"{path}: expected a shape that NumPy can hold, "
                               f"found {shape}") from error


def write_idx(path, array):
    """Write an array as an IDX file, gzipped if the name ends in .gz.

    array  uint8, int8, int16, int32, float32 or float64, of 1 to 32 dimensions

    The write is atomic. Raises ValueError for an array that IDX cannot represent.
    """
    array = numpy.asarray(array)
    big = array.dtype.newbyteorder(">")
    codes = [code for code, name in TYPES.items() if big == name]
    if not codes:
        names = ", ".join(numpy.dtype(name).name for name in TYPES.values())
        raise ValueError(f"write_idx: {path}: expected an array of one of {names}, "
                         f"got {array.dtype}")
    if not 1 <= array.ndim <= MAX_DIMENSIONS or max(array.shape) >= 2**32:
        raise ValueError(f"write_idx: {path}: expected 1 to {MAX_DIMENSIONS} dimensions, each "
                         f"below 2**32, got an array of shape {array.shape}")
    header = struct.pack(f">4B{array.ndim}I", 0, 0, codes[0], array.ndim, *array.shape)
    data = header + array.astype(big).tobytes()
    if str(path).endswith(".gz"):
        data = gzip.compress(data, mtime=0)  # no time stamp: the same array, the same bytes
    write_atomically(path, data)


def _to_hex(values):
    return " ".join(f"{value:02x}" for value in values) or "nothing"
