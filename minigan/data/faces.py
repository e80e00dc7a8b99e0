"""The built-in colour images: friendly faces, drawn from random numbers.

They need no network and no files, and are in the form of real photographs of faces: an HDF5 file
of images of slightly different sizes, the faces upright, centred and of one scale.

Everything is drawn from *signed distances*: arrays that tell for each pixel how far it is from
the edge of a shape, negative inside. A pixel's share of the shape's colour follows from it, which
makes soft edges, and the maximum of two distances is what both shapes have in common.

Lengths are in units of UNIT pixels; a head is about 2 units high.
"""

import copy
import math
import sys
from types import SimpleNamespace

import numpy

from minigan.data.cache import cache_folder
from minigan.files import write_whole
from minigan.training import Progress

RECIPE = 1  # raise it with every change that makes other images
UNIT = 42
LARGEST, SMALLEST = 160, 140  # sides of the images
SKINS = ((255, 224, 200), (246, 207, 175), (236, 188, 150), (214, 160, 118), (176, 120, 82),
         (138, 90, 60), (104, 66, 45))
HAIRS = ((28, 24, 26), (58, 38, 28), (96, 60, 36), (140, 90, 48), (190, 140, 72), (226, 190, 120),
         (170, 70, 36), (150, 150, 155), (222, 222, 222))
IRISES = ((62, 40, 26), (96, 62, 30), (60, 110, 70), (60, 110, 160), (90, 100, 112))
LIPS = ((200, 90, 90), (184, 66, 80), (216, 120, 112), (150, 62, 62))
WHITE, BLACK = numpy.float32(0.98), numpy.float32(0.05)
STYLES = ("bald", "short", "parted", "fringe", "bob", "long", "curly", "bun")


def open_faces(count=1200, seed=0):
    """The faces of `draw_faces` as an open HDF5 file: data sets 0.png, 1.png, ... in "faces".

    It is read from the user's cache folder if it was written before. Where the cache cannot be
    written, a line on stderr says so and the file is one in memory.
    """
    import h5py

    path = cache_folder() / f"faces-{RECIPE}-seed-{seed}-count-{count}.h5"
    try:
        return h5py.File(path, "r")
    except OSError:
        # Not there yet, or damaged: drawn anew either way.
        file = h5py.File(path.name, "w", driver="core", backing_store=False)
    with Progress(count, "drawing faces, once", unit="faces") as progress:
        for number, image in enumerate(draw_faces(count, seed)):
            # Drawn areas are smooth: compressed they take a fifth of the disk.
            file.create_dataset(f"faces/{number}.png", data=image, chunks=image.shape,
                                compression="gzip", compression_opts=1, shuffle=True)
            progress.advance()
    file.flush()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, file.id.get_file_image())
    except OSError as error:
        print(f"faces: not kept for the next run: {error}", file=sys.stderr)
    return file


