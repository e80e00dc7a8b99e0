"""Pooling layers: images made smaller without weights."""

from minigan import functional
from minigan.checks import check_options, check_pair, explain_errors
from minigan.nn.module import Module


class _Pooling(Module):
    @explain_errors
    def __init__(self, kernel_size, stride, supported, **options):
        name = type(self).__name__
        check_options(name, options, {"padding": (0, (0, 0)), "ceil_mode": (False,), **supported})
        self.kernel_size = check_pair(name, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else check_pair(name, "stride", stride, 1)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class MaxPool2d(_Pooling):
    """The largest pixel of each window; see functional.max_pool2d. No padding or dilation."""

    @explain_errors
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
                 ceil_mode=False, **options):
        super().__init__(kernel_size, stride,
                         {"dilation": (1, (1, 1)), "return_indices": (False,)},
                         padding=padding, dilation=dilation, return_indices=return_indices,
                         ceil_mode=ceil_mode, **options)

    def forward(self, input):
        return functional.max_pool2d(input, self.kernel_size, self.stride)


class AvgPool2d(_Pooling):
    """The mean of each window; see functional.avg_pool2d. No padding."""

    @explain_errors
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False,
                 count_include_pad=True, divisor_override=None, **options):
        super().__init__(kernel_size, stride,
                         {"count_include_pad": (True, False), "divisor_override": (None,)},
                         padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad,
                         divisor_override=divisor_override, **options)

    def forward(self, input):
        return functional.avg_pool2d(input, self.kernel_size, self.stride)
