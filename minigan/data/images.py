"""Colour images from an HDF5 file that may be larger than memory."""

import contextlib
import re
from pathlib import Path

import numpy

from minigan.tensor import Tensor
from minigan.data.faces import open_faces
from minigan.data.loader import Dataset
from minigan.data.lookover import look_over
from minigan.data.pixels import StoredImage
from minigan.device import device_module
from minigan.checks import DamagedFileError

FACES = 1200  # in the built-in set
NAME = re.compile(r"([0-9]{1,18})(\.png|\.jpe?g)?", re.IGNORECASE)
CHECKED = 1000  # images that are looked over at a time, at opening the first, in 0.3 ms each
# What h5py raises where a file's bytes make no sense, or a link leads nowhere.
DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError)


class ImageDataset(Dataset):
    """Images of one group of an HDF5 file: data sets 0.png, 1.png, ..., each uint8 (H,W,3).

    source  "faces" for the built-in set of drawn faces, which needs no files and no network; or
            the path of an HDF5 file. `python -m minigan.data pack` makes one of a folder.
    size    height and width of the items: the middle of each image, which has to be at least as
            large; images may differ in size
    group   the name of the group; None if only one group, or only the file's root, has images
    device  where the Tensors are; None for the default device

    >>> for images in DataLoader(ImageDataset("faces"), batch_size=16, shuffle=True): ...

    An item is a float32 Tensor (3,size,size) from 0 to 1. Items are in the order of their numbers,
    of which some may be missing; `.jpg`, `.jpeg` or no ending at all do as well. Images are read
    when they are asked for and not kept: at opening the file's names are read, and the form of
    the first thousand images is checked, after another process has looked the file over. `names`,
    a list, and `group` tell what was found.

    Raises FileNotFoundError for a missing file, and DamagedFileError for one that is damaged or no
    HDF5 file, for no group with images or several, and, here or when it is read, for an image of
    another form, damaged, in another file (by a link or otherwise), or packed by other filters than
    gzip, LZF, shuffle and Fletcher32.
    """

    def __init__(self, source="faces", size=128, group=None, device=None):
        if not isinstance(size, (int, numpy.integer)) or size < 1:
            raise ValueError(f"ImageDataset: size must be a whole number of at least 1, "
                             f"got {size!r}")
        self.size = size
        self.device = device
        # The built-in faces are of minigan itself, and need no looking over.
        self._path = None if source == "faces" else Path(source).absolute()
        self._file = _opened(source, group) if self._path else open_faces(FACES)
        self._looked_over = {0}  # numbers of blocks of CHECKED images
        with _damage(f"{self._file.filename}: expected a whole HDF5 file, found a damaged one"):
            self.group, self.names = _found(self._file, group)
            self._images = self._file[self.group]
        for index in range(min(CHECKED, len(self))):
            self.shape(index)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return Tensor(self._on_device(self.raw(index).transpose(2, 0, 1)))

    def batch(self, indices):
        """Many items at once, of an int64 array (N,) or a slice: float32 Tensor (N,3,size,size)."""
        if isinstance(indices, slice):
            indices = range(*indices.indices(len(self)))
        pixels = numpy.empty((len(indices), self.size, self.size, 3), numpy.uint8)
        for place, index in enumerate(indices):
            pixels[place] = self.raw(index)
        return Tensor(self._on_device(pixels.transpose(0, 3, 1, 2)))

    def raw(self, index):
        """The middle of an image as it is in the file: a NumPy array uint8 (size,size,3)."""
        image = self._image(index)
        with _damage(f"{self._where(index)}: expected a whole image, found damaged data"):
            return crop_center(image, self.size, self.size)

    def shape(self, index):
        """Height, width and channels of an image as it is in the file: a tuple (H,W,3)."""
        return self._image(index).shape

    def plot_image(self, index):
        """Show an image with its name as the title, in matplotlib's current axes."""
        from matplotlib import pyplot

        pyplot.imshow(self.raw(index))
        pyplot.title(f"image {self.names[index]}")

    def look_up(self, index):
        """Find where all of an image is in the file; its pixels are not read."""
        with _damage(f"{self._where(index)}: expected a whole image, found a damaged one"):
            self._image(index).look_up()

    def _image(self, index):
        """The data set of an image, its form checked; no pixel is read yet."""
        import h5py

        where = self._where(index)
        block = range(len(self))[index] // CHECKED
        if self._path and block not in self._looked_over:
            look_over(self._path, self.group, block * CHECKED, CHECKED)
            self._looked_over.add(block)
        with _damage(f"{where}: expected an image, found no readable one"):
            image = _linked(self._images, self.names[index])
            if not isinstance(image, h5py.Dataset):
                found = f"a {type(image).__name__.lower()}" if image else "no readable one"
                raise DamagedFileError(f"{where}: expected an image, found {found}")
            image = StoredImage(image)
        shape = image.shape
        if image.dtype != "uint8" or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < self.size:
            raise DamagedFileError(f"{where}: expected a colour image, uint8 (H,W,3) with H and W "
                                   f"at least {self.size}, found {image.dtype} of shape {shape}")
        return image

    def _where(self, index):
        return f"{self._file.filename}, {self.group.rstrip('/')}/{self.names[index]}"

    def _on_device(self, pixels):
        """Bytes (...,3,H,W) as an array from 0 to 1 on the device."""
        xp = device_module(self.device)
        # Moved as bytes and made float32 there: a quarter of the traffic to a GPU.
        return xp.divide(xp.asarray(numpy.ascontiguousarray(pixels)), 255, dtype="float32")


