"""PyTorch, as everyone writes it; `fused` is its fastest Adam."""

import os
from functools import partial

import torch

from engines import eager


def make_run(task, fused=None):
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return eager.make_run(torch, task, partial(torch.optim.Adam, fused=fused))
