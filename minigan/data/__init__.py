"""Data to learn from: MNIST, a built-in set of drawn digits, batches, and random inputs.

>>> dataset = MnistDataset("digits")
>>> for labels, images, targets in DataLoader(dataset, batch_size=64, shuffle=True): ...
"""

from minigan.data.cache import cache_folder
from minigan.data.digits import draw_digits, load_digits
from minigan.data.download import download_mnist
from minigan.data.idx import read_idx, write_idx
from minigan.data.loader import DataLoader, Dataset, collate, one_hot
from minigan.data.mnist import MnistDataset
from minigan.data.random import (
    generate_random_image, generate_random_one_hot, generate_random_seed)
