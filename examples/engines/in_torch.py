"""PyTorch, as everyone writes it, or with its faster options.

    fused     Adam in one compiled function
    compiled  the forward passes and with them their backward passes by torch.compile
    captured  the whole step as a CUDA graph
"""

import os
from functools import partial

import torch

from engines import eager

WARM_UP = 3


def make_run(task, fused=None, compiled=False, captured=False):
    if task.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("this PyTorch finds no CUDA GPU; install one that is built for CUDA")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = task.tf32
    return eager.make_run(torch, task,
                          partial(torch.optim.Adam, fused=fused, capturable=captured),
                          torch.compile if compiled else eager.unchanged,
                          CapturedStep if captured else eager.unchanged)


class CapturedStep:
    """A step as one CUDA graph, as PyTorch's notes on CUDA graphs describe it.

    The first calls run the step as it is, on a side stream, to warm up.
    """

    def __init__(self, step):
        self.step = step
        self.calls = 0
        self.graph = self.inputs = None

    def __call__(self, *inputs):
        self.calls += 1
        if self.calls <= WARM_UP:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                losses = self.step(*inputs)
            torch.cuda.current_stream().wait_stream(stream)
            return losses
        if self.graph is None:
            self.inputs = [x.clone() for x in inputs]
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.losses = self.step(*self.inputs)
        for fixed, x in zip(self.inputs, inputs):
            fixed.copy_(x)
        self.graph.replay()
        return self.losses


def gpu_memory():
    return torch.cuda.max_memory_reserved()
