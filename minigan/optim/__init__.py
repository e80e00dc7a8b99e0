"""Optimisers, and schedules of their learning rates in `lr_scheduler`.

Parameters stay where they are; an optimiser gives their gradients places side by side in one flat
array (optimizer.py). Each update is a loop over the parameters with the formula in it; for SGD and
Adam it may be one launch of a kernel for all of them.
"""

from minigan.optim import lr_scheduler
from minigan.optim.adadelta import Adadelta
from minigan.optim.adagrad import Adagrad
from minigan.optim.adam import Adam
from minigan.optim.adamw import AdamW
from minigan.optim.optimizer import Optimizer
from minigan.optim.rmsprop import RMSprop
from minigan.optim.sgd import SGD

__all__ = ["Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "SGD", "lr_scheduler"]
