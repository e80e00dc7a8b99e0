"""Painting one of the built-in faces.

Everything is painted from *signed distances*: for each pixel the distance to the edge of a shape,
negative inside. They determine how much of a pixel the shape covers, which gives smooth edges; the
maximum of two distances is the intersection of their shapes, the minimum is the union.

Lengths are in units of UNIT pixels; a head is about 2 units high.
"""

import math

import numpy

UNIT = 42
WHITE, BLACK = numpy.float32(0.98), numpy.float32(0.05)


def paint_portrait(height, width, look):
    """The face with this look, in the middle of an image: uint8 (height,width,3)."""
    picture = _Picture(height, width, look)
    _paint_background(picture, look)
    _paint_hair_behind(picture, look)
    _paint_body(picture, look)
    _paint_head(picture, look)
    _paint_mouth(picture, look)
    _paint_nose(picture, look)
    _paint_eyes(picture, look)
    _paint_hair(picture, look)
    _paint_brows(picture, look)
    if look.glasses:
        _paint_glasses(picture, look)
    return numpy.rint(255 * picture.pixels.clip(0, 1)).astype(numpy.uint8).transpose(1, 2, 0)


def to_colour(rgb):
    """Red, green and blue, 0 to 255 each, as a colour to paint with: float32 (3,1,1), 0 to 1."""
    return numpy.array(rgb, numpy.float32)[:, None, None] / 255


class _Picture:
    """Pixels float32 (3,H,W) in 0..1 and their coordinates, from the middle to the right and down.

    x, y are those of the image; u, v move and turn with the head; f, g (for the features) also
    follow the gaze, as the middle of a face does when the head turns.
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
        # Light for head and hair: from the side and from above.
        self.light = 1 + look.shadow * (look.light * self.u - 0.7 * self.v)
        self.head = _head(self.u, self.v, look)

    def paint(self, distance, colour, opacity=1.0, softness=1.0):
        """Cover a shape with a colour (3,1,1) or (3,H,W); its edge is `softness` pixels wide."""
        coverage = (0.5 - distance * (UNIT / softness)).clip(0, 1) * opacity
        self.pixels += coverage * (colour - self.pixels)


def _head(u, v, look):
    """The distance to a head: a rounded rectangle that narrows towards the chin."""
    width = look.wide * (1 - look.jaw * v.clip(0, 1.2) ** 2)
    power = look.square
    round_ = (numpy.abs(u / width) ** power + numpy.abs(v / 1.06) ** power) ** (1 / power)
    return (round_ - 1) * look.wide


def _ellipse(x, y, centre_x, centre_y, radius_x, radius_y):
    x, y = (x - centre_x) / radius_x, (y - centre_y) / radius_y
    size = numpy.hypot(x, y)
    # To first order the distance is the function's value divided by the norm of its gradient.
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
    # Darker towards the edge, which makes the head look round.
    round_ = 1 - 0.13 * numpy.exp(5 * picture.head.clip(None, 0))
    picture.paint(picture.head, skin * round_)
    for side in (-1, 1):
        picture.paint(_ellipse(picture.f, picture.g, 0.45 * side, 0.36, 0.12, 0.1),
                      to_colour((235, 110, 100)), look.blush, 12)
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
    teeth = to_colour((250, 248, 242)) if look.parted else 0.8 * look.lips
    picture.paint(inside, teeth)
    picture.paint(upper, 0.92 * look.lips)
    picture.paint(lower, look.lips)
    picture.paint(_arc(f, g, 0, corner + 0.2 + look.parted, 0.14, look.smile / 2, 0.012),
                  0.75 * look.skin, 0.4, 3)


def _paint_nose(picture, look):
    f, g = picture.f, picture.g
    tip = 0.02 + look.nose_length
    # The shaded side of the nose is the one away from the light.
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
    """The hair in front: the part of a slightly larger head above the hairline."""
    if look.style == "bald":
        return
    u, v = picture.u, picture.v
    square = u * u
    if look.style == "parted":
        from_parting = u - 0.35 * look.side
        line = -0.72 + 0.55 * numpy.abs(from_parting) + 0.25 * square ** 2
    elif look.style in ("fringe", "bob"):
        line = -0.42 + 0.02 * numpy.sin(9 * u) + 0.5 * square ** 2
    elif look.style == "long":
        line = -0.82 + 1.15 * numpy.abs(u) + 0.2 * square
    else:
        line = -0.66 + 0.75 * square + 0.3 * square ** 2
    line = line + look.line
    slope = numpy.gradient(line, axis=1) * UNIT
    below = (v - line) / numpy.sqrt(1 + slope ** 2)
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
