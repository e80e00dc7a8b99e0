"""Layers that hold a weight: linear, both convolutions, embedding.

device, dtype  where the weights are made and of what: None for the default device and float32

Of PyTorch's further options only the defaults are accepted; others are NotImplementedErrors.
"""

from numbers import Integral

from minigan.creation import zeros
from minigan.checks import check_int, check_options, check_pair, describe, explain_errors
from minigan.functional import conv2d, conv_transpose2d, embedding, linear
from minigan.nn import init
from minigan.nn.module import Module, Parameter


class Linear(Module):
    """x @ weight.T + bias: (...,in_features) -> (...,out_features)."""

    @explain_errors
    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        self.in_features = check_int("Linear", "in_features", in_features)
        self.out_features = check_int("Linear", "out_features", out_features)
        self.weight = Parameter(zeros(self.out_features, self.in_features))
        self.bias = Parameter(zeros(self.out_features)) if bias else None
        init.uniform_by_fan_in_(self.weight, self.bias)
        self.to(device=device, dtype=dtype)

    def forward(self, input):
        return linear(input, self.weight, self.bias)

    def extra_repr(self):
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")


class _Convolution(Module):
    @explain_errors
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                 bias, padding_mode, device, dtype):
        name = type(self).__name__
        check_options(name, {"padding_mode": padding_mode}, {"padding_mode": ("zeros",)})
        self.in_channels = check_int(name, "in_channels", in_channels)
        self.out_channels = check_int(name, "out_channels", out_channels)
        self.groups = check_int(name, "groups", groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide in_channels={in_channels} and "
                             f"out_channels={out_channels}")
        self.kernel_size = check_pair(name, "kernel_size", kernel_size, 1)
        self.stride = check_pair(name, "stride", stride, 1)
        self.padding = padding if isinstance(padding, str) else check_pair(name, "padding", padding, 0)
        self.dilation = check_pair(name, "dilation", dilation, 1)
        self.weight = Parameter(zeros(*self.weight_channels(), *self.kernel_size))
        self.bias = Parameter(zeros(self.out_channels)) if bias else None
        init.uniform_by_fan_in_(self.weight, self.bias)
        self.to(device=device, dtype=dtype)

    def extra_repr(self):
        said = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
                f"stride={self.stride}"]
        for argument, default in (("padding", (0, 0)), ("dilation", (1, 1)),
                                  ("output_padding", (0, 0)), ("groups", 1)):
            value = getattr(self, argument, default)
            if value != default:
                said.append(f"{argument}={value}")
        if self.bias is None:
            said.append("bias=False")
        return ", ".join(said)


class Conv2d(_Convolution):
    """(N,C,H,W) -> (N,O,OH,OW), unbatched too; see functional.conv2d.

    weight (O,C/groups,KH,KW)
    """

    @explain_errors
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1,
                 groups=1, bias=True, padding_mode="zeros", device=None, dtype=None):
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Conv2d: padding must be numbers, 'same' or 'valid', "
                             f"got {describe(padding)}")
        if isinstance(padding, str) and padding == "same" and (
                check_pair("Conv2d", "stride", stride, 1) != (1, 1)):
            raise ValueError(f"Conv2d: padding='same' needs stride 1, got {stride}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                         bias, padding_mode, device, dtype)

    def weight_channels(self):
        return self.out_channels, self.in_channels // self.groups

    def forward(self, input):
        return conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation,
                      self.groups)


class ConvTranspose2d(_Convolution):
    """(N,C,H,W) -> (N,O,OH,OW), unbatched too; see functional.conv_transpose2d.

    weight (C,O/groups,KH,KW)
    """

    @explain_errors
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0,
                 output_padding=0, groups=1, bias=True, dilation=1, padding_mode="zeros",
                 device=None, dtype=None):
        if isinstance(padding, str):
            raise TypeError(f"ConvTranspose2d: padding must be numbers, got {describe(padding)}")
        self.output_padding = check_pair("ConvTranspose2d", "output_padding", output_padding, 0)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                         bias, padding_mode, device, dtype)

    def weight_channels(self):
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input):
        return conv_transpose2d(input, self.weight, self.bias, self.stride, self.padding,
                                self.output_padding, self.groups, self.dilation)


class Embedding(Module):
    """Rows of weight (num_embeddings,embedding_dim) by index: (...) -> (...,embedding_dim)."""

    @explain_errors
    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None,
                 norm_type=2.0, scale_grad_by_freq=False, sparse=False, *, device=None,
                 dtype=None, **options):
        check_options("Embedding", dict(max_norm=max_norm, norm_type=norm_type,
                                        scale_grad_by_freq=scale_grad_by_freq, sparse=sparse,
                                        **options),
                      dict(max_norm=(None,), norm_type=(2,), scale_grad_by_freq=(False,),
                           sparse=(False,)))
        self.num_embeddings = check_int("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = check_int("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None and not (isinstance(padding_idx, Integral)
                                            and -num_embeddings <= padding_idx < num_embeddings):
            raise ValueError(f"Embedding: padding_idx must name one of {num_embeddings} rows, "
                             f"got {describe(padding_idx)}")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(zeros(num_embeddings, embedding_dim))
        init.normal_(self.weight)
        if padding_idx is not None:
            self.weight.data[padding_idx] = 0
        self.to(device=device, dtype=dtype)

    def forward(self, input):
        return embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
