"""Where the first number that is nan or infinite comes from."""

import weakref

import numpy

from minigan.tensor import Tensor
from minigan.device import array_module
from minigan.checks import AnomalyError
from minigan.hooks import Observer


class detect_anomaly(Observer):
    """A context in which the first operation to make a nan or an infinity is an AnomalyError.

    >>> with minigan.detect_anomaly():
    ...     loss = loss_function(model(images), targets)
    ...     loss.backward()
    ...     optimiser.step()

    The error names the operation, its layer, whether it went forward or backward, and whether what
    it was given was finite. Every result is looked at, which makes a GPU wait each time: steps
    take several times as long, and cannot be captured.
    """

    def __enter__(self):
        # Under which layer each backward was recorded.
        self.layers = weakref.WeakKeyDictionary()
        super().__enter__()
        self.warnings = numpy.errstate(all="ignore")  # NumPy's own would say less, and before
        self.warnings.__enter__()
        return self

    def __exit__(self, *exception):
        self.warnings.__exit__(*exception)
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
            found = not_finite(array)
            if found:
                raise AnomalyError(told(phase, name, layer, array, found, args))
        return result


def told(phase, name, layer, array, found, args):
    what = {"forward": name, "backward": f"the backward of {name}", "step": f"the step of {name}"}
    given = next(filter(None, map(not_finite, arrays_in(args))), "")
    return (f"detect_anomaly: {what[phase]}" + (f" in {layer}" if layer else "")
            + f" made {found} in an array of shape {array.shape}; "
            + (f"what it was given holds {given} already" if given and phase != "step" else
               "what it was given is finite" if phase != "step" else
               "its gradients were finite: the learning rate may be too large"))


def arrays_in(values):
    """All floating-point arrays in a result or in arguments."""
    if isinstance(values, Tensor):
        values = values.array
    if isinstance(values, (tuple, list)):
        for value in values:
            yield from arrays_in(value)
    elif hasattr(values, "dtype") and values.dtype.kind == "f":
        yield values


def not_finite(array):
    """'nan', 'inf' or ''. Waits for a GPU."""
    xp = array_module(array)
    if xp.isfinite(array).all():
        return ""
    return "nan" if xp.isnan(array).any() else "inf"
