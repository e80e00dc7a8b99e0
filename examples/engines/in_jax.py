"""JAX, with the whole training step in one compiled function.

The layers and Adam are written out as PyTorch defines them.
"""

import itertools
from functools import partial

import jax
from jax import lax, numpy as jnp

MOMENTUM = 0.1  # of a batch-norm's running statistics
EPS = 1e-5      # of both norms


# Layers: functions of the input, the layer's parameters and its arguments

def linear(x, p, *sizes):
    return x @ p["weight"].T + p["bias"]


def conv2d(x, p, C, O, kernel_size, stride, padding):
    return convolve(x, p["weight"], stride, padding) + p["bias"][:, None, None]


def conv_transpose2d(x, p, C, O, kernel_size, stride, padding):
    return convolve_transposed(x, p["weight"], stride, padding) + p["bias"][:, None, None]


def convolve(x, weight, stride, padding):
    return lax.conv_general_dilated(x, weight, stride, [(n, n) for n in padding],
                                    dimension_numbers=("NCHW", "OIHW", "NCHW"))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve_transposed(x, weight, stride, padding):
    """A convolution of the input dilated by `stride`, with the kernel flipped."""
    edges = [(k - 1 - n, k - 1 - n) for k, n in zip(weight.shape[2:], padding)]
    return lax.conv_general_dilated(x, jnp.flip(weight, (2, 3)), (1, 1), edges,
                                    lhs_dilation=stride, dimension_numbers=("NCHW", "IOHW", "NCHW"))


def transposed_forward(x, weight, stride, padding):
    return convolve_transposed(x, weight, stride, padding), (x, weight)


def transposed_backward(stride, padding, saved, g):
    """By the convolution that was transposed. JAX derives the weight's gradient by itself too, but
    in a form that took ten times as long on a CPU."""
    x, weight = saved
    gx, backward = jax.vjp(lambda g, weight: convolve(g, weight, stride, padding), g, weight)
    return gx, backward(x)[1]


convolve_transposed.defvjp(transposed_forward, transposed_backward)


def layer_norm(x, p, shape):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + EPS) * p["weight"] + p["bias"]


def batch_norm(x, p, averages):
    """y and the new running averages."""
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    P = x.size // x.shape[1]  # numbers per channel
    averages = {
        "running_mean": (1 - MOMENTUM) * averages["running_mean"] + MOMENTUM * mean,
        "running_var": ((1 - MOMENTUM) * averages["running_var"]
                        + MOMENTUM * P / (P - 1) * variance)}
    scale = p["weight"] / jnp.sqrt(variance + EPS)
    y = (x - mean[:, None, None]) * scale[:, None, None] + p["bias"][:, None, None]
    return y, averages


LAYERS = {
    "Linear": linear,
    "Conv2d": conv2d,
    "ConvTranspose2d": conv_transpose2d,
    "LayerNorm": layer_norm,
    "LeakyReLU": lambda x, p, slope: jax.nn.leaky_relu(x, slope),
    "GELU": lambda x, p: jax.nn.gelu(x, approximate=False),
    "Sigmoid": lambda x, p: jax.nn.sigmoid(x),
    "View": lambda x, p, shape: x.reshape(len(x), *shape),
}


# Networks: {"parameters", "averages": a dict for each layer, "moments": Adam's}

def first_state(layers, weights):
    parameters, averages = [{} for _ in layers], [{} for _ in layers]
    for key, value in weights.items():
        number, name = key.split(".")
        if name in ("weight", "bias"):
            parameters[int(number)][name] = jnp.array(value)
        elif name.startswith("running"):
            averages[int(number)][name] = jnp.array(value)
    m, v = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
    return {"parameters": parameters, "averages": averages,
            "moments": {"count": jnp.zeros(()), "m": m, "v": v}}


