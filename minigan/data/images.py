"""Colour images from an HDF5 file that may be larger than memory."""

import contextlib
import math
import re
from pathlib import Path

import numpy

from minigan.tensor import from_array
from minigan.data.faces import open_faces
from minigan.data.loader import Dataset
from minigan.data.sandbox import read_in_sandbox
from minigan.device import device_module
from minigan.checks import DamagedFileError

FACES = 1200  # in the built-in set
NAME = re.compile(r"([0-9]{1,18})(\.png|\.jpe?g)?", re.IGNORECASE)
CHECKED = 1000  # images whose form is checked on opening, 0.3 ms each
# What h5py raises where a file's bytes make no sense, or a link leads nowhere.
DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError)


class ImageDataset(Dataset):
    """Images of one group of an HDF5 file: data sets 0.png, 1.png, ..., each uint8 (H,W,3).

    source  "faces" for the built-in set of generated faces, which needs no files and no network;
            or the path of an HDF5 file. `python -m minigan.data pack` makes one of a folder.
    size    height and width of the items: the middle of each image, which must be at least as
            large; images may differ in size
    group   the name of the group; None if only one group, or only the file's root, has images
    device  where the Tensors are; None for the default device

    >>> for images in DataLoader(ImageDataset("faces"), batch_size=16, shuffle=True): ...

    An item is a float32 Tensor (3,size,size) from 0 to 1. Items are in the order of their numbers,
    some of which may be missing; the names may also end in `.jpg` or `.jpeg`, or be bare numbers.
    Images are read on demand and not kept: opening reads the names and checks the form of the first
    thousand images. Whatever is read from a file is read by a child process first, see sandbox.py.
    The attributes `names`, a list, and `group` hold what was found.

    Raises FileNotFoundError for a missing file; DamagedFileError for a file that is damaged or not
    HDF5, and for none or several groups with images. An image that is damaged, of another form, or
    stored in another file (by a link or otherwise) raises DamagedFileError here or when it is read.
    """

    def __init__(self, source="faces", size=128, group=None, device=None):
        if not isinstance(size, (int, numpy.integer)) or size < 1:
            raise ValueError(f"ImageDataset: size must be an integer of at least 1, got {size!r}")
        self.size = size
        self.device = device
        # The built-in faces are minigan's own, and need no sandbox.
        self._request = None if source == "faces" else (Path(source).absolute(), group, int(size))
        self._file = _open(Path(source), group, size) if self._request else open_faces(FACES)
        with _explain_damage(
                f"{self._file.filename}: expected a whole HDF5 file, found a damaged one"):
            self.group, self.names = _find_images(self._file, group)
            self._images = self._file[self.group]
        self._was_tried = numpy.full(len(self), self._request is None)  # read in the sandbox
        for index in range(min(CHECKED, len(self))):
            self._image(index)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return from_array(self._to_device(self.raw(index).transpose(2, 0, 1)))

    def batch(self, indices):
        """Many items at once, of an int64 array (N,) or a slice: float32 Tensor (N,3,size,size)."""
        indices = numpy.arange(len(self))[indices]
        self._try_in_sandbox(indices)
        pixels = numpy.empty((len(indices), self.size, self.size, 3), numpy.uint8)
        for row, index in enumerate(indices):
            pixels[row] = self.raw(index)
        return from_array(self._to_device(pixels.transpose(0, 3, 1, 2)))

    def raw(self, index):
        """The middle of an image as it is in the file: a NumPy array uint8 (size,size,3)."""
        self._try_in_sandbox([index])
        image = self._image(index)
        with _explain_damage(f"{self._where(index)}: expected a whole image, found damaged data"):
            return crop_center(image, self.size, self.size)

    def shape(self, index):
        """Height, width and channels of an image as it is in the file: a tuple (H,W,3)."""
        if not 0 <= index < CHECKED:
            self._try_in_sandbox([index])
        return self._image(index).shape

    def plot_image(self, index):
        """Show an image with its name as the title, in matplotlib's current axes."""
        from matplotlib import pyplot

        pyplot.imshow(self.raw(index))
        pyplot.title(f"image {self.names[index]}")

    def _try_in_sandbox(self, indices):
        """Have the child process read those of these images that it has not read yet."""
        untried = [index for index in indices if not self._was_tried[index]]
        if untried:
            read_in_sandbox(*self._request, [range(len(self))[index] for index in untried])
            self._was_tried[untried] = True

    def _image(self, index):
        """The h5py.Dataset of an image, its form checked; no pixels are read yet."""
        import h5py

        where = self._where(index)
        with _explain_damage(f"{where}: expected an image, found no readable one"):
            image = _follow_hard_links(self._images, self.names[index])
            if not isinstance(image, h5py.Dataset):
                found = f"a {type(image).__name__.lower()}" if image else "no readable one"
                raise DamagedFileError(f"{where}: expected an image, found {found}")
            # Asked first: even for the shape of a virtual data set other files are opened.
            if image.is_virtual or image.external:
                raise ValueError("its pixels are not in the file itself")
            shape, dtype = image.shape or (), image.dtype  # no shape: there is no data at all
        if dtype != "uint8" or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < self.size:
            raise DamagedFileError(f"{where}: expected a colour image, uint8 (H,W,3) with H and W "
                                   f"at least {self.size}, found {dtype} of shape {shape}")
        with _explain_damage(f"{where}: expected a whole image, found a damaged one"):
            _check_stored(image)
        return image

    def _where(self, index):
        return f"{self._file.filename}, {self.group.rstrip('/')}/{self.names[index]}"

    def _to_device(self, pixels):
        """Bytes (...,3,H,W) as an array from 0 to 1 on the device."""
        xp = device_module(self.device)
        # Copied as bytes and converted there: a quarter of the traffic to a GPU.
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


