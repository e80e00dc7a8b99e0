"""The stand-in's arrays, and the functions of the module that it stands in for."""

import operator
import types

import numpy

from standin.memory import Buffer
from standin.streams import counts, host_read, made, refuse_in_capture, run, upload


# What goes beside arrays into a function of each element.
SCALARS = {bool, int, float, complex, *(numpy.dtype(char).type for char in "?bBhHiIlLqQefd")}


class ndarray:
    """An array on the "device": `host` is where it really lies."""

    def __init__(self, host, buffer, base=None):
        self.host = host
        self.buffer = buffer
        self.base = base  # the array that this is a view of

    # Nothing happens by itself

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` "
                        "to construct a NumPy array explicitly.")

    def __array_ufunc__(self, *args, **kwargs):  # stricter than CuPy, which would compute
        raise TypeError("a function of NumPy was called with an array of the device")

    def __array_function__(self, *args, **kwargs):
        raise TypeError("a function of NumPy was called with an array of the device")

    # What it knows of itself

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    strides = property(lambda self: self.host.strides)
    itemsize = property(lambda self: self.host.itemsize)
    nbytes = property(lambda self: self.host.nbytes)
    flags = property(lambda self: Flags(self))
    T = property(lambda self: self.view_of(self.host.T))

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.host.ctypes.data)

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "version": 3,
                "data": (self.data.ptr, False), "strides": self.strides}

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return self.host.__dlpack__(max_version=max_version)

    def __dlpack_device__(self):
        return 2, 0  # CUDA

    def __len__(self):
        return len(self.host)

    def __hash__(self):
        raise TypeError("unhashable type: 'cupy.ndarray'")

    def view_of(self, host):
        """Another view of the same memory."""
        return ndarray(host, self.buffer, self if self.base is None else self.base)

    # Reading, which makes the host wait

    def get(self):
        host_read("get")
        return self.host.copy()

    def item(self):
        host_read("item")
        return self.host.item()

    def tolist(self):
        host_read("tolist")
        return self.host.tolist()

    def __bool__(self):
        host_read("bool")
        return bool(self.host)

    def __int__(self):
        host_read("int")
        return int(self.host)

    def __float__(self):
        host_read("float")
        return float(self.host)

    def __index__(self):
        host_read("index")
        return operator.index(self.host.item())

    def __repr__(self):
        host_read("repr")
        return repr(self.host)

    def __format__(self, spec):
        host_read("format")
        return format(self.host, spec)

    def nonzero(self):
        if not self.ndim:
            raise ValueError("Calling nonzero on 0d arrays is not allowed.")
        host_read("nonzero")
        return tuple(new_from(part) for part in self.host.nonzero())

    def set(self, array):
        if not isinstance(array, numpy.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if array.dtype != self.dtype:
            raise TypeError(f"{array.dtype} array cannot be set to {self.dtype} array")
        if array.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {array.shape}")
        if not self.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        upload()
        self.host[...] = array

    # Views

    def reshape(self, *shape, order="C"):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        reshaped = self.host.reshape(shape)
        if numpy.shares_memory(reshaped, self.host) or not self.size:
            return self.view_of(reshaped)
        return made(lambda: self.host.reshape(shape), new_like_values, "copy", [self])

    def ravel(self, order="C"):
        if order != "C":
            raise NotImplementedError("ravel: only order C is imitated")
        return self.reshape(-1)

    def transpose(self, *axes):
        return self.view_of(self.host.transpose(*axes))

    def swapaxes(self, a, b):
        return self.view_of(self.host.swapaxes(a, b))

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        index, advanced, masked = prepared_index(index, self.shape)
        if masked:
            host_read("reading with a mask")
        if advanced:
            return made(lambda: numpy.asarray(self.host[host_index(index)]), new_like_values,
                        "take")
        return self.view_of(self.host[(*index, ...)] if Ellipsis not in index else self.host[index])

    def __setitem__(self, index, value):
        index, advanced, masked = prepared_index(index, self.shape)
        if masked:
            host_read("writing with a mask")  # for how many places it has
        if isinstance(value, ndarray):
            value = value.host
        elif advanced:
            upload()
            value = numpy.array(value, self.dtype)
        else:
            value = filling(value, self.dtype)
        written = [value, value] if advanced else [self.host[host_index(index)], value]
        run(lambda: self.host.__setitem__(host_index(index), value), "assign", written)

    # Copies and what is computed

    def copy(self, order="C"):
        return made(lambda: self.host.copy(), keeping(self) if order == "K" else new_like_values,
                    "copy", [self])

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("astype: casting and subok are not supported")
        if not copy and self.dtype == dtype:
            return self
        return made(lambda: self.host.astype(dtype), keeping(self) if order == "K" else
                    new_like_values, "copy", [self])

    def fill(self, value):
        if isinstance(value, ndarray):
            if value.shape:
                raise ValueError("non-scalar cupy.ndarray cannot be used for fill")
            value = value.host  # read when it runs
        else:
            value = filling(value, self.dtype)
        run(lambda: self.host.fill(value), "fill", [self])

    def dot(self, other):
        return module.dot(self, other)


class Flags:
    """What CuPy knows of an array's memory: nothing of alignment, and all may be written."""

    def __init__(self, array):
        flags = array.host.flags
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.fnc, self.forc = flags.fnc, flags.forc
        self.owndata = array.base is None


def host_of(x):
    """What stands for x in NumPy's function. TypeError for an array or a sequence of the host."""
    if isinstance(x, ndarray):
        return x.host
    if type(x) not in SCALARS:
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def filling(value, dtype):
    """The number that an array is filled with. ValueError for an array or a sequence of numbers:
    CuPy does not assign one from the host."""
    value = numpy.asarray(value, dtype)
    if value.shape:
        raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
    return value[()]


# Indices

def prepared_index(index, shape):
    """(the index as a tuple, whether it makes a copy, whether a mask is in it)"""
    index = index if isinstance(index, tuple) else (index,)
    advanced = masked = False
    parts = []
    for part in index:
        if isinstance(part, (list, numpy.ndarray)):
            part = asarray(part)  # CuPy copies it to the device
        if isinstance(part, ndarray) and not part.ndim and part.dtype.kind in "iu":
            raise TypeError("an index of the device is not read by itself")
        advanced = advanced or isinstance(part, (ndarray, bool))
        masked = masked or isinstance(part, ndarray) and part.dtype == bool
        parts.append(part)
    axes = sum(p.ndim if isinstance(p, ndarray) and p.dtype == bool else 1
               for p in parts if p is not None and p is not Ellipsis)
    result, axis = [], 0
    for part in parts:
        if part is Ellipsis:
            axis += len(shape) - axes
        elif isinstance(part, ndarray):
            result.append((part, shape[axis]))  # with the size that an index out of range wraps at
            axis += part.ndim if part.dtype == bool else 1
            continue
        elif part is not None:
            axis += 1
        result.append(part)
    return tuple(result), advanced, masked


def host_index(index):
    """Indices as they are now: those of the device may change from launch to launch."""
    def part_of(part):
        if not isinstance(part, tuple):
            return part
        array, size = part
        return array.host if array.dtype == bool else array.host % max(size, 1)

    return tuple(map(part_of, index))


# Making arrays

def new(shape, dtype, strides=None):
    """Memory that nobody has written to."""
    dtype = numpy.dtype(dtype)
    if dtype.type not in SCALARS or not dtype.isnative:
        raise ValueError(f"Unsupported dtype {dtype}")
    host = numpy.empty(shape, dtype)
    buffer = Buffer(host.nbytes)
    host = buffer.bytes.view(dtype)[:host.size].reshape(shape)
    if strides is not None and host.size:
        host = numpy.lib.stride_tricks.as_strided(host, shape, strides)
    return ndarray(host, buffer)


def new_like_values(values):
    return new(values.shape, values.dtype)


def new_from(values):
    result = new_like_values(values)
    result.host[...] = values
    return result


def order_of(x):
    """Strides of a dense array in x's order of axes, as CuPy's order 'K' keeps them."""
    axes = sorted(range(x.ndim), key=lambda axis: (-x.strides[axis], axis))
    strides, step = [0] * x.ndim, None
    for axis in reversed(axes):
        strides[axis] = step or 1
        step = strides[axis] * max(x.shape[axis], 1)
    return strides


def keeping(x):
    """Makes arrays that lie in memory in x's order."""
    def allocate(values):
        strides = [step * values.itemsize for step in order_of(x)]
        return new(values.shape, values.dtype, strides if values.shape == x.shape else None)

    return allocate


def array(data, dtype=None, copy=True, order="K"):
    if dtype is None and isinstance(data, numpy.ndarray) and not data.dtype.isnative:
        raise ValueError(f"Unsupported dtype {data.dtype} with big-endian byte-order")
    if isinstance(data, ndarray):
        return data.astype(dtype or data.dtype, "C" if order == "C" else "K", copy=copy)
    if isinstance(data, (list, tuple)) and any(isinstance(x, ndarray) for x in data):
        raise NotImplementedError("arrays of the device in a list")
    upload()
    return new_from(numpy.asarray(data, dtype))


def asarray(data, dtype=None, order=None):
    return array(data, dtype, copy=False)


def asnumpy(data):
    return data.get() if isinstance(data, ndarray) else numpy.asarray(data)


def ascontiguousarray(data, dtype=None):
    if not isinstance(data, ndarray):
        return asarray(data, dtype)
    if data.flags.c_contiguous and data.dtype == (dtype or data.dtype):
        return data
    return data.astype(dtype or data.dtype, "C")


def empty(shape, dtype=float, order="C"):
    return new(shape, dtype)


def full(shape, value, dtype=None):
    if dtype is None:
        dtype = value.dtype if isinstance(value, ndarray) else numpy.array(value).dtype
    result = new(shape, dtype)
    if isinstance(value, ndarray):
        result[...] = value
    else:
        result.fill(value)
    return result


def zeros(shape, dtype=float, order="C"):
    return full(shape, 0, dtype)


def ones(shape, dtype=float):
    return full(shape, 1, dtype)


def empty_like(x, dtype=None):
    return keeping(x)(numpy.empty(x.shape, dtype or x.dtype))


def filled_like(value):
    def function(x, dtype=None):
        result = empty_like(x, dtype)
        result.fill(value)
        return result

    return function


def eye(n, m=None, dtype=float):
    result = zeros((n, n if m is None else m), dtype)
    run(lambda: numpy.fill_diagonal(result.host, 1), "eye", [result])
    return result


def arange(*args, dtype=None):
    return made(lambda: numpy.arange(*args, dtype=dtype), new_like_values, "arange")


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    return made(lambda: numpy.linspace(start, stop, num, endpoint, retstep, dtype, axis),
                new_like_values, "linspace")


def from_dlpack(array):
    if array.__dlpack_device__()[0] != 2:
        raise ValueError("CPU arrays cannot be directly imported to CuPy.")
    # It says to NumPy that it lies on the CPU, as it does.
    class Host:
        def __dlpack__(self, **options):
            return array.__dlpack__(**options)

        def __dlpack_device__(self):
            return 1, 0

    host = numpy.from_dlpack(Host())
    return ndarray(host, Buffer(0))  # the memory is watched by whoever made it


# Functions that compute

def layout_of(arrays):
    """CuPy gives results by columns if all arrays are by columns, otherwise by rows."""
    arrays = [a for a in arrays if isinstance(a, ndarray) and a.ndim]
    if arrays and all(a.flags.f_contiguous and not a.flags.c_contiguous for a in arrays):
        return lambda values: keeping(arrays[0])(values)
    return new_like_values


def elementwise(name):
    """A function of each element, with CuPy's options."""
    function = getattr(numpy, name)

    def computed(*args, out=None, dtype=None):
        if not any(isinstance(a, ndarray) for a in args):
            raise TypeError(f"{name}: no array of the device among the arguments")
        hosts = [host_of(a) for a in args]
        options = {} if dtype is None else {"dtype": dtype}
        if out is None:
            return made(lambda: numpy.asarray(function(*hosts, **options)), layout_of(args), name,
                        args)
        run(lambda: function(*hosts, out=host_of(out), **options), name, [*args, out])
        return out

    computed.__name__ = name
    return computed


def clip(x, low, high, out=None):
    """A bound may be None, unlike other arguments of functions of each element."""
    least, most = ((-numpy.inf, numpy.inf) if x.dtype.kind == "f" else
                   (numpy.iinfo(x.dtype).min, numpy.iinfo(x.dtype).max))
    return elementwise("clip")(x, least if low is None else low, most if high is None else high,
                               out=out)


def add_at(x, index, values):
    if x.dtype.char not in "ilqILQefd":
        raise TypeError(f"cupy.add.at does not support {x.dtype}")
    index, _, masked = prepared_index(index, x.shape)
    if masked:
        host_read("adding with a mask")
    values = host_of(values)
    run(lambda: numpy.add.at(x.host, host_index(index), values), "add.at", [x, values])


def whole(name):
    """A function of a whole array that makes a new one."""
    function = getattr(numpy, name)

    def computed(x, *args, **options):
        if not isinstance(x, ndarray):
            raise TypeError(f"{name}: expected an array of the device, got {type(x)}")
        hosts = [x.host, *[a.host if isinstance(a, ndarray) else a for a in args]]
        return made(lambda: numpy.asarray(function(*hosts, **options)), new_like_values, name, [x])

    computed.__name__ = name
    return computed


def take(x, indices, axis=None):
    """Indices out of range wrap, as in all of CuPy."""
    indices = indices if isinstance(indices, ndarray) else asarray(indices)
    return made(lambda: numpy.asarray(numpy.take(x.host, indices.host, axis, mode="wrap")),
                new_like_values, "take")


def take_along_axis(x, indices, axis):
    return made(lambda: numpy.take_along_axis(x.host, indices.host % x.shape[axis], axis),
                new_like_values, "take_along_axis")


def joining(name):
    """A function of a list of arrays. CuPy sends the addresses of many to the device: here, of any
    number."""
    function = getattr(numpy, name)

    def computed(arrays, axis=0):
        if not all(isinstance(x, ndarray) for x in arrays):
            raise TypeError("Only cupy arrays can be concatenated")
        upload()
        hosts = [x.host for x in arrays]
        return made(lambda: function(hosts, axis=axis), new_like_values, name, arrays)

    return computed


def matmul(a, b, out=None):
    refuse_in_capture("matmul", NotImplementedError(
        "calling cuBLAS API during stream capture is currently unsupported"))
    return elementwise("matmul")(a, b, out=out)


def dot(a, b):
    refuse_in_capture("dot", NotImplementedError(
        "calling cuBLAS API during stream capture is currently unsupported"))
    return whole("dot")(a, b)


def view_function(name):
    function = getattr(numpy, name)
    return lambda x, *args: x.view_of(function(x.host, *args))


def may_share_memory(a, b):
    return numpy.may_share_memory(a.host, b.host)


def as_strided(x, shape=None, strides=None):
    return x.view_of(numpy.lib.stride_tricks.as_strided(x.host, shape, strides))


ELEMENTWISE = """abs absolute add divide equal exp expm1 floor greater isfinite isinf isnan less
    log log1p logical_and logical_not maximum minimum multiply negative not_equal power sign sqrt square
    subtract tanh where""".split()
WHOLE = "all any argmax argmin cumsum max mean min prod sum".split()
VIEWS = "broadcast_to expand_dims moveaxis swapaxes transpose".split()
METHODS = "all any argmax argmin max mean min prod sum".split()

module = types.ModuleType("cupy")
module.__version__ = "0, a stand-in"
module.ndarray = ndarray
for name in ELEMENTWISE:
    setattr(module, name, elementwise(name))
for name in WHOLE:
    setattr(module, name, whole(name))
for name in ("concatenate", "stack"):
    setattr(module, name, joining(name))
for name in VIEWS:
    setattr(module, name, view_function(name))
for function in (array, asarray, asnumpy, ascontiguousarray, empty, full, zeros, ones, empty_like,
                 eye, arange, linspace, from_dlpack, matmul, dot, clip, take, take_along_axis,
                 may_share_memory):
    setattr(module, function.__name__, function)
module.zeros_like, module.ones_like = filled_like(0), filled_like(1)
module.add.at = add_at
module.lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=as_strided))


def method(name):
    def reduced(self, axis=None, dtype=None, out=None, keepdims=False):
        options = {"keepdims": keepdims} | ({} if dtype is None else {"dtype": dtype})
        return getattr(module, name)(self, axis=axis, **options)

    return reduced


for name in METHODS:
    setattr(ndarray, name, method(name))


def operator_methods(name, function):
    """`a + b`, `2 + a` and `a += b` of one elementwise function."""
    compute = getattr(module, function)

    def in_place(self, other):
        hosts = self.host, host_of(other)
        run(lambda: getattr(operator, f"i{name}")(*hosts), function, [self, self, other])
        return self

    setattr(ndarray, f"__{name}__", lambda self, other: compute(self, other))
    setattr(ndarray, f"__r{name}__", lambda self, other: compute(other, self))
    setattr(ndarray, f"__i{name}__", in_place)


for name, function in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
                       "pow": "power", "matmul": "matmul"}.items():
    operator_methods(name, function)
for name in ("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "xor", "mod"):
    def computed(self, other, name=name):
        hosts = self.host, host_of(other)
        return made(lambda: numpy.asarray(getattr(operator, name)(*hosts)),
                    layout_of([self, other]), name.rstrip("_"), [self, other])

    setattr(ndarray, f"__{name.rstrip('_')}__", computed)
for name in ("neg", "invert", "abs"):
    def computed(self, name=name):
        return made(lambda: numpy.asarray(getattr(operator, name)(self.host)), layout_of([self]),
                    name, [self])

    setattr(ndarray, f"__{name}__", computed)


def i_or_and(name):
    def in_place(self, other):
        hosts = self.host, host_of(other)
        run(lambda: getattr(operator, f"i{name}")(*hosts), name, [self, self, other])
        return self

    return in_place


for name in ("and", "or"):
    setattr(ndarray, f"__i{name}__", i_or_and(name))
