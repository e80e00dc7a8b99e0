"""What makes operations fast: kernels for CPU and GPU from one source, the .cu files here.

Each has a twin in Python, of the same name and signature as the operation whose place it takes, most
of them in `minigan.functional`. Importing this folder registers them.
"""

from minigan.kernels import (
    activation, arithmetic, convolution, linear, loss, normalization, optim, reduction, shape)
from minigan.kernels.launch import disabled, form, status

__all__ = ["activation", "arithmetic", "convolution", "disabled", "form", "linear", "loss",
           "normalization", "optim", "reduction", "shape", "status"]
