"""Making tensors from data, from a constant and from chance."""

import math
from numbers import Integral

import numpy

from minigan.size import Size
from minigan.tensor import Tensor, from_array
from minigan.device import (
    bool as boolean, device_module, device_of, filled, float32, float64, generator, int32, int64,
    to_device, uint8)
from minigan.checks import check_dtype, check_int, check_number, check_sizes, describe
from minigan.autograd import operation
from minigan.hooks import refuse_in_capture


def as_array(data, dtype=None, device=None):
    """A new plain array of a number, nested lists, an array or a Tensor.

    Arrays keep their dtype; Python floats become float32, integers int64, booleans bool.
    Raises TypeError for what is not numbers, ValueError for rows of unequal length and numbers
    that the dtype cannot hold.
    """
    dtype = None if dtype is None else check_dtype("tensor", dtype)
    if isinstance(data, Tensor):
        data = data.array
    elif isinstance(data, numpy.ndarray):
        refuse_in_capture("an array from outside", "pass it in as a Tensor")
    if hasattr(data, "__array__") and not isinstance(data, numpy.ndarray) and (
            not hasattr(data, "__cuda_array_interface__")):
        data = numpy.asarray(data)  # of another library too, such as a column of a table
    if not (hasattr(data, "dtype") and hasattr(data, "shape")):
        numbers = plain_lists(data) if isinstance(first_of(data), Tensor) else data
        try:
            array = numpy.array(numbers)
            if dtype is not None and dtype.kind in "iu" and array.dtype.kind in "biuf":
                array = numpy.array(numbers, dtype)  # unlike a cast, refuses what it cannot hold
        except (ValueError, OverflowError) as error:
            raise ValueError(f"tensor: expected rows of equal length and numbers that fit; "
                             f"{error}") from None
        if array.dtype == "float64" and dtype is None:
            dtype = numpy.result_type(*(float_dtypes(data) or {float32}))
        data = array
    if data.dtype.kind not in "biuf":
        raise TypeError(f"tensor: expected numbers, got {describe(data)}")
    # By its type: in the machine's byte order, as files often have the other one, and NumPy's own
    # object, which the kernels look for.
    dtype = numpy.dtype(numpy.dtype(dtype or data.dtype).type)
    return device_module(device).array(to_device(data, device), dtype=dtype, order="C")


def first_of(data):
    """The first entry of nested lists."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def float_dtypes(data):
    """The floating-point dtypes in nested lists: float32 for Python's own, others keep theirs."""
    if isinstance(data, (list, tuple)):
        if set(map(type, data)) <= {float, int, bool}:
            return {float32}
        return set().union(*map(float_dtypes, data))
    dtype = getattr(data, "dtype", float32 if isinstance(data, float) else int64)
    return {dtype} if dtype.kind == "f" else set()


def plain_lists(data):
    """Nested lists with the Tensors in them as lists too."""
    if isinstance(data, (list, tuple)):
        return [plain_lists(row) for row in data]
    return data.tolist() if isinstance(data, Tensor) else data


@operation
def tensor(data, dtype=None, device=None, requires_grad=False):
    """A Tensor that owns a copy of `data`: a number, nested lists, an array or a Tensor.

    Arrays keep their dtype; Python floats become float32, integers int64, booleans bool.
    device: 'cpu', 'cuda' or None for the default device.
    Raises TypeError for what is not numbers, ValueError for rows of unequal length.
    """
    return finished(as_array(data, dtype, device), requires_grad)


@operation
def FloatTensor(*data):
    """A float32 Tensor of a list or an array (copied), or of zeros: FloatTensor(2, 3),
    FloatTensor(x.size())."""
    return typed(data, float32)


@operation
def DoubleTensor(*data):
    """As FloatTensor, in float64."""
    return typed(data, float64)


@operation
def LongTensor(*data):
    """As FloatTensor, in int64."""
    return typed(data, int64)


@operation
def IntTensor(*data):
    """As FloatTensor, in int32."""
    return typed(data, int32)


@operation
def ByteTensor(*data):
    """As FloatTensor, in uint8."""
    return typed(data, uint8)


@operation
def BoolTensor(*data):
    """As FloatTensor, in bool."""
    return typed(data, boolean)


def typed(data, dtype, device=None):
    """What FloatTensor(*data) and its like return: of sizes if they are given, else of data."""
    if all(isinstance(n, Integral) for n in data) or isinstance(data[0], Size):
        return zeros(*data or (0,), dtype=dtype, device=device)
    values, = data
    return from_array(as_array(values, dtype, device))


def is_tensor(obj):
    """Whether it is a Tensor."""
    return isinstance(obj, Tensor)


