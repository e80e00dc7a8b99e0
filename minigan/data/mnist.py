"""MNIST's images of handwritten digits, and data sets in its format."""

from pathlib import Path

import numpy

from minigan.tensor import from_array
from minigan.files import cache_folder
from minigan.data.digits import load_digits
from minigan.data.download import download_mnist
from minigan.data.idx import read_idx
from minigan.data.loader import Dataset
from minigan.device import default_device, device_module, to_device
from minigan.checks import DamagedFileError

SIDE = 28
PIXELS = SIDE * SIDE
# The values as CSV files write them. `int` would accept "1_0", "+1" and other scripts' digits.
VALUES = {str(value): value for value in range(256)}
LONGEST_LINE = 1 << 16  # of a CSV file, in characters: several times the longest header
TARGETS = numpy.eye(10, dtype="float32")  # row: the one-hot target of a label


class MnistDataset(Dataset):
    """Images of digits with their labels.

    source  "digits" for the built-in set of rendered digits, which needs no files and no network;
            "mnist" for MNIST, downloaded once into the user's cache folder; or a path to
            - a folder with MNIST's IDX files, gzipped or not,
            - a folder with mnist_train.csv and mnist_test.csv,
            - a CSV file: in each row a label and 784 values from 0 to 255
    train   whether to load the training set or the test set; ignored for a CSV file

    >>> for label, image, target in MnistDataset("digits"): ...

    gives label, an int; image, a float32 Tensor (784,) from 0 to 1; target, a float32 Tensor (10,)
    with a one at the label's index. The Tensors are on the default device. The attributes `images`,
    uint8 (n, 28, 28), and `labels`, uint8 (n,), hold the set as NumPy arrays, read-only. A GPU gets
    the whole set once, and makes batches there. A DataLoader converts 64 items at once, and small
    batches are views of these.

    Raises FileNotFoundError for missing files, DamagedFileError for damaged or unsuitable ones,
    and ConnectionError if MNIST cannot be downloaded.
    """

    at_once = 64  # one by one, loading them takes more than twice as long

    def __init__(self, source, train=True):
        self.images, self.labels = _load(source, train)
        for array in (self.images, self.labels):
            array.flags.writeable = False  # a DataLoader converts some of them ahead
        self._rows = self.images.reshape(-1, PIXELS)
        self._on_gpu = None  # labels, images and targets of all items, once a batch was made there

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        label = self.labels.item(index)
        image = numpy.divide(self._rows[index], 255, dtype="float32")
        target = TARGETS[label].copy()
        return label, from_array(to_device(image, None)), from_array(to_device(target, None))

    def batch(self, indices):
        """Many items at once: int64 Tensor (N,), float32 Tensors (N, 784) and (N, 10)."""
        return tuple(map(from_array, self._arrays(indices)))

    def _arrays(self, indices):
        """int64 (N,), float32 (N,784) and (N,10), on the default device."""
        xp = device_module(None)
        if not isinstance(indices, slice):
            indices = numpy.arange(len(self))[indices]  # IndexError for those that are out of range
        if default_device() == "cpu":
            labels = self.labels[indices]
            images, labels, targets = self._rows[indices], labels.astype("int64"), TARGETS[labels]
        else:
            if self._on_gpu is None:
                self._on_gpu = [xp.asarray(array) for array in (
                    self._rows, self.labels.astype("int64"), TARGETS[self.labels])]
            indices = indices if isinstance(indices, slice) else xp.asarray(indices)
            images, labels, targets = (array[indices] for array in self._on_gpu)
            labels, targets = labels.copy(), targets.copy()  # a slice is a view
        return labels, xp.divide(images, 255, dtype="float32"), targets

    def plot_image(self, index):
        """Show an image with its label as the title, in matplotlib's current axes."""
        from matplotlib import pyplot

        pyplot.imshow(self.images[index], cmap="gray")
        pyplot.title(f"label {self.labels[index]}")


def _load(source, train):
    """Images uint8 (n, 28, 28) and labels uint8 (n,), checked."""
    if source == "digits":
        return load_digits(12_000, seed=0) if train else load_digits(2_000, seed=1)
    if source == "mnist":
        folder = cache_folder() / "mnist"
        download_mnist(folder)
        return _load_idx(folder, train)
    path = Path(source)
    if path.is_dir():
        table = path / ("mnist_train.csv" if train else "mnist_test.csv")
        return _load_csv(table) if table.exists() else _load_idx(path, train)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder or CSV file, and neither 'digits' (the "
                                f"built-in set) nor 'mnist' (downloaded)")
    return _load_csv(path)


def _load_idx(folder, train):
    part = "train" if train else "t10k"
    images_path = _find(folder, f"{part}-images", "idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels", "idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != "uint8" or images.shape[1:] != (SIDE, SIDE):
        raise DamagedFileError(f"{images_path}: expected uint8 images of shape "
                               f"(n, {SIDE}, {SIDE}), found {images.dtype} of shape "
                               f"{images.shape}")
    if labels.dtype != "uint8" or labels.ndim != 1:
        raise DamagedFileError(f"{labels_path}: expected uint8 labels of shape (n,), "
                               f"found {labels.dtype} of shape {labels.shape}")
    if len(images) != len(labels):
        raise DamagedFileError(f"{images_path} has {len(images)} images, but {labels_path} has "
                               f"{len(labels)} labels: expected as many")
    wrong = (labels > 9).nonzero()[0]
    if wrong.size:
        raise DamagedFileError(f"{labels_path}: expected labels from 0 to 9, found "
                               f"{labels[wrong[0]]} at index {wrong[0]}")
    return images, labels


def _find(folder, stem, suffix):
    names = [stem + sign + suffix + packed for packed in ("", ".gz") for sign in "-."]
    for name in names:
        if (folder / name).exists():
            return folder / name
    table = "mnist_train.csv" if stem.startswith("train") else "mnist_test.csv"
    raise FileNotFoundError(f"{folder}: found none of {', '.join(names)}; nor {table}")


def _load_csv(path):
    rows = bytearray()
    # What cannot be decoded is replaced, and then reported as a bad value of its line.
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), ""), 1):
            if len(line) > LONGEST_LINE:
                raise DamagedFileError(f"{path}, line {number}: expected a label and {PIXELS} "
                                       f"values, found a line of over {LONGEST_LINE} characters")
            fields = line.rstrip("\n").split(",")
            if not line.strip() or (number == 1 and fields[0].strip(' "').isalpha()):
                continue  # a blank line, or the header
            if len(fields) != 1 + PIXELS:
                raise DamagedFileError(f"{path}, line {number}: expected a label and {PIXELS} "
                                       f"values, found {len(fields)} fields")
            try:
                row = bytes(VALUES[field.strip(" ")] for field in fields)
            except KeyError as error:
                raise DamagedFileError(f"{path}, line {number}: expected integers from 0 to 255, "
                                       f"found {error.args[0]!r:.40}") from error
            if row[0] > 9:
                raise DamagedFileError(f"{path}, line {number}: expected a label from 0 to 9, "
                                       f"found {row[0]}")
            rows += row
    if not rows:
        raise DamagedFileError(f"{path}: expected rows of a label and {PIXELS} values, found none")
    table = numpy.frombuffer(rows, numpy.uint8).reshape(-1, 1 + PIXELS)
    return table[:, 1:].reshape(-1, SIDE, SIDE), table[:, 0].copy()
