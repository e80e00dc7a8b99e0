"""Layers that change the shape: flatten, unflatten, view, upsample, pad."""

import math

from minigan import functional
from minigan.tensor import Tensor
from minigan.checks import (
    check_axis, check_int, check_interpolation, check_options, describe, explain_errors)
from minigan.autograd import operation
from minigan.nn.module import Module


class Identity(Module):
    """The input as it is. Arguments are accepted and change nothing."""

    def __init__(self, *args, **options):
        pass

    def forward(self, input):
        return input


class Flatten(Module):
    """Dimensions start_dim to end_dim made one; by default all but the batch's."""

    @explain_errors
    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim = check_int("Flatten", "start_dim", start_dim, -math.inf)
        self.end_dim = check_int("Flatten", "end_dim", end_dim, -math.inf)

    def forward(self, input):
        return functional.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


@operation
def unflatten(input: Tensor, dim, sizes):
    """One dimension made several."""
    axis = check_axis("unflatten", dim, input.ndim)
    return input.view(*input.shape[:axis], *sizes, *input.shape[axis + 1:])


class Unflatten(Module):
    """Dimension `dim` made several, of the sizes in unflattened_size."""

    @explain_errors
    def __init__(self, dim, unflattened_size):
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple, "
                            f"got {describe(unflattened_size)}")
        self.dim = check_int("Unflatten", "dim", dim, -math.inf)
        self.unflattened_size = tuple(
            check_int("Unflatten", "unflattened_size", n, -1) for n in unflattened_size)

    def forward(self, input):
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class View(Module):
    """Another shape for each item: View(250) gives (N,250), View(3, 11, 11) (N,3,11,11)."""

    @explain_errors
    def __init__(self, *shape):
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = shape[0]
        self.shape = tuple(check_int("View", "shape", n, -1) for n in shape)

    def forward(self, input):
        if not isinstance(input, Tensor) or not input.array.ndim:
            raise ValueError(f"View: input must be a Tensor with a batch axis, "
                             f"got {describe(input)}")
        return input.view(input.array.shape[0], *self.shape)

    def extra_repr(self):
        return ", ".join(map(str, self.shape))


class Upsample(Module):
    """(N,C,H,W) -> (N,C,OH,OW), enlarged by a factor or to a size; see functional.interpolate."""

    @explain_errors
    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None,
                 recompute_scale_factor=None):
        check_options("Upsample", {"recompute_scale_factor": recompute_scale_factor},
                      {"recompute_scale_factor": (None, False)})
        check_interpolation("Upsample", size, scale_factor, mode, align_corners)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners = align_corners

    def forward(self, input):
        return functional.interpolate(input, self.size, self.scale_factor, self.mode,
                                      self.align_corners)

    def extra_repr(self):
        how = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{how}, mode={self.mode!r}"


class PixelShuffle(Module):
    """(N,C*r*r,H,W) -> (N,C,H*r,W*r); see functional.pixel_shuffle."""

    @explain_errors
    def __init__(self, upscale_factor):
        self.upscale_factor = check_int("PixelShuffle", "upscale_factor", upscale_factor)

    def forward(self, input):
        return functional.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class _Padding(Module):
    """padding: an integer, or (left, right, top, bottom)."""

    @explain_errors
    def __init__(self, padding):
        name = type(self).__name__
        sides = padding if isinstance(padding, (tuple, list)) else (padding,) * 4
        if len(sides) != 4:
            raise ValueError(f"{name}: padding must be an integer or four, got {describe(padding)}")
        self.padding = tuple(check_int(name, "padding", n, -math.inf) for n in sides)

    def forward(self, input):
        return functional.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad2d(_Padding):
    """Zeros around the image; see functional.pad."""
    mode = "constant"


class ReflectionPad2d(_Padding):
    """The image mirrored at its edges, which are not repeated; see functional.pad."""
    mode = "reflect"


class ReplicationPad2d(_Padding):
    """The outermost pixels repeated; see functional.pad."""
    mode = "replicate"