def finished(array, requires_grad):
    result = from_array(array)
    return result.requires_grad_() if requires_grad else result


@operation
def zeros(*size, dtype=float32, device=None, requires_grad=False):
    """A Tensor of zeros: zeros(2, 3) or zeros((2, 3))."""
    size, dtype = check_sizes("zeros", size, 0), check_dtype("zeros", dtype, float32)
    return finished(device_module(device).zeros(size, dtype), requires_grad)


@operation
def ones(*size, dtype=float32, device=None, requires_grad=False):
    """A Tensor of ones."""
    size, dtype = check_sizes("ones", size, 0), check_dtype("ones", dtype, float32)
    return finished(filled(device_module(device), size, 1, dtype), requires_grad)


@operation
def empty(*size, dtype=float32, device=None, requires_grad=False):
    """A Tensor whose values are whatever the memory held: to be filled."""
    size, dtype = check_sizes("empty", size, 0), check_dtype("empty", dtype, float32)
    return finished(device_module(device).empty(size, dtype), requires_grad)


@operation
def full(size, fill_value, dtype=None, device=None, requires_grad=False):
    """A Tensor of one value; a Python float makes it float32, an integer int64."""
    size = check_sizes("full", (size,), 0)
    if isinstance(fill_value, numpy.generic):
        fill_value = fill_value.item()
    if type(fill_value) is not float or dtype is not None:
        number = as_array(fill_value, dtype, "cpu")
        if number.ndim:
            raise TypeError(f"full: fill_value must be one number, got {describe(fill_value)}")
        fill_value, dtype = number.item(), number.dtype
    array = filled(device_module(device), size, fill_value, dtype or float32)
    return finished(array, requires_grad)


def like(make, input, *args, dtype, device, requires_grad):
    """What `make` makes of the arguments, in the dtype and place of a Tensor if these are None."""
    x = input.array
    return make(*args, dtype=x.dtype if dtype is None else dtype,
                device=device_of(x) if device is None else device, requires_grad=requires_grad)


@operation
def zeros_like(input: Tensor, dtype=None, device=None, requires_grad=False):
    """Zeros in the shape, dtype and place of another Tensor."""
    return like(zeros, input, input.array.shape, dtype=dtype, device=device,
                requires_grad=requires_grad)


@operation
def ones_like(input: Tensor, dtype=None, device=None, requires_grad=False):
    """Ones in the shape, dtype and place of another Tensor."""
    return like(ones, input, input.array.shape, dtype=dtype, device=device,
                requires_grad=requires_grad)


@operation
def full_like(input: Tensor, fill_value, dtype=None, device=None, requires_grad=False):
    """One value in the shape, dtype and place of another Tensor."""
    return like(full, input, input.array.shape, fill_value, dtype=dtype, device=device,
                requires_grad=requires_grad)


@operation
def new(input: Tensor, *data):
    """As FloatTensor, in the dtype and place of another Tensor."""
    return typed(data, input.array.dtype, input.device)


@operation
def new_tensor(input: Tensor, data, dtype=None, device=None, requires_grad=False):
    """`tensor` in the dtype and place of another Tensor."""
    return like(tensor, input, data, dtype=dtype, device=device, requires_grad=requires_grad)


@operation
def new_empty(input: Tensor, *size, dtype=None, device=None, requires_grad=False):
    """`empty` in the dtype and place of another Tensor."""
    return like(empty, input, *size, dtype=dtype, device=device, requires_grad=requires_grad)


@operation
def new_zeros(input: Tensor, *size, dtype=None, device=None, requires_grad=False):
    """`zeros` in the dtype and place of another Tensor."""
    return like(zeros, input, *size, dtype=dtype, device=device, requires_grad=requires_grad)


@operation
def new_ones(input: Tensor, *size, dtype=None, device=None, requires_grad=False):
    """`ones` in the dtype and place of another Tensor."""
    return like(ones, input, *size, dtype=dtype, device=device, requires_grad=requires_grad)


@operation
def new_full(input: Tensor, size, fill_value, dtype=None, device=None, requires_grad=False):
    """`full` in the dtype and place of another Tensor."""
    return like(full, input, size, fill_value, dtype=dtype, device=device,
                requires_grad=requires_grad)


def check_random_dtype(name, dtype):
    """float32 or float64, what generators make. TypeError for others, on every device."""
    dtype = check_dtype(name, dtype, float32)
    if dtype not in (float32, float64):
        raise TypeError(f"{name}: dtype must be float32 or float64, got {dtype}")
    return dtype


