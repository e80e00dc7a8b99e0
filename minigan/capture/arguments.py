"""Arguments and results of captured steps."""

import copy

import numpy

from minigan.checks import describe
from minigan.device import device_module, to_device
from minigan.tensor import Tensor, from_array


def fixed_inputs(inputs, device):
    """Tensors at fixed addresses for the arguments of a step. TypeError for what is no Tensor."""
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"capture: argument {i} of a step must be a Tensor, got {describe(x)}")
    return [from_array(device_module(device).empty(x.shape, x.dtype)) for x in inputs]


def check_inputs(inputs, fixed):
    """ValueError for arguments that do not match those of the first call."""
    if len(inputs) != len(fixed):
        raise ValueError(f"capture: the step had {len(fixed)} arguments before, now {len(inputs)}")
    for i, (before, x) in enumerate(zip(fixed, inputs)):
        if not isinstance(x, Tensor) or (x.shape, x.dtype) != (before.shape, before.dtype):
            raise ValueError(
                f"capture: argument {i} was {describe(before)} before, now {describe(x)}; "
                f"a captured step has fixed shapes: call the function itself for a smaller "
                f"last batch, or capture it again for the other shape")
        if x.requires_grad:
            raise ValueError(f"capture: argument {i} requires a gradient, which it would not get; "
                             f"detach() it")


def fill(fixed, inputs):
    """Copy the arguments, which are on either device, to their fixed addresses."""
    for before, x in zip(fixed, inputs):
        array = x.array
        if before.device == "cuda" and x.device == "cpu":
            before.array.set(array if array.flags.c_contiguous else array.copy())
        else:
            before.array[...] = to_device(array, before.device)


def without_history(outputs):
    """The outputs with Tensors, also in tuples, lists and dicts, detached from the step's graph."""
    return map_outputs(Tensor.detach, outputs)


def own_memory(outputs, inputs):
    """The outputs with copies of those that lie in the memory of the inputs, which the next call
    overwrites."""
    def separate(x):
        if any(numpy.may_share_memory(x.array, fixed.array) for fixed in inputs):
            return from_array(x.array.copy())
        return x

    return map_outputs(separate, outputs)


def map_outputs(function, outputs):
    """The outputs with function(tensor) in place of each Tensor."""
    if isinstance(outputs, Tensor):
        return function(outputs)
    if isinstance(outputs, (tuple, list)):
        parts = [map_outputs(function, part) for part in outputs]
        return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)
    if isinstance(outputs, dict):
        result = copy.copy(outputs)  # of its own type
        result.update({key: map_outputs(function, value) for key, value in outputs.items()})
        return result
    return outputs


def tensors_in(outputs):
    """The Tensors in the outputs, in order."""
    found = []
    map_outputs(found.append, outputs)
    return found


def has_arrays(outputs):
    """Whether there are arrays in the outputs that are no Tensors."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (tuple, list)):
        return any(map(has_arrays, outputs))
    return isinstance(outputs, (numpy.ndarray, numpy.generic))