def draw_faces(count, seed=0):
    """Yield faces, uint8 (H,W,3) with H and W from 140 to 160.

    count  how many
    seed   a whole number; the same one gives the same faces, whatever the count

    ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"draw_faces: count must be at least 1, got {count}")
    random = numpy.random.default_rng(seed)
    return (_draw(random) for _ in range(count))


def _draw(random):
    height, width = random.integers(SMALLEST, LARGEST + 1, 2)
    look = _random_look(random)
    picture = _Picture(height, width, look)
    _paint_background(picture, look)
    _paint_hair_behind(picture, look)
    _paint_body(picture, look)
    _paint_head(picture, look)
    middle = picture.middle()
    _paint_mouth(middle, look)
    _paint_nose(middle, look)
    _paint_eyes(middle, look)
    _paint_hair(picture, look)
    _paint_brows(middle, look)
    if look.glasses:
        _paint_glasses(middle, look)
    return numpy.rint(255 * picture.pixels.clip(0, 1)).astype(numpy.uint8).transpose(1, 2, 0)


def _random_look(random):
    """Everything about a face that differs from another's."""
    uniform = random.uniform

    def colour(choices, spread=0.04):
        return _colour(choices[random.integers(len(choices))]) * numbers(1 - spread, 1 + spread)

    def numbers(low, high, size=(3, 1, 1)):
        return uniform(low, high, size).astype(numpy.float32)

    look = SimpleNamespace(
        shift=numbers(-0.05, 0.05, 2), turn=uniform(-0.07, 0.07),
        gaze=numbers((-0.07, -0.03), (0.07, 0.03), 2), light=uniform(-1, 1),
        backgrounds=numbers(0.35, 0.9, (2, 1, 1, 1)) + numbers(-0.15, 0.15, (2, 3, 1, 1)), skin=colour(SKINS), shirt=numbers(0.1, 0.9),
        wide=uniform(0.74, 0.86), jaw=uniform(0.02, 0.24), square=uniform(2.0, 2.6),
        hair=colour(HAIRS, 0.06), style=str(random.choice(STYLES)), volume=uniform(0.06, 0.16),
        side=int(random.choice((-1, 1))), line=uniform(-0.08, 0.06), strands=uniform(14, 26),
        apart=uniform(0.30, 0.37), eye=uniform(0.125, 0.165), open=uniform(0.55, 0.85),
        iris=colour(IRISES), brow=uniform(0.025, 0.055), arch=uniform(-0.09, 0.0),
        frown=uniform(-0.05, 0.05), nose=uniform(0.09, 0.15), nose_length=uniform(0.26, 0.38),
        lips=colour(LIPS), mouth=uniform(0.2, 0.34), smile=uniform(0.0, 0.14),
        parted=max(0, uniform(-0.1, 0.1)), blush=uniform(0, 0.3), shadow=uniform(0.06, 0.16),
        beard=random.random() < 0.3, glasses=random.random() < 0.18,
        rim=uniform(0.2, 0.26), frame=numbers(0.05, 0.5))
    # What seldom goes together in life would be seen too seldom to be learned.
    look.beard = look.beard and look.style in ("bald", "short", "parted", "curly")
    # A warm shade of the skin, for the lips of whoever wears none of the colours.
    look.lips = 0.55 * look.lips + 0.45 * look.skin * _colour((230, 150, 150))
    return look


def _colour(bytes_of_colour):
    return numpy.array(bytes_of_colour, numpy.float32)[:, None, None] / 255


