"""instance_norm: each channel of each image normalized by itself."""

from minigan.autograd import operation
from minigan.checks import check_instance_norm
from minigan.functional.normalization import batch_norm
from minigan.functional.shape import reshape
from minigan.tensor import Tensor


@operation
def instance_norm(input: Tensor, running_mean=None, running_var=None, weight=None, bias=None,
                  use_input_stats=True, momentum=0.1, eps=1e-5):
    """Each channel of each image normalized by itself, as batch_norm of a batch of one.

    input (N,C,...); weight, bias (C,) or None. Running statistics are not kept:
    NotImplementedError. ValueError for shapes, and for one value a channel.
    D. Ulyanov et al., Instance normalization, 2016.
    """
    check_instance_norm(input.array, running_mean, running_var, weight, bias, use_input_stats)
    N, C, *image = input.shape
    y = batch_norm(reshape(input, 1, N * C, *image), None, None, training=True, eps=eps)
    y = reshape(y, N, C, *image)
    channels = (-1,) + (1,) * len(image)
    y = y if weight is None else y * reshape(weight, channels)
    return y if bias is None else y + reshape(bias, channels)
