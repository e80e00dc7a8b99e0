"""Tensors, and the graph that operations record (walk.py goes back over it).

A Tensor is an array and, if it came out of an operation on something that requires a gradient,
the tensors it was made from and a function `backward` that turns the gradient with respect to
this tensor into the gradients with respect to those. Operations live in `minigan.functional`;
each ends with `return node(result, inputs, backward)`.
"""

import itertools

import numpy

from minigan.capturing import capturing, refuse
from minigan.deferred import Deferred, is_large, private
from minigan.device import device as device_named, device_of, is_on_gpu, array_module, to_device
from minigan.checks import check_int, describe
from minigan.indexing import numbers_first, plain_index
from minigan.recording import recording
from minigan.walk import operation_name, versions_of, walk_back


_numbers = itertools.count()


class Tensor:
    """An array with a memory of where it came from.

    array          the plain NumPy or CuPy array; operations touch nothing else
    requires_grad  whether gradients flow to or through this tensor
    gradient       the plain array of a leaf's accumulated gradient, or None (`grad` wraps it);
                   in `_gradient` it may still be Deferred

    The others serve the walk back: `inputs` and `_backward` (None for a leaf), `needs` (which of
    the inputs required a gradient when the operation was recorded), `number` (the order
    of creation), `version` (a one-item list shared by all tensors on the same memory, raised by
    every change in place), `versions` (the sum of its own and its inputs' when the operation
    was recorded) and `slot` (where an optimiser wants a leaf's gradient written).
    """

    __slots__ = ("array", "_requires_grad", "_gradient", "inputs", "_backward", "number",
                 "needs", "version", "versions", "slot", "__weakref__")
    # Makes `array * tensor` call Tensor.__rmul__ instead of looping over the array's entries.
    __array_ufunc__ = None

    def __init__(self, array):
        if type(array) is not numpy.ndarray:
            array = checked_array(array)
        self.array = array
        self._requires_grad = False
        self._gradient = self._backward = self.slot = None
        self.inputs = self.needs = ()
        self.number = self.versions = 0
        self.version = [0]

    # What an array knows of itself

    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.array.dtype

    @property
    def ndim(self):
        return self.array.ndim

    @property
    def device(self):
        return device_of(self.array)

    @property
    def is_cuda(self):
        return self.device == "cuda"

    @property
    def is_leaf(self):
        return self._backward is None

    def dim(self):
        return self.array.ndim

    def size(self, dim=None):
        if dim is None:
            return self.array.shape
        if check_int("size", "dim", dim, -self.array.ndim) >= self.array.ndim:
            raise ValueError(f"size: dim {dim} is out of range for shape {self.shape}")
        return self.array.shape[dim]

    def numel(self):
        return self.array.size

    def item(self):
        """The one number in this tensor, as Python's own. Waits for the device."""
        if self.array.size != 1:
            raise ValueError(f"item: expected a tensor of one element, got shape {self.shape}")
        refuse("item", "return the Tensor and read it outside")
        return self.array.item()

    def tolist(self):
        refuse("tolist", "return the Tensor and read it outside")
        return self.array.tolist()

    def numpy(self):
        """The NumPy array, sharing memory. ValueError if it requires a gradient or is on a GPU."""
        if self.requires_grad:
            raise ValueError("numpy: the tensor requires a gradient; call detach().numpy()")
        if self.is_cuda:
            raise ValueError("numpy: the tensor is on a GPU; call cpu().numpy()")
        return self.array

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return numpy.array(array, dtype=dtype, copy=copy)

    def __dlpack__(self, **options):
        """Its memory for another library: numpy.from_dlpack(tensor), torch.from_dlpack(tensor).

        BufferError, DLPack's own, if it requires a gradient.
        """
        if self.requires_grad:
            raise BufferError("__dlpack__: the tensor requires a gradient; use detach()")
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
            raise TypeError(f"only a whole number can be an index, this is {describe(self)}")
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
        if self._backward is not None:
            text += f", grad_fn=<{operation_name(self._backward)}>"
        elif self.requires_grad:
            text += ", requires_grad=True"
        if self.dtype not in ("float32", "int64", "bool"):
            text += f", dtype={self.dtype}"
        return f"tensor({text})"

    # People's view of the memory: Tensors that share it

    def detach(self):
        """The same memory as a tensor without a history."""
        result = Tensor(self.array)
        result.version = self.version
        return result

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {describe(value)}")
        if value.array is self.array:  # `x.data += 1` ends in this: it was changed in place
            self.changed()
        else:
            self.array = value.array
            self.version = [self.version[0] + 1]
            self.slot = None  # it was for the memory before

    @property
    def gradient(self):
        if type(self._gradient) is Deferred:
            self._gradient = self._gradient.computed()
        return self._gradient

    @gradient.setter
    def gradient(self, array):
        self._gradient = array

    @property
    def grad(self):
        gradient = self.gradient
        return None if gradient is None else Tensor(gradient)

    @grad.setter
    def grad(self, value):
        if value is None:
            self.gradient = None
            return
        if not isinstance(value, Tensor) or (value.shape, value.dtype) != (self.shape, self.dtype):
            raise ValueError(f"grad: expected None or a {self.dtype} Tensor of shape "
                             f"{self.shape}, got {describe(value)}")
        self.gradient = value.array

    @property
    def requires_grad(self):
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value):
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad=True):
        """Say whether a leaf is to get gradients. ValueError for what an operation made,
        TypeError for whole numbers."""
        requires_grad = bool(requires_grad)
        if self._backward is not None and not requires_grad:
            raise ValueError("requires_grad_: only a leaf may change; use detach() first")
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"requires_grad_: only floating-point tensors can require a "
                            f"gradient, this one is {self.dtype}")
        self._requires_grad = requires_grad
        return self

    # Moving and copying

    def to(self, *targets, device=None, dtype=None, non_blocking=False):
        """On another device and/or of another dtype; itself if nothing changes.

        `non_blocking` is accepted and changes nothing.
        """
        for target in targets:
            if isinstance(target, Tensor):
                device, dtype = target.device, target.dtype
            elif isinstance(target, str):
                device = target
            elif target is not None:
                dtype = checked_dtype("to", target)
        device = None if device is None else device_named(device)
        if dtype is not None:
            dtype = checked_dtype("to", dtype)
        result = self
        if device is not None and device_of(self.array) != device:
            home = self.device
            result = node(to_device(self.array, device), (self,), lambda g: (to_device(g, home),), "to")
        if dtype is not None and result.dtype != dtype:
            if dtype.kind != "f":  # whole numbers have no gradient
                return Tensor(result.array.astype(dtype))
            # The walk back turns the gradient into the input's dtype by itself.
            result = node(result.array.astype(dtype), (result,), lambda g: (g,), "to")
        return result

    def cpu(self):
        return self.to("cpu")

    def cuda(self, non_blocking=False):
        return self.to("cuda")

    def half(self):
        return self.to(dtype="float16")

    def float(self):
        return self.to(dtype="float32")

    def double(self):
        return self.to(dtype="float64")

    def int(self):
        return self.to(dtype="int32")

    def long(self):
        return self.to(dtype="int64")

    def bool(self):
        return self.to(dtype="bool")

    def __deepcopy__(self, memo):
        if self._backward is not None:
            raise RuntimeError("deepcopy: only a leaf can be copied; use detach() first")
        copy = type(self).__new__(type(self))
        Tensor.__init__(copy, self.array.copy())
        copy._requires_grad = self._requires_grad
        copy.gradient = None if self.gradient is None else self.gradient.copy()
        memo[id(self)] = copy
        return copy

    # Changes in place

    def changed(self):
        """Tell every graph that recorded this memory that it holds something else now."""
        self.version[0] += 1
        if capturing.recording is not None:
            capturing.recording.versions.append(self.version)

    def check_changeable(self, what):
        """RuntimeError if a change in place would escape a recorded graph."""
        if self.requires_grad and (self._backward is not None or recording.enabled):
            raise RuntimeError(f"{what}: a tensor that requires a gradient cannot be changed in "
                               f"place; use no_grad() for a leaf, a new tensor otherwise")

    def _assign(self, what, index, value):
        self.check_changeable(what)
        array = value
        if isinstance(value, Tensor):
            if value.requires_grad and recording.enabled:
                raise NotImplementedError(f"{what}: the value requires a gradient; build the "
                                          f"tensor with cat or stack instead")
            array = value.array
        try:
            dtype = array.dtype if hasattr(array, "dtype") else numpy.asarray(array).dtype
            if dtype.kind not in "biuf":
                raise TypeError("expected numbers")  # None would become nan
            first, then = numbers_first(plain_index(index))
            if then is None:
                self.array[first] = array
            else:
                self.array[first][then] = array
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{what}: {error}; the tensor has shape {self.shape}, the value is "
                             f"{describe(value)}") from error
        self.changed()
        return self

    def __setitem__(self, index, value):
        self._assign("item assignment", index, value)

    def copy_(self, source):
        return self._assign("copy_", ..., source)

    def fill_(self, value):
        return self._assign("fill_", ..., value)

    def zero_(self):
        return self._assign("zero_", ..., 0)

    # The walk back

    def backward(self, gradient=None, retain_graph=False, create_graph=False):
        """Add d(self)/d(leaf), weighted by `gradient`, to the `grad` of every leaf below.

        gradient      a Tensor, array or number of this tensor's shape; None for 1
        retain_graph  keep what a second backward needs

        Raises RuntimeError if nothing here requires a gradient, if the graph was already used up,
        or if a tensor it recorded was changed in place since; ValueError for a wrong shape;
        NotImplementedError for create_graph=True, gradients of gradients.
        """
        if create_graph:
            raise NotImplementedError("backward: create_graph=True is not supported: gradients "
                                      "have no gradient here")
        walk_back(self, gradient, retain_graph)


