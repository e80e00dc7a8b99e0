"""Data sets of digits: IDX and CSV files, and the built-in digits."""

import gzip
import struct
import tracemalloc

import numpy
import pytest

import minigan
from minigan import data

pytestmark = pytest.mark.usefixtures("device")

IMAGES = numpy.random.default_rng(5).integers(0, 256, (7, 28, 28)).astype("uint8")
LABELS = numpy.array([3, 0, 9, 1, 1, 7, 4], "uint8")


# IDX

@pytest.mark.parametrize("name", ["numbers", "numbers.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_returns_what_was_written(tmp_path, name, dtype):
    array = numpy.arange(-12, 12).astype(dtype).reshape(2, 3, 4)
    data.write_idx(tmp_path / name, array)
    result = data.read_idx(tmp_path / name)
    assert result.dtype == dtype and result.dtype.isnative
    assert numpy.array_equal(result, array)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_idx_is_the_published_format(tmp_path):
    data.write_idx(tmp_path / "a", numpy.array([[1, 2, 258]], "int16"))
    assert (tmp_path / "a").read_bytes() == bytes.fromhex("00000b02 00000001 00000003 000100020102")


def test_gzip_is_recognised_by_content_not_by_name(tmp_path):
    data.write_idx(tmp_path / "a.gz", LABELS)
    packed = (tmp_path / "a.gz").read_bytes()
    assert packed.startswith(b"\x1f\x8b")
    (tmp_path / "packed").write_bytes(packed)
    (tmp_path / "plain.gz").write_bytes(gzip.decompress(packed))
    assert numpy.array_equal(data.read_idx(tmp_path / "packed"), LABELS)
    assert numpy.array_equal(data.read_idx(tmp_path / "plain.gz"), LABELS)


GOOD = b"\0\0\x08\x02" + struct.pack(">2I", 2, 3) + bytes(6)
# mtime: the same bytes, and names of tests, in every process.
PACKED = gzip.compress(bytes(range(256)) * 9, mtime=0)
PACKED_IDX = gzip.compress(b"\0\0\x08\x02" + struct.pack(">2I", 9, 256) + bytes(range(256)) * 9,
                           mtime=0)


@pytest.mark.parametrize("content, reason", [
    (b"", "found nothing"),
    (b"\0\0\x08", "found 00 00 08"),
    (b"<html>no such page</html>", "found 3c 68 74 6d"),
    (b"\0\0\x07" + GOOD[3:], "found 07"),
    (b"\0\0\x08\0", "1 to 32 dimensions, found 0"),
    (b"\0\0\x08\xff" + bytes(2000), "1 to 32 dimensions, found 255"),
    (GOOD[:9], "header of 12 bytes for 2 dimensions, found 9"),
    (GOOD[:-1], r"expected 6 bytes .* shape \(2, 3\), found 5"),
    (GOOD + b"\0", "expected 6 bytes .* found 7"),
    (b"\0\0\x08\x03" + b"\xff" * 12, "found 0"),
    (b"\0\0\x08\x03" + bytes(4) + b"\xff" * 8, "NumPy can hold"),
    (PACKED, "not an IDX file"),
    (PACKED_IDX[:-9], "truncated or damaged"),
    (PACKED[:5], "truncated or damaged"),
    (PACKED_IDX[:10] + b"\xff" + PACKED_IDX[11:], "truncated or damaged"),
    (PACKED_IDX[:-5] + b"\0" + PACKED_IDX[-4:], "truncated or damaged"),
    (PACKED_IDX + b"more", "truncated or damaged"),
    (PACKED_IDX + gzip.compress(b"more", mtime=0), "expected 2304 bytes .* found 2305 at least"),
    (gzip.compress(b"\0\0\x08\x02" + b"\0\x0f\xff\xff" * 2, mtime=0), "found [0-9]{5} at most"),
])
def test_a_bad_idx_file_is_named_with_what_is_wrong(tmp_path, content, reason):
    path = tmp_path / "bad-file"
    path.write_bytes(content)
    with pytest.raises(minigan.DamagedFileError, match=f"^{path}: .*{reason}"):
        data.read_idx(path)


def test_a_gzip_bomb_is_not_decompressed(tmp_path):
    """Only as much as the header announces, and that only where the file can hold it."""
    megabyte = gzip.compress(bytes(1 << 20), mtime=0)
    start = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 5), mtime=0)
    (tmp_path / "bomb").write_bytes(start + megabyte * 300)
    tracemalloc.start()
    with pytest.raises(minigan.DamagedFileError, match="expected 5 bytes .* found 6 at least"):
        data.read_idx(tmp_path / "bomb")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.read_idx(tmp_path / "nowhere")


