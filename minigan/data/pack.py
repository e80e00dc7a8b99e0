"""A folder of images as one HDF5 file, in the form that `ImageDataset` reads."""

from pathlib import Path

import numpy

from minigan.checks import check_type
from minigan.files import atomic_path
from minigan.training import Progress

SMALLEST = 128  # sides of the smallest image that is packed


def pack_images(folder, out, group="images", force=False):
    """Write all images in a folder and its subfolders to data sets 0.png, 1.png, ... of a group.

    folder  every file in it is tried, in the order of the paths, save hidden ones
    out     the HDF5 file; it appears when it is complete
    group   the group's name
    force   whether a file that is there already is replaced

    Returns how many images were packed, and a list of texts: the path of each file that was left
    out, because it is no image that can be read or is smaller than 128 x 128, and why.

    Raises ValueError for a group's name that begins with a digit, as images' names do,
    FileNotFoundError for a missing folder, FileExistsError for a file that is there,
    ValueError if no image was found, OSError if the file cannot be written.
    """
    import h5py

    folder, out = Path(folder), Path(out)
    check_type("pack_images", "group", group, str)
    if not group or group[0].isdigit() or ".." in group:
        raise ValueError(f"--group {group}: expected a name that does not begin with a digit, as "
                         f"images do")
    for needed in (folder, out.parent):
        if not needed.is_dir():
            raise FileNotFoundError(f"{needed}: no such folder")
    if out.exists() and not (force and out.is_file()):
        raise FileExistsError(f"{out}: is there already; only a file is replaced, by force "
                              f"(--force)")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not any(
        part.startswith(".") for part in path.relative_to(folder).parts))
    if not paths:
        raise ValueError(f"{folder}: expected images, found no files")
    count, skipped = 0, []
    with atomic_path(out) as partial:
        with h5py.File(partial, "w") as file, Progress(len(paths), "packing") as progress:
            images = file.require_group(group)
            for path in paths:
                try:
                    image = _large_enough(path)
                except ValueError as error:
                    skipped.append(str(error))
                else:
                    # Not compressed: photographs hardly get smaller, and take longer to read.
                    images.create_dataset(f"{count}.png", data=image)
                    count += 1
                progress.advance()
        if not count:
            raise ValueError(f"{folder}: none of {len(paths)} files is an image that can be "
                             f"packed; {skipped[0]}")
    return count, skipped


def read_image(path):
    """An image file as colours: uint8 (H,W,3).

    Any format that Pillow knows, told by its content. Grey is repeated for each colour; what is
    transparent by an alpha channel becomes white; a PNG of 16 bits becomes 8. Other formats with
    more than 8 bits are clipped by Pillow, and floating-point ones come out black: convert these
    first. Of an animation it is the first picture. How a camera was held (EXIF's orientation) is
    not regarded. ValueError for what cannot be read.
    """
    from matplotlib.image import imread

    path = Path(path)
    try:
        # Any format but "png" lets Pillow look at the content instead of the name.
        pixels = imread(path, format="any")
    except Exception as error:  # a damaged image can make a decoder raise anything
        raise ValueError(f"{path}: no image that can be read: {' '.join(str(error).split())}"
                         ) from error
    # matplotlib gives floats from 0 to 1 for PNG, whole numbers for all others.
    if pixels.dtype.kind != "f":
        pixels = pixels / numpy.float32(numpy.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None].repeat(3, axis=2)
    if pixels.shape[2] == 4:
        opacity = pixels[:, :, 3:]
        pixels = opacity * pixels[:, :, :3] + (1 - opacity)
    return numpy.rint(255 * pixels).astype(numpy.uint8)


def _large_enough(path):
    image = read_image(path)
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(f"{path}: {height} x {width} pixels, smaller than {SMALLEST} x {SMALLEST}")
    return image
