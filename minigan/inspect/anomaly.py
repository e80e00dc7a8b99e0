"""detect_anomaly: which operation made the first nan or infinity."""

import weakref

import numpy

from minigan.tensor import Tensor
from minigan.device import array_module
from minigan.checks import AnomalyError
from minigan.hooks import Observer


class detect_anomaly(Observer):
    """A context in which the first operation that makes a nan or an infinity raises AnomalyError.

    >>> with minigan.detect_anomaly():
    ...     loss = loss_function(model(images), targets)
    ...     loss.backward()
    ...     optimiser.step()

    The error names the operation, its layer, whether it was the forward or the backward, and
    whether its inputs were finite. Every result is checked, which synchronizes with the GPU each
    time: steps take several times as long, and cannot be captured.
    """

    def __enter__(self):
        self.layers = weakref.WeakKeyDictionary()  # a backward -> the layer that recorded it
        super().__enter__()
        # NumPy's warnings would come first and say less.
        self.ignore_warnings = numpy.errstate(all="ignore")
        self.ignore_warnings.__enter__()
        return self

    def __exit__(self, *exception):
        self.ignore_warnings.__exit__(*exception)
        super().__exit__(*exception)

    def run(self, phase, name, function, args, kwargs):
        result = function(*args, **kwargs)
        if phase == "forward":
            node = getattr(result, "node", None)
            if node is not None:
                self.layers[node.backward] = self.where()
            layer, checked = self.where(), result
        elif phase == "backward":
            layer, checked = self.layers.get(function, ""), result
        else:
            layer, checked = "", [p for group in function.__self__.param_groups
                                  for p in group["params"]]
        for array in arrays_in(checked):
            found = find_anomaly(array)
            if found:
                raise AnomalyError(explain_anomaly(phase, name, layer, array, found, args))
        return result


def explain_anomaly(phase, name, layer, array, found, args):
    what = {"forward": name, "backward": f"the backward of {name}", "step": f"the step of {name}"}
    if phase == "step":
        cause = "its gradients were finite: the learning rate may be too large"
    else:
        earlier = next(filter(None, map(find_anomaly, arrays_in(args))), "")
        cause = f"its inputs contain {earlier} already" if earlier else "its inputs are finite"
    return (f"detect_anomaly: {what[phase]}" + (f" in {layer}" if layer else "")
            + f" made {found} in an array of shape {array.shape}; {cause}")


def arrays_in(values):
    """All floating-point arrays in a result or in arguments."""
    if isinstance(values, Tensor):
        values = values.array
    if isinstance(values, (tuple, list)):
        for value in values:
            yield from arrays_in(value)
    elif hasattr(values, "dtype") and values.dtype.kind == "f":
        yield values


def find_anomaly(array):
    """'nan', 'inf', or '' for a finite array. Waits for a GPU."""
    xp = array_module(array)
    if xp.isfinite(array).all():
        return ""
    return "nan" if xp.isnan(array).any() else "inf"
