"""Reading gzip files in bounded memory, whatever their bytes are."""

import contextlib
import gzip
import zlib

from minigan.checks import DamagedFileError

RATIO = 1032  # deflate compresses nothing by more than this factor
PART = 1 << 20  # bytes read at a time


@contextlib.contextmanager
def open_gzip(file, name):
    """An open binary file that decompresses this one, or the file itself if it is not gzipped.

    file  has `peek`, as files from `open` have

    If the block finds the content damaged or truncated, it raises DamagedFileError, which begins
    with this name.
    """
    if not file.peek(2).startswith(b"\x1f\x8b"):
        yield file
        return
    content = gzip.GzipFile(fileobj=file)
    try:
        yield content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFileError(f"{name}: expected a whole gzip file, found a truncated or damaged "
                               f"one: {error}; {content.tell()} bytes were decompressed") from error


def read_parts(file, most):
    """Yield up to `most` bytes of a file in parts: memory grows only with what is there."""
    while most > 0 and (part := file.read(min(most, PART))):
        most -= len(part)
        yield part