def forward(layers, network, x):
    """The output, and the network with its batch-norms' new averages."""
    new_averages = []
    for (name, arguments), p, averages in zip(layers, network["parameters"], network["averages"]):
        if name == "BatchNorm2d":
            x, averages = batch_norm(x, p, averages)
        else:
            x = LAYERS[name](x, p, *arguments)
        new_averages.append(averages)
    return x, {**network, "averages": new_averages}


# Loss and optimiser

@jax.custom_vjp
def binary_cross_entropy(p, t):
    """Logarithms clamped to at least -100, and PyTorch's gradient where p is exactly 0 or 1."""
    return -(t * jnp.maximum(jnp.log(p), -100)
             + (1 - t) * jnp.maximum(jnp.log1p(-p), -100)).mean()


def loss_forward(p, t):
    return binary_cross_entropy(p, t), (p, t)


def loss_backward(saved, g):
    p, t = saved
    return g * (p - t) / jnp.maximum(p * (1 - p), 1e-12) / p.size, None


binary_cross_entropy.defvjp(loss_forward, loss_backward)


def adam(network, gradients, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The network after an optimiser step."""
    moments = network["moments"]
    count = moments["count"] + 1
    c1, c2 = 1 - beta1**count, 1 - beta2**count
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, moments["m"], gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, moments["v"], gradients)
    parameters = jax.tree.map(
        lambda p, m, v: p - lr / c1 * m / (jnp.sqrt(v) / jnp.sqrt(c2) + eps),
        network["parameters"], m, v)
    return {**network, "parameters": parameters, "moments": {"count": count, "m": m, "v": v}}


# A training step

def learn(network, lr, loss_of):
    """loss_of(network) returns the loss, the network with its new averages, and others that it
    used. Returned are the same, the network after an optimiser step."""
    def loss_of_parameters(parameters):
        loss, *networks = loss_of({**network, "parameters": parameters})
        return loss, networks

    (loss, (network, *others)), gradients = jax.value_and_grad(
        loss_of_parameters, has_aux=True)(network["parameters"])
    return loss, adam(network, gradients, lr), *others


def with_labels(x, labels):
    return x if labels is None else jnp.concatenate((x, labels), -1)


def train_step(layers, lr, networks, inputs):
    """The networks after a step, and the losses of its parts, as in eager.py."""
    def judge(discriminator, images, labels, target):
        answer, discriminator = forward(layers[0], discriminator, with_labels(images, labels))
        return binary_cross_entropy(answer, target), discriminator

    def generate(generator, latents, labels):
        return forward(layers[1], generator, with_labels(latents, labels))

    discriminator, *generators = networks  # or the classifier
    real, *generated = inputs
    on_real, discriminator = learn(discriminator, lr, lambda network: judge(network, *real))
    if not generated:
        return [discriminator], [on_real]

    (latents, labels, target), (new_latents, new_labels, new_target) = generated
    images, generator = generate(generators[0], latents, labels)
    on_fake, discriminator = learn(
        discriminator, lr, lambda network: judge(network, images, labels, target))

    def loss_of_generator(generator):
        images, generator = generate(generator, new_latents, new_labels)
        loss, judging = judge(discriminator, images, new_labels, new_target)
        return loss, generator, judging

    of_generator, generator, discriminator = learn(generator, lr, loss_of_generator)
    return [discriminator, generator], [on_real, on_fake, of_generator]


def make_run(task):
    layers = [layers for layers, _ in task.networks]
    networks = [first_state(*network) for network in task.networks]
    batches = itertools.cycle([
        [[None if array is None else jnp.array(array) for array in part] for part in batch]
        for batch in task.batches()])
    # The memory of the old networks is reused for the new ones.
    step = jax.jit(partial(train_step, layers, task.lr), donate_argnums=0)

    def run(steps):
        nonlocal networks
        for _ in range(steps):
            networks, losses = step(networks, next(batches))
        jax.block_until_ready((networks, losses))
        return [loss.item() for loss in losses]

    return run
