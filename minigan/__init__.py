"""minigan: a small deep-learning engine to read and trust, with PyTorch's names.

Read it in this order: tensor.py, autograd.py, functional/activation.py, functional/convolution.py,
nn/module.py, optim/adam.py, then the examples; kernels/ is what makes it fast.
"""

import importlib

from minigan.size import Size
from minigan.tensor import Tensor  # first, as the operations are written in terms of it
from minigan.creation import (
    BoolTensor, ByteTensor, DoubleTensor, FloatTensor, IntTensor, LongTensor, arange, empty, eye,
    full, full_like, is_tensor, linspace, ones, ones_like, rand, rand_like, randint, randn,
    randn_like, randperm, tensor, zeros, zeros_like)
from minigan.cuda import set_default_tensor_type
from minigan.device import (
    bool, device, float16, float32, float64, int8, int16, int32, int64, manual_seed,
    set_default_device, set_device, uint8)
from minigan.functional import (
    abs, add, argmax, argmin, bmm, cat, chunk, clamp, div, exp, flatten, gather, log, log_softmax,
    masked_fill, matmul, max, maximum, mean, min, minimum, mm, mul, neg, norm, permute, pow, relu,
    reshape, sigmoid, softmax, split, sqrt, squeeze, stack, std, sub, sum, t, tanh, transpose,
    unsqueeze, var, view, where)
from minigan.interchange import as_tensor, from_dlpack, from_numpy
from minigan.grad_mode import enable_grad, is_grad_enabled, no_grad
from minigan import accelerator, autograd, backends, cuda, distributed, gradients, nn, optim
from minigan.checks import AnomalyError, DamagedFileError
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.inspect import detect_anomaly, draw, profile, summary
from minigan.capture import capture
from minigan.serialization import load, save
from minigan.kernels.memory import keep_freed_memory

# PyTorch's short names
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64

# Where PyTorch has them
autograd.Variable, autograd.grad = gradients.Variable, gradients.grad


def __getattr__(name):
    """`minigan.data` and `minigan.utils` are loaded when they are first asked for."""
    if name in ("data", "utils"):
        return importlib.import_module(f"minigan.{name}")
    raise AttributeError(f"module 'minigan' has no attribute {name!r}")


__version__ = "0.1.0"
keep_freed_memory()
