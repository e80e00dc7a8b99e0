"""The same numbers on another device or of another dtype."""

from minigan.autograd import node, operation
from minigan.checks import check_dtype, describe
from minigan.device import default_device, device as device_named, device_of, to_device
from minigan.tensor import Tensor, from_array


def to(input, *targets, device=None, dtype=None):
    """On another device and/or of another dtype; the input itself if nothing changes."""
    for target in targets:
        if isinstance(target, Tensor):
            device, dtype = target.device, target.dtype
        elif isinstance(target, str):
            device = target
        elif target is not None:
            dtype = check_dtype("to", target)
    device = None if device is None else device_named(device)
    dtype = None if dtype is None else check_dtype("to", dtype)
    result = input
    if device is not None and device_of(input.array) != device:
        home = input.device
        result = node(to_device(input.array, device), (input,), lambda g: (to_device(g, home),),
                      "to")
    if dtype is not None and result.dtype != dtype:
        if dtype.kind != "f":  # integers have no gradient
            return from_array(result.array.astype(dtype))
        # The backward pass turns the gradient into the input's dtype by itself.
        result = node(result.array.astype(dtype), (result,), lambda g: (g,), "to")
    return result


@operation
def type_as(input: Tensor, other: Tensor):
    """In another Tensor's dtype, and on its device."""
    return to(input, other)


# PyTorch's names for a dtype on a device, 'torch.FloatTensor' and 'torch.cuda.FloatTensor'.
TYPE_NAMES = {"HalfTensor": "float16", "FloatTensor": "float32", "DoubleTensor": "float64",
              "ByteTensor": "uint8", "CharTensor": "int8", "ShortTensor": "int16",
              "IntTensor": "int32", "LongTensor": "int64", "BoolTensor": "bool"}


@operation
def type(input: Tensor, dtype=None):
    """The tensor as another type; without one, the name of its own.

    dtype  a dtype, a constructor such as FloatTensor or cuda.FloatTensor, or the name of one,
           'torch.FloatTensor' or 'torch.cuda.FloatTensor'
    """
    if dtype is None:
        name = next(name for name, dtype in TYPE_NAMES.items() if dtype == input.dtype)
        return f"torch.cuda.{name}" if input.is_cuda else f"torch.{name}"
    if callable(dtype) and getattr(dtype, "__name__", None) in TYPE_NAMES:
        place = "cuda" if dtype.__module__ == "minigan.cuda" else default_device()
        return to(input, place, dtype=TYPE_NAMES[dtype.__name__])
    if not isinstance(dtype, str):
        return to(input, dtype=check_dtype("type", dtype))
    *place, name = dtype.removeprefix("torch.").split(".")
    if name not in TYPE_NAMES or place not in ([], ["cuda"]):
        raise ValueError(f"type: expected a dtype, FloatTensor or a name such as "
                         f"'torch.FloatTensor', got {describe(dtype)}")
    return to(input, "cuda" if place else "cpu", dtype=TYPE_NAMES[name])
