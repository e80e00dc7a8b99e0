"""Layers that normalize: BatchNorm1d, BatchNorm2d, InstanceNorm2d, LayerNorm."""

from minigan.tensor import Tensor
from minigan.creation import ones, tensor, zeros
from minigan.checks import check_int, check_options, describe, explain_errors, check_number
from minigan.functional import batch_norm, instance_norm, layer_norm
from minigan.nn.module import Module, Parameter


class _BatchNorm(Module):
    @explain_errors
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True,
                 track_running_stats=True, device=None, dtype=None):
        name = type(self).__name__
        self.num_features = check_int(name, "num_features", num_features)
        self.eps = check_number(name, "eps", eps, 0)
        self.momentum = None if momentum is None else check_number(name, "momentum", momentum, 0, 1)
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features) if tracked else None)
        self.register_buffer("running_var", ones(num_features) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)
        self.to(device=device, dtype=dtype)

    def forward(self, input):
        if not isinstance(input, Tensor) or input.array.ndim not in self.dimensions:
            wanted = " or ".join(str(n) for n in self.dimensions)
            raise ValueError(f"{type(self).__name__}: input must be a Tensor of {wanted} "
                             f"dimensions, got {describe(input)}")
        momentum = self.momentum
        counts = self.training and self.track_running_stats
        if momentum is None:  # the plain average over all batches so far
            momentum = 1 / (self.num_batches_tracked.item() + 1) if counts else 0
        result = self.normalize(input, momentum, self.training or not self.track_running_stats)
        if counts:
            self.num_batches_tracked.changed()  # first: a capture has to know what changes
            self.num_batches_tracked.array += 1
        return result

    def normalize(self, input, momentum, by_batch):
        return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias,
                          by_batch, momentum, self.eps)

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
                f"affine={self.affine}, track_running_stats={self.track_running_stats}")


class BatchNorm1d(_BatchNorm):
    """Each feature of (N,C) or (N,C,L) normalized over the batch; see functional.batch_norm."""
    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel of (N,C,H,W) normalized over batch and image; see functional.batch_norm."""
    dimensions = (4,)


class InstanceNorm2d(Module):
    """Each channel of each image (N,C,H,W) normalized by itself; see functional.instance_norm.

    Without running statistics: `momentum` changes nothing, track_running_stats=True is a
    NotImplementedError.
    """

    @explain_errors
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False,
                 track_running_stats=False, device=None, dtype=None):
        name = "InstanceNorm2d"
        check_options(name, {"track_running_stats": track_running_stats},
                      {"track_running_stats": (False,)})
        self.num_features = check_int(name, "num_features", num_features)
        self.eps = check_number(name, "eps", eps, 0)
        self.momentum, self.affine = momentum, affine
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None
        self.to(device=device, dtype=dtype)

    def forward(self, input):
        if not isinstance(input, Tensor) or input.array.ndim != 4:
            raise ValueError(f"InstanceNorm2d: input must be a Tensor of 4 dimensions, "
                             f"got {describe(input)}")
        return instance_norm(input, weight=self.weight, bias=self.bias, eps=self.eps)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, affine={self.affine}"


class LayerNorm(Module):
    """Each item normalized over its last dimensions; see functional.layer_norm."""

    @explain_errors
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
                 dtype=None):
        shape = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (
            normalized_shape,)
        if not shape:
            raise ValueError("LayerNorm: normalized_shape must name at least one dimension")
        self.normalized_shape = tuple(check_int("LayerNorm", "normalized_shape", n) for n in shape)
        self.eps = check_number("LayerNorm", "eps", eps, 0)
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape)) if elementwise_affine and bias else None
        self.to(device=device, dtype=dtype)

    def forward(self, input):
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (f"{self.normalized_shape}, eps={self.eps}, "
                f"elementwise_affine={self.elementwise_affine}")
