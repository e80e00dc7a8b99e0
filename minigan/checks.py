"""Errors that name the operation, the argument, what it was and what was needed."""

import functools
import inspect
import math
import textwrap
from numbers import Integral, Real

import numpy

from minigan.hooks import look


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
        return f"a {value.dtype} {kind} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} {short_repr(value)}"


def check_int(name, argument, value, least=1):
    """The value as an int. TypeError unless it is an integer, ValueError below `least`."""
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise TypeError(f"{name}: {argument} must be an integer, got {describe(value)}")
    if value < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, got {value}")
    return int(value)


def check_number(name, argument, value, least=-math.inf, most=math.inf):
    """The value. TypeError unless it is a number, ValueError unless finite and in least..most."""
    # Most are ints: the other questions take longer.
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, Real)):
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


def check_part(function, module, name, part, kind):
    """That a Module can have a part, of that class or None, by this name."""
    if not isinstance(name, str):
        raise TypeError(f"{function}: name must be a text, got {describe(name)}")
    if part is not None and not isinstance(part, kind):
        raise TypeError(f"{function}: {name} must be a {kind.__name__} or None, "
                        f"got {describe(part)}")
    taken = hasattr(module, name) and not isinstance(getattr(module, name), (kind, type(None)))
    if not name or "." in name or taken:
        raise ValueError(f"{function}: {short_repr(name)} cannot be the name of a part"
                         + taken * f": {type(module).__name__} has such an attribute")


def check_callable(name, argument, value):
    """The value. TypeError unless it can be called."""
    if not callable(value):
        raise TypeError(f"{name}: {argument} must be a function, got {describe(value)}")
    return value


def check_dtype(name, dtype, default=None):
    """A dtype of numbers; the default for None. TypeError for anything else."""
    dtype = default if dtype is None else dtype
    try:
        if dtype is not None and numpy.dtype(dtype).kind in "biuf":  # NumPy takes None for float64
            return numpy.dtype(dtype)
    except (TypeError, ValueError):
        pass  # reported below, with the name
    raise TypeError(f"{name}: expected a dtype of numbers such as float32, got {describe(dtype)}")


def check_axis(name, dim, ndim):
    """An axis counted from 0. ValueError if it is out of range, TypeError if no integer."""
    dim = check_int(name, "dim", dim, -math.inf)
    # A 0-d tensor takes 0 and -1, as in PyTorch.
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise ValueError(f"{name}: dim {dim} is out of range for {ndim} dimensions")
    return dim % max(ndim, 1)


def check_axes(name, dim, ndim):
    """A tuple of distinct axes counted from 0; all of them for None and ()."""
    dims = dim if isinstance(dim, (tuple, list)) else () if dim is None else (dim,)
    axes = tuple(check_axis(name, d, ndim) for d in dims)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dim {dim} names an axis twice")
    return axes or tuple(range(ndim))


def check_pair(name, argument, value, least):
    """An integer or a pair of them as a pair, each at least `least`."""
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int and (
            value[0] >= least <= value[1]):
        return value  # as layers pass it on, in every step
    both = (value, value) if isinstance(value, Integral) else value
    if not isinstance(both, (tuple, list)) or not 1 <= len(both) <= 2 or not all(
            isinstance(v, Integral) and not isinstance(v, bool) for v in both):
        raise TypeError(f"{name}: {argument} must be an integer or a pair, got {describe(value)}")
    both = (int(both[0]), int(both[-1]))
    if min(both) < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, got {describe(value)}")
    return both


def check_bounds(name, min, max):
    """Limits as Python's numbers, one of which may be None."""
    for bound in (min, max):
        if hasattr(bound, "requires_grad"):
            raise NotImplementedError(f"{name}: min and max must be numbers, Tensors are not "
                                      f"supported")
        if bound is not None and not isinstance(bound, Real):
            raise TypeError(f"{name}: min and max must be numbers, got {describe(bound)}")
    if min is None and max is None:
        raise ValueError(f"{name}: at least one of min and max is needed")
    return tuple(b.item() if isinstance(b, numpy.generic) else b for b in (min, max))