@pytest.mark.parametrize("array", [numpy.arange(3), numpy.array(["a"]), numpy.uint8(3),
                                   numpy.zeros(2, bool)])
def test_an_array_that_idx_cannot_hold_leaves_the_old_file(tmp_path, array):
    data.write_idx(tmp_path / "a", LABELS)
    with pytest.raises(ValueError, match="write_idx: .*a: expected"):
        data.write_idx(tmp_path / "a", array)
    assert numpy.array_equal(data.read_idx(tmp_path / "a"), LABELS)


# MnistDataset

def check_items(dataset):
    """Whether the dataset holds IMAGES and LABELS, by every way to look at it."""
    assert len(dataset) == 7
    assert dataset.images.dtype == "uint8" and numpy.array_equal(dataset.images, IMAGES)
    assert dataset.labels.dtype == "uint8" and numpy.array_equal(dataset.labels, LABELS)
    count = 0
    for label, image, target in dataset:
        assert type(label) is int and label == LABELS[count]
        assert image.dtype == "float32" and target.dtype == "float32"
        assert numpy.array_equal(image.cpu().numpy(), IMAGES[count].ravel() / numpy.float32(255))
        assert target.tolist() == [float(place == label) for place in range(10)]
        count += 1
    assert count == 7


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("sign", ["-", "."])
@pytest.mark.parametrize("train, part", [(True, "train"), (False, "t10k")])
def test_mnist_reads_a_folder_of_idx_files(tmp_path, packed, sign, train, part):
    data.write_idx(tmp_path / f"{part}-images{sign}idx3-ubyte{packed}", IMAGES)
    data.write_idx(tmp_path / f"{part}-labels{sign}idx1-ubyte{packed}", LABELS)
    check_items(data.MnistDataset(tmp_path, train=train))
    with pytest.raises(FileNotFoundError, match="found none of .*-images-idx3-ubyte,.*gz; nor mn"):
        data.MnistDataset(tmp_path, train=not train)


def test_mnist_indexes_from_both_ends(folder):
    dataset = data.MnistDataset(str(folder))
    assert dataset[-1][0] == LABELS[6]
    assert numpy.array_equal(dataset[-7][1].cpu().numpy(), dataset[0][1].cpu().numpy())
    assert dataset[numpy.int64(2)][0] == 9
    for index in (7, -8):
        with pytest.raises(IndexError):
            dataset[index]


def test_mnist_items_share_no_memory(folder):
    dataset = data.MnistDataset(folder)
    _, image, target = dataset[0]
    image.fill_(0.5)
    target.fill_(0.5)
    check_items(dataset)


def test_mnist_batch(folder):
    labels, images, targets = data.MnistDataset(folder).batch([2, 2, 6])
    assert (labels.dtype, images.dtype, targets.dtype) == ("int64", "float32", "float32")
    assert labels.tolist() == [9, 9, 4]
    assert numpy.array_equal(images.cpu().numpy(),
                             IMAGES[[2, 2, 6]].reshape(3, 784) / numpy.float32(255))
    assert targets.shape == (3, 10) and targets.cpu().numpy().argmax(axis=1).tolist() == [9, 9, 4]
    assert targets.cpu().numpy().sum() == 3


@pytest.mark.parametrize("indices", [slice(5, 9), slice(6, 1, -2), range(3), numpy.array([0, -1]),
                                     [6]], ids=repr)
def test_mnist_batches_are_its_items(folder, indices):
    dataset = data.MnistDataset(folder)
    labels, images, targets = dataset.batch(indices)
    assert labels.tolist() == list(numpy.array(LABELS)[indices])
    expected = IMAGES.reshape(-1, 784)[indices] / numpy.float32(255)
    assert numpy.array_equal(images.cpu().numpy(), expected)
    assert targets.cpu().numpy().argmax(axis=1).tolist() == labels.tolist()
    for x in (labels, images, targets):
        x.fill_(0)
    check_items(dataset)


