"""The built-in colour images: friendly faces, drawn from random numbers.

They need no network and no files, and are in the form of photographs of faces: an HDF5 file of
images of slightly different sizes, the faces upright, centred and of one scale. How a face is
painted is in portrait.py; here is what is in the set.
"""

import sys
from types import SimpleNamespace

import numpy

from minigan.files import cache_folder
from minigan.data.portrait import colour_of, paint_portrait
from minigan.checks import check_int as whole, explain_errors
from minigan.files import write_atomically
from minigan.training import Progress

RECIPE = 1  # raise it with every change that makes other images
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

    It is read from the user's cache folder if it was written before. Where the cache cannot be
    written, a line on stderr says so and the file is one in memory.
    """
    import h5py

    count, seed = whole("open_faces", "count", count), whole("open_faces", "seed", seed, least=0)
    path = cache_folder() / f"faces-{RECIPE}-seed-{seed}-count-{count}.h5"
    try:
        return h5py.File(path, "r")
    except OSError:
        # Not there yet, or damaged: drawn anew either way.
        file = h5py.File(path.name, "w", driver="core", backing_store=False)
    with Progress(count, "drawing faces, once", unit="faces") as progress:
        for number, image in enumerate(draw_faces(count, seed)):
            # Drawn areas are smooth: compressed they take a quarter of the space.
            file.create_dataset(f"faces/{number}.png", data=image, chunks=image.shape,
                                compression="gzip", compression_opts=1, shuffle=True)
            progress.advance()
    file.flush()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file.id.get_file_image())
    except OSError as error:
        print(f"faces: not kept for the next run: {error}", file=sys.stderr)
    return file


@explain_errors
def draw_faces(count, seed=0):
    """Yield faces, uint8 (H,W,3) with H and W from 140 to 160.

    count  how many
    seed   a whole number; the same one gives the same faces, whatever the count

    ValueError for a count below 1.
    """
    count = whole("draw_faces", "count", count)
    random = numpy.random.default_rng(whole("draw_faces", "seed", seed, least=0))
    return (_drawn(random) for _ in range(count))


def _drawn(random):
    height, width = random.integers(SMALLEST, LARGEST + 1, 2)
    return paint_portrait(height, width, _random_look(random))


def _random_look(random):
    """Everything about a face that differs from another's.

    Colours are float32 (3,1,1) from 0 to 1; lengths, angles and the rest are plain numbers, which
    leave float32 arrays float32.
    """
    uniform = random.uniform

    def colour(choices, spread=0.04):
        return colour_of(choices[random.integers(len(choices))]) * numbers(1 - spread, 1 + spread)

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
    # With the other styles a beard would be too rare to be learned.
    look.beard = look.beard and look.style in BEARDED
    # A warm shade of the skin, for the lips of whoever wears none of the colours.
    look.lips = 0.55 * look.lips + 0.45 * look.skin * colour_of((230, 150, 150))
    return look
