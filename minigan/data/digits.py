"""The built-in data set: digits in MNIST's format, rendered from matplotlib's fonts.

It needs no network, and is hard enough to be worth learning: every image shows a digit in one of
about twenty typefaces, bent, slanted, rotated, stretched and thickened at random.
"""

import contextlib
import sys
from importlib.metadata import version
from pathlib import Path

import numpy

from minigan.files import cache_folder, one_at_a_time
from minigan.data.idx import read_idx, write_idx
from minigan.checks import check_int, explain_errors

RECIPE = 2  # to be raised with every change to the images
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE = 28
CANVAS = 48  # side of what a digit is drawn on before it is cropped


@explain_errors
def load_digits(count, seed=0):
    """The digits of `draw_digits`, cached in the user's cache folder: of several processes one
    renders them.

    If the cache cannot be written, this prints a line to stderr and keeps the digits in memory.
    """
    name = f"digits-{RECIPE}-seed-{seed}-count-{count}-matplotlib-{version('matplotlib')}"
    folder = cache_folder() / name
    paths = folder / "images-idx3-ubyte", folder / "labels-idx1-ubyte"

    def cached():
        with contextlib.suppress(OSError, ValueError):
            images, labels = (read_idx(path) for path in paths)
            if images.shape == (count, SIDE, SIDE) and labels.shape == (count,):
                return images, labels

    found = cached()
    if found is None:
        with one_at_a_time(folder):
            found = cached() or _drawn(paths, count, seed)
    return found


def _drawn(paths, count, seed):
    arrays = draw_digits(count, seed)
    try:
        for path, array in zip(paths, arrays):
            write_idx(path, array)
    except OSError as error:
        print(f"digits: not cached for the next run: {error}", file=sys.stderr)
    return arrays


@explain_errors
def draw_digits(count, seed=0):
    """Render digits like MNIST's: white on black, about 20 pixels large, centred by mass.

    count  how many; each digit appears equally often (to within one), in random order
    seed   an integer of at least 0; the same seed gives the same images

    Returns images, uint8 (count, 28, 28), and labels, uint8 (count,). ValueError for a count
    below 1, RuntimeError if matplotlib's fonts are missing.
    """
    # Imported here: matplotlib is slow to import, and most runs read the digits from the cache.
    from matplotlib.backends.backend_agg import RendererAgg

    count = check_int("draw_digits", "count", count)
    random = numpy.random.default_rng(check_int("draw_digits", "seed", seed, least=0))
    outlines = _outlines()
    renderer = RendererAgg(CANVAS, CANVAS, 72)  # at 72 dots an inch a point is a pixel
    labels = random.permutation(numpy.arange(count) % 10).astype(numpy.uint8)
    images = numpy.empty((count, SIDE, SIDE), numpy.uint8)
    for index, label in enumerate(labels):
        outline = outlines[random.integers(len(outlines))][label]
        images[index] = _render(renderer, outline, random)
    return images, labels


def _outlines():
    """The outlines of the ten digits in every usable font: a list of lists of Paths."""
    import matplotlib
    from matplotlib.ft2font import FT2Font
    from matplotlib.path import Path as Outline

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    outlines = []
    for path in sorted(folder.glob("*.ttf")):
        font = FT2Font(str(path))
        codes = font.get_charmap()
        digits = []
        # Symbol fonts have no digits, or other symbols in their place.
        if NAMES == tuple(font.get_glyph_name(codes.get(ord(digit), 0)) for digit in "0123456789"):
            for digit in "0123456789":
                font.load_char(ord(digit))
                points, kinds = font.get_path()
                is_point = kinds != Outline.CLOSEPOLY  # which comes with no point of its own
                digits.append(Outline(points[is_point], kinds[is_point]))
            outlines.append(digits)
    if not outlines:
        raise RuntimeError(f"draw_digits: no font with digits among matplotlib's in {folder}")
    return outlines


def _render(renderer, outline, random):
    """An image of an outline that is distorted at random: uint8 (28, 28)."""
    from matplotlib.path import Path as Outline
    from matplotlib.transforms import Affine2D

    points = outline.vertices - outline.vertices.mean(axis=0)
    points *= 20 / numpy.ptp(points, axis=0).max()  # in pixels
    # A slow wave bends straight strokes, as handwriting does.
    size, phase = random.uniform(-1, 1, (2, 2))
    points += 1.5 * size * numpy.sin(0.25 * points[:, ::-1] + numpy.pi * phase)
    distortion = (Affine2D().scale(random.uniform(0.8, 1.2), 1)
                  .skew(random.uniform(-0.4, 0.4), 0).rotate(random.uniform(-0.25, 0.25)))
    points = distortion.transform(points)
    points *= random.uniform(18, 21) / numpy.ptp(points, axis=0).max()

    renderer.clear()
    pen = renderer.new_gc()
    pen.set_linewidth(random.uniform(0, 0.8))  # makes the strokes thicker
    shape = Outline(points, outline.codes)
    renderer.draw_path(pen, shape, Affine2D().translate(CANVAS / 2, CANVAS / 2), (0, 0, 0))
    ink = numpy.asarray(renderer.buffer_rgba())[..., 3] / 255  # the share of a pixel it covers
    # Noise at the edges makes them rough, and leaves the background black.
    ink += 0.15 * ((ink > 0) & (ink < 1)) * random.standard_normal(ink.shape)

    # Its centre of mass comes to the middle, or up to a pixel beside it.
    rows, columns = numpy.indices(ink.shape)
    top, left = (round((ink * places).sum() / ink.sum() - (SIDE - 1) / 2 + random.uniform(-1, 1))
                 for places in (rows, columns))
    image = ink[top:top + SIDE, left:left + SIDE]
    return (255 * image.clip(0, 1)).round().astype(numpy.uint8)