@pytest.mark.parametrize("index", [7, -8])
def test_mnist_has_no_batch_of_others(folder, index):
    with pytest.raises(IndexError):
        data.MnistDataset(folder).batch(numpy.array([0, index]))


def test_mnist_shows_an_image(folder):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    data.MnistDataset(folder).plot_image(2)
    assert pyplot.gca().get_title() == "label 9"
    assert numpy.array_equal(pyplot.gca().images[0].get_array(), IMAGES[2])
    pyplot.close()


@pytest.mark.parametrize("part, array, reason", [
    ("images-idx3", IMAGES[:6], "has 6 images, but .*train-labels-idx1-ubyte has 7 labels"),
    ("labels-idx1", LABELS[:5], "has 7 images, but .*train-labels-idx1-ubyte has 5 labels"),
    ("images-idx3", IMAGES[:, :27], r"train-images-idx3-ubyte: .*\(n, 28, 28\).*\(7, 27, 28\)"),
    ("images-idx3", LABELS, r"train-images-idx3-ubyte: .*found uint8 of shape \(7,\)"),
    ("images-idx3", IMAGES.astype("float32"), "train-images-idx3-ubyte: .*found float32"),
    ("labels-idx1", IMAGES, r"train-labels-idx1-ubyte: .*\(n,\), found .*\(7, 28, 28\)"),
    ("labels-idx1", LABELS.astype("int32"), "train-labels-idx1-ubyte: .*found int32"),
    ("labels-idx1", LABELS + numpy.uint8(3),
     "train-labels-idx1-ubyte: expected labels from 0 to 9, found 12 at index 2"),
])
def test_mnist_files_that_do_not_fit_are_named(folder, part, array, reason):
    data.write_idx(folder / f"train-{part}-ubyte", array)
    with pytest.raises(minigan.DamagedFileError, match=reason):
        data.MnistDataset(folder)


def test_mnist_names_what_it_looked_for(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder or CSV file"):
        data.MnistDataset(tmp_path / "nowhere")
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="none of train-labels-idx1-ubyte, "):
        data.MnistDataset(folder)


# CSV

def csv_lines():
    return [",".join(map(str, [label, *image.ravel().tolist()]))
            for label, image in zip(LABELS, IMAGES)]


@pytest.mark.parametrize("before, end", [
    ("", "\n"), ("", "\r\n"), ("label,1x1,1x2\n", "\n"), ('"label","1x1"\n', "\n"),
    ("\ufeff", "\n"), ("\ufefflabel,1x1\n", "\n\n")])
def test_mnist_reads_csv(tmp_path, before, end):
    for name in ("mnist_train.csv", "mnist_test.csv", "other.txt"):
        text = before + "".join(line + end for line in csv_lines())
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    check_items(data.MnistDataset(tmp_path))
    check_items(data.MnistDataset(tmp_path, train=False))
    check_items(data.MnistDataset(tmp_path / "other.txt"))


@pytest.mark.parametrize("change, reason", [
    (lambda line: line[:line.rindex(",")], "line 3: .*found 784 fields"),
    (lambda line: line + ",0", "line 3: .*found 786 fields"),
    (lambda line: "10" + line[1:], "line 3: expected a label from 0 to 9, found 10"),
    (lambda line: "label" + line[1:], "line 3: .*'label'"),
    (lambda line: "-1" + line[1:], "line 3: .*from 0 to 255, found '-1'"),
    (lambda line: "256" + line[1:], "line 3: .*from 0 to 255, found '256'"),
    (lambda line: "+1" + line[1:], r"line 3: .*found '\+1'"),
    (lambda line: "1_0" + line[1:], "line 3: .*found '1_0'"),
    (lambda line: "\u0663" + line[1:], "line 3: .*found '\u0663'"),
    (lambda line: line + "9999", "line 3: .*from 0 to 255, found '[0-9]{5,}'"),
    (lambda line: "1" * 70_000 + line, "line 3: .*found a line of over 65536 characters"),
    (lambda line: line + ".5", r"line 3: expected integers from 0 to 255, found .*\.5"),
    (lambda line: line[:line.rindex(",") + 1], "line 3: expected integers"),
    (lambda line: "\0\ufffd" + line[1:], "line 3: expected integers"),
])
def test_a_bad_csv_line_is_named(tmp_path, change, reason):
    lines = csv_lines()
    lines[2] = change(lines[2])
    (tmp_path / "bad.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(minigan.DamagedFileError, match=f"bad.csv, {reason}"):
        data.MnistDataset(tmp_path / "bad.csv")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"label,1x1\n", GOOD, PACKED])
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    (tmp_path / "foreign.csv").write_bytes(content)
    with pytest.raises(minigan.DamagedFileError, match="foreign.csv.*: expected"):
        data.MnistDataset(tmp_path / "foreign.csv")


