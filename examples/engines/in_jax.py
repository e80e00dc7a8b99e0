"""JAX, with the whole training step in one compiled function.

The layers and Adam are written out as PyTorch defines them. A compiler that sees the whole step
leaves out what nobody uses: the discriminator's gradients while the generator learns.
"""

import math
from functools import partial

import jax
from jax import lax, numpy as jnp

MOMENTUM = 0.1  # of a batch-norm's running statistics
EPS = 1e-5      # of both norms


# Layers. Each takes its arguments, its parameters and x

def linear(p, x):
    return x @ p["weight"].T + p["bias"]


def convolve(x, weight, stride, padding):
    return lax.conv_general_dilated(x, weight, stride, [(n, n) for n in padding],
                                    dimension_numbers=("NCHW", "OIHW", "NCHW"))


def conv2d(p, x, stride, padding):
    return convolve(x, p["weight"], stride, padding) + p["bias"][:, None, None]


def conv_transpose2d(p, x, stride, padding):
    return convolve_transposed(x, p["weight"], stride, padding) + p["bias"][:, None, None]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve_transposed(x, weight, stride, padding):
    """A convolution of the input spread out by `stride`, with the kernel turned round."""
    edges = [(k - 1 - n, k - 1 - n) for k, n in zip(weight.shape[2:], padding)]
    return lax.conv_general_dilated(x, jnp.flip(weight, (2, 3)), (1, 1), edges,
                                    lhs_dilation=stride, dimension_numbers=("NCHW", "IOHW", "NCHW"))


def transposed_forward(x, weight, stride, padding):
    return convolve_transposed(x, weight, stride, padding), (x, weight)


def transposed_backward(stride, padding, saved, g):
    """By the convolution that was transposed. JAX finds the weight's gradient by itself too, but
    in a form that took ten times as long on a CPU."""
    x, weight = saved
    gx, back = jax.vjp(lambda g, weight: convolve(g, weight, stride, padding), g, weight)
    return gx, back(x)[1]


convolve_transposed.defvjp(transposed_forward, transposed_backward)


def batch_norm(p, x, averages):
    """y and the new running averages."""
    mean = x.mean((0, 2, 3))
    variance = x.var((0, 2, 3))
    P = x.size // x.shape[1]
    averages = {
        "running_mean": (1 - MOMENTUM) * averages["running_mean"] + MOMENTUM * mean,
        "running_var": ((1 - MOMENTUM) * averages["running_var"]
                        + MOMENTUM * P / (P - 1) * variance)}
    scale = p["weight"] / jnp.sqrt(variance + EPS)
    y = (x - mean[:, None, None]) * scale[:, None, None] + p["bias"][:, None, None]
    return y, averages


def layer_norm(p, x):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + EPS) * p["weight"] + p["bias"]


def forward(layers, parameters, averages, x):
    """The network's output and its batch-norms' new averages; both lists have one dict a layer."""
    new_averages = []
    for (name, arguments), p, average in zip(layers, parameters, averages):
        if name == "Linear":
            x = linear(p, x)
        elif name == "Conv2d":
            x = conv2d(p, x, *arguments[3:])
        elif name == "ConvTranspose2d":
            x = conv_transpose2d(p, x, *arguments[3:])
        elif name == "BatchNorm2d":
            x, average = batch_norm(p, x, average)
        elif name == "LayerNorm":
            x = layer_norm(p, x)
        elif name == "LeakyReLU":
            x = jax.nn.leaky_relu(x, *arguments)
        elif name == "GELU":
            x = jax.nn.gelu(x, approximate=False)
        elif name == "Sigmoid":
            x = jax.nn.sigmoid(x)
        elif name == "View":
            x = x.reshape(len(x), *arguments[0])
        else:
            raise NotImplementedError(f"JAX: there is no {name} here")
        new_averages.append(average)
    return x, new_averages


# Loss and optimiser

@jax.custom_vjp
def binary_cross_entropy(p, t):
    """Logarithms held at -100 at least, and PyTorch's gradient where p is exactly 0 or 1."""
    return -(t * jnp.maximum(jnp.log(p), -100)
             + (1 - t) * jnp.maximum(jnp.log1p(-p), -100)).mean()