def node(array, inputs, backward, name=None):
    """The Tensor an operation returns; remembers where it came from if that matters.

    inputs    the Tensors it was made from
    backward  g -> one gradient for each input (None where not needed); it may be larger than the
              input by broadcasting: the walk sums it. It closes over arrays, never over the
              result, so that no reference cycle keeps memory alive.
    """
    result = Tensor(array)
    if recording.enabled:
        needs = [x._requires_grad for x in inputs]
        if True in needs:
            result._requires_grad = True
            result.inputs = inputs
            result.needs = needs
            result._backward = backward
            result.number = next(_numbers)
            result.versions = versions_of(result)
            if name is not None:
                backward.__qualname__ = name
    return result


def weight_gradient(weight, input, size, product, *factors):
    """product(*factors, place), the gradient of an operation's weight; or Deferred if it is large.

    place    where to write it: the slot of the weight's optimiser if no gradient is in it yet,
             otherwise None for a new array
    size     how many multiply-adds it takes
    factors  (array, what it was made from) each; when deferred they are made private
    """
    # Where the input is the weight itself, its gradient of that arrives first.
    if weight.slot is not None and input is not weight:
        if is_large(size, weight.array):
            # Reading `gradient` computes one that waits already: there is never more than one.
            return Deferred(product, [private(array, source) for array, source in factors],
                            weight.slot, weight.gradient)
        if weight._gradient is None:
            return product(*[array for array, _ in factors], weight.slot)
    return product(*[array for array, _ in factors], None)


def view_node(array, input, backward, name=None):
    """A `node` whose array may be a view of its only input's: then they share a version."""
    result = node(array, (input,), backward, name)
    if array_module(array).may_share_memory(array, input.array):
        result.version = input.version
        result.versions += input.version[0]
    return result


def checked_array(array):
    """An array for a Tensor; NumPy gives scalars where an array would be 0-d."""
    if isinstance(array, (numpy.generic, numpy.ndarray)):
        return numpy.asarray(array)
    if not is_on_gpu(array) and not hasattr(array, "__cuda_array_interface__"):
        raise TypeError(f"Tensor: expected an array, got {describe(array)}; use tensor(...)")
    return array


def checked_dtype(name, dtype, default=None):
    """A dtype of numbers; the default for None. TypeError for anything else."""
    dtype = default if dtype is None else dtype
    try:
        if dtype is not None and numpy.dtype(dtype).kind in "biuf":  # NumPy takes None for float64
            return numpy.dtype(dtype)
    except (TypeError, ValueError):
        pass  # told below, with the name
    raise TypeError(f"{name}: expected a dtype of numbers such as float32, got {describe(dtype)}")