def check_sizes(name, sizes, least=-math.inf):
    """(2, 3), ((2, 3),) and ([2, 3],) all as a tuple of integers, each at least `least`."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes, = sizes
    return tuple([check_int(name, "a size", size, least) for size in sizes])


# The arguments of operations, as plain arrays: what NumPy would let pass in silence, or would
# explain in its own terms only

def check_floating(name, x):
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: input must be floating-point, got {x.dtype}")


def check_same_dtype(name, x, w, b):
    if x.dtype != w.dtype or x.dtype.kind != "f" or (b is not None and b.dtype != x.dtype):
        raise TypeError(f"{name}: input, weight and bias must share a floating-point dtype, got "
                        f"{x.dtype}, {w.dtype}" + ("" if b is None else f", {b.dtype}"))


def check_linear(x, w, b):
    if w.ndim != 2 or x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ValueError(f"linear: input of shape {x.shape} does not fit weight of shape "
                         f"{w.shape}; needed are (..., in) and (out, in)")
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"linear: bias must have shape {w.shape[:1]}, got {b.shape}")
    check_same_dtype("linear", x, w, b)


def check_embedding(i, w, padding_idx):
    if i.dtype.kind not in "iu":
        raise TypeError(f"embedding: input must hold integers, got {i.dtype}")
    if w.ndim != 2:
        raise ValueError(f"embedding: weight must have shape (V,D), got {w.shape}")
    if padding_idx is not None and not (isinstance(padding_idx, Integral)
                                        and -w.shape[0] <= padding_idx < w.shape[0]):
        raise ValueError(f"embedding: padding_idx must name one of {w.shape[0]} rows, "
                         f"got {describe(padding_idx)}")
    check_range("embedding", "indices", i, w.shape[0])


def check_prelu(x, w):
    if w.dtype != x.dtype:
        raise TypeError(f"prelu: weight has dtype {w.dtype}, input has {x.dtype}")
    if w.ndim > 1 or w.size != 1 and (x.ndim < 2 or w.size != x.shape[1]):
        raise ValueError(f"prelu: weight must have shape (1,) or (C,) for input (N,C,...), got "
                         f"{w.shape} and {x.shape}")


def check_mask(name, argument, mask):
    if not hasattr(mask, "array") or mask.dtype != "bool":
        raise TypeError(f"{name}: {argument} must be a bool Tensor, got {describe(mask)}")


def check_fill(name, value, dtype):
    """A number that the dtype can hold, or a Tensor of one."""
    if hasattr(value, "array"):
        if value.array.ndim:
            raise ValueError(f"{name}: value must be a number or a Tensor without dimensions, got "
                             f"{describe(value)}")
    elif dtype.kind in "iu" and isinstance(value, Real) and not (
            float(value).is_integer() and numpy.iinfo(dtype).min <= value <= numpy.iinfo(dtype).max):
        raise ValueError(f"{name}: {dtype} cannot hold {describe(value)}")


def check_places(name, x, axis, i):
    """i: an index into x along an axis, for each place of its own shape."""
    if i.dtype.kind not in "iu" or i.dtype == "uint8":
        raise TypeError(f"{name}: index must hold integers, got {i.dtype}")
    if not x.ndim or i.ndim != x.ndim or any(
            n > m for a, (n, m) in enumerate(zip(i.shape, x.shape)) if a != axis):
        raise ValueError(f"{name}: index of shape {i.shape} does not fit the tensor's {x.shape}, "
                         f"only dimension {axis} may be longer")
    check_range(name, "index", i, x.shape[axis])


def check_range(name, argument, i, count):
    """Integers in 0..count - 1; on a GPU, which a look would make wait, they are not checked."""
    if isinstance(i, numpy.ndarray) and i.size:
        look(check_numbers_in_range, name, argument, i, count)


def check_numbers_in_range(name, argument, i, count):
    if i.min() < 0 or i.max() >= count:
        raise ValueError(f"{name}: {argument} must lie in 0..{count - 1}, got {int(i.min())} to "
                         f"{int(i.max())}")


def check_one_hot(i, C):
    if i.dtype.kind not in "iu":
        raise TypeError(f"one_hot: input must hold integers, got {i.dtype}")
    check_range("one_hot", "input", i, C)


def check_norm(p):
    """p as a number: 'fro' is 2."""
    p = 2 if isinstance(p, str) and p == "fro" else p
    if isinstance(p, bool) or not isinstance(p, Real) or not p >= 1:
        raise ValueError(f"norm: p must be 'fro' or a number of at least 1, got {describe(p)}")
    return p


def check_padding(x, pad, mode, value):
    """(before, after) for each axis of x, from PyTorch's list that begins with the last one."""
    if mode not in ("constant", "reflect", "replicate"):
        raise NotImplementedError(f"pad: mode={short_repr(mode)} is not supported, only "
                                  f"'constant', 'reflect' and 'replicate'")
    if not isinstance(pad, (tuple, list)) or len(pad) % 2 or not all(
            isinstance(n, Integral) and not isinstance(n, bool) for n in pad):
        raise TypeError(f"pad: pad must be pairs of integers, got {describe(pad)}")
    if len(pad) > 2 * x.ndim:
        raise ValueError(f"pad: {len(pad)} numbers are too many for {x.ndim} dimensions")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [
        (int(pad[i]), int(pad[i + 1])) for i in range(len(pad) - 2, -1, -2)]
    for n, (before, after) in zip(x.shape, pairs):
        least, most = {"constant": (-n, math.inf), "reflect": (0, n - 1),
                       "replicate": (0, math.inf if n else 0)}[mode]
        if not least <= min(before, after) <= max(before, after) <= most or n + before + after < 0:
            raise ValueError(f"pad: {short_repr(pad)} does not fit an input of shape {x.shape} in "
                             f"mode {mode!r}")
    if mode != "constant" and value:
        raise ValueError(f"pad: value={short_repr(value)} is for mode 'constant' alone")
    return pairs


