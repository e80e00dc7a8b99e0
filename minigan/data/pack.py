"""Packing a folder of images into one HDF5 file, which `ImageDataset` reads."""

from pathlib import Path

import numpy

from minigan.checks import check_type
from minigan.files import atomic_path
from minigan.training import Progress

SMALLEST = 128  # sides of the smallest image that is packed


def pack_images(folder, out, group="images", force=False):
    """Write all images in a folder and its subfolders to data sets 0.png, 1.png, ... of a group.

    folder  every file in it is tried, in the order of the paths, except hidden ones
    out     the HDF5 file; the write is atomic
    group   the group's name
    force   whether an existing file is replaced

    Returns the number of packed images, and a list of strings: the path of each file that was
    skipped, because it is not a readable image or is smaller than 128 x 128, and the reason.

    Raises ValueError for a group's name that begins with a digit, as images' names do,
    FileNotFoundError for a missing folder, FileExistsError for an existing file, ValueError if no
    image was found, OSError if the file cannot be written.
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
        raise FileExistsError(f"{out}: already exists; a file, not a folder, is replaced by force "
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
                    image = _read_large_image(path)
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

    It may have any format that Pillow supports, recognised by its content. Greyscale becomes RGB;
    an alpha channel is blended with white; 16-bit PNGs are converted to 8 bits. Pillow clips other
    formats with more than 8 bits, and floating-point ones come out black: convert these first. Of
    an animation the first frame is read. EXIF's orientation is ignored. ValueError for a file that
    cannot be read.
    """
    from matplotlib.image import imread

    path = Path(path)
    try:
        # With any format but "png" Pillow recognises the content and ignores the name.
        pixels = imread(path, format="any")
    except Exception as error:  # decoders raise all kinds of errors for damaged images
        raise ValueError(f"{path}: not a readable image: {' '.join(str(error).split())}"
                         ) from error
    # matplotlib returns floats from 0 to 1 for PNG, and integers for other formats.
    if pixels.dtype.kind != "f":
        pixels = pixels / numpy.float32(numpy.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None].repeat(3, axis=2)
    if pixels.shape[2] == 4:
        opacity = pixels[:, :, 3:]
        pixels = opacity * pixels[:, :, :3] + (1 - opacity)
    return numpy.rint(255 * pixels).astype(numpy.uint8)


def _read_large_image(path):
    image = read_image(path)
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(f"{path}: {height} x {width} pixels, smaller than {SMALLEST} x {SMALLEST}")
    return image
