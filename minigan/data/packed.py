"""Packed bytes, unpacked in no more memory than is asked for, whatever they are."""

import contextlib
import gzip
import zlib

from minigan.checks import DamagedFileError

RATIO = 1032  # deflate makes nothing smaller than by this factor, and LZF does less
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


def unpacked_lzf(data, size):
    """The content of LZF's stream, which unpacks to this many bytes; else ValueError.

    A byte below 32 is followed by that many literal bytes and one more. In others the upper three
    bits are how many bytes are to be repeated, less 2 (7: and as many more as the next byte says),
    and the lower five, with the next byte, how far back they are, less 1.
    """
    content, at = bytearray(), 0
    try:
        while at < len(data) and len(content) <= size:
            code = data[at]
            at += 1
            if code < 32:
                content += data[at:at + code + 1]
                at += code + 1
                continue
            length = (code >> 5) + 2
            if length == 9:
                length += data[at]
                at += 1
            back = (code % 32 << 8 | data[at]) + 1
            at += 1
            start = len(content) - back
            if start < 0:
                raise ValueError(f"LZF: a repetition from {-start} bytes before the start")
            repeated = content[start:start + length]
            # A repetition may reach into itself.
            content += (repeated * (length // len(repeated) + 1))[:length]
    except IndexError as error:
        raise ValueError("LZF: a truncated stream") from error
    if len(content) != size:
        raise ValueError(f"LZF: expected {size} bytes, found {len(content)}, or more to come")
    return bytes(content)