def check_interpolation(name, size, scale_factor, mode, align_corners):
    """(size, factors): the one that is given as a pair, the other None."""
    if mode not in ("nearest", "bilinear"):
        raise NotImplementedError(f"{name}: mode={short_repr(mode)} is not supported, only "
                                  f"'nearest' and 'bilinear'")
    check_options(name, {"align_corners": align_corners},
                  {"align_corners": (None,) if mode == "nearest" else (None, False, True)})
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{name}: expected either size or scale_factor, got {describe(size)} and "
                         f"{describe(scale_factor)}")
    if size is not None:
        return check_pair(name, "size", size, 1), None
    both = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * 2
    if len(both) != 2:
        raise ValueError(f"{name}: scale_factor must be a number or a pair, "
                         f"got {describe(scale_factor)}")
    for s in both:
        if not check_number(name, "scale_factor", s) > 0:
            raise ValueError(f"{name}: scale_factor must be above 0, got {describe(scale_factor)}")
    return None, tuple(both)


def check_convolution(name, x, w, b, groups, channels, outputs):
    """channels, outputs: which axes of the weight (O,C,KH,KW) or (C,O,KH,KW) hold them."""
    check_int(name, "groups", groups)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: input must have shape (N,C,H,W) or (C,H,W), got {x.shape}")
    if w.ndim != 4:
        raise ValueError(f"{name}: weight must have 4 dimensions, got shape {w.shape}")
    # conv2d's weight has the channels of one group, conv_transpose2d's the outputs of one.
    C = w.shape[channels] * (groups if channels else 1)
    O = w.shape[outputs] * (groups if outputs else 1)
    if x.shape[-3] != C:
        raise ValueError(f"{name}: input of shape {x.shape} has {x.shape[-3]} channels, weight of "
                         f"shape {w.shape} needs {C}")
    if C % groups or O % groups:
        raise ValueError(f"{name}: {C} channels and {O} outputs cannot be parted into {groups} "
                         f"groups")
    if b is not None and b.shape != (O,):
        raise ValueError(f"{name}: bias must have shape ({O},), got {b.shape}")
    check_same_dtype(name, x, w, b)


