"""Twins of functional/convolution.py: each pass is one of three products.

    correlate  weight * image: conv2d forward
    scatter    weight * gradient: the gradient of the image, and conv_transpose2d forward
    outer      gradient * image: the gradient of the weight

On a CPU they are convolution.cpp's, which never writes the columns to memory (convolution_cpu.py);
on a GPU they are products with columns (convolution_gpu.py). Images are (C,H,W,N) here.
"""

import numpy

from minigan import functional as F
from minigan.autograd import gradient_buffer, node, twin_of
from minigan.functional.convolution import (
    conv2d_geometry, conv_transpose2d_geometry, present)
from minigan.kernels import convolution_cpu, convolution_gpu
from minigan.kernels.launch import contiguous, covered, fits
from minigan.tensor import Tensor

BATCH_LAST, BATCH_FIRST = (1, 2, 3, 0), (3, 0, 1, 2)


@twin_of(F.conv2d)
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if not takes(input, weight, bias, 1, 0, groups):
        return NotImplemented
    x, w = batched(input.array), contiguous(weight.array)
    geometry = conv2d_geometry(x.shape[2:], w.shape[2:], stride, padding, dilation)
    products = products_for(x)
    image = x.transpose(BATCH_LAST)
    y = products.correlate(image, w, None if bias is None else contiguous(bias.array), geometry)
    inputs = present(input, weight, bias)

    def backward(g):
        g = batched(g).transpose(BATCH_LAST)
        gx = None
        if input.requires_grad:
            gx = products.scatter(w, g, None, geometry).transpose(BATCH_FIRST)
            gx = gx.reshape(input.shape)
        gw = gradient_buffer(weight, inputs) if weight.requires_grad else None
        gb = gradient_buffer(bias, inputs) if bias is not None and bias.requires_grad else None
        if gw is not None:
            products.outer(image, g, geometry, gw)
        if gb is not None:
            products.sum_of_images(g, gb)
        return [gx, gw] if bias is None else [gx, gw, gb]

    y = y.transpose(BATCH_FIRST)
    return node(y if input.ndim == 4 else y[0], inputs, backward)


@twin_of(F.conv_transpose2d)
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    if not takes(input, weight, bias, 0, 1, groups):
        return NotImplemented
    x, w = batched(input.array), contiguous(weight.array)
    geometry = conv_transpose2d_geometry(x.shape[2:], w.shape[2:], stride, padding, output_padding,
                                         dilation)
    products = products_for(x)
    image = x.transpose(BATCH_LAST)
    y = products.scatter(w, image, None if bias is None else contiguous(bias.array), geometry)
    inputs = present(input, weight, bias)

    def backward(g):
        g = batched(g).transpose(BATCH_LAST)
        gx = None
        if input.requires_grad:
            gx = products.correlate(g, w, None, geometry).transpose(BATCH_FIRST)
            gx = gx.reshape(input.shape)
        gw = gradient_buffer(weight, inputs) if weight.requires_grad else None
        gb = gradient_buffer(bias, inputs) if bias is not None and bias.requires_grad else None
        if gw is not None:
            products.outer(g, image, geometry, gw)
        if gb is not None:
            products.sum_of_images(g, gb)
        return [gx, gw] if bias is None else [gx, gw, gb]

    y = y.transpose(BATCH_FIRST)
    return node(y if input.ndim == 4 else y[0], inputs, backward)


def takes(input, weight, bias, channels, outputs, groups):
    """Whether these are what the kernels are for; channels, outputs: which of the weight's axes."""
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor) or groups != 1:
        return False
    x, w = input.array, weight.array
    return (covered(x) and x.ndim in (3, 4) and w.ndim == 4 and w.size > 0
            and x.shape[-3] == w.shape[channels] and w.dtype == x.dtype and type(w) is type(x)
            and fits(x, bias, (w.shape[outputs],)))


def batched(x):
    """(C,H,W) as (1,C,H,W)."""
    return x if x.ndim == 4 else x[None]


def products_for(x):
    return convolution_cpu if isinstance(x, numpy.ndarray) else convolution_gpu