def loss_forward(p, t):
    return binary_cross_entropy(p, t), (p, t)


def loss_backward(saved, g):
    p, t = saved
    return g * (p - t) / jnp.maximum(p * (1 - p), 1e-12) / p.size, None


binary_cross_entropy.defvjp(loss_forward, loss_backward)


def adam(lr, parameters, gradients, moments, beta1=0.9, beta2=0.999, eps=1e-8):
    """The new parameters and moments."""
    count = moments["count"] + 1
    c1, c2 = 1 - beta1**count, 1 - beta2**count
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, moments["m"], gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, moments["v"], gradients)
    parameters = jax.tree.map(
        lambda p, m, v: p - lr / c1 * m / (jnp.sqrt(v) / jnp.sqrt(c2) + eps), parameters, m, v)
    return parameters, {"count": count, "m": m, "v": v}


# A training step

def first_state(layers, weights):
    """What changes of a network: parameters, running averages and Adam's moments."""
    parameters, averages = [{} for _ in layers], [{} for _ in layers]
    for key, value in weights.items():
        number, name = key.split(".")
        if name in ("weight", "bias"):
            parameters[int(number)][name] = jnp.array(value)
        elif name.startswith("running"):
            averages[int(number)][name] = jnp.array(value)
    zeros = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
    return {"parameters": parameters, "averages": averages,
            "moments": {"count": jnp.zeros(()), "m": zeros[0], "v": zeros[1]}}


def learn(lr, network, loss_of):
    """The loss, what else loss_of(parameters) gives, and the network a step further."""
    (loss, averages), gradients = jax.value_and_grad(loss_of, has_aux=True)(network["parameters"])
    parameters, moments = adam(lr, network["parameters"], gradients, network["moments"])
    return loss, averages, {**network, "parameters": parameters, "moments": moments}


def classify(layers, lr, networks, inputs):
    (model,), ((images, _, targets),) = networks, inputs

    def loss_of(parameters):
        answer, averages = forward(layers[0], parameters, model["averages"], images)
        return binary_cross_entropy(answer, targets), averages

    loss, averages, model = learn(lr, model, loss_of)
    return [{**model, "averages": averages}], [loss]


def beside(x, labels):
    return x if labels is None else jnp.concatenate((x, labels), -1)


def play(layers, lr, networks, inputs):
    """The three parts of a GAN's step, see examples/cgan.py and examples/dcgan.py."""
    discriminator, generator = networks
    real, fake, drawn = inputs

    def judge(parameters, images, labels, target):
        answer, averages = forward(layers[0], parameters, discriminator["averages"],
                                   beside(images, labels))
        return binary_cross_entropy(answer, target), averages

    def draw(parameters, seeds, labels):
        return forward(layers[1], parameters, generator["averages"], beside(seeds, labels))

    on_real, averages, discriminator = learn(lr, discriminator, lambda p: judge(p, *real))
    discriminator["averages"] = averages

    seeds, labels, target = fake
    images, averages = draw(generator["parameters"], seeds, labels)
    generator = {**generator, "averages": averages}
    on_fake, averages, discriminator = learn(
        lr, discriminator, lambda p: judge(p, images, labels, target))
    discriminator["averages"] = averages

    def loss_of_generator(parameters):
        seeds, labels, target = drawn
        images, drawing = draw(parameters, seeds, labels)
        loss, judging = judge(discriminator["parameters"], images, labels, target)
        return loss, (drawing, judging)

    on_drawn, averages, generator = learn(lr, generator, loss_of_generator)
    generator["averages"], discriminator["averages"] = averages
    return [discriminator, generator], [on_real, on_fake, on_drawn]


def make_run(task):
    layers = [layers for layers, _ in task.networks]
    networks = [first_state(*network) for network in task.networks]
    inputs = [[None if array is None else jnp.array(array) for array in part]
              for part in task.inputs]
    # The old state's memory is given up for the new one.
    step = jax.jit(partial(classify if len(layers) == 1 else play, layers, task.lr),
                   donate_argnums=0)

    def run(steps):
        nonlocal networks
        for _ in range(steps):
            networks, losses = step(networks, inputs)
        jax.block_until_ready((networks, losses))
        return [loss.item() for loss in losses]

    return run
