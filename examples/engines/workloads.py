"""What is measured: the examples' networks and batches, and how many operations a step has."""

from dataclasses import dataclass

import numpy

import cgan
import dcgan
import minigan
import mnist_cnn
from engines import Task
from engines.layers import described

# The input of the first network of each kind: the classifier or the discriminator.
IMAGE_SHAPES = {"cnn": (1, 28, 28), "cgan": (784,), "dcgan": (3, 128, 128)}
CLASSES = 10


@dataclass(frozen=True)
class Workload:
    """kind: cnn, cgan or dcgan; batch: its size; channels: the DCGAN's width; devices: where it
    does not take too long."""
    kind: str
    batch: int
    channels: int = 0
    devices: tuple = ("cpu", "cuda")

    def networks(self):
        """The classifier, or discriminator and generator; with the same weights every time."""
        minigan.manual_seed(0)
        if self.kind == "cnn":
            return [mnist_cnn.make_model()]
        if self.kind == "cgan":
            return [cgan.make_discriminator(), cgan.make_generator()]
        return [make(self.channels, "gelu")
                for make in (dcgan.make_discriminator, dcgan.make_generator)]

    def task(self, device="cpu", tf32=False):
        """Weights and inputs, the same every time; random numbers are generated here, not in the
        step."""
        random = numpy.random.default_rng(0)
        images = random.random((self.batch, *IMAGE_SHAPES[self.kind]), dtype="float32")
        if self.kind == "cnn":
            inputs = [(images, None, one_hot(range(self.batch)))]
        else:
            # Different latents each time: from equal ones a compiler would generate images once.
            latents = random.standard_normal((2, self.batch, cgan.LATENT_SIZE), dtype="float32")
            ones = numpy.ones((self.batch, 1), "float32")
            inputs = []
            for part, (x, target) in enumerate(zip((images, *latents), (ones, 0 * ones, ones))):
                digits = range(part, part + self.batch)
                inputs.append((x, one_hot(digits) if self.kind == "cgan" else None, target))
        if (self.kind, self.batch) == ("cgan", 1):
            # Single vectors, without a batch axis, as a tutorial writes it.
            inputs = [tuple(array[0] for array in part) for part in inputs]
        return Task([described(network) for network in self.networks()], inputs,
                    0.001 if self.kind == "cnn" else 0.0001, device, tf32)

    def operations(self):
        """Floating-point operations of the matrix products that a step needs.

        A layer's forward pass, its weights' gradient and its input's gradient take the same number.
        Not needed are the gradient of a network's input, except the discriminator's while the
        generator learns, and the gradients of the discriminator's weights then.
        """
        discriminator, *generators = self.networks()  # or the classifier
        labels = CLASSES if self.kind == "cgan" else 0
        channels, *size = IMAGE_SHAPES[self.kind]
        D_first, D = forward_operations(discriminator, (channels + labels, *size))
        learning = 3 * D - D_first
        if not generators:
            return self.batch * learning
        G_first, G = forward_operations(generators[0], (cgan.LATENT_SIZE + labels,))
        on_real, on_fake, of_generator = learning, G + learning, 3 * G - G_first + 2 * D
        return self.batch * (on_real + on_fake + of_generator)


WORKLOADS = {
    "cnn-1": Workload("cnn", 1),
    "cnn-64": Workload("cnn", 64),
    "cgan-1": Workload("cgan", 1),
    "cgan-64": Workload("cgan", 64),
    "dcgan-32x8": Workload("dcgan", 8, channels=32),
    "dcgan-256x1": Workload("dcgan", 1, channels=256),
    "dcgan-256x64": Workload("dcgan", 64, channels=256, devices=("cuda",)),
}


def one_hot(digits):
    return numpy.eye(CLASSES, dtype="float32")[[digit % CLASSES for digit in digits]]


def forward_operations(network, shape):
    """Of the matrix products for one input of this shape: the first layer's, and all layers'.

    A multiplication and an addition are two operations.
    """
    counts = [2 * row.multiply_adds
              for row in minigan.summary(network, (1, *shape)).rows if row.multiply_adds]
    return counts[0], sum(counts)