@operation
def rand(*size, dtype=float32, device=None, requires_grad=False):
    """Uniform random numbers, 0 <= x < 1, from the device's stream (see `manual_seed`)."""
    dtype = check_random_dtype("rand", dtype)
    drawn = generator(device).random(check_sizes("rand", size, 0), dtype=dtype)
    return finished(device_module(device).asarray(drawn), requires_grad)


@operation
def randn(*size, dtype=float32, device=None, requires_grad=False):
    """Normal random numbers, mean 0 and variance 1, from the device's stream."""
    dtype = check_random_dtype("randn", dtype)
    drawn = generator(device).standard_normal(check_sizes("randn", size, 0), dtype=dtype)
    return finished(device_module(device).asarray(drawn), requires_grad)


@operation
def rand_like(input: Tensor, dtype=None, device=None, requires_grad=False):
    """`rand` in the shape, dtype and place of another Tensor."""
    return like(rand, input, input.array.shape, dtype=dtype, device=device,
                requires_grad=requires_grad)


@operation
def randn_like(input: Tensor, dtype=None, device=None, requires_grad=False):
    """`randn` in the shape, dtype and place of another Tensor."""
    return like(randn, input, input.array.shape, dtype=dtype, device=device,
                requires_grad=requires_grad)


@operation
def randint(low, high, size=None, dtype=int64, device=None):
    """Random integers, low <= x < high, from the device's stream; randint(high, size) from 0.

    ValueError unless low < high.
    """
    if size is None:
        low, high, size = 0, low, high
    shape = check_sizes("randint", (size,), 0)
    dtype = check_dtype("randint", dtype, int64)
    low, high = (check_int("randint", name, value, -math.inf)
                 for name, value in (("low", low), ("high", high)))
    if not low < high:
        raise ValueError(f"randint: low must be below high, got {low} and {high}")
    drawn = generator(device).integers(low, high, shape)
    return from_array(device_module(device).asarray(drawn, dtype=dtype))


@operation
def randperm(n, *, dtype=int64, device=None):
    """The integers 0..n - 1 in random order, from the device's stream."""
    n = check_int("randperm", "n", n, least=0)
    dtype = check_dtype("randperm", dtype, int64)
    drawn = generator(device).permutation(n)
    return from_array(device_module(device).asarray(drawn, dtype=dtype))


@operation
def eye(n, m=None, *, dtype=float32, device=None):
    """Ones on the diagonal of (n,m), m = n by default; its rows are one-hot vectors:
    eye(10)[labels]."""
    n = check_int("eye", "n", n, least=0)
    m = n if m is None else check_int("eye", "m", m, least=0)
    return from_array(device_module(device).eye(n, m, dtype=check_dtype("eye", dtype, float32)))


@operation
def arange(start, end=None, step=1, dtype=None, device=None):
    """start, start + step, ... as far as they come before end; arange(end) starts at 0.

    Integers make it int64, others float32. As in PyTorch, an integer dtype cuts start and step to
    integers, and int64 the end too: arange(0, 5, 1.5, dtype=int64) counts from 0 to 4.
    ValueError for a step of 0, also one so cut.
    """
    if end is None:
        start, end = 0, start
    for name, value in (("start", start), ("end", end), ("step", step)):
        check_number("arange", name, value)
    integers = all(isinstance(n, Integral) for n in (start, end, step))
    dtype = check_dtype("arange", dtype, int64 if integers else float32)
    if dtype == int64:
        end = int(end)
        start, step = int(start), int(step)
    size = max(math.ceil((end - start) / step), 0) if step else 0
    if dtype.kind != "f":
        start, step = int(start), int(step)
    if not step:
        raise ValueError(f"arange: step must not be 0 in {dtype}")
    xp = device_module(device)
    numbers = start + step * xp.arange(size, dtype=float64 if dtype.kind == "f" else int64)
    return from_array(numbers.astype(dtype))


@operation
def linspace(start, end, steps, dtype=float32, device=None):
    """So many numbers at equal distances, start and end among them.

    As in PyTorch, an integer dtype cuts start, end and then each number towards 0.
    """
    steps = check_int("linspace", "steps", steps, least=0)
    for name, value in (("start", start), ("end", end)):
        check_number("linspace", name, value)
    dtype = check_dtype("linspace", dtype, float32)
    xp = device_module(device)
    if dtype.kind == "f":
        return from_array(xp.linspace(start, end, steps, dtype=dtype))
    start, end = int(start), int(end if steps > 1 else start)
    step, i = (end - start) / max(steps - 1, 1), xp.arange(steps)
    # From both ends, so that the last is `end` whatever the rounding.
    numbers = xp.where(i < steps // 2, start + step * i, end - step * (steps - 1 - i))
    return from_array(numbers.astype(dtype))
