"""PyTorch's switches for TF32, a float32 of 10 bits after the point that GPUs multiply faster.

    minigan.backends.cuda.matmul.allow_tf32 = True   products of matrices, linear layers: off at first
    minigan.backends.cudnn.allow_tf32 = False        convolutions: on at first

float64 and the CPU never use it. (There is no cuDNN here; it is PyTorch's name.)
"""


class _Switch:
    def __init__(self, allow_tf32):
        self.allow_tf32 = allow_tf32


class cuda:
    matmul = _Switch(False)


cudnn = _Switch(True)
