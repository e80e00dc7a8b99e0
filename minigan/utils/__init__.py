"""Where PyTorch and torchvision have them: `utils.data`, `save_image` and `make_grid`."""

from minigan.utils import data
from minigan.utils.images import make_grid, save_image