def check_affine(name, x, shape, weight, bias):
    """weight, bias: Tensors or None."""
    check_floating(name, x)
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape:
            raise ValueError(f"{name}: {argument} must have shape {shape}, got {tuple(value.shape)}")
        if value is not None and value.dtype != x.dtype:
            raise TypeError(f"{name}: {argument} has dtype {value.dtype}, input has {x.dtype}")


def check_batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps,
                     is_whole=True):
    """x (N,C,...); the others but numbers: Tensors (C,) or None. is_whole: whether x is all of the
    batch."""
    if not (eps >= 0 and 0 <= momentum <= 1):
        raise ValueError(f"batch_norm: eps must be at least 0 and momentum lie in 0..1, got "
                         f"{describe(eps)} and {describe(momentum)}")
    if x.ndim < 2:
        raise ValueError(f"batch_norm: input must have shape (N,C,...), got {x.shape}")
    check_affine("batch_norm", x, x.shape[1:2], weight, bias)
    for argument, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is not None and value.requires_grad:
            raise ValueError(f"batch_norm: {argument} is changed in place, it cannot require a "
                             f"gradient")
        if value is not None and value.shape != x.shape[1:2]:
            raise ValueError(f"batch_norm: {argument} must have shape {x.shape[1:2]}, "
                             f"got {tuple(value.shape)}")
    if training and is_whole and x.size == x.shape[1] > 0:
        raise ValueError(f"batch_norm: training needs more than one value a channel, "
                         f"got input of shape {x.shape}")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("batch_norm: evaluation needs running_mean and running_var")


def check_adaptive(x, output_size):
    """(OH, OW) for an image (N,C,H,W) or (C,H,W)."""
    name = "adaptive_avg_pool2d"
    if x.ndim not in (3, 4) or x.dtype.kind != "f" or not x.shape[-2] or not x.shape[-1]:
        raise ValueError(f"{name}: input must be floating-point of shape (N,C,H,W) or (C,H,W), "
                         f"got {x.dtype} of shape {x.shape}")
    both = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(both) != 2:
        raise TypeError(f"{name}: output_size must be an integer, None or a pair of them, got "
                        f"{describe(output_size)}")
    return tuple(old if n is None else check_int(name, "output_size", n)
                 for n, old in zip(both, x.shape[-2:]))


def check_instance_norm(x, running_mean, running_var, weight, bias, use_input_stats):
    """x (N,C,...); weight, bias: Tensors (C,) or None."""
    if running_mean is not None or running_var is not None or not use_input_stats:
        raise NotImplementedError("instance_norm: running_mean, running_var and "
                                  "use_input_stats=False are not supported")
    if x.ndim < 3:
        raise ValueError(f"instance_norm: input must have shape (N,C,...), got {x.shape}")
    if math.prod(x.shape[2:]) == 1 and x.size:
        raise ValueError(f"instance_norm: expected more than one value a channel, got input of "
                         f"shape {x.shape}")
    check_affine("instance_norm", x, x.shape[1:2], weight, bias)


def check_layer_norm(x, shape, weight, bias, eps):
    """shape: the normalized one. weight, bias: Tensors of that shape or None."""
    if not eps >= 0:
        raise ValueError(f"layer_norm: eps must be at least 0, got {describe(eps)}")
    if not shape or x.shape[-len(shape):] != shape:
        raise ValueError(f"layer_norm: input of shape {x.shape} does not end in {shape}")
    check_affine("layer_norm", x, shape, weight, bias)


def check_target(name, x, t):
    """An input and a target of one shape and dtype."""
    if x.shape != t.shape:
        raise ValueError(f"{name}: input of shape {x.shape} and target of shape {t.shape} "
                         f"must have the same shape")
    if x.dtype != t.dtype or x.dtype.kind != "f":
        raise TypeError(f"{name}: input and target must share a floating-point dtype, "
                        f"got {x.dtype} and {t.dtype}")


