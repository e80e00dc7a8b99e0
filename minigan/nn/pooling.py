"""Pooling layers: images made smaller without weights."""

from minigan import functional
from minigan.checks import check_options, check_pair, explain_errors
from minigan.nn.module import Module


class _Pooling(Module):
    options = {"padding": (0, (0, 0)), "ceil_mode": (False,)}

    @explain_errors
    def __init__(self, kernel_size, stride=None, padding=0, **options):
        name = type(self).__name__
        check_options(name, {"padding": padding, **options}, self.options)
        self.kernel_size = check_pair(name, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else check_pair(name, "stride", stride, 1)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class MaxPool2d(_Pooling):
    """The largest pixel of each window; see functional.max_pool2d. No padding or dilation."""
    options = _Pooling.options | {"dilation": (1, (1, 1)), "return_indices": (False,)}

    def forward(self, input):
        return functional.max_pool2d(input, self.kernel_size, self.stride)


class AvgPool2d(_Pooling):
    """The mean of each window; see functional.avg_pool2d. No padding."""
    options = _Pooling.options | {"count_include_pad": (True, False), "divisor_override": (None,)}

    def forward(self, input):
        return functional.avg_pool2d(input, self.kernel_size, self.stride)
