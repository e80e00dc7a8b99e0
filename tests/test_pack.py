"""python -m minigan.data: a folder's images become a file, and a file becomes a picture."""

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy
import pytest
from matplotlib import image as matplotlib_image

from minigan import data

ROOT = Path(__file__).resolve().parent.parent
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def run(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error",
                   "MINIGAN_CACHE": str(cwd / "cache")}
    return subprocess.run([sys.executable, "-m", "minigan.data", *map(str, arguments)], cwd=cwd,
                          env=environment, capture_output=True, text=True)


def write_png(path, array):
    """An array (H,W,channels) of uint8 or uint16 as a PNG file, nothing converted."""
    height, width, channels = array.shape
    big = array.astype(array.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    header = struct.pack(">2I5B", width, height, 8 * array.itemsize, PNG_COLOURS[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks))


def pixels(*shape, seed=0):
    return numpy.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


@pytest.fixture
def photos(tmp_path):
    """A folder of all sorts of files, and what of it is to be packed, in order."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    colours, grey, clear = pixels(150, 140, 3), pixels(128, 131, 1), pixels(130, 130, 4)
    deep = numpy.random.default_rng(1).integers(0, 2**16, (128, 128, 1)).astype("uint16")
    write_png(folder / "a.png", colours)
    write_png(folder / "b-grey.png", grey)
    write_png(folder / "c-clear.png", clear)
    write_png(folder / "d-deep.png", deep)
    write_png(folder / "e-named-wrong.jpg", colours[:140])
    write_png(folder / "f-small.png", colours[:127])
    write_png(folder / "more" / "g.PNG", colours[10:])
    write_png(folder / ".hidden.png", colours)
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:20000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    opacity = clear[:, :, 3:] / 255
    expected = [colours, grey.repeat(3, axis=2),
                numpy.rint(clear[:, :, :3] * opacity + 255 * (1 - opacity)),
                numpy.rint(deep.repeat(3, axis=2) / 257), colours[:140], colours[10:]]
    return folder, expected


def test_a_folder_is_packed_and_shown(photos, tmp_path):
    folder, expected = photos
    result = run("pack", folder, "out.h5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "packed 6 images into out.h5, group images; skipped 4 files\n"
    skipped = re.findall(r"^skipped .*/([-\w.]+): (.*)$", result.stderr, re.MULTILINE)
    assert [name for name, _ in skipped] == ["cut.png", "empty.jpg", "f-small.png", "notes.txt"]
    assert skipped[2][1] == "127 x 140 pixels, smaller than 128 x 128"
    assert "10/10" in result.stderr and "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "photos"]
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file) == ["images"] and len(file["images"]) == 6
        for number, image in enumerate(expected):
            packed = file[f"images/{number}.png"][()]
            assert packed.dtype == "uint8" and packed.shape == image.shape
            assert numpy.abs(packed - image.astype(float)).max() <= (1 if number == 2 else 0)

    result = run("show", "out.h5", "--out", "new/sheet.png", "--count", "4", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    sheet = Path("new", "sheet.png")
    assert result.stdout == ("6 images in group images: height 128 to 150, width 128 to 140\n"
                             f"saved {sheet}\n")
    height, width, _ = matplotlib_image.imread(tmp_path / sheet).shape
    assert height > 256 and width > 256


def test_jpg_files_are_read(tmp_path):
    smooth = numpy.linspace(0, 255, 130 * 140 * 3).reshape(130, 140, 3).astype("uint8")
    matplotlib_image.imsave(tmp_path / "a.jpg", smooth, pil_kwargs={"quality": 95})
    read = data.read_image(tmp_path / "a.jpg")
    assert read.shape == (130, 140, 3) and read.dtype == "uint8"
    assert numpy.abs(read - smooth.astype(float)).mean() < 3
    with pytest.raises(ValueError, match="nowhere.jpg: not a readable image"):
        data.read_image(tmp_path / "nowhere.jpg")


def test_a_file_is_replaced_only_with_force(photos, tmp_path):
    out = tmp_path / "out.h5"
    out.write_text("precious")
    for target, why in ((out, "already exists"), (photos[0], "already exists"),
                        (tmp_path / "nowhere" / "out.h5", "no such folder")):
        result = run("pack", photos[0], target, cwd=tmp_path)
        assert result.returncode == 2 and result.stdout == ""
        assert result.stderr.count("\n") == 1 and why in result.stderr
    assert out.read_text() == "precious"
    count, skipped = data.pack_images(photos[0], out, group="a/b", force=True)
    assert (count, len(skipped)) == (6, 4)
    dataset = data.ImageDataset(out, group="a/b")
    assert len(dataset) == 6 and dataset[5].shape == (3, 128, 128)


def test_a_folder_without_images_leaves_no_file(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for content, why in ((None, "found no files"), ("text", "none of 1 files is an image")):
        if content:
            (folder / "a.png").write_text(content)
        result = run("pack", folder, "out.h5", cwd=tmp_path)
        assert result.returncode == 2 and result.stdout == ""
        last = result.stderr.splitlines()[-1]
        assert last.startswith("python -m minigan.data pack: error: ") and why in last
        assert "Traceback" not in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["texts"]


@pytest.mark.parametrize("arguments, why", [
    ([], "required: COMMAND"),
    (["unpack"], "invalid choice: 'unpack'"),
    (["pack"], "required: FOLDER, OUT"),
    (["pack", "nowhere", "out.h5"], "nowhere: no such folder"),
    (["show", "nowhere.h5"], "nowhere.h5: no such file"),
    (["show", "text.h5"], "text.h5: expected a whole HDF5 file"),
    (["show", "text.h5", "--count", "0"], "--count: expected"),
])
def test_a_wrong_command_line_ends_in_one_line(tmp_path, arguments, why):
    (tmp_path / "text.h5").write_text("text")
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and why in result.stderr
    assert result.stderr.startswith("python -m minigan.data")


def test_the_commands_are_explained(tmp_path):
    assert "pack" in run("--help", cwd=tmp_path).stdout
    assert "subfolders" in run("pack", "--help", cwd=tmp_path).stdout


def test_the_data_package_is_quick_to_import():
    script = "import minigan.data, sys; print({'h5py', 'matplotlib', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True,
                            text=True)
    assert result.stdout == "set()\n", result.stderr
