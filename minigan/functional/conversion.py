"""The same numbers on another device or of another dtype."""

from minigan.autograd import node
from minigan.checks import check_dtype
from minigan.device import device as device_named, device_of, to_device
from minigan.tensor import Tensor


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
            return Tensor(result.array.astype(dtype))
        # The backward pass turns the gradient into the input's dtype by itself.
        result = node(result.array.astype(dtype), (result,), lambda g: (g,), "to")
    return result
