"""Layers and losses as modules."""

from minigan.nn import functional, init
from minigan.nn.activation import (
    GELU, Dropout, Dropout2d, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh)
from minigan.nn.containers import ModuleList, Sequential
from minigan.nn.layers import Conv2d, ConvTranspose2d, Embedding, Linear
from minigan.nn.loss import (
    BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss)
from minigan.nn.module import Module, Parameter
from minigan.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from minigan.nn.pooling import AvgPool2d, MaxPool2d
from minigan.nn.shape import Flatten, Identity, Unflatten, Upsample, View
