"""Layers without a weight: activations, changes of shape, dropout, upsampling."""

from minigan import functional
from minigan.errors import operation
from minigan.nn.module import Module


class ReLU(Module):
    """max(x, 0). `inplace` is accepted and changes nothing."""

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return functional.relu(input)


class LeakyReLU(Module):
    """x above 0, negative_slope * x elsewhere. `inplace` is accepted and changes nothing."""

    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return functional.leaky_relu(input, self.negative_slope)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class GELU(Module):
    """x Phi(x), or its tanh approximation with approximate='tanh'."""

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, input):
        return functional.gelu(input, self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, input):
        return functional.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, input):
        return functional.tanh(input)


class Flatten(Module):
    """Dimensions start_dim to end_dim made one; by default all but the batch's."""

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return functional.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


@operation
def unflatten(input, dim, sizes):
    """One dimension made several."""
    axis = functional.arithmetic.axis_of("unflatten", dim, input.ndim)
    return input.view(*input.shape[:axis], *sizes, *input.shape[axis + 1:])


class Unflatten(Module):
    """Dimension `dim` made several, of the sizes in unflattened_size."""

    def __init__(self, dim, unflattened_size):
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input):
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class View(Module):
    """Another shape for each item: View(250) gives (N,250), View(3, 11, 11) (N,3,11,11)."""

    def __init__(self, *shape):
        self.shape = tuple(shape[0]) if len(shape) == 1 and isinstance(
            shape[0], (tuple, list)) else shape

    def forward(self, input):
        return input.view(input.shape[0], *self.shape)

    def extra_repr(self):
        return ", ".join(map(str, self.shape))


class Dropout(Module):
    """In training each element is zeroed with probability p; `inplace` changes nothing."""

    def __init__(self, p=0.5, inplace=False):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must lie between 0 and 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input):
        return functional.dropout(input, self.p, self.training)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Upsample(Module):
    """(N,C,H,W) -> (N,C,H*s,W*s), each pixel repeated; only mode='nearest'."""

    def __init__(self, size=None, scale_factor=None, mode="nearest"):
        if mode != "nearest" or size is not None:
            raise NotImplementedError("Upsample: only mode='nearest' with a whole scale_factor is "
                                      "supported")
        self.scale_factor, self.mode = scale_factor, mode

    def forward(self, input):
        return functional.interpolate(input, scale_factor=self.scale_factor, mode=self.mode)

    def extra_repr(self):
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"
