"""Errors that name the operation, the argument, what it was and what was needed."""

import functools
import inspect

from minigan.watching import watching


class DamagedFileError(ValueError):
    """A file whose content is not what it should be. The message names the file and the place."""


class AnomalyError(ArithmeticError):
    """An operation that made a nan or an infinity, see `detect_anomaly`."""


def describe(value):
    """What a person calls this value: 'a float32 Tensor of shape (2, 3)', "str 'same'"."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = "Tensor" if hasattr(value, "array") else "array"
        return f"a {value.dtype} {kind} of shape {value.shape}"
    return f"{type(value).__name__} {value!r:.60}"


def check_options(name, given, supported):
    """Options of PyTorch's that have no effect here, or only the one they have by default.

    given      {option: value}, as the caller wrote them
    supported  {option: the values that mean what is done anyway}

    Raises TypeError for an option that is not among them, NotImplementedError for another value.
    """
    for option, value in given.items():
        if option not in supported:
            raise TypeError(f"{name}: unexpected option {option}={value!r:.60}")
        if not any(value is same or value == same for same in supported[option]):
            raise NotImplementedError(f"{name}: {option}={value!r:.60} is not supported, only "
                                      f"{' and '.join(map(repr, supported[option]))}")


def operation(function):
    """Mark an operation: whatever it cannot take ends in an error with its name.

    An operation checks first only what NumPy would let pass in silence. The rest is explained
    here, on the failing path, so that it costs a training step nothing: an argument that is not
    of the class it is annotated with, or what NumPy said together with all arguments.
    """
    @functools.wraps(function)
    def explained(*args, **kwargs):
        try:
            if watching.observer is None:
                return function(*args, **kwargs)
            return watching.observer.run("forward", function.__name__, function, args, kwargs)
        except (TypeError, ValueError, AttributeError, IndexError, KeyError,
                OverflowError) as error:
            if str(error).startswith(f"{function.__name__}:"):
                raise
            # Not bound to a name here: its traceback holds this frame, and a cycle would keep
            # all arguments alive until the collector runs.
            raise _explanation(function, args, kwargs, error) from error

    return explained


def _explanation(function, args, kwargs, error):
    name = function.__name__
    try:
        arguments = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError as mismatch:
        return TypeError(f"{name}: {mismatch}")
    for argument, value in arguments.items():
        wanted = function.__annotations__.get(argument)
        if wanted is not None and not isinstance(value, wanted):
            return TypeError(f"{name}: {argument} must be a {wanted.__name__}, "
                             f"got {describe(value)}")
    told = "; ".join(f"{argument} is {describe(value)}" for argument, value in arguments.items())
    kind = TypeError if isinstance(error, (TypeError, AttributeError)) else ValueError
    return kind(f"{name}: {error}; {told}")