def crop_center(img, new_width, new_height):
    """The middle of an image (H,W,...): new_height rows and new_width columns, a view of an array.

    Where the margins cannot be equal, the lower and right ones differ from the others by 1.
    ValueError for an image that is smaller.
    """
    height, width = img.shape[:2]
    if new_height > height or new_width > width:
        raise ValueError(f"crop_center: expected an image of at least {new_height} rows and "
                         f"{new_width} columns, got {height} and {width}")
    top = height // 2 - new_height // 2
    left = width // 2 - new_width // 2
    return img[top:top + new_height, left:left + new_width]


def _opened(source, group):
    import h5py

    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file, and not 'faces' (the built-in set)")
    if path.is_dir():
        raise ValueError(f"{path}: expected an HDF5 file, found a folder; `python -m minigan.data "
                         f"pack` makes such a file of a folder's images")
    look_over(path, group, 0, CHECKED)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        # What the system refused, such as a file without permission, has a number and stays.
        if error.errno:
            raise
        raise DamagedFileError(f"{path}: expected a whole HDF5 file, found a truncated, damaged "
                               f"or foreign one: {_line(error)}") from error


def _found(file, wanted):
    """The name of the group with images, and their names in order."""
    import h5py

    if wanted is None:
        # The root, and the groups directly in it. An image's name is not looked up: there may be
        # a hundred thousand.
        names = ["/"] + [name for name in _names(file) if not NAME.fullmatch(name)]
    else:
        names = [wanted]
    groups = {name: _linked(file, name) for name in names}
    images = {name: sorted(filter(NAME.fullmatch, _names(group)), key=_number)
              for name, group in groups.items() if isinstance(group, h5py.Group)}
    images = {name: names for name, names in images.items() if names}
    if not images:
        there = ", ".join(_names(file)[:10]) or "nothing"
        raise DamagedFileError(f"{file.filename}: expected a group {wanted or 'of any name'} with "
                               f"data sets 0.png, 1.png, ..., found none; in the file: {there}")
    if len(images) > 1:
        raise DamagedFileError(f"{file.filename}: expected one group with images, found "
                               f"{', '.join(images)}; choose one by group=")
    return images.popitem()


def _linked(group, path):
    """What the path leads to by hard links alone, None if there is no such thing.

    Other links may lead to other files, which nobody has named.
    """
    import h5py

    for name in filter(None, path.split("/")):
        if not isinstance(group, h5py.Group) or not isinstance(
                group.get(name, getlink=True), h5py.HardLink):
            return None
        group = group[name]
    return group


@contextlib.contextmanager
def _damage(start):
    """Make what h5py raises in the block a DamagedFileError that starts so."""
    try:
        yield
    except DamagedFileError:
        raise
    except DAMAGE as error:
        raise DamagedFileError(f"{start}: {_line(error)}") from error


def _names(group):
    # Those that are no text in UTF-8 come as bytes, which h5py itself cannot look up.
    return [name for name in group if isinstance(name, str)]


def _number(name):
    # Of one number with several endings, always in the same order.
    return int(NAME.fullmatch(name)[1]), name


def _line(error):
    """What went wrong, without line breaks and the quotes that a KeyError puts around it."""
    return " ".join(str(error).split()).strip("'\"")
