"""Whether operations are recorded for a walk back: no_grad and its opposite."""

import functools
import inspect
import threading

from minigan.checks import check_callable


class _Recording(threading.local):
    enabled = True


recording = _Recording()


class _recording_as:
    """Sets whether operations are recorded; a context, and a decorator with or without brackets.

    >>> with no_grad(): ...
    >>> @no_grad()
    ... def sample(): ...

    NotImplementedError for a generator function: write the `with` inside it.
    """

    def __new__(cls, function=None):
        return super().__new__(cls) if function is None else cls()(function)

    def __enter__(self):
        self.before = recording.enabled
        recording.enabled = self.enabled
        return self

    def __exit__(self, *exception):
        recording.enabled = self.before

    def __call__(self, function):
        check_callable(type(self).__name__, "function", function)
        if inspect.isgeneratorfunction(function):
            raise NotImplementedError(f"{type(self).__name__}: a generator function cannot be "
                                      f"decorated; use `with {type(self).__name__}()` inside it")

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with type(self)():  # one for each call: calls may be nested, or in several threads
                return function(*args, **kwargs)

        return wrapped


class no_grad(_recording_as):
    """Operations inside are not recorded."""
    enabled = False


class enable_grad(_recording_as):
    """Operations inside are recorded, even within no_grad."""
    enabled = True


def is_grad_enabled():
    """Whether operations are recorded, in this thread."""
    return recording.enabled
