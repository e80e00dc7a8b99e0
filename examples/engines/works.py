"""What is measured: the examples' networks and batches, and how many operations a step has."""

import math
from dataclasses import dataclass

import numpy

import cgan
import dcgan
import minigan
import mnist_cnn
from engines import Task
from engines.layers import described
from minigan import nn

# What goes into the first network of each kind: the classifier or the discriminator.
IMAGE_SHAPES = {"cnn": (1, 28, 28), "cgan": (784,), "dcgan": (3, 128, 128)}


@dataclass(frozen=True)
class Work:
    """kind: cnn, cgan or dcgan; batch: how many images; channels: the DCGAN's width; devices: where
    it is worth its time."""
    kind: str
    batch: int
    channels: int = 0
    devices: tuple = ("cpu", "cuda")

    def networks(self):
        """The classifier, or discriminator and generator; the same weights every time."""
        minigan.manual_seed(0)
        if self.kind == "cnn":
            return [mnist_cnn.make_model()]
        if self.kind == "cgan":
            return [cgan.make_discriminator(), cgan.make_generator()]
        return [make(self.channels, "gelu")
                for make in (dcgan.make_discriminator, dcgan.make_generator)]

    def task(self, device="cpu", tf32=False):
        """Weights and inputs, the same every time; what is random is drawn beforehand."""
        random = numpy.random.default_rng(0)
        images = random.random((self.batch, *IMAGE_SHAPES[self.kind]), dtype="float32")
        if self.kind == "cnn":
            inputs = [(images, None, labels_for(range(self.batch)))]
        else:
            # Twice other seeds: from the same ones a compiler would draw images only once.
            seeds = random.standard_normal((2, self.batch, cgan.LATENT_SIZE), dtype="float32")
            ones = numpy.ones((self.batch, 1), "float32")
            inputs = []
            for number, (x, target) in enumerate(zip((images, *seeds), (ones, 0 * ones, ones))):
                digits = range(number, number + self.batch)
                inputs.append((x, labels_for(digits) if self.kind == "cgan" else None, target))
        if (self.kind, self.batch) == ("cgan", 1):
            # Single vectors, without a batch axis: as a lesson writes it.
            inputs = [tuple(array[0] for array in part) for part in inputs]
        return Task([described(network) for network in self.networks()], inputs,
                    0.001 if self.kind == "cnn" else 0.0001, device, tf32)

    def operations(self):
        """Floating-point operations of the matrix products that a step needs.

        Forward, the gradient of the weights and that of the input are as many each. Some nobody
        uses, and these are not counted: the gradient of a network's first input, except the
        discriminator's while the generator learns, and those of the discriminator's weights then.
        """
        first, *others = self.networks()
        labels = 10 if self.kind == "cgan" else 0
        shape = IMAGE_SHAPES[self.kind]
        D_first, D = forward_operations(first, (shape[0] + labels, *shape[1:]))
        if self.kind == "cnn":
            return self.batch * (3 * D - D_first)
        G_first, G = forward_operations(others[0], (cgan.LATENT_SIZE + labels,))
        on_real = 3 * D - D_first
        on_fake = G + on_real
        on_drawn = 3 * G - G_first + 2 * D
        return self.batch * (on_real + on_fake + on_drawn)


WORKS = {
    "cnn-1": Work("cnn", 1),
    "cnn-64": Work("cnn", 64),
    "cgan-1": Work("cgan", 1),
    "cgan-64": Work("cgan", 64),
    "dcgan-32x8": Work("dcgan", 8, channels=32),
    "dcgan-256x1": Work("dcgan", 1, channels=256),
    "dcgan-256x64": Work("dcgan", 64, channels=256, devices=("cuda",)),
}


def labels_for(digits):
    return numpy.eye(10, dtype="float32")[[digit % 10 for digit in digits]]


def forward_operations(network, shape):
    """Of the matrix products for one input of this shape: the first layer's, and all layers'.

    A multiplication and an addition are two. A convolution lays its kernel on every place of its
    result, a transposed one on every place of its input.
    """
    counts = []
    x = minigan.zeros(1, *shape)
    with minigan.no_grad():
        for layer in network:
            y = layer(x)
            if isinstance(layer, nn.Linear):
                counts.append(2 * layer.weight.numel())
            elif isinstance(layer, nn.Conv2d):
                counts.append(2 * layer.weight.numel() * math.prod(y.shape[2:]))
            elif isinstance(layer, nn.ConvTranspose2d):
                counts.append(2 * layer.weight.numel() * math.prod(x.shape[2:]))
            x = y
    return counts[0], sum(counts)
