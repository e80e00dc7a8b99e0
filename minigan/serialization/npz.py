"""Reading and writing .npz files, NumPy's zip archives of .npy arrays.

`numpy.load` believes what a file says of itself: a shape of a few bytes makes it ask for any
amount of memory. Here an array is made when its bytes are there.
"""

import io
import math

import numpy

from minigan.checks import DamagedFileError, short_repr
from minigan.files import whole_file

MOST_PACKED = 1032  # deflate makes at most so many bytes of one
LONGEST_NAME = 60_000  # bytes, somewhat below what an archive's entry has room for


def write(path, arrays):
    """Write {name: array}. ValueError for a name that an archive cannot hold."""
    import zipfile  # here: it takes as long to load as all of minigan

    for name in arrays:
        if "\0" in name or len(name.encode()) > LONGEST_NAME:
            raise ValueError(f"the name {short_repr(name)} cannot stand in an .npz file")
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, array, allow_pickle=False)


def read(path):
    """{name: array}. OSError if the file cannot be read, DamagedFileError if it is damaged."""
    import zipfile

    size = path.stat().st_size
    arrays = {}
    with open(path, "rb") as file:
        try:
            if file.read(2) != b"PK":  # the archive alone, though others may be found in more
                raise DamagedFileError("byte 0: expected an .npz file of arrays, which begins with "
                                       "'PK', found something else")
            with zipfile.ZipFile(file) as archive:
                for info in archive.infolist():
                    name = info.filename.removesuffix(".npy")
                    if name in arrays:
                        raise DamagedFileError(f"entry {info.filename!r:.80}: expected each name "
                                               f"once, found it twice")
                    arrays[name] = _array(archive, info, size)
        except DamagedFileError as error:
            raise DamagedFileError(f"{path}: {error}") from error
        except MemoryError:
            raise  # the file is not to blame
        except Exception as error:  # the reader of zip archives has many ways to fail
            raise DamagedFileError(f"{path}: expected an .npz file of arrays, found a damaged or "
                                   f"foreign one: {' '.join(str(error).split())}") from error
    return arrays


def _array(archive, info, file_size):
    """The array of one entry."""
    where = f"entry {info.filename!r:.80}"
    if info.file_size > MOST_PACKED * file_size:
        raise DamagedFileError(f"{where}: expected what a file of {file_size} bytes can hold, "
                               f"found {info.file_size} bytes announced")
    try:
        with archive.open(info) as entry:
            data = entry.read(info.file_size + 1)
        stream = io.BytesIO(data)
        version = numpy.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format")
        header = (numpy.lib.format.read_array_header_1_0 if version == (1, 0) else
                  numpy.lib.format.read_array_header_2_0)
        shape, by_columns, dtype = header(stream)
    except MemoryError:
        raise
    except Exception as error:  # so have zlib and NumPy's reader of headers
        raise DamagedFileError(f"{where}: expected an .npy array, found a damaged or foreign "
                               f"entry: {' '.join(str(error).split()):.200}") from error
    values = memoryview(data)[stream.tell():]
    if dtype.kind not in "biuf" or dtype.shape or (
            min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(values)):
        raise DamagedFileError(f"{where}: expected the bytes of {dtype} of shape {shape}, numbers, "
                               f"found {len(values)} bytes")
    try:
        array = numpy.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C")
    except ValueError as error:  # zeros in a shape let the others be larger than any array's
        raise DamagedFileError(f"{where}: expected a shape that NumPy can hold, found "
                               f"{shape}") from error
    return array.astype(dtype.newbyteorder("="))  # a copy that can be written to
