"""A network as plain data: a list of layers, each (name, arguments), and a dict of weights. In
this form it is sent to the process of another engine."""

# The arguments that the examples pass to layers, in PyTorch's order.
CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
ARGUMENTS = {
    "Linear": ("in_features", "out_features"),
    "Conv2d": CONVOLUTION,
    "ConvTranspose2d": CONVOLUTION,
    "BatchNorm2d": ("num_features",),
    "LayerNorm": ("normalized_shape",),
    "LeakyReLU": ("negative_slope",),
    "View": ("shape",),
    "GELU": (),
    "Sigmoid": (),
}


def described(network):
    """(layers, weights) of a Sequential of minigan."""
    layers = []
    for layer in network:
        name = type(layer).__name__
        layers.append((name, tuple(getattr(layer, argument) for argument in ARGUMENTS[name])))
    return layers, {key: value.numpy() for key, value in network.state_dict().items()}


def built(m, layers, weights):
    """The Sequential again; m is minigan or torch."""
    modules = []
    for name, arguments in layers:
        if name == "View" and not hasattr(m.nn, "View"):
            shape, = arguments
            modules.append(m.nn.Unflatten(1, shape) if len(shape) > 1 else m.nn.Flatten(1))
        else:
            modules.append(getattr(m.nn, name)(*arguments))
    network = m.nn.Sequential(*modules)
    network.load_state_dict({key: m.tensor(value) for key, value in weights.items()})
    return network


def in_torch(network, torch):
    """A Sequential of minigan as one of PyTorch, with the same weights."""
    return built(torch, *described(network))
