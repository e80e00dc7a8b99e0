"""Grad mode: whether operations record the graph that a backward pass needs."""

import functools
import inspect
import threading

from minigan.checks import check_callable


class _GradMode(threading.local):
    enabled = True


grad_mode = _GradMode()


class _SetGradMode:
    """Sets the grad mode; a context, and a decorator with or without brackets.

    >>> with no_grad(): ...
    >>> @no_grad()
    ... def sample(): ...

    NotImplementedError for a generator function: write the `with` inside it.
    """

    def __new__(cls, function=None):
        return super().__new__(cls) if function is None else cls()(function)

    def __enter__(self):
        self.before = grad_mode.enabled
        grad_mode.enabled = self.enabled
        return self

    def __exit__(self, *exception):
        grad_mode.enabled = self.before

    def __call__(self, function):
        name = type(self).__name__
        check_callable(name, "function", function)
        if inspect.isgeneratorfunction(function):
            raise NotImplementedError(f"{name}: a generator function cannot be decorated; use "
                                      f"`with {name}()` inside it")

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with type(self)():  # a new one for each call: calls may be nested, or in threads
                return function(*args, **kwargs)

        return wrapped


class no_grad(_SetGradMode):
    """Operations inside record no graph."""
    enabled = False


class enable_grad(_SetGradMode):
    """Operations inside record the graph, even within no_grad."""
    enabled = True


def is_grad_enabled():
    """Whether operations record the graph, in this thread."""
    return grad_mode.enabled