def _open(path, group, size):
    import h5py

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file, and not 'faces' (the built-in set)")
    if path.is_dir():
        raise ValueError(f"{path}: expected an HDF5 file, found a folder; `python -m minigan.data "
                         f"pack` makes such a file of a folder's images")
    read_in_sandbox(path, group, size)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        # An error of the system, such as a missing permission, has a number and stays as it is.
        if error.errno:
            raise
        raise DamagedFileError(f"{path}: expected a whole HDF5 file, found a truncated, damaged "
                               f"or foreign one: {_line(error)}") from error


def _check_stored(image):
    """ValueError unless the file holds all of an image: h5py reads zeros for what is missing."""
    if image.chunks is None:
        found, expected, unit = image.id.get_storage_size(), image.nbytes, "bytes"
    else:
        chunks = []
        image.id.chunk_iter(chunks.append)
        found, unit = len(chunks), "chunks"
        expected = math.prod(-(-side // part) for side, part in zip(image.shape, image.chunks))
        # A chunk that some filter did not pack must not be smaller than the pixels in it: libhdf5
        # would read what lies behind it in memory.
        size, filters = math.prod(image.chunks), image.id.get_create_plist().get_nfilters()
        for chunk in chunks:
            if chunk.size < size and (chunk.filter_mask or not filters):
                raise ValueError(f"chunk {chunk.chunk_offset}: expected {size} bytes, found "
                                 f"{chunk.size}")
    if found != expected:
        raise ValueError(f"expected {expected} {unit} for shape {image.shape}, found {found}")


def _find_images(file, group):
    """The name of the group with images, and their names in order."""
    import h5py

    if group is None:
        # The root, and the groups directly in it. An image's name is not looked up: there may be
        # a hundred thousand.
        names = ["/"] + [name for name in _names(file) if not NAME.fullmatch(name)]
    else:
        names = [group]
    groups = {name: _follow_hard_links(file, name) for name in names}
    images = {name: sorted(filter(NAME.fullmatch, _names(item)), key=_number)
              for name, item in groups.items() if isinstance(item, h5py.Group)}
    images = {name: names for name, names in images.items() if names}
    if not images:
        there = ", ".join(_names(file)[:10]) or "nothing"
        raise DamagedFileError(f"{file.filename}: expected a group {group or 'of any name'} with "
                               f"data sets 0.png, 1.png, ..., found none; in the file: {there}")
    if len(images) > 1:
        raise DamagedFileError(f"{file.filename}: expected one group with images, found "
                               f"{', '.join(images)}; choose one by group=")
    return images.popitem()


def _follow_hard_links(group, path):
    """The object at this path, None if there is none; soft and external links are not followed,
    since they may lead to other files."""
    import h5py

    for name in filter(None, path.split("/")):
        if not isinstance(group, h5py.Group) or not isinstance(
                group.get(name, getlink=True), h5py.HardLink):
            return None
        group = group[name]
    return group


@contextlib.contextmanager
def _explain_damage(start):
    """Turn what h5py raises in the block into a DamagedFileError that begins with `start`."""
    try:
        yield
    except DamagedFileError:
        raise
    except DAMAGE as error:
        raise DamagedFileError(f"{start}: {_line(error)}") from error


def _names(group):
    # Names that are not UTF-8 come as bytes, which h5py itself cannot look up.
    return [name for name in group if isinstance(name, str)]


def _number(name):
    # Names with the same number are sorted too.
    return int(NAME.fullmatch(name)[1]), name


def _line(error):
    """The error's text on one line, without the quotes that a KeyError puts around it."""
    return " ".join(str(error).split()).strip("'\"")
