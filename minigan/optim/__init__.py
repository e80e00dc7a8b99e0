"""Optimisers: SGD and Adam over parameters that lie side by side in one flat array.

An optimiser moves its parameters into one array per group (and dtype), and gives each a place in
a second one for its gradient (blocks.py). The parameters stay what they were, as views. A step is
then a handful of array calls whatever the number of layers; on a GPU it is one launch.
"""

from minigan.optim.adam import Adam
from minigan.optim.optimizer import Optimizer
from minigan.optim.sgd import SGD

__all__ = ["Adam", "Optimizer", "SGD"]
