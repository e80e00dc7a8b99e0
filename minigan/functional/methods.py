"""Operators and methods of Tensor: the operations of this package under Tensor's own names."""

import operator

from minigan.autograd import Tensor, node
from minigan.device import float32, generator
from minigan.checks import explain_errors, check_number, operation
from minigan.functional import activation, arithmetic, shape
from minigan.functional.arithmetic import comparison, operands
from minigan.recording import is_grad_enabled, no_grad

METHODS = {
    arithmetic: ("add", "sub", "mul", "div", "neg", "pow", "exp", "log", "sqrt", "abs", "clamp",
                 "sum", "mean", "max", "min", "argmax", "matmul"),
    shape: ("reshape", "view", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "t"),
    activation: ("sigmoid", "tanh", "relu", "softmax", "log_softmax"),
}
for module, names in METHODS.items():
    for name in names:
        setattr(Tensor, name, getattr(module, name))


# Operators: `a + b` is add(a, b), `2 - a` is sub(2, a)

for name in ("add", "sub", "mul", "pow", "matmul"):
    function = getattr(arithmetic, name)
    setattr(Tensor, f"__{name}__", function)
    setattr(Tensor, f"__r{name}__", lambda self, other, function=function: function(other, self))
Tensor.__truediv__ = arithmetic.div
Tensor.__rtruediv__ = lambda self, other: arithmetic.div(other, self)
Tensor.__neg__ = arithmetic.neg
Tensor.__abs__ = arithmetic.abs
Tensor.__getitem__ = shape.index
Tensor.T = property(shape.t)

for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    compared = comparison(name, getattr(operator, name))
    setattr(Tensor, name, compared)
    setattr(Tensor, f"__{name}__", compared)
Tensor.__eq__ = lambda self, other: False if other is None else self.eq(other)
Tensor.__ne__ = lambda self, other: True if other is None else self.ne(other)
for name, combine in (("and", operator.and_), ("or", operator.or_), ("xor", operator.xor)):
    setattr(Tensor, f"__{name}__", comparison(name, combine))
Tensor.__invert__ = lambda self: Tensor(~self.array)
# Comparing makes a Tensor, so equality cannot serve dictionaries; being the same object can.
Tensor.__hash__ = lambda self: id(self)


# Changes in place: `add_` and `+=`

def in_place(name, change):
    """(method, operator) that change a tensor's own memory by `change`, e.g. operator.iadd.

    Nothing that a graph recorded may be changed: the method refuses it. The operator then makes
    a new tensor instead, since `total += loss` binds the name anew anyway.
    """
    function = getattr(arithmetic, name)

    @operation
    def method(self: Tensor, other):
        if isinstance(other, Tensor) and other.requires_grad and is_grad_enabled():
            raise RuntimeError(f"{name}_: the other operand requires a gradient, which a change "
                               f"in place would lose; use {name}")
        self.check_changeable(f"{name}_")
        array = self.array  # `change` works on the array where it lies
        change(array, operands(self, other)[1].array)
        self.changed()
        return self

    method.__name__ = method.__wrapped__.__name__ = f"{name}_"

    def augmented(self, other):
        recorded = self.requires_grad or isinstance(other, Tensor) and other.requires_grad
        if recorded and is_grad_enabled() and not (self.is_leaf and self.requires_grad):
            return function(self, other)
        return method(self, other)

    return method, augmented


def divide(array, other):
    with arithmetic.quiet():
        return operator.itruediv(array, other)


for name, change in (("add", operator.iadd), ("sub", operator.isub), ("mul", operator.imul),
                     ("div", divide)):
    method, augmented = in_place(name, change)
    setattr(Tensor, f"{name}_", method)
    setattr(Tensor, "__itruediv__" if name == "div" else f"__i{name}__", augmented)


@explain_errors
def clamp_(self, min=None, max=None):
    """`clamp` in place."""
    with no_grad():
        value = arithmetic.clamp(self, min, max)
    return self.copy_(value)


@explain_errors
def uniform_(self, a=0.0, b=1.0):
    """Filled with uniform random numbers, a <= x < b."""
    for name, bound in (("a", a), ("b", b)):
        check_number("uniform_", name, bound)
    drawn = generator(self.device).random(self.shape, dtype=drawable(self))
    return self.copy_(a + (b - a) * drawn)


@explain_errors
def normal_(self, mean=0.0, std=1.0):
    """Filled with normal random numbers."""
    check_number("normal_", "mean", mean)
    check_number("normal_", "std", std, 0)
    drawn = generator(self.device).standard_normal(self.shape, dtype=drawable(self))
    return self.copy_(mean + std * drawn)


def drawable(tensor):
    """The dtype to draw in: generators know float32 and float64 only."""
    return tensor.dtype if tensor.dtype == "float64" else float32


def clone(self):
    """A copy of the memory that passes its gradient on."""
    return node(self.array.copy(), (self,), lambda g: (g,))


def contiguous(self):
    """The tensor itself: no operation here asks for a memory layout."""
    return self


for function in (clamp_, uniform_, normal_, clone, contiguous):
    setattr(Tensor, function.__name__, function)
