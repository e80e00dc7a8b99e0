"""Errors that name the operation, the argument, what it was and what was needed."""

import functools
import inspect
import math
import textwrap
from numbers import Integral, Real

from minigan.hooks import hooks


class DamagedFileError(ValueError):
    """A file whose content is not what it should be. The message names the file and the place."""


class NotFiniteError(ValueError):
    """An operation that refused a nan, which a network that has diverged gives."""


class AnomalyError(ArithmeticError):
    """An operation that made a nan or an infinity, see `detect_anomaly`."""


def short_repr(value):
    """The value in one line of at most 60 characters."""
    return f"{' '.join(repr(value).split()):.60}"


def describe(value):
    """What a person calls this value: 'a float32 Tensor of shape (2, 3)', "str 'same'"."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = "Tensor" if hasattr(value, "array") else "array"
        return f"a {value.dtype} {kind} of shape {value.shape}"
    return f"{type(value).__name__} {short_repr(value)}"


def check_int(name, argument, value, least=1):
    """The value as an int. TypeError unless it is a whole number, ValueError below `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}: {argument} must be a whole number, got {describe(value)}")
    if value < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, got {value}")
    return int(value)


def check_number(name, argument, value, least=-math.inf, most=math.inf):
    """The value. TypeError unless it is a number, ValueError unless finite and in least..most."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: {argument} must be a number, got {describe(value)}")
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{name}: {argument} must be a finite number in {least}..{most}, "
                         f"got {value}")
    return value


def check_type(name, argument, value, kind):
    """The value. TypeError unless it is of that class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: {argument} must be a {kind.__name__}, got {describe(value)}")
    return value


def check_callable(name, argument, value):
    """The value. TypeError unless it can be called."""
    if not callable(value):
        raise TypeError(f"{name}: {argument} must be a function, got {describe(value)}")
    return value


LONGEST = 300  # characters of an explanation
# What NumPy and Python raise for arguments they cannot take.
UNEXPLAINED = (TypeError, ValueError, AttributeError, LookupError, OverflowError,
               ZeroDivisionError, MemoryError)


def check_options(name, given, supported):
    """Options of PyTorch's that have no effect here, or only the one they have by default.

    given      {option: value}, as the caller wrote them
    supported  {option: the values that mean what is done anyway}

    Raises TypeError for an option that is not among them, NotImplementedError for another value.
    """
    for option, value in given.items():
        if option not in supported:
            raise TypeError(f"{name}: unexpected option {option}={short_repr(value)}")
        if not any(value is same or value == same for same in supported[option]):
            raise NotImplementedError(f"{name}: {option}={short_repr(value)} is not supported, only "
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
            if hooks.observer is None:
                return function(*args, **kwargs)
            return hooks.observer.run("forward", function.__name__, function, args, kwargs)
        except UNEXPLAINED as error:
            if str(error).startswith(f"{function.__name__}:"):
                raise
            # Not bound to a name here: its traceback holds this frame, and a cycle would keep
            # all arguments alive until the collector runs.
            raise _explanation(function.__name__, function, args, kwargs, error) from error

    return explained


def explain_errors(function):
    """As `operation`, for what is none: constructors, by their class's name, and helpers."""
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except UNEXPLAINED as error:
            name = function.__name__
            name = type(args[0]).__name__ if name == "__init__" else name
            if str(error).startswith(f"{name}:"):
                raise
            raise _explanation(name, function, args, kwargs, error) from error

    return wrapper


def _explanation(name, function, args, kwargs, error):
    try:
        arguments = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError as mismatch:
        return TypeError(f"{name}: {mismatch}")
    arguments.pop("self", None)
    for argument, value in arguments.items():
        wanted = function.__annotations__.get(argument)
        if wanted is not None and not isinstance(value, wanted):
            return TypeError(f"{name}: {argument} must be a {wanted.__name__}, "
                             f"got {describe(value)}")
    message = f"{name}: {error}"
    if error.__cause__ is None:  # otherwise it was explained further inside
        message += "".join(f"; {argument} is {describe(value)}"
                           for argument, value in arguments.items())
    kind = TypeError if isinstance(error, (TypeError, AttributeError)) else ValueError
    return kind(textwrap.shorten(message, LONGEST, placeholder=" ..."))
