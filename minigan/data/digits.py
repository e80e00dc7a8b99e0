"""The built-in data set: digits in MNIST's format, rendered from matplotlib's fonts.

It needs no network, and is hard enough to be worth learning: every image shows a digit in one of
about twenty typefaces, bent, slanted, rotated, stretched and thickened at random.

Each glyph is converted once to a *signed distance field*: at each point the distance to the
outline, positive inside. Such a field is smooth, so it can be sampled at any angle and size by
bilinear interpolation, and adding a constant to it makes the strokes thicker.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy

from minigan.files import cache_folder
from minigan.data.idx import read_idx, write_idx
from minigan.checks import check_int, explain_errors

RECIPE = 1  # to be raised with every change to the images
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FIELD = 96  # side of a distance field
GLYPH = 56  # the glyph's larger side within it; the margin leaves room for thicker strokes
SIDE = 28
BATCH = 500  # images rendered together: enough to make NumPy's calls cheap, and small in memory


@explain_errors
def load_digits(count, seed=0):
    """The digits of `draw_digits`, cached in the user's cache folder.

    If the cache cannot be written, this prints a line to stderr and keeps the digits in memory.
    """
    count = check_int("load_digits", "count", count)
    seed = check_int("load_digits", "seed", seed, least=0)
    name = f"digits-{RECIPE}-seed-{seed}-count-{count}-matplotlib-{version('matplotlib')}"
    folder = cache_folder() / name
    paths = folder / "images-idx3-ubyte", folder / "labels-idx1-ubyte"
    try:
        images, labels = (read_idx(path) for path in paths)
        if images.shape == (count, SIDE, SIDE) and labels.shape == (count,):
            return images, labels
    except (OSError, ValueError):
        pass
    # Missing or damaged: rendered anew either way.
    arrays = draw_digits(count, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
    count = check_int("draw_digits", "count", count)
    random = numpy.random.default_rng(check_int("draw_digits", "seed", seed, least=0))
    fields, extents = _distance_fields(_glyphs())
    labels = random.permutation(numpy.arange(count) % 10).astype(numpy.uint8)
    images = numpy.empty((count, SIDE, SIDE), numpy.uint8)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        font = random.integers(len(fields), size=len(labels[part]))
        images[part] = _render(fields[font, labels[part]], extents[font, labels[part]], random)
    return images, labels


def _glyphs():
    """Every digit of every usable font as a large bitmap: a list of lists of uint8 arrays."""
    # Imported here: matplotlib is slow to import, and most runs read the digits from the cache.
    import matplotlib
    from matplotlib.ft2font import FT2Font

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    glyphs = []
    for path in sorted(folder.glob("*.ttf")):
        font = FT2Font(str(path))
        codes = font.get_charmap()
        names = tuple(font.get_glyph_name(codes.get(ord(digit), 0)) for digit in "0123456789")
        # Symbol fonts have no digits, or other symbols in their place.
        if names == NAMES:
            glyphs.append([_render_glyph(font, digit) for digit in "0123456789"])
    if not glyphs:
        raise RuntimeError(f"draw_digits: no font with digits among matplotlib's in {folder}")
    return glyphs


def _render_glyph(font, digit):
    font.set_size(100, 72)
    font.set_text(digit)
    font.draw_glyphs_to_bitmap(antialiased=True)
    return numpy.asarray(font.get_image())


def _distance_fields(glyphs):
    """Distance fields float32 (fonts, 10, FIELD, FIELD) and the glyphs' extents (fonts, 10, 2).

    The glyph's centre of mass lies in the middle of its field. The unit of distance is the larger
    side of the glyph divided by GLYPH. An extent is (width, height) in that unit.
    """
    fields = numpy.empty((len(glyphs), 10, FIELD, FIELD), numpy.float32)
    extents = numpy.empty((len(glyphs), 10, 2), numpy.float32)
    for font, bitmaps in enumerate(glyphs):
        for digit, bitmap in enumerate(bitmaps):
            ink = _centre(bitmap)
            fields[font, digit] = _distance_from(~ink) - _distance_from(ink)
            rows, columns = ink.any(axis=1).nonzero()[0], ink.any(axis=0).nonzero()[0]
            extents[font, digit] = numpy.ptp(columns) + 1, numpy.ptp(rows) + 1
    return fields, extents


def _centre(bitmap):
    """The bitmap as bool (FIELD, FIELD): larger side GLYPH, centre of mass in the middle."""
    rows, columns = (bitmap > 127).nonzero()
    scale = max(numpy.ptp(rows), numpy.ptp(columns)) / (GLYPH - 1)
    steps = scale * (numpy.arange(FIELD) - (FIELD - 1) / 2)
    # The nearest pixels; outside the bitmap everything is black.
    framed = numpy.pad(bitmap > 127, 1)
    y = (rows.mean() + steps + 1.5).astype(int).clip(0, framed.shape[0] - 1)
    x = (columns.mean() + steps + 1.5).astype(int).clip(0, framed.shape[1] - 1)
    return framed[y[:, None], x]


def _distance_from(mask):
    """The distance of each point to the nearest one where `mask` is true; float32."""
    steps = numpy.arange(FIELD, dtype=numpy.float32)
    squares = (steps[:, None] - steps) ** 2  # (from, to)
    # A squared distance is separable: first along each row, then along each column.
    far = numpy.float32(4 * FIELD ** 2)
    along = numpy.where(mask, numpy.float32(0), far)[:, None, :] + squares  # (row, from, to)
    along = along.min(axis=2)  # (row, column)
    across = along.T[:, None, :] + squares  # (column, from, to)
    return numpy.sqrt(across.min(axis=2)).T


def _render(fields, extents, random):
    """An image of each distance field: uint8 (N, 28, 28)."""
    n = len(fields)

    def uniform(low, high):
        return random.uniform(low, high, n).astype(numpy.float32)

    angle, slant = uniform(-0.25, 0.25), uniform(-0.4, 0.4)
    stretch = uniform(0.8, 1.2)
    size = uniform(18, 21)
    thickness = uniform(-0.25, 0.75)
    shift = random.uniform(-1, 1, (2, n, 1, 1)).astype(numpy.float32)

    # rotation @ slant @ stretch, from the glyph's coordinates (x, y) to the image's
    cos, sin = numpy.cos(angle), numpy.sin(angle)
    forward = numpy.empty((n, 2, 2), numpy.float32)
    forward[:, 0, 0], forward[:, 0, 1] = cos * stretch, cos * slant - sin
    forward[:, 1, 0], forward[:, 1, 1] = sin * stretch, sin * slant + cos
    box = (numpy.abs(forward) @ extents[:, :, None]).max(axis=(1, 2))
    scale = size / box
    back = numpy.linalg.inv(forward) / scale[:, None, None]

    middle = (SIDE - 1) / 2
    steps = numpy.arange(SIDE, dtype=numpy.float32) - middle
    x, y = steps - shift[0], steps[:, None] - shift[1]  # (N, 1, 28), (N, 28, 1)
    # A slow wave bends straight strokes, as handwriting does.
    wave = random.uniform(-1, 1, (4, n, 1, 1)).astype(numpy.float32)
    bent_x = x + 1.5 * wave[0] * numpy.sin(0.25 * y + numpy.pi * wave[1])
    bent_y = y + 1.5 * wave[2] * numpy.sin(0.25 * x + numpy.pi * wave[3])
    a, b, c, d = (back[:, i, j, None, None] for i in (0, 1) for j in (0, 1))
    distance = _interpolate(fields, a * bent_x + b * bent_y, c * bent_x + d * bent_y)

    # Now in pixels of the image. A pixel's brightness is the share of it that ink covers; noise is
    # added to the distance, so that it roughens the edges and leaves the background black.
    distance = distance * scale[:, None, None] + thickness[:, None, None]
    distance += 0.15 * random.standard_normal(distance.shape, dtype=numpy.float32)
    return (255 * (distance + 0.5).clip(0, 1)).round().astype(numpy.uint8)


def _interpolate(fields, x, y):
    """The fields (N, FIELD, FIELD) at the points x, y (N, 28, 28), counted from the middle."""
    last = numpy.float32(FIELD - 1.001)
    x = (x + (FIELD - 1) / 2).clip(0, last)
    y = (y + (FIELD - 1) / 2).clip(0, last)
    left, top = x.astype(numpy.int32), y.astype(numpy.int32)
    x -= left
    y -= top
    corner = (numpy.arange(len(fields))[:, None, None] * FIELD + top) * FIELD + left
    flat = fields.reshape(-1)
    upper = flat[corner] * (1 - x) + flat[corner + 1] * x
    lower = flat[corner + FIELD] * (1 - x) + flat[corner + FIELD + 1] * x
    return upper * (1 - y) + lower * y
