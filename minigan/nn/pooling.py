"""Pooling layers: images made smaller without weights."""

from minigan import functional
from minigan.checks import check_int, check_options, check_pair, describe, explain_errors
from minigan.nn.module import Module


class _Pooling(Module):
    @explain_errors
    def __init__(self, kernel_size, stride, padding, supported, **options):
        name = type(self).__name__
        check_options(name, options, {"ceil_mode": (False,), **supported})
        self.kernel_size = check_pair(name, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else check_pair(name, "stride", stride, 1)
        self.padding = check_pair(name, "padding", padding, 0)

    def extra_repr(self):
        text = f"kernel_size={self.kernel_size}, stride={self.stride}"
        return text if self.padding == (0, 0) else f"{text}, padding={self.padding}"


class MaxPool2d(_Pooling):
    """The largest pixel of each window; see functional.max_pool2d. No dilation."""

    @explain_errors
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
                 ceil_mode=False, **options):
        super().__init__(kernel_size, stride, padding,
                         {"dilation": (1, (1, 1)), "return_indices": (False,)},
                         dilation=dilation, return_indices=return_indices, ceil_mode=ceil_mode,
                         **options)

    def forward(self, input):
        return functional.max_pool2d(input, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pooling):
    """The mean of each window; see functional.avg_pool2d."""

    @explain_errors
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False,
                 count_include_pad=True, divisor_override=None, **options):
        super().__init__(kernel_size, stride, padding, {"divisor_override": (None,)},
                         ceil_mode=ceil_mode, divisor_override=divisor_override, **options)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, input):
        return functional.avg_pool2d(input, self.kernel_size, self.stride, self.padding,
                                     count_include_pad=self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """As many means as asked for, whatever the image's size; see functional.adaptive_avg_pool2d."""

    @explain_errors
    def __init__(self, output_size):
        both = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
        if len(both) != 2:
            raise TypeError(f"AdaptiveAvgPool2d: output_size must be an integer, None or a pair of "
                            f"them, got {describe(output_size)}")
        for n in both:
            n is None or check_int("AdaptiveAvgPool2d", "output_size", n)
        self.output_size = output_size

    def forward(self, input):
        return functional.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"