def check_reduction(name, reduction, size_average=None, reduce=None):
    if size_average is not None or reduce is not None:
        check_options(name, {"size_average": size_average, "reduce": reduce},
                      {"size_average": (None,), "reduce": (None,)})
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', "
                         f"got {describe(reduction)}")


def check_classes(name, x, ignore_index):
    """The axis of the classes. x: scores of C > 0 classes, (C,), (N,C) or (N,C,...)."""
    axis = 0 if x.ndim == 1 else 1
    if x.ndim == 0 or x.dtype.kind != "f" or not x.shape[axis]:
        raise ValueError(f"{name}: input must be floating-point of shape (C,), (N,C) or (N,C,...) "
                         f"with C > 0, got {x.dtype} of shape {x.shape}")
    if not isinstance(ignore_index, Integral):
        raise TypeError(f"{name}: ignore_index must be an integer, got {describe(ignore_index)}")
    return axis


def check_indices(name, x, axis, t, ignore_index, otherwise=""):
    """t: a class index for each loss. axis: of the classes. otherwise: what else it could be."""
    shape = x.shape[:axis] + x.shape[axis + 1:]
    if t.dtype.kind not in "iu" or t.shape != shape:
        raise ValueError(f"{name}: for input of shape {x.shape}, target must hold integers of "
                         f"shape {shape}{otherwise}; got {t.dtype} of shape {t.shape}")
    if isinstance(t, numpy.ndarray):  # on a GPU a look would make the device wait
        look(check_class_indices, name, t, x.shape[axis], ignore_index)


def check_class_indices(name, t, C, ignore_index):
    wrong = (t != ignore_index) & ((t < 0) | (t >= C))
    if wrong.any():
        raise ValueError(f"{name}: target indices must lie in 0..{C - 1} or be "
                         f"ignore_index={ignore_index}, got {int(t[wrong][0])}")


def check_constant(name, argument, value, shape):
    """A Tensor that broadcasts to a shape and needs no gradient, or None."""
    if value is None:
        return
    if not hasattr(value, "requires_grad"):
        raise TypeError(f"{name}: {argument} must be a Tensor or None, got {describe(value)}")
    if value.requires_grad:
        raise NotImplementedError(f"{name}: {argument} cannot be differentiated; detach() it")
    if len(value.shape) > len(shape) or not all(
            n in (1, m) for n, m in zip(value.shape[::-1], shape[::-1])):
        raise ValueError(f"{name}: {argument} of shape {tuple(value.shape)} does not broadcast to "
                         f"{shape}")


def check_probabilities(name, argument, p):
    """Numbers in 0..1; on a GPU, which a look would make wait, they are not checked."""
    if not isinstance(p, numpy.ndarray):
        return
    p = numpy.asarray(p)  # a look at the numbers, and no part of a captured step
    if ((p >= 0) & (p <= 1)).all():
        return
    if numpy.isnan(p).any():
        raise NotFiniteError(f"{name}: {argument} must lie in 0..1, got nan")
    raise ValueError(f"{name}: {argument} must lie in 0..1, got values from {p.min():g} to "
                     f"{p.max():g}")


LONGEST = 300  # characters of an explanation
# What NumPy and Python raise for arguments they cannot take.
EXPLAINABLE = (TypeError, ValueError, AttributeError, LookupError, OverflowError,
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


def explain_errors(function):
    """Decorate a function that is not an operation, such as a constructor, so that whatever it
    cannot take ends in an error with its name and arguments."""
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except EXPLAINABLE as error:
            name = function.__name__
            name = type(args[0]).__name__ if name == "__init__" else name
            name = args[0].__name__ if name == "__new__" else name
            if str(error).startswith(f"{name}:"):
                raise
            raise explanation(name, function, args, kwargs, error) from error

    return wrapper


def explanation(name, function, args, kwargs, error):
    try:
        arguments = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError as mismatch:
        return TypeError(f"{name}: {mismatch}")
    arguments = {name: value for name, value in arguments.items() if name not in ("self", "cls")}
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
