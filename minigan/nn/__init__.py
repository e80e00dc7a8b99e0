"""Layers and losses as modules."""

from minigan.nn import functional, init
from minigan.nn.activation import GELU, Dropout, LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.nn.containers import ModuleList, Sequential
from minigan.nn.layers import Conv2d, ConvTranspose2d, Embedding, Linear
from minigan.nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from minigan.nn.module import Module, Parameter
from minigan.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from minigan.nn.shape import Flatten, Unflatten, Upsample, View