# The built-in digits

def test_digits_are_the_same_for_the_same_seed_only():
    images, labels = data.draw_digits(95, seed=3)
    assert images.shape == (95, 28, 28) and images.dtype == "uint8"
    again, labels_again = data.draw_digits(95, seed=3)
    assert numpy.array_equal(images, again) and numpy.array_equal(labels, labels_again)
    assert not numpy.array_equal(images, data.draw_digits(95, seed=4)[0])
    assert numpy.bincount(labels).tolist() == [10] * 5 + [9] * 5
    with pytest.raises(ValueError, match="count"):
        data.draw_digits(0)


def test_the_built_in_set_is_like_mnist():
    train = data.MnistDataset("digits")
    test = data.MnistDataset("digits", train=False)
    assert len(train) >= 10_000 and len(test) >= 2_000
    share = train.images.mean(axis=(1, 2), dtype="float32") / 255
    assert 0.10 < share.mean() < 0.16 and share.min() > 0.02
    # White on black, inked from edge to middle, and centred by its ink.
    assert (train.images == 0).mean() > 0.7 and (train.images[:, 0] > 0).mean() < 0.01
    places = numpy.arange(28)
    rows = train.images.sum(axis=2, dtype="float32") @ places / (share * 255 * 784)
    assert abs(rows.mean() - 13.5) < 0.3 and numpy.abs(rows - 13.5).max() < 4
    assert numpy.array_equal(numpy.sort(train.labels), numpy.arange(len(train)) * 10 // len(train))
    # Not in order, and no image of one set in the other.
    assert 0.05 < (train.labels[1:] == train.labels[:-1]).mean() < 0.15
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in test.images}
    # The mean images of the digits tell most unseen ones apart: they can be learned, not trivially.
    means = numpy.stack([train.images[train.labels == digit].mean(axis=0) for digit in range(10)])
    means -= means.mean(axis=0)
    scores = test.images.reshape(-1, 784) @ means.reshape(10, 784).T
    scores -= (means * (means / 2 + train.images.mean(axis=0))).sum(axis=(1, 2))
    assert 0.6 < (scores.argmax(axis=1) == test.labels).mean() < 0.98


def test_digits_are_cached(cache):
    drawn = data.load_digits(30, seed=2)
    images_path, = cache.glob("*/images-idx3-ubyte")
    assert "seed-2" in images_path.parent.name and "count-30" in images_path.parent.name
    assert numpy.array_equal(data.read_idx(images_path), drawn[0])
    # What is in the file now is what the next reader gets.
    data.write_idx(images_path, 255 - drawn[0])
    assert numpy.array_equal(data.load_digits(30, seed=2)[0], 255 - drawn[0])
    assert len(data.load_digits(31, seed=2)[0]) == 31


def test_damaged_digits_in_the_cache_are_rendered_again(cache):
    drawn = data.load_digits(30)
    images_path, = cache.glob("*/images-idx3-ubyte")
    images_path.write_bytes(images_path.read_bytes()[:-1])
    assert numpy.array_equal(data.load_digits(30)[0], drawn[0])
    assert numpy.array_equal(data.read_idx(images_path), drawn[0])
    data.write_idx(images_path, drawn[0][:29])
    assert numpy.array_equal(data.load_digits(30)[0], drawn[0])


def test_digits_need_no_cache(cache, capsys):
    cache.write_text("a file where the folder should be")
    images, labels = data.load_digits(20)
    assert images.shape == (20, 28, 28) and labels.shape == (20,)
    assert capsys.readouterr().err.count("\n") == 1
    assert not [path for path in cache.parent.iterdir() if path.name != "cache"]


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    assert data.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("MINIGAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data.cache_folder() == tmp_path / "xdg" / "minigan"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.cache_folder() == tmp_path / ".cache" / "minigan"
