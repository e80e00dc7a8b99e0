"""minigan: a small deep-learning engine to read and trust, with PyTorch's names.

Read it in this order: autograd.py, walk.py, functional/activation.py, functional/convolution.py,
nn/, optim.py, then the examples.
"""

from minigan.autograd import Tensor
from minigan.creation import (
    FloatTensor, eye, full, ones, ones_like, rand, randint, randn, tensor, zeros, zeros_like)
from minigan.device import (
    bool, cuda, device, float16, float32, float64, int8, int16, int32, int64, manual_seed,
    set_device, uint8)
from minigan.functional import (
    abs, add, argmax, cat, clamp, div, exp, flatten, log, log_softmax, matmul, max, mean, min, mul,
    neg, permute, pow, relu, reshape, sigmoid, softmax, sqrt, squeeze, stack, sub, sum, t, tanh,
    transpose, unsqueeze, view)
from minigan.recording import enable_grad, is_grad_enabled, no_grad
from minigan import backends, nn, optim
from minigan.errors import AnomalyError, DamagedFileError
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.inspect import detect_anomaly, draw, profile, summary
from minigan.replay import capture
from minigan.serialization import load, save
from minigan.kernels.memory import keep_freed_memory

keep_freed_memory()
