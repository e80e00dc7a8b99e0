"""PyTorch, as everyone writes it; `fused` is its fastest Adam, `recorded` a CUDA graph."""

import os
from functools import partial

import torch

from engines import eager

WARM_UP = 3


def make_run(task, fused=None, recorded=False):
    if task.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("this PyTorch finds no CUDA GPU; install one that is built for CUDA")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = task.tf32
    adam = partial(torch.optim.Adam, fused=fused, capturable=recorded)
    return eager.make_run(torch, task, adam, Recorded if recorded else lambda step: step)


class Recorded:
    """A step as one CUDA graph, as PyTorch's notes on CUDA graphs have it for a whole network.

    The first calls are steps too, on another stream; they warm up.
    """

    def __init__(self, step):
        self.step = step
        self.calls = 0
        self.graph = None

    def __call__(self):
        self.calls += 1
        if self.calls <= WARM_UP:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                losses = self.step()
            torch.cuda.current_stream().wait_stream(stream)
            return losses
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.losses = self.step()
        self.graph.replay()
        return self.losses


def gpu_memory():
    return torch.cuda.max_memory_reserved()
