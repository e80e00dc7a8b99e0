"""Optimisers: SGD and Adam.

Parameters stay where they are; an optimiser gives their gradients places side by side in one flat
array (optimizer.py). Each update is a loop over the parameters with the formula in it, or one launch
of a kernel for all of them.
"""

from minigan.optim.adam import Adam
from minigan.optim.optimizer import Optimizer
from minigan.optim.sgd import SGD

__all__ = ["Adam", "Optimizer", "SGD"]
