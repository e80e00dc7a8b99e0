"""The operations under the name PyTorch knows them by."""

from minigan.functional import *
from minigan.functional import __all__
