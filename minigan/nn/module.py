"""Module: a part of a network that knows its parameters, its buffers and the parts inside it."""

import inspect

from minigan.tensor import Tensor, from_array
from minigan.device import device as device_named, float32, float64
from minigan.checks import check_callable, check_dtype, check_part, describe, explain_errors
from minigan.autograd import clear_gradients
from minigan.hooks import hooks
from minigan.nn.state import load_state


class Parameter(Tensor):
    """A tensor to be trained: found by its Module wherever it is an attribute."""

    __slots__ = ()

    @explain_errors
    def __new__(cls, data, requires_grad=True):
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: expected a Tensor, got {describe(data)}")
        parameter = from_array(data.array, cls)
        parameter.version = data.version
        return parameter.requires_grad_(requires_grad)

    def __deepcopy__(self, memo):
        """A copy without the gradient, as PyTorch's Parameter; a plain leaf's copy has its own."""
        copy = super().__deepcopy__(memo)
        copy.grad = None
        return copy

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


_changes = [0]


def attribute_changes():
    """A number that rises whenever an attribute of any module is set: captured steps rely on them."""
    return _changes[0]


class Module:
    """Base of all layers and networks: assign parts as attributes, define `forward`.

    Parameters and Modules among the attributes are found by looking at them; there is no other
    registry. Only buffers (saved with the parameters, but not trained) are declared, by
    `register_buffer`.
    """

    training = True
    _buffers = ()  # names of the attributes that are buffers
    _emptied = {}  # name -> Parameter or Module, of attributes that were one and are None now

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs, **options):
        if hooks.observer is None:
            return self.forward(*inputs, **options)
        return hooks.observer.call(self, inputs, options)

    def __setattr__(self, name, value):
        # The slip this catches: `layer.weight = layer.weight * 2` would leave nothing to train.
        if isinstance(value, Tensor) and not isinstance(value, Parameter) and isinstance(
                vars(self).get(name), Parameter):
            raise TypeError(f"{type(self).__name__}: {name} is a Parameter; assign a Parameter or "
                            f"None, or change its memory through {name}.data")
        self._keep_order(name, value)
        object.__setattr__(self, name, value)
        _changes[0] += 1

    def __delattr__(self, name):
        object.__delattr__(self, name)
        _changes[0] += 1

    def _keep_order(self, name, value):
        """Put an attribute that becomes a Parameter or Module behind those there are, as PyTorch
        does; one of the same kind takes the place of the one before, also after a None."""
        before = vars(self).get(name)
        if value is None and _kind(before):
            object.__setattr__(self, "_emptied", {**self._emptied, name: _kind(before)})
        elif _kind(value):
            if name in vars(self) and _kind(value) is not (
                    self._emptied.get(name) if before is None else _kind(before)):
                object.__delattr__(self, name)
            if name in self._buffers:
                self._buffers = tuple(other for other in self._buffers if other != name)

    def add_module(self, name, module):
        """As `self.name = module`, for names that are made as one goes, also 'conv-1'. ValueError for
        one with a dot and one that is taken by something else; None leaves the place empty."""
        check_part("add_module", self, name, module, Module)
        setattr(self, name, module)

    register_module = add_module

    def register_parameter(self, name, param):
        """As `add_module`, for a Parameter."""
        check_part("register_parameter", self, name, param, Parameter)
        setattr(self, name, param)

    def register_buffer(self, name, tensor):
        """Keep a Tensor (or None) that belongs to the state but is not trained."""
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"register_buffer: name must be a name of an attribute, "
                            f"got {describe(name)}")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name} must be a Tensor or None, "
                            f"got {describe(tensor)}")
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)
        setattr(self, name, tensor)

    # Walking over the parts

    def _named_parts(self):
        """(name, module) right below this one, shared ones every time."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def named_children(self):
        """(name, module) right below this one, each once."""
        return _once(self._named_parts())

    def children(self):
        """The modules right below this one, each once."""
        for _, module in self.named_children():
            yield module

    def _paths(self, prefix=""):
        """(prefix of names, module) for this module and all below, shared ones every time."""
        paths = [(prefix, self)]
        for name, part in self._named_parts():
            paths += part._paths(f"{prefix}{name}.")
        return paths

    def named_modules(self):
        """(name, module) for this module ('') and all below, each once."""
        for prefix, module in _once(self._paths()):
            yield prefix[:-1], module

    def modules(self):
        for _, module in self.named_modules():
            yield module

    def named_parameters(self):
        """(name, Parameter) of this module and all below, each once."""
        return _once((prefix + name, value) for prefix, module in self._paths()
                     for name, value in vars(module).items() if isinstance(value, Parameter))

    def parameters(self):
        return iter({id(value): value for _, module in self._paths() for value in
                     vars(module).values() if isinstance(value, Parameter)}.values())

    def named_buffers(self):
        """(name, Tensor) of this module and all below, each once."""
        return _once(self._all_buffers())

    def _all_buffers(self):
        for prefix, module in self._paths():
            for name in module._buffers:
                if getattr(module, name) is not None:
                    yield prefix + name, getattr(module, name)

    def buffers(self):
        for _, buffer in self.named_buffers():
            yield buffer

    # What is done to all parts at once

    def apply(self, fn):
        """Call fn(module) for each module below, then for this one."""
        check_callable("apply", "fn", fn)
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode=True):
        """Set training mode here and below, by calling the `train` of each part."""
        self.training = mode
        for child in self.children():
            _set_mode(child, mode)
        return self

    def eval(self):
        """Set evaluation mode here and below."""
        return _set_mode(self, False)

    def requires_grad_(self, requires_grad=True):
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Forget all gradients, or with set_to_none=False fill them with zeros."""
        clear_gradients(self.parameters(), set_to_none)

    def to(self, *targets, device=None, dtype=None, non_blocking=False):
        """Move everything to a device and/or turn all that is floating-point into a dtype.

        `non_blocking` is accepted and changes nothing.
        """
        for target in targets:
            if isinstance(target, str):
                device = target
            elif target is not None:
                dtype = check_dtype("to", target)
        device = None if device is None else device_named(device)
        if dtype is not None and check_dtype("to", dtype).kind != "f":
            raise TypeError(f"to: a module can only be turned into a floating-point dtype, "
                            f"got {describe(dtype)}")
        for tensor in (*self.parameters(), *self.buffers()):
            wanted = dtype if tensor.dtype.kind == "f" else None
            moved = tensor.detach().to(device=device, dtype=wanted)
            if moved.array is not tensor.array:
                gradient = tensor.grad
                tensor.data = moved
                if gradient is not None:
                    tensor.grad = gradient.to(device=device, dtype=wanted)
        return self

    def cpu(self):
        return self.to("cpu")

    def cuda(self, device=None):
        if device not in (None, 0, "cuda", "cuda:0"):
            raise ValueError(f"cuda: device must be None, 0 or 'cuda', got {describe(device)}")
        return self.to("cuda")

    def float(self):
        return self.to(float32)

    def double(self):
        return self.to(float64)

    # State

    def _state(self):
        """name -> Tensor, parameters before buffers within each module, as PyTorch orders them."""
        state = {}
        for prefix, module in self._paths():
            own = [name for name, value in vars(module).items() if isinstance(value, Parameter)]
            for name in (*own, *module._buffers):
                if getattr(module, name) is not None:
                    state[prefix + name] = getattr(module, name)
        return state

    def state_dict(self):
        """name -> Tensor for all parameters and buffers, on the same memory as this module's."""
        return {name: tensor.detach() for name, tensor in self._state().items()}

    def load_state_dict(self, state_dict, strict=True):
        """Copy Tensors or arrays into the parameters and buffers of the same names.

        ValueError names every key that is missing, unexpected or of another shape; with
        strict=False the first two are passed over and returned. A state without
        `num_batches_tracked` is complete: the count serves only batch-norm's momentum=None.
        Nothing is changed if anything is wrong.
        """
        return load_state(self._state(), state_dict, strict, type(self).__name__)

    # How it shows itself

    def extra_repr(self):
        """What stands in the brackets of the repr."""
        return ""

    def __repr__(self):
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ")
                 for name, child in self._named_parts()]
        name, extra = type(self).__name__, self.extra_repr()
        if not lines:
            return f"{name}({extra})"
        return f"{name}({extra}\n" + "\n".join(lines) + "\n)"


def _kind(value):
    """Parameter or Module, whichever it is an instance of, or None."""
    return next((kind for kind in (Parameter, Module) if isinstance(value, kind)), None)


def _set_mode(module, mode):
    """module.train(mode); or what that does by default, where `train` has another meaning.

    Teaching code likes to give its networks a `train(self, inputs, targets)` of their own. One
    that can be called with a mode alone is PyTorch's.
    """
    if type(module).train is not Module.train:
        try:
            inspect.signature(module.train).bind(mode)
        except TypeError:
            return Module.train(module, mode)
    module.train(mode)
    return module


def _once(pairs):
    """Only the first of the pairs that hold the same object."""
    seen = set()
    for name, value in pairs:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value
