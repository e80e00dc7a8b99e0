"""`minigan.utils.data`, where PyTorch has what is in `minigan.data`."""

from minigan.utils import data
