"""Layers and losses as modules."""

from minigan.nn import functional, init
from minigan.nn.activation import (
    GELU, Dropout, Dropout2d, LeakyReLU, LogSoftmax, PReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh)
from minigan.nn.containers import ModuleList, Sequential
from minigan.nn.layers import Conv2d, ConvTranspose2d, Embedding, Linear
from minigan.nn.loss import (
    BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss, SmoothL1Loss)
from minigan.nn.module import Module, Parameter
from minigan.nn.normalization import BatchNorm1d, BatchNorm2d, InstanceNorm2d, LayerNorm
from minigan.nn import parallel, utils
from minigan.nn.parallel import DataParallel
from minigan.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from minigan.nn.shape import (
    Flatten, Identity, PixelShuffle, ReflectionPad2d, ReplicationPad2d, Unflatten, Upsample, View,
    ZeroPad2d)
from minigan.nn.sync_batch_norm import SyncBatchNorm
