"""Messages to whoever runs a program, on stderr."""

import contextlib
import sys


def report(text, end="\n", stream=None):
    """Write a line to `stream`, by default stderr.

    A message is no reason to end a training: it is dropped where the program has no stderr, where
    that was closed or where its disk is full.
    """
    stream = sys.stderr if stream is None else stream
    if stream is None:
        return
    # ValueError: the stream is closed. RuntimeError: a signal handler's message came amid another.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        stream.write(text + end)
        stream.flush()


def is_terminal(stream):
    """Whether a stream, which may be None or closed, is a terminal."""
    return stream is not None and not stream.closed and stream.isatty()
