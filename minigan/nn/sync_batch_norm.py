"""SyncBatchNorm: batch normalization over the batches of all processes."""

import numpy

from minigan.autograd import node, operation, sum_in_float64
from minigan.checks import check_batch_norm, check_options, check_type, explain_errors
from minigan.device import array_module
from minigan.distributed import all_reduce, size
from minigan.functional.convolution import present
from minigan.functional.normalization import at_least_single, present_gradients
from minigan.nn.module import Module
from minigan.nn.normalization import BatchNorm1d, BatchNorm2d, _BatchNorm
from minigan.tensor import Tensor


class SyncBatchNorm(_BatchNorm):
    """Each channel of (N,C) or (N,C,...) normalized over the batches of all processes.

    As BatchNorm1d and BatchNorm2d in evaluation, and where there is one process alone. A checkpoint
    of one fits the other. process_group must be None: all processes.
    """
    dimensions = range(2, 6)

    @explain_errors
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True,
                 track_running_stats=True, process_group=None, device=None, dtype=None):
        check_options("SyncBatchNorm", {"process_group": process_group}, {"process_group": (None,)})
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def normalize(self, input, momentum, by_batch):
        if not by_batch or size() == 1:
            return super().normalize(input, momentum, by_batch)
        return sync_batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias,
                               momentum, self.eps)

    @classmethod
    def convert_sync_batchnorm(cls, module):
        """The Module with a SyncBatchNorm in place of each BatchNorm in it, with the same
        parameters and buffers. TypeError for anything else."""
        check_type("convert_sync_batchnorm", "module", module, Module)
        if isinstance(module, (BatchNorm1d, BatchNorm2d)):
            converted = cls.__new__(cls)
            vars(converted).update(vars(module))
            return converted
        for name, child in module._named_parts():
            setattr(module, name, cls.convert_sync_batchnorm(child))
        return module


@operation
def sync_batch_norm(input: Tensor, running_mean, running_var, weight=None, bias=None, momentum=0.1,
                    eps=1e-5):
    """Each channel normalized over the batches of all processes, as batch_norm in training would
    normalize the one batch that they are parts of.

    input  (N,C) or (N,C,...), N in each process; running_mean, running_var, weight, bias (C,) or
           None
    All sums of the formulas in functional/normalization.py go over all processes: two all-reduces
    in the forward pass and one in the backward pass. The gradients of weight and bias are this
    process's part, for average_gradients. ValueError for shapes.
    """
    momentum, eps = float(momentum), float(eps)
    check_batch_norm(input.array, running_mean, running_var, weight, bias, True, momentum, eps,
                     is_whole=False)
    x = at_least_single(input.array)
    axes = (0, *range(2, x.ndim))                     # all but the channels'
    channels = (1, -1) + (1,) * (x.ndim - 2)          # a shape that broadcasts along them
    C, xp = x.shape[1], array_module(x)

    *sums, P = sums_over_all(xp, x.sum(axes, dtype="float64"), xp.full(1, x.size // C, "float64"))
    mean = (sums[0] / P).astype(x.dtype).reshape(channels)
    centred = x - mean                                # (N,C,...)
    squares, = sums_over_all(xp, (centred * centred).sum(axes, dtype="float64"))
    var = (squares / P).astype(x.dtype).reshape(channels)
    unbiased = (squares / (P - 1)).astype(x.dtype)
    for running, batch in ((running_mean, mean.reshape(-1)), (running_var, unbiased)):
        if running is not None:
            running.array[...] = (1 - momentum) * running.array + momentum * batch
            running.changed()
    scale = 1 / xp.sqrt(var + eps)
    xhat = centred * scale
    w = 1 if weight is None else weight.array.reshape(channels)
    y = xhat * w
    if bias is not None:
        y += bias.array.reshape(channels)

    def backward(g):
        gx, gw, gb = None, sum_in_float64(g * xhat, axes), sum_in_float64(g, axes)
        if input.requires_grad:
            h = g * w
            of_h, of_products = sums_over_all(xp, h.sum(axes, dtype="float64"),
                                              (h * xhat).sum(axes, dtype="float64"))
            mean_of_h, mean_of_products = (
                (total / P).astype(x.dtype).reshape(channels) for total in (of_h, of_products))
            gx = (h - mean_of_h - xhat * mean_of_products) * scale
        return present_gradients(gx, (weight, gw), (bias, gb))

    return node(y.astype(input.dtype, copy=False), present(input, weight, bias), backward)


def sums_over_all(xp, *arrays):
    """Arrays (C,) summed over all processes, in one all-reduce."""
    joined = xp.concatenate(arrays)
    all_reduce(joined)
    ends = numpy.cumsum([len(array) for array in arrays])
    return [joined[end - len(array):end] for array, end in zip(arrays, ends)]
