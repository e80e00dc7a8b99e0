"""Loading the state of a module, or refusing one that does not fit."""

from collections.abc import Mapping
from typing import NamedTuple

from minigan.checks import describe
from minigan.creation import as_array


class IncompatibleKeys(NamedTuple):
    """What a load with strict=False passed over."""
    missing_keys: list
    unexpected_keys: list


def load_state(own, state_dict, strict, name):
    """Copy the state's values into the Tensors `own`, {key: Tensor}; what it reports calls the
    module by its class's name."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a dict of names and Tensors, "
                        f"got {describe(state_dict)}")
    missing = [key for key in own if key not in state_dict
               and key.rpartition(".")[2] != "num_batches_tracked"]
    unexpected = [key for key in state_dict if key not in own]
    values, misshapen = {}, []
    for key in [key for key in own if key in state_dict]:
        try:
            value = as_array(state_dict[key], device=own[key].device)
        except (TypeError, ValueError) as error:
            raise TypeError(f"load_state_dict: {key}: {error}") from error
        values[key] = value
        if value.shape != own[key].shape:
            misshapen.append(f"{key} has shape {value.shape}, needs {own[key].array.shape}")
        elif value.dtype.kind == "f" and own[key].dtype.kind != "f":
            raise TypeError(f"load_state_dict: {key} must be {own[key].dtype}, "
                            f"got {describe(value)}")
    wrong = [f"{kind}: {', '.join(sorted(map(str, keys)))}" for kind, keys in (
        ("missing", missing if strict else ()), ("unexpected", unexpected if strict else ()),
        ("misshapen", misshapen)) if keys]
    if wrong:
        raise ValueError(f"load_state_dict: {name} does not fit; " + "; ".join(wrong))
    for key, value in values.items():
        own[key].array[...] = value
        own[key].changed()
    return IncompatibleKeys(missing, unexpected)
