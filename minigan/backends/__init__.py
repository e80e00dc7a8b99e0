"""PyTorch's switches for TF32: float32 with a mantissa of 10 bits, which GPUs multiply faster.

    minigan.backends.cuda.matmul.allow_tf32 = True   matmul and linear layers; False by default
    minigan.backends.cudnn.allow_tf32 = False        convolutions; True by default

float64 and the CPU never use it.
"""

from minigan.backends import cudnn, mps


class _Switch:
    def __init__(self, allow_tf32):
        self.allow_tf32 = allow_tf32


class cuda:
    matmul = _Switch(False)
