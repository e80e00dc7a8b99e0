"""Data sets of digits and colour images, batches, and random inputs.

>>> dataset = MnistDataset("digits")
>>> for labels, images, targets in DataLoader(dataset, batch_size=64, shuffle=True): ...

>>> faces = ImageDataset("faces", device="cpu")
>>> for images in ReadAhead(DataLoader(faces, batch_size=16, shuffle=True)): ...
"""

from minigan.data.ahead import ReadAhead
from minigan.files import cache_folder
from minigan.data.digits import draw_digits, load_digits
from minigan.data.download import download_mnist
from minigan.data.faces import draw_faces, open_faces
from minigan.data.idx import read_idx, write_idx
from minigan.data.images import ImageDataset, crop_center
from minigan.data.loader import DataLoader, Dataset, TensorDataset, collate, one_hot
from minigan.data.mnist import MnistDataset
from minigan.data.pack import pack_images, read_image
from minigan.data.random import (
    SampleAhead, generate_random_image, generate_random_one_hot, generate_random_seed)
