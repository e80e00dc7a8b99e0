"""The built-in colour images: friendly faces, generated from random numbers.

They need no network and no files, and look like a data set of photographs: an HDF5 file of images
of slightly different sizes, the faces upright, centred and of one scale. portrait.py paints a face;
this module samples what it looks like.
"""

import contextlib
import sys
from types import SimpleNamespace

import numpy

from minigan.data.portrait import paint_portrait, to_colour
from minigan.checks import check_int, explain_errors
from minigan.files import cache_folder, one_at_a_time, write_atomically
from minigan.training import Progress

RECIPE = 1  # to be raised with every change to the images
LARGEST, SMALLEST = 160, 140  # sides of the images
SKINS = ((255, 224, 200), (246, 207, 175), (236, 188, 150), (214, 160, 118), (176, 120, 82),
         (138, 90, 60), (104, 66, 45))
HAIRS = ((28, 24, 26), (58, 38, 28), (96, 60, 36), (140, 90, 48), (190, 140, 72), (226, 190, 120),
         (170, 70, 36), (150, 150, 155), (222, 222, 222))
IRISES = ((62, 40, 26), (96, 62, 30), (60, 110, 70), (60, 110, 160), (90, 100, 112))
LIPS = ((200, 90, 90), (184, 66, 80), (216, 120, 112), (150, 62, 62))
STYLES = ("bald", "short", "parted", "fringe", "bob", "long", "curly", "bun")
BEARDED = ("bald", "short", "parted", "curly")


@explain_errors
def open_faces(count=1200, seed=0):
    """The faces of `draw_faces` as an open HDF5 file: data sets 0.png, 1.png, ... in "faces".

    It is cached in the user's cache folder: of several processes one draws them. If the cache cannot
    be written, this prints a line to stderr, and the file is in memory.
    """
    import h5py

    count = check_int("open_faces", "count", count)
    seed = check_int("open_faces", "seed", seed, least=0)
    path = cache_folder() / f"faces-{RECIPE}-seed-{seed}-count-{count}.h5"
    with contextlib.suppress(OSError):
        return h5py.File(path, "r")
    with one_at_a_time(path):
        with contextlib.suppress(OSError):
            return h5py.File(path, "r")
        # Missing or damaged: generated anew either way.
        return _new_file(path, count, seed)


def _new_file(path, count, seed):
    import h5py

    file = h5py.File(path.name, "w", driver="core", backing_store=False)
    with Progress(count, "generating faces, once", unit="faces") as progress:
        for number, image in enumerate(draw_faces(count, seed)):
            # Painted areas are smooth, and compress to a quarter.
            file.create_dataset(f"faces/{number}.png", data=image, chunks=image.shape,
                                compression="gzip", compression_opts=1, shuffle=True)
            progress.advance()
    file.flush()
    try:
        write_atomically(path, file.id.get_file_image())
    except OSError as error:
        print(f"faces: not cached for the next run: {error}", file=sys.stderr)
    return file


@explain_errors
def draw_faces(count, seed=0):
    """Yield faces, uint8 (H,W,3) with H and W from 140 to 160.

    count  how many
    seed   an integer of at least 0; the same seed gives the same faces, whatever the count

    ValueError for a count below 1.
    """
    count = check_int("draw_faces", "count", count)
    random = numpy.random.default_rng(check_int("draw_faces", "seed", seed, least=0))
    return (_draw_face(random) for _ in range(count))


def _draw_face(random):
    height, width = random.integers(SMALLEST, LARGEST + 1, 2)
    return paint_portrait(height, width, _sample_look(random))


def _sample_look(random):
    """Everything that tells one face from another.

    Colours are float32 (3,1,1) from 0 to 1; lengths, angles and the rest are Python numbers, which
    keep float32 arrays float32.
    """
    uniform = random.uniform

    def colour(choices, spread=0.04):
        return to_colour(choices[random.integers(len(choices))]) * numbers(1 - spread, 1 + spread)

    def numbers(low, high, size=(3, 1, 1)):
        return uniform(low, high, size).astype(numpy.float32)

    look = SimpleNamespace(
        shift=numbers(-0.05, 0.05, 2), turn=uniform(-0.07, 0.07),
        gaze=numbers((-0.07, -0.03), (0.07, 0.03), 2), light=uniform(-1, 1),
        backgrounds=numbers(0.35, 0.9, (2, 1, 1, 1)) + numbers(-0.15, 0.15, (2, 3, 1, 1)),
        skin=colour(SKINS), shirt=numbers(0.1, 0.9),
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
    # With more styles each combination with a beard would be too rare to be learned.
    look.beard = look.beard and look.style in BEARDED
    # A warm shade of the skin makes natural lips.
    look.lips = 0.55 * look.lips + 0.45 * look.skin * to_colour((230, 150, 150))
    return look
