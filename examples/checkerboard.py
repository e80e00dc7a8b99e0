"""Why a DCGAN draws checkerboards, and what keeps its pictures free of them.

With stride 2 a transposed convolution draws even pixels by one half of a kernel, its even or its odd
rows, and odd pixels by the other. Where the halves have different sums, a uniform ground becomes a
checkerboard. The generator's kernels draw it in the pictures; the discriminator's, whose backward
pass is a transposed convolution, draw it in the gradients for them. (A. Odena, V. Dumoulin and C.
Olah, Deconvolution and checkerboard artifacts, 2016)

And it stays: a convolution of stride 2 turns a regular checkerboard into a constant in each channel,
which the batch-norm behind it subtracts. The discriminator cannot see one that all pictures have.
"""

from math import comb

import minigan
from minigan import nn
from minigan.nn import functional as F


def convolutions(network):
    return [layer for layer in network.modules()
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]


@minigan.no_grad()
def balance_kernels(network):
    """Give the four parts of each kernel, by even and odd rows and columns, the same sum.

    No smaller change of the weights does that; called after each step, it makes the training one
    on balanced kernels only. Their sides must be even numbers.
    """
    for layer in convolutions(network):
        A, B, KH, KW = layer.weight.shape
        halves = layer.weight.view(A, B, KH // 2, 2, KW // 2, 2)
        sums = halves.sum(dim=(2, 4), keepdim=True)                       # (A,B,1,2,1,2)
        halves += (sums.mean(dim=(3, 5), keepdim=True) - sums) / (KH // 2 * (KW // 2))


@minigan.no_grad()
def blur_kernels(network, size):
    """Replace the kernels, 8 x 8, by random ones of size x size, from 1 to 7, blurred to the same
    8 x 8 by binomial coefficients: they are balanced, and the first pictures smooth.
    """
    row = minigan.tensor([comb(8 - size, k) for k in range(9 - size)], dtype="float32")
    blur = row.reshape(1, 1, -1, 1) * row                                 # (1,1,9-size,9-size)
    for layer in convolutions(network):
        shape = layer.weight.shape
        kernels = F.conv_transpose2d(
            minigan.randn(shape[0] * shape[1], 1, size, size), blur)      # (O*C,1,8,8)
        kernels = kernels * (layer.weight.std() / kernels.std())          # as large as before
        layer.weight.copy_(kernels.reshape(*shape))
