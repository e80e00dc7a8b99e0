"""Tensor: an array that remembers how it was made.

Its operators and methods stand here by name; what they compute is in `minigan.functional`, and
how gradients come back is in `autograd.py`.
"""

from operator import attrgetter

import numpy

from minigan.checks import check_axis, describe, explain_errors
from minigan.device import array_module, device_of, filled, plain_array, to_device
from minigan.grad_mode import grad_mode
from minigan.hooks import hooks, refuse_in_capture
from minigan.size import Size


class Tensor:
    """An array with a history.

    Tensor(2, 3) has that shape, Tensor([1, 2]) these numbers, in float32: see `FloatTensor`. The
    engine makes its tensors with `from_array`.

    array          the plain NumPy or CuPy array; operations compute with nothing else
    requires_grad  whether gradients flow to or through this tensor
    grad           a leaf's accumulated gradient, a Tensor, or None
    node           how an operation made it (autograd.Node), or None for a leaf
    version        a counter in a list, shared by all tensors on the same memory and raised by
                   every change in place
    grad_buffer    a Tensor in which an optimiser wants a leaf's gradient, or None
    read_only      the name of the operation that had to copy where a view was asked for, or None
    """

    __slots__ = ("array", "_requires_grad", "_grad", "node", "version", "grad_buffer", "read_only",
                 "__weakref__")
    # Makes `array * tensor` call Tensor.__rmul__ instead of looping over the array's elements.
    __array_ufunc__ = None

    @explain_errors
    def __new__(cls, *data):
        return from_array(creation.FloatTensor(*data).array, cls)

    # Properties

    @property
    def shape(self):
        return Size(self.array.shape)

    dtype = property(attrgetter("array.dtype"))
    ndim = property(attrgetter("array.ndim"))

    @property
    def device(self):
        return device_of(self.array)

    @property
    def is_cuda(self):
        return self.device == "cuda"

    @property
    def is_leaf(self):
        return self.node is None

    @property
    def T(self):
        return F.t(self)

    def dim(self):
        return self.array.ndim

    def size(self, dim=None):
        if dim is None:
            return Size(self.array.shape)
        return self.array.shape[check_axis("size", dim, self.array.ndim)]

    def numel(self):
        return self.array.size

    # Operators

    def __add__(self, other): return F.add(self, other)
    def __radd__(self, other): return F.add(other, self)
    def __sub__(self, other): return F.sub(self, other)
    def __rsub__(self, other): return F.sub(other, self)
    def __mul__(self, other): return F.mul(self, other)
    def __rmul__(self, other): return F.mul(other, self)
    def __truediv__(self, other): return F.div(self, other)
    def __rtruediv__(self, other): return F.div(other, self)
    def __pow__(self, other): return F.pow(self, other)
    def __rpow__(self, other): return F.pow(other, self)
    def __matmul__(self, other): return F.matmul(self, other)
    def __rmatmul__(self, other): return F.matmul(other, self)
    def __neg__(self): return F.neg(self)
    def __abs__(self): return F.abs(self)
    def __getitem__(self, index): return F.index(self, index)
    def __eq__(self, other): return False if other is None else F.eq(self, other)
    def __ne__(self, other): return True if other is None else F.ne(self, other)
    def __lt__(self, other): return F.lt(self, other)
    def __le__(self, other): return F.le(self, other)
    def __gt__(self, other): return F.gt(self, other)
    def __ge__(self, other): return F.ge(self, other)
    def __and__(self, other): return F.bitwise_and(self, other)
    def __or__(self, other): return F.bitwise_or(self, other)
    def __xor__(self, other): return F.bitwise_xor(self, other)
    def __invert__(self): return F.bitwise_not(self)

    # Comparing gives a Tensor, so equality cannot serve dictionaries; identity can.
    __hash__ = object.__hash__

    # `total += loss` gives the name a new tensor where a graph is recorded: the old value may be
    # needed for the backward pass.

    def __iadd__(self, other):
        return self + other if self._is_recorded_with(other) else self.add_(other)

    def __isub__(self, other):
        return self - other if self._is_recorded_with(other) else self.sub_(other)

    def __imul__(self, other):
        return self * other if self._is_recorded_with(other) else self.mul_(other)

    def __itruediv__(self, other):
        return self / other if self._is_recorded_with(other) else self.div_(other)

    def _is_recorded_with(self, other):
        is_trainable_leaf = self.is_leaf and self._requires_grad  # changing it in place raises
        return grad_mode.enabled and not is_trainable_leaf and (
            self._requires_grad or isinstance(other, Tensor) and other._requires_grad)

    # Operations as methods

    def add(self, other, *, alpha=1): return F.add(self, other, alpha=alpha)
    def sub(self, other, *, alpha=1): return F.sub(self, other, alpha=alpha)
    def mul(self, other): return F.mul(self, other)
    def div(self, other): return F.div(self, other)
    def neg(self): return F.neg(self)
    def pow(self, exponent): return F.pow(self, exponent)
    def matmul(self, other): return F.matmul(self, other)
    def mm(self, mat2): return F.mm(self, mat2)
    def bmm(self, mat2): return F.bmm(self, mat2)
    def exp(self): return F.exp(self)
    def log(self): return F.log(self)
    def sqrt(self): return F.sqrt(self)
    def abs(self): return F.abs(self)
    def clamp(self, min=None, max=None): return F.clamp(self, min, max)
    def sum(self, dim=None, keepdim=False): return F.sum(self, dim, keepdim)
    def mean(self, dim=None, keepdim=False): return F.mean(self, dim, keepdim)
    def max(self, dim=None, keepdim=False): return F.max(self, dim, keepdim)
    def min(self, dim=None, keepdim=False): return F.min(self, dim, keepdim)
    def var(self, dim=None, unbiased=True, keepdim=False, *, correction=None):
        return F.var(self, dim, unbiased, keepdim, correction=correction)
    def std(self, dim=None, unbiased=True, keepdim=False, *, correction=None):
        return F.std(self, dim, unbiased, keepdim, correction=correction)
    def norm(self, p="fro", dim=None, keepdim=False): return F.norm(self, p, dim, keepdim)
    def argmin(self, dim=None, keepdim=False): return F.argmin(self, dim, keepdim)
    def argmax(self, dim=None, keepdim=False): return F.argmax(self, dim, keepdim)
    def eq(self, other): return F.eq(self, other)
    def ne(self, other): return F.ne(self, other)
    def lt(self, other): return F.lt(self, other)
    def le(self, other): return F.le(self, other)
    def gt(self, other): return F.gt(self, other)
    def ge(self, other): return F.ge(self, other)
    def sigmoid(self): return F.sigmoid(self)
    def tanh(self): return F.tanh(self)
    def relu(self): return F.relu(self)
    def where(self, condition, other): return F.where(condition, self, other)
    def masked_fill(self, mask, value): return F.masked_fill(self, mask, value)
    def gather(self, dim, index): return F.gather(self, dim, index)
    def softmax(self, dim): return F.softmax(self, dim)
    def log_softmax(self, dim): return F.log_softmax(self, dim)
    def reshape(self, *shape): return F.reshape(self, *shape)
    def view(self, *shape): return F.view(self, *shape)
    def flatten(self, start_dim=0, end_dim=-1): return F.flatten(self, start_dim, end_dim)
    def squeeze(self, dim=None): return F.squeeze(self, dim)
    def unsqueeze(self, dim): return F.unsqueeze(self, dim)
    def permute(self, *dims): return F.permute(self, *dims)
    def transpose(self, dim0, dim1): return F.transpose(self, dim0, dim1)
    def t(self): return F.t(self)
    def view_as(self, other): return F.view_as(self, other)
    def expand(self, *sizes): return F.expand(self, *sizes)
    def expand_as(self, other): return F.expand_as(self, other)
    def repeat(self, *repeats): return F.repeat(self, *repeats)
    def chunk(self, chunks, dim=0): return F.chunk(self, chunks, dim)
    def split(self, split_size, dim=0): return F.split(self, split_size, dim)
    def clone(self): return F.clone(self)
    def contiguous(self): return F.contiguous(self)

    # Gradients

    requires_grad = property(attrgetter("_requires_grad"))

    @requires_grad.setter
    def requires_grad(self, value):
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad=True):
        """Set whether a leaf gets gradients. ValueError for what an operation made, TypeError
        for integers."""
        requires_grad = bool(requires_grad)
        if self.node is not None and not requires_grad:
            raise ValueError("requires_grad_: only a leaf may change; use detach() first")
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"requires_grad_: only floating-point tensors can require a "
                            f"gradient, this one is {self.dtype}")
        if hooks.capture is not None:
            hooks.capture.watch(self)
        self._requires_grad = requires_grad
        return self

    grad = property(attrgetter("_grad"))

    @grad.setter
    def grad(self, value):
        if value is not None and (not isinstance(value, Tensor) or (
                value.shape, value.dtype, value.device) != (self.shape, self.dtype, self.device)):
            raise ValueError(f"grad: expected None or {describe(self)} on the {self.device}, "
                             f"got {describe(value)}")
        if hooks.capture is not None:
            hooks.capture.uses_gradient(self, clears=True)
        self._grad = value

    def backward(self, gradient=None, retain_graph=False, create_graph=False):
        """Add d(self)/d(leaf), weighted by `gradient`, to the `grad` of every leaf below.

        gradient      a Tensor or array of this tensor's shape, a number for one element; None: 1
        retain_graph  keep what a second backward needs

        Raises RuntimeError if nothing here requires a gradient, if the graph was used already, or
        if a tensor it recorded was changed in place since; ValueError for a wrong shape;
        NotImplementedError for create_graph=True, gradients of gradients.
        """
        if create_graph:
            raise NotImplementedError("backward: create_graph=True is not supported: gradients "
                                      "have no gradient here")
        if not self._requires_grad:
            raise RuntimeError("backward: the tensor does not require a gradient and was not "
                               "made from one that does")
        with numpy.errstate(all="ignore"):  # infinity and nan are results like others
            backward_pass(self, self._first_gradient(gradient), retain_graph)

    def _first_gradient(self, gradient):
        array = self.array
        if gradient is None:
            if array.size != 1:
                raise RuntimeError(f"backward: only a tensor of one element needs no gradient; "
                                   f"this one has shape {array.shape} and needs one of that shape")
            return filled(array_module(array), array.shape, 1, array.dtype)
        if isinstance(gradient, (int, float)) and array.size == 1:
            return filled(array_module(array), array.shape, gradient, array.dtype)
        gradient = getattr(gradient, "array", gradient)
        try:
            gradient = array_module(array).asarray(gradient, dtype=array.dtype)
        except (TypeError, ValueError):
            raise TypeError(f"backward: gradient must be a Tensor, an array or numbers, "
                            f"got {describe(gradient)}") from None
        if gradient.shape != array.shape:
            raise ValueError(f"backward: expected a gradient of shape {array.shape}, "
                             f"got {gradient.shape}")
        return gradient

    # Tensors that share this one's memory

    def detach(self):
        """The same memory as a tensor without a history."""
        if hooks.capture is not None:
            hooks.capture.watch(self)
        result = from_array(self.array)
        result.version, result.read_only = self.version, self.read_only
        return result

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {describe(value)}")
        if value.array is self.array:  # `x.data += 1` ends in this: it was changed in place
            return
        if (value.shape, value.dtype, value.device) != (self.shape, self.dtype, self.device):
            self.grad_buffer = None  # it matches the old array's shape, dtype and device
        self.array, self.version = value.array, value.version
        self.read_only = value.read_only

    # Moving and copying

    def to(self, *targets, device=None, dtype=None, non_blocking=False):
        """On another device and/or of another dtype; itself if nothing changes.

        `non_blocking` is accepted and changes nothing.
        """
        return F.to(self, *targets, device=device, dtype=dtype)

    def type(self, dtype=None): return F.type(self, dtype)
    def type_as(self, other): return F.type_as(self, other)
    def cpu(self): return self.to("cpu")
    def cuda(self, device=None, non_blocking=False): return self.to(device or "cuda")
    def half(self): return self.to(dtype="float16")
    def float(self): return self.to(dtype="float32")
    def double(self): return self.to(dtype="float64")
    def int(self): return self.to(dtype="int32")
    def long(self): return self.to(dtype="int64")
    def bool(self): return self.to(dtype="bool")

    def __deepcopy__(self, memo):
        if self.node is not None:
            raise RuntimeError("deepcopy: only a leaf can be copied; use detach() first")
        copy = from_array(self.array.copy(), type(self))
        copy._requires_grad = self._requires_grad
        if self._grad is not None:
            copy._grad = from_array(self._grad.array.copy())
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        if self.node is not None:
            raise RuntimeError("pickle: only a leaf can be pickled; use detach() first")
        return from_array, (self.array, type(self), self._requires_grad)

    # New tensors of this one's dtype, on its device

    def new(self, *data): return creation.new(self, *data)
    def new_empty(self, *size, **options): return creation.new_empty(self, *size, **options)
    def new_zeros(self, *size, **options): return creation.new_zeros(self, *size, **options)
    def new_ones(self, *size, **options): return creation.new_ones(self, *size, **options)
    def new_full(self, size, fill_value, **options):
        return creation.new_full(self, size, fill_value, **options)
    def new_tensor(self, data, **options): return creation.new_tensor(self, data, **options)

    # Reading the numbers

    def item(self):
        """The one number in this tensor, as Python's own. Waits for the device."""
        if self.array.size != 1:
            raise ValueError(f"item: expected a tensor of one element, got {describe(self)}")
        refuse_in_capture("item", "return the Tensor and read it outside")
        return self.array.item()

    def tolist(self):
        refuse_in_capture("tolist", "return the Tensor and read it outside")
        return self.array.tolist()

    def numpy(self):
        """The NumPy array, sharing memory. ValueError if it requires a gradient or is on a GPU."""
        if self.requires_grad:
            raise ValueError("numpy: the tensor requires a gradient; call detach().numpy()")
        if self.is_cuda:
            raise ValueError("numpy: the tensor is on a GPU; call cpu().numpy()")
        refuse_in_capture("numpy", "return the Tensor and read it outside")
        return self.array

    def __array__(self, dtype=None, copy=None):
        return numpy.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options):
        """Its memory for another library: numpy.from_dlpack(tensor), torch.from_dlpack(tensor).

        BufferError, DLPack's own, if it requires a gradient.
        """
        if self.requires_grad:
            raise BufferError("__dlpack__: the tensor requires a gradient; use detach()")
        refuse_in_capture("__dlpack__", "return the Tensor and read it outside")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __len__(self):
        if not self.array.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return len(self.array)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __index__(self):
        if self.array.dtype.kind not in "iu":
            raise TypeError(f"only an integer can be an index, this is {describe(self)}")
        return self.item()

    def __iter__(self):
        """Its rows, as Tensors that belong to the same graph."""
        return (self[i] for i in range(len(self)))

    def __contains__(self, value):
        return bool((self.array == getattr(value, "array", value)).any())

    def __format__(self, spec):
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self):
        text = numpy.array2string(to_device(self.array, "cpu"), separator=", ", prefix="tensor(")
        if self.node is not None:
            text += f", grad_fn=<{self.node.name}>"
        elif self.requires_grad:
            text += ", requires_grad=True"
        if self.dtype not in ("float32", "int64", "bool"):
            text += f", dtype={self.dtype}"
        return f"tensor({text})"

    # Changes in place

    def changed(self):
        """Count a change in place: graphs that recorded this memory refuse to go backward."""
        self.version[0] += 1
        if hooks.capture is not None:
            hooks.capture.changed(self)

    def __setitem__(self, index, value): F.assign("item assignment", self, index, value)
    def copy_(self, src, non_blocking=False): return F.copy_(self, src)
    def fill_(self, value): return F.assign("fill_", self, ..., value)
    def zero_(self): return F.assign("zero_", self, ..., 0)
    def add_(self, other, *, alpha=1): return F.add_(self, other, alpha=alpha)
    def sub_(self, other, *, alpha=1): return F.sub_(self, other, alpha=alpha)
    def mul_(self, other): return F.mul_(self, other)
    def div_(self, other): return F.div_(self, other)
    def clamp_(self, min=None, max=None): return F.clamp_(self, min, max)
    def masked_fill_(self, mask, value): return F.masked_fill_(self, mask, value)
    def scatter_(self, dim, index, src=None, *, value=None):
        return F.scatter_(self, dim, index, src, value=value)
    def uniform_(self, a=0.0, b=1.0): return F.uniform_(self, a, b)
    def normal_(self, mean=0.0, std=1.0): return F.normal_(self, mean, std)


def changed(tensors):
    """Count a change in place of each."""
    for x in tensors:
        x.version[0] += 1
        if hooks.capture is not None:
            hooks.capture.changed(x)


def from_array(array, cls=Tensor, requires_grad=False):
    """A leaf on a NumPy or CuPy array, of its dtype and sharing its memory."""
    if type(array) is not numpy.ndarray:
        array = plain_array(array)
    result = object.__new__(cls)
    result.array, result._requires_grad = array, requires_grad
    result._grad = result.node = result.grad_buffer = result.read_only = None
    result.version = [0]
    return result


# At the end, because they are written in terms of Tensor: the package's only circular imports.
from minigan.autograd import backward_pass  # noqa: E402
from minigan import creation, functional as F  # noqa: E402
