"""Whether operations are recorded for a walk back: no_grad and its opposite."""

import functools
import threading


class _Recording(threading.local):
    enabled = True


recording = _Recording()


class _recording_as:
    """Sets whether operations are recorded; a context and a decorator.

    >>> with no_grad(): ...
    >>> @no_grad()
    ... def sample(): ...
    """

    def __init__(self, function=None):
        self.before = []
        self.function = function

    def __enter__(self):
        self.before.append(recording.enabled)
        recording.enabled = self.enabled
        return self

    def __exit__(self, *exception):
        recording.enabled = self.before.pop()

    def __call__(self, *args, **kwargs):
        if self.function is not None:  # used as @no_grad, without brackets
            with self:
                return self.function(*args, **kwargs)
        function, = args

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


class no_grad(_recording_as):
    """Operations inside are not recorded."""
    enabled = False


class enable_grad(_recording_as):
    """Operations inside are recorded, even within no_grad."""
    enabled = True


def is_grad_enabled():
    return recording.enabled
