"""What deflate packed (gzip, zlib), unpacked in no more memory than is asked for."""

import contextlib
import gzip
import zlib

from minigan.errors import DamagedFileError

RATIO = 1032  # deflate makes nothing smaller than by this factor
AT_ONCE = 1 << 20


@contextlib.contextmanager
def gunzipped(file, name):
    """An open binary file, read as it is, or gunzipped if its content is gzip's.

    file  has `peek`, as those that `open` gives

    DamagedFileError, which begins with this name, if in the block the content turns out not to be
    a whole gzip file.
    """
    if not file.peek(2).startswith(b"\x1f\x8b"):
        yield file
        return
    content = gzip.GzipFile(fileobj=file)
    try:
        yield content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFileError(f"{name}: expected a whole gzip file, found a truncated or damaged "
                               f"one: {error}; {content.tell()} bytes were unpacked") from error


def parts(file, most):
    """Yield up to `most` bytes of a file, AT_ONCE at a time: memory follows what is there."""
    while most > 0 and (part := file.read(min(most, AT_ONCE))):
        most -= len(part)
        yield part


def inflated(data, size):
    """The content of a zlib stream that unpacks to this many bytes at most; else ValueError."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, size + 1)  # a size of 0 would mean any
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof:
        raise ValueError(f"expected a zlib stream of at most {size} bytes, found a truncated or "
                         f"longer one")
    return content
