"""Pictures of a generator's samples: grids, and animations of grids."""

import math
from pathlib import Path

import numpy

from minigan.checks import describe, explain_errors, check_number
from minigan.files import atomic_path
from minigan.training.arrays import as_numpy
from minigan.training.plots import DPI, as_path, drawn_once, save_png

# In pixels of the picture.
MARGIN = 8          # around the grid
TITLE_HEIGHT = 36
LETTER_WIDTH = 12   # of the row labels
LONGEST_SIDE = 900  # that a grid of small images is enlarged to
GREY_OF_FRAMES = 0.75


@explain_errors
@drawn_once
def plot_sample_grid(images, path=None, rows=None, row_labels=None, title=None):
    """Images side by side, row after row, saved as a PNG file or, without a path, as the figure
    that is returned, which a notebook shows.

    images      floats, clipped to 0..1: grey (N,H,W), (N,1,H,W) or, for square images, (N,H*H), 0
                shown white and 1 black; or colour (N,3,H,W)
    rows        the number of rows; None for one for each of row_labels, or else about as many as
                columns. The last rows may be incomplete.
    row_labels  a text, or an object with a str, for each row

    Images of a few pixels are enlarged by an integer factor, so that all their pixels have the same
    size. A nan is shown as 0.5. ValueError for other shapes, for integers, and for a number of
    rows that does not match.
    """
    path = as_path(path)
    grid = _grid(images, rows, row_labels)
    return save_png(_figure(grid, row_labels, title), path)


@explain_errors
@drawn_once
def save_animation(pictures, path, seconds=0.5):
    """Pictures, such as those that `plot_sample_grid` saved after each epoch, as an animated GIF.

    pictures  the paths of PNG files of one size, in order
    seconds   for which each is shown

    ValueError for no pictures, pictures of different sizes, and seconds of 0 or less; OSError for a
    file that cannot be read.
    """
    from PIL import Image  # matplotlib brings it along

    path = Path(path)
    pictures = list(map(Path, pictures))
    if not pictures:
        raise ValueError("save_animation: expected at least one picture, got none")
    if not check_number("save_animation", "seconds", seconds) > 0:
        raise ValueError(f"save_animation: seconds must be above 0, got {seconds}")
    frames = []
    for picture in pictures:
        with Image.open(picture) as image:
            frames.append(image.convert("RGB"))
        if frames[-1].size != frames[0].size:
            raise ValueError(f"save_animation: expected pictures of one size, {pictures[0]} has "
                             f"{frames[0].size}, {picture} has {frames[-1].size}")
    with atomic_path(path, ".gif") as unfinished:
        frames[0].save(unfinished, save_all=True, append_images=frames[1:],
                       duration=1000 * seconds, loop=0)
    return path


def _grid(images, rows, row_labels):
    """One picture of all images, enlarged, with gaps between them: uint8 (height,width,3)."""
    images = as_numpy(images)
    shape = images.shape
    side = math.isqrt(shape[-1]) if images.ndim == 2 else 0
    if side and side * side == shape[1]:
        images = images.reshape(-1, side, side)
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise ValueError(f"plot_sample_grid: expected grey images (N,H,W), (N,1,H,W) or (N,H*H) or "
                         f"colour images (N,3,H,W), with N > 0, got {shape}")
    if images.dtype.kind != "f":
        raise ValueError(f"plot_sample_grid: expected floats from 0 to 1, got {images.dtype}")
    count, channels, height, width = images.shape
    if rows is None:
        rows = math.isqrt(count) if row_labels is None else len(row_labels)
    if not 1 <= rows <= count or row_labels is not None and len(row_labels) != rows:
        raise ValueError(f"plot_sample_grid: expected 1 to {count} rows for {count} images and a "
                         f"label for each, got rows {describe(rows)} and labels "
                         f"{describe(row_labels)}")
    columns = math.ceil(count / rows)
    images = numpy.nan_to_num(images, nan=0.5).clip(0, 1)
    if channels == 1:
        images = 1 - images.repeat(3, axis=1)  # ink on paper
    scale = max(1, LONGEST_SIDE // max(rows * height, columns * width))
    images = images.repeat(scale, axis=2).repeat(scale, axis=3).transpose(0, 2, 3, 1)
    # Around each image a grey and a white frame of one pixel: one of them is visible beside any
    # image. Empty cells stay white.
    cells = numpy.ones((rows * columns, scale * height + 4, scale * width + 4, 3), "float32")
    cells[:count, 1:-1, 1:-1] = GREY_OF_FRAMES
    cells[:count, 2:-2, 2:-2] = images
    cells = numpy.rint(255 * cells).astype("uint8")
    picture = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    return picture.reshape(rows * cells.shape[1], columns * cells.shape[2], 3)


def _figure(grid, row_labels, title):
    """A figure of one grid."""
    from minigan.inspect.figure import Figure

    labels = [] if row_labels is None else [str(label) for label in row_labels]
    left = MARGIN + LETTER_WIDTH * max(map(len, labels), default=0) + (MARGIN if labels else 0)
    width = left + grid.shape[1] + MARGIN
    height = MARGIN + grid.shape[0] + (MARGIN if title is None else TITLE_HEIGHT)
    # Half a pixel more: it is cut off, but a rounding error below would cost a whole pixel.
    figure = Figure(figsize=((width + 0.5) / DPI, (height + 0.5) / DPI), dpi=DPI)
    # Pixel for pixel: nothing is resampled.
    figure.figimage(grid, left, MARGIN, origin="upper")
    figure.text((left + grid.shape[1] / 2) / width, 1 - TITLE_HEIGHT / 2 / height,
                title or "", ha="center", va="center", fontsize=12)
    for row, label in enumerate(labels):
        y = MARGIN + grid.shape[0] * (1 - (row + 0.5) / len(labels))
        figure.text((left - MARGIN) / width, y / height, label, ha="right", va="center_baseline",
                    fontsize=11)
    return figure
