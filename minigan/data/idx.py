"""IDX, the file format of MNIST.

A file is two zero bytes, a byte for the type of the numbers, a byte for the number of dimensions,
each dimension as a 32-bit whole number, and then the numbers; the largest byte of each comes first.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy

from minigan.files import write_whole


TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 32  # what every version of NumPy can hold


def read_idx(path):
    """The array in an IDX file, gzipped or not; its dtype is the file's, in native byte order.

    Raises OSError if the file cannot be opened, ValueError if it is not a whole IDX file.
    """
    data = unpacked(Path(path).read_bytes(), path)
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file: expected it to start with two zero bytes, a "
                         f"type and a number of dimensions, found {_shown(data[:4])}")
    code, ndim = data[2], data[3]
    if code not in TYPES:
        raise ValueError(f"{path}: not an IDX file: expected one of the types "
                         f"{_shown(TYPES)}, found {code:02x}")
    if not 1 <= ndim <= MAX_DIMENSIONS:
        raise ValueError(f"{path}: expected 1 to {MAX_DIMENSIONS} dimensions, found {ndim}")
    start = 4 + 4 * ndim
    if len(data) < start:
        raise ValueError(f"{path}: expected a header of {start} bytes for {ndim} dimensions, "
                         f"found {len(data)} bytes in all")
    shape = struct.unpack(f">{ndim}I", data[4:start])
    dtype = numpy.dtype(TYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise ValueError(f"{path}: expected {expected} bytes after the header for {dtype.name} "
                         f"of shape {shape}, found {len(data) - start}")
    array = numpy.frombuffer(data, dtype, offset=start).astype(dtype.newbyteorder("="))
    try:
        return array.reshape(shape)
    except ValueError as error:
        # Zeros among the dimensions let the others be larger than any array's.
        raise ValueError(f"{path}: expected a shape that NumPy can hold, found {shape}") from error


def write_idx(path, array):
    """Write an array as an IDX file, gzipped if the name ends in .gz.

    array  uint8, int8, int16, int32, float32 or float64, of 1 to 32 dimensions

    The file appears whole or not at all. Raises ValueError for an array IDX has no form for.
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
    write_whole(path, data)


def unpacked(data, name):
    """The bytes, gunzipped if they are gzip's; ValueError with this name if they are damaged."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{name}: expected a whole gzip file, found a truncated or damaged one: "
                         f"{error}") from error


def _shown(values):
    return " ".join(f"{value:02x}" for value in values) or "nothing"