class _Picture:
    """Pixels float32 (3,H,W) in 0..1 and where they are: x to the right, y down, from the middle.

    x, y are upright; u, v move and turn with the head; f, g (for the features) also follow the
    gaze, as the middle of a face does when the head turns.
    """

    def __init__(self, height, width, look):
        rows, columns = numpy.arange(height) - height // 2, numpy.arange(width) - width // 2
        self.x, self.y = (axis.astype(numpy.float32) / UNIT
                          for axis in numpy.broadcast_arrays(columns, rows[:, None]))
        dx, dy = self.x - look.shift[0], self.y - look.shift[1]
        cos, sin = math.cos(look.turn), math.sin(look.turn)
        self.u, self.v = dx * cos + dy * sin, dy * cos - dx * sin
        self.f, self.g = self.u - look.gaze[0], self.v - look.gaze[1]
        self.pixels = numpy.empty((3, height, width), numpy.float32)
        # One light for head and hair: from the side, and from above.
        self.light = 1 + look.shadow * (look.light * self.u - 0.7 * self.v)
        self.head = _head(self.u, self.v, look)

    def middle(self):
        """The part with eyes, nose and mouth, on the same memory: these need no other pixels."""
        part = copy.copy(self)
        inside = (numpy.abs(self.x) < 1.05) & (self.y > -0.65) & (self.y < 1.15)
        rows, columns = (inside.any(axis).nonzero()[0] for axis in (1, 0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        for name, array in vars(self).items():
            setattr(part, name, array[(..., *window)])
        return part

    def paint(self, distance, colour, opacity=1.0, softness=1.0):
        """Cover a shape with a colour (3,1,1) or (3,H,W); its edge is so many pixels wide."""
        share = (0.5 - distance * (UNIT / softness)).clip(0, 1) * opacity
        self.pixels += share * (colour - self.pixels)


def _head(u, v, look):
    """The distance to a head: a rounded rectangle that narrows towards the chin."""
    width = look.wide * (1 - look.jaw * v.clip(0, 1.2) ** 2)
    power = look.square
    round_ = (numpy.abs(u / width) ** power + numpy.abs(v / 1.06) ** power) ** (1 / power)
    return (round_ - 1) * look.wide


def _ellipse(x, y, centre_x, centre_y, radius_x, radius_y):
    x, y = (x - centre_x) / radius_x, (y - centre_y) / radius_y
    size = numpy.hypot(x, y)
    # To first order a distance is a function's value divided by the length of its gradient.
    return size * (size - 1) / (numpy.hypot(x / radius_x, y / radius_y) + 1e-6)


def _arc(x, y, centre_x, centre_y, half_width, rise, thickness):
    """A stroke along a parabola, `rise` lower in its middle than at its ends."""
    along = (x - centre_x).clip(-half_width, half_width)
    slope = -2 * rise * along / half_width ** 2
    off = y - centre_y - rise * (1 - (along / half_width) ** 2)
    beyond = x - centre_x - along
    return numpy.hypot(beyond, off / numpy.sqrt(1 + slope ** 2)) - thickness


def _paint_background(picture, look):
    across = (0.5 + 0.22 * (picture.y + 0.6 * look.light * picture.x)).clip(0, 1)
    picture.pixels[:] = look.backgrounds[0] * (1 - across) + look.backgrounds[1] * across


def _hair_colour(picture, look):
    strands = numpy.sin(look.strands * numpy.arctan2(picture.u, picture.v + 1.5))
    return look.hair * picture.light * (1 + 0.08 * strands)


def _paint_hair_behind(picture, look):
    u, v = picture.u, picture.v
    colour = 0.75 * _hair_colour(picture, look)
    if look.style in ("long", "bob"):
        # An ellipse over the head and straight sides below it, cut off at some height.
        width = look.wide + 0.08 + look.volume
        end = 1.65 if look.style == "long" else 0.75
        fall = numpy.maximum(numpy.abs(u) - width - 0.05 * v, numpy.maximum(v - end, -0.2 - v))
        picture.paint(numpy.minimum(_ellipse(u, v, 0, -0.15, width, 1.12), fall), colour)
    elif look.style == "bun":
        picture.paint(_ellipse(u, v, 0.15 * look.side, -1.2, 0.33, 0.27), colour)
    elif look.style == "curly":
        around = numpy.arctan2(u, -v)
        bumps = 0.035 * numpy.cos(14 * around)
        picture.paint(_ellipse(u, v, 0, -0.3, look.wide + 0.22 + look.volume,
                               1.0 + look.volume) - bumps, colour)


def _paint_body(picture, look):
    x, y = picture.x - look.shift[0], picture.y
    neck = numpy.maximum(numpy.abs(x) - 0.36, 0.5 - y)
    picture.paint(neck, 0.82 * look.skin)
    shoulders = _ellipse(x, y, 0, 2.05, 1.35, 0.78)
    opening = _ellipse(x, y, 0, 1.22, 0.42, 0.24)
    picture.paint(numpy.maximum(shoulders, -opening), look.shirt)
    picture.paint(numpy.maximum(shoulders, numpy.abs(opening) - 0.035), 0.8 * look.shirt)


def _paint_head(picture, look):
    u, v = picture.u, picture.v
    skin = look.skin * picture.light
    for side in (-1, 1):
        ear = side * look.wide
        picture.paint(_ellipse(u, v, ear, 0.05, 0.12, 0.2), 0.95 * skin)
        picture.paint(_ellipse(u, v, ear, 0.06, 0.055, 0.11), 0.78 * skin)
    # Darker towards the edge, so that the head looks round.
    round_ = 1 - 0.13 * numpy.exp(5 * picture.head.clip(None, 0))
    picture.paint(picture.head, skin * round_)
    for side in (-1, 1):
        picture.paint(_ellipse(picture.f, picture.g, 0.45 * side, 0.36, 0.12, 0.1),
                      _colour((235, 110, 100)), look.blush, 12)
    if look.beard:
        jaw = 0.2 + 0.5 * numpy.exp(-(picture.f / 0.42) ** 2) - picture.g
        colour = 0.9 * _hair_colour(picture, look)
        picture.paint(numpy.maximum(picture.head, 0.9 * jaw), colour, 0.9, 3)
        picture.paint(_arc(picture.f, picture.g, 0, 0.55, 0.3, -0.08, 0.06), colour, 0.9, 3)


def _paint_mouth(picture, look):
    f, g = picture.f, picture.g
    corner = 0.66 - look.smile / 2
    # A smile's corners are higher than its middle; parted lips show the teeth between two arcs.
    upper = _arc(f, g, 0, corner, look.mouth, look.smile, 0.04)
    lower = _arc(f, g, 0, corner, look.mouth, look.smile + look.parted + 0.05, 0.04)
    inside = numpy.maximum.reduce([
        numpy.abs(f) - look.mouth,
        corner + look.smile * (1 - (f / look.mouth) ** 2) - g,
        g - corner - (look.smile + look.parted + 0.05) * (1 - (f / look.mouth) ** 2)])
    teeth = _colour((250, 248, 242)) if look.parted else 0.8 * look.lips
    picture.paint(inside, teeth)
    picture.paint(upper, 0.92 * look.lips)
    picture.paint(lower, look.lips)
    picture.paint(_arc(f, g, 0, corner + 0.2 + look.parted, 0.14, look.smile / 2, 0.012),
                  0.75 * look.skin, 0.4, 3)


def _paint_nose(picture, look):
    f, g = picture.f, picture.g
    tip = 0.02 + look.nose_length
    # The nose's shaded side lies away from the light.
    away = math.copysign(0.06, -look.light)
    picture.paint(_ellipse(f, g, away, tip - 0.16, 0.04, 0.16), 0.8 * look.skin, 0.45, 5)
    picture.paint(_arc(f, g, 0, tip - 0.03, look.nose, 0.07, 0.016), 0.66 * look.skin, 0.9)
    picture.paint(_ellipse(f, g, -away / 2, tip - 0.05, 0.03, 0.03), WHITE, 0.25, 4)


def _paint_eyes(picture, look):
    f, g = picture.f, picture.g
    for side in (-1, 1):
        centre = side * look.apart
        white = _ellipse(f, g, centre, 0, look.eye, look.eye * look.open)
        picture.paint(white - 0.03, 0.84 * look.skin, 0.7, 3)
        picture.paint(white, WHITE)
        at = centre + 0.4 * look.gaze[0], 0.4 * look.gaze[1]
        picture.paint(numpy.maximum(white, _ellipse(f, g, *at, 0.082, 0.082)), look.iris)
        picture.paint(numpy.maximum(white, _ellipse(f, g, *at, 0.04, 0.04)), BLACK)
        picture.paint(_ellipse(f, g, at[0] - 0.025, at[1] - 0.03, 0.02, 0.02), WHITE, 0.9)
        lid = _arc(f, g, centre, 0.01, look.eye, -look.eye * look.open, 0.018)
        picture.paint(lid, 0.3 * look.skin)


def _paint_brows(picture, look):
    colour = 0.7 * look.hair + 0.1 * look.skin
    for side in (-1, 1):
        slant = look.frown * side * (picture.f - side * look.apart) / look.eye
        picture.paint(_arc(picture.f, picture.g + slant, side * look.apart, -0.24, 0.17,
                           look.arch, look.brow), colour, 0.9)


def _paint_hair(picture, look):
    """The hair before the head: what of a slightly larger head lies above the hairline."""
    if look.style == "bald":
        return
    u, v = picture.u, picture.v
    if look.style == "parted":
        from_parting = u - 0.35 * look.side
        line = -0.72 + 0.55 * numpy.abs(from_parting) + 0.25 * u ** 4
    elif look.style in ("fringe", "bob"):
        line = -0.42 + 0.02 * numpy.sin(9 * u) + 0.5 * u ** 4
    elif look.style == "long":
        line = -0.82 + 1.15 * numpy.abs(u) + 0.2 * u ** 2
    else:
        line = -0.66 + 0.75 * u ** 2 + 0.3 * u ** 4
    line = line + look.line
    rows = numpy.abs(numpy.gradient(line, axis=1)) * UNIT
    below = (v - line) / numpy.sqrt(1 + rows ** 2)
    colour = _hair_colour(picture, look)
    picture.paint(numpy.maximum(picture.head - 0.02, below - 0.05), 0.6 * look.skin, 0.35, 5)
    picture.paint(numpy.maximum(picture.head - look.volume, below), colour)


def _paint_glasses(picture, look):
    f, g = picture.f, picture.g
    for side in (-1, 1):
        lens = _ellipse(f, g, side * look.apart, 0.02, look.rim, look.rim * 0.85)
        picture.paint(lens, WHITE, 0.12)
        picture.paint(numpy.abs(lens) - 0.02, look.frame)
        arm = _arc(f, g, side * (look.apart + look.rim + 0.12), -0.03, 0.12, 0, 0.02)
        picture.paint(numpy.maximum(arm, picture.head), look.frame)
    picture.paint(_arc(f, g, 0, 0, look.apart - look.rim, -0.03, 0.02), look.frame)
