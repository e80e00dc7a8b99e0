"""Colour images from HDF5 files: which are read, how, and how the others are refused."""

import gc
import zlib

import h5py
import numpy
import pytest

import minigan
from minigan import data
from minigan.data import sandbox


def pixels(*shape, seed=0):
    return numpy.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def written(path, images, **options):
    """An HDF5 file with these arrays; None makes an empty group."""
    with h5py.File(path, "w") as file:
        for name, array in images.items():
            if array is None:
                file.create_group(name)
            else:
                file.create_dataset(name, data=array, **options)
    return path


def floats(crop):
    return crop.transpose(2, 0, 1) / numpy.float32(255)


# crop_center

def test_crop_center_is_the_lessons():
    image = numpy.arange(5 * 8 * 3).reshape(5, 8, 3)
    assert numpy.array_equal(data.crop_center(image, 4, 3), image[1:4, 2:6])
    assert numpy.array_equal(data.crop_center(image, 3, 2), image[1:3, 3:6])
    assert data.crop_center(image, 8, 5).shape == (5, 8, 3)
    assert numpy.array_equal(data.crop_center(image[:, :, 0], 2, 5), image[:, 3:5, 0])
    for width, height in ((9, 5), (8, 6)):
        with pytest.raises(ValueError, match=f"at least {height} rows and {width} columns, got 5 "):
            data.crop_center(image, width, height)


# ImageDataset

ODD = {"11.PNG": (9, 14), "2.jpg": (8, 8), "0": (13, 9), "003.jpeg": (8, 11), "40.png": (9, 9)}
IN_ORDER = ["0", "2.jpg", "003.jpeg", "11.PNG", "40.png"]


@pytest.fixture
def odd(tmp_path):
    """A file of images of many sizes and names, with its arrays."""
    arrays = {name: pixels(*shape, 3, seed=seed) for seed, (name, shape) in enumerate(ODD.items())}
    images = {f"odd/{name}": array for name, array in arrays.items()}
    others = {"notes.txt": pixels(4), "empty": None, b"\xff": pixels(2)}
    return written(tmp_path / "odd.h5", {**images, **others}), arrays


def test_images_are_cropped_and_in_the_order_of_their_numbers(odd, device):
    path, arrays = odd
    dataset = data.ImageDataset(path, size=8)
    assert len(dataset) == 5 and dataset.names == IN_ORDER and dataset.group == "odd"
    crops = [data.crop_center(arrays[name], 8, 8) for name in IN_ORDER]
    items = list(dataset)
    assert len(items) == 5
    for index, (item, crop) in enumerate(zip(items, crops)):
        assert item.dtype == "float32" and item.device == device and item.shape == (3, 8, 8)
        assert numpy.array_equal(item.cpu().numpy(), floats(crop))
        assert dataset.raw(index).dtype == "uint8"
        assert numpy.array_equal(dataset.raw(index), crop)
        assert dataset.shape(index) == arrays[IN_ORDER[index]].shape
    for indices in (numpy.array([3, 0, 3]), slice(1, 4), slice(None, None, -2), [4]):
        batch = dataset.batch(indices)
        expected = [floats(crops[index]) for index in numpy.arange(5)[indices]]
        assert batch.dtype == "float32" and batch.device == device
        assert numpy.array_equal(batch.cpu().numpy(), expected)
    assert numpy.array_equal(dataset[-1].cpu().numpy(), floats(crops[4]))
    for index in (5, -6):
        with pytest.raises(IndexError):
            dataset[index]
    on_cpu = data.ImageDataset(path, size=8, device="cpu")
    assert on_cpu[0].device == on_cpu.batch(slice(2)).device == "cpu"


def test_images_come_in_shuffled_batches(odd):
    dataset = data.ImageDataset(str(odd[0]), size=8)
    loader = data.DataLoader(dataset, batch_size=2, shuffle=True, seed=3)
    batches = list(loader)
    assert [batch.shape for batch in batches] == [(2, 3, 8, 8), (2, 3, 8, 8), (1, 3, 8, 8)]
    seen = {image.tobytes() for batch in batches for image in batch.numpy()}
    assert seen == {image.numpy().tobytes() for image in dataset}


def test_images_are_shown(odd):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    dataset = data.ImageDataset(odd[0], size=8)
    dataset.plot_image(1)
    assert "2.jpg" in pyplot.gca().get_title()
    assert numpy.array_equal(pyplot.gca().images[0].get_array(), dataset.raw(1))
    pyplot.close()


def test_the_group_is_found_or_chosen(tmp_path):
    image = pixels(8, 8, 3)
    root = written(tmp_path / "root.h5", {"0.png": image, "notes/a.png": image})
    assert data.ImageDataset(root, size=8).names == ["0.png"]
    two = written(tmp_path / "two.h5", {"cats/0.png": image, "dogs/1.png": image, "none": None,
                                        "deep/down/7.png": image, "text": numpy.zeros(3)})
    with pytest.raises(ValueError, match="two.h5: .*one group.* cats, dogs; .*group="):
        data.ImageDataset(two, size=8)
    assert data.ImageDataset(two, size=8, group="dogs").names == ["1.png"]
    assert data.ImageDataset(two, size=8, group="deep/down").names == ["7.png"]
    for group in ("none", "nowhere", "text", "", "/"):
        with pytest.raises(ValueError, match=f"two.h5: .*{group}.*0.png.*in the file: cats, deep"):
            data.ImageDataset(two, size=8, group=group)
    for images in ({}, {"faces": None}, {"faces/first.png": image}):
        path = written(tmp_path / "empty.h5", images)
        with pytest.raises(ValueError, match="empty.h5: .*none; in the file: (nothing|faces)"):
            data.ImageDataset(path)


@pytest.mark.parametrize("bad, found", [
    (pixels(9, 9), r"uint8 of shape \(9, 9\)"),
    (pixels(9, 9, 1), r"uint8 of shape \(9, 9, 1\)"),
    (pixels(9, 9, 4), r"uint8 of shape \(9, 9, 4\)"),
    (pixels(3, 9, 9), r"uint8 of shape \(3, 9, 9\)"),
    (pixels(7, 9, 3), r"at least 8, found uint8 of shape \(7, 9, 3\)"),
    (pixels(9, 7, 3), r"at least 8, found uint8 of shape \(9, 7, 3\)"),
    (pixels(1000), r"uint8 of shape \(1000,\)"),
    (numpy.uint8(7), r"uint8 of shape \(\)"),
    (h5py.Empty("uint8"), r"uint8 of shape \(\)"),
    (numpy.ones((9, 9, 3), "float32"), r"float32 of shape \(9, 9, 3\)"),
    (numpy.ones((9, 9, 3), "uint16"), r"uint16 of shape \(9, 9, 3\)"),
    (b"\x89PNG", r"object|S4"),
    (None, "a group"),
    (h5py.SoftLink("/nowhere"), "no readable one"),
])
def test_an_image_of_another_form_is_named(tmp_path, bad, found):
    path = written(tmp_path / "bad.h5", {"a/0.png": pixels(8, 8, 3)})
    with h5py.File(path, "r+") as file:
        if bad is None:
            file.create_group("a/4.png")
        else:
            file["a/4.png"] = bad
    with pytest.raises(ValueError, match=f"bad.h5, a/4.png: expected .*{found}") as caught:
        data.ImageDataset(path, size=8)
    assert "\n" not in str(caught.value)


def test_a_bad_image_after_the_first_thousand_is_named_when_it_is_read(tmp_path):
    images = {f"{number}.png": pixels(1, 1, 3) for number in range(1500)}
    dataset = data.ImageDataset(written(tmp_path / "long.h5", {**images, "1400.png": pixels(1, 1)}),
                                size=1)
    assert dataset.batch(slice(1400)).shape == (1400, 3, 1, 1)
    with pytest.raises(ValueError, match="long.h5, /1400.png: .*uint8 of shape"):
        dataset.batch(slice(1390, 1410))


def test_a_file_that_is_no_whole_hdf5_file_is_named(tmp_path, odd):
    whole = odd[0].read_bytes()
    for content in (b"", b"\x89PNG\r\n", whole[:-1], whole[:700], whole[:7], bytes(5000)):
        path = tmp_path / "broken.h5"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="broken.h5: .*truncated, damaged or f") as caught:
            data.ImageDataset(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="nowhere.h5: no such file, and not 'faces'"):
        data.ImageDataset(tmp_path / "nowhere.h5")
    with pytest.raises(ValueError, match="expected an HDF5 file, found a folder; .* pack"):
        data.ImageDataset(tmp_path)
    for size in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match="size must be an integer of at least 1"):
            data.ImageDataset(odd[0], size=size)


def test_damaged_pixels_are_named(tmp_path):
    path = written(tmp_path / "a.h5", {"a/0.png": pixels(8, 8, 3), "a/1.png": pixels(8, 8, 3)},
                   chunks=(8, 8, 3), compression="gzip")
    with h5py.File(path) as file:
        place = file["a/1.png"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place:place + 20] = bytes(20)
    path.write_bytes(content)
    dataset = data.ImageDataset(path, size=8)
    assert numpy.array_equal(dataset.raw(0), pixels(8, 8, 3))
    with pytest.raises(ValueError, match="a.h5, a/1.png: expected a whole image, found damaged"):
        dataset[1]


def test_images_are_read_on_demand(odd, monkeypatch):
    read = []
    plain = h5py.Dataset.__getitem__

    def counted(dataset, *arguments, **options):
        read.append(dataset.name)
        return plain(dataset, *arguments, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    dataset = data.ImageDataset(odd[0], size=8)
    assert dataset.shape(0) == (13, 9, 3) and read == []
    dataset.batch(numpy.array([4, 1]))
    assert read == ["/odd/40.png", "/odd/2.jpg"]
    dataset[1]
    assert read[2:] == ["/odd/2.jpg"]


# Stored in chunks, and damaged on purpose

SMOOTH = numpy.add.outer(numpy.arange(23), numpy.arange(19))[:, :, None].repeat(3, 2).astype("u1")
CHUNKED = [dict(), dict(compression="gzip"), dict(compression="lzf"), dict(fletcher32=True),
           dict(compression="gzip", shuffle=True, fletcher32=True),
           dict(compression="lzf", shuffle=True, fletcher32=True)]


@pytest.mark.parametrize("image", [SMOOTH, pixels(23, 19, 3)], ids=["smooth", "noise"])
@pytest.mark.parametrize("chunks", [(23, 19, 3), (5, 4, 2), (30, 30, 3)])
@pytest.mark.parametrize("options", CHUNKED, ids=str)
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_all_that_h5py_writes_in_chunks_is_read(tmp_path, image, chunks, options, version):
    with h5py.File(tmp_path / "a.h5", "w", libver=version) as file:
        file.create_dataset("0.png", data=image, chunks=chunks, maxshape=(None, None, 3), **options)
    for size in (1, 7, 19):
        raw = data.ImageDataset(tmp_path / "a.h5", size=size).raw(0)
        assert numpy.array_equal(raw, data.crop_center(image, size, size))


def write_bad_chunk(path, options, content, mask):
    """Two chunks of 192 bytes each, the second with this content as it is stored."""
    with h5py.File(path, "w") as file:
        image = file.create_dataset("0.png", (8, 16, 3), "uint8", chunks=(8, 8, 3), **options)
        image[:, :8] = 7
        image.id.write_direct_chunk((0, 8, 0), content, mask)


@pytest.mark.parametrize("options, content, mask, reason", [
    (dict(compression="gzip"), zlib.compress(bytes(192))[:-1], 0, "filter returned failure"),
    (dict(compression="gzip"), bytes(100), 1, r"chunk \(0, 8, 0\): expected 192 bytes, found 100"),
    (dict(compression="gzip"), b"no zlib", 0, "filter returned failure"),
    (dict(), bytes(100), 0, r"chunk \(0, 8, 0\): expected 192 bytes, found 100"),
    (dict(fletcher32=True), bytes(195) + b"\1", 0, "filter returned failure"),
    (dict(compression="lzf"), b"\x05a", 0, "filter returned failure"),
    (dict(compression="lzf"), b"\xe0", 0, "filter returned failure"),
    (dict(compression="lzf"), b"\x20\x09", 0, "filter returned failure"),
])
def test_a_damaged_chunk_is_named(tmp_path, options, content, mask, reason):
    write_bad_chunk(tmp_path / "a.h5", options, content, mask)
    with pytest.raises(minigan.DamagedFileError, match=rf"a.h5, /0.png: .*{reason}"):
        data.ImageDataset(tmp_path / "a.h5", size=8).raw(0)


@pytest.mark.skipif(sandbox.resource is None, reason="there are no limits for processes")
def test_pixels_that_libhdf5_crashes_on_are_refused(tmp_path):
    # Three bytes cannot hold the checksum, which some versions of libhdf5 subtract all the same.
    write_bad_chunk(tmp_path / "a.h5", dict(fletcher32=True), bytes(3), 0)
    dataset = data.ImageDataset(tmp_path / "a.h5", size=8)
    with pytest.raises(minigan.DamagedFileError, match="a.h5(: .*that libhdf5 fails on, at images 0"
                                                       " to 0|, /0.png: .*damaged data)"):
        dataset.raw(0)


@pytest.mark.parametrize("options, content", [
    (dict(compression="gzip"), zlib.compress(bytes(10**6))),
    (dict(compression="lzf"), b"\0\0" + b"\xe0\xff\0" * 20),
])
def test_a_chunk_that_holds_more_is_read_as_other_tools_read_it(tmp_path, options, content):
    write_bad_chunk(tmp_path / "a.h5", options, content, 0)
    image = data.ImageDataset(tmp_path / "a.h5", size=8).raw(0)
    assert (image[:, :4] == 7).all() and (image[:, 4:] == 0).all()


@pytest.mark.parametrize("options, reason", [
    (dict(shape=(10**5, 10**5, 3)), "expected 30000000000 bytes .* found 0"),
    (dict(shape=(10**5, 10**5, 3), chunks=(9, 9, 3)), "expected 123476544 chunks .* found 0"),
    (dict(shape=(99, 99, 3), chunks=(9, 9, 3)), "expected 121 chunks .* found 0"),
    (dict(shape=(9, 9, 3), chunks=(9, 9, 3), scaleoffset=4), "expected 1 chunks .* found 0"),
    (dict(shape=(9, 9, 3), external=[("other", 0, 300)]), "not in the file itself"),
])
def test_what_a_file_does_not_hold_is_not_read(tmp_path, options, reason):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("0.png", dtype="uint8", **options)
    with pytest.raises(minigan.DamagedFileError, match=f"a.h5, /0.png: .*{reason}"):
        data.ImageDataset(tmp_path / "a.h5", size=8)


def test_no_other_file_is_opened(tmp_path):
    other = written(tmp_path / "other.h5", {"a/0.png": pixels(8, 8, 3)})
    layout = h5py.VirtualLayout((8, 8, 3), "uint8")
    layout[:] = h5py.VirtualSource(other, "a/0.png", (8, 8, 3))
    for link in (h5py.ExternalLink(other, "/a/0.png"), h5py.SoftLink("/b/0")):
        with h5py.File(tmp_path / "links.h5", "w") as file:
            file["b/0"] = pixels(8, 8, 3)
            file["a/0.png"] = link
            file["c"] = h5py.ExternalLink(other, "/a")
        with pytest.raises(minigan.DamagedFileError, match="links.h5, a/0.png: .*no readable one"):
            data.ImageDataset(tmp_path / "links.h5", size=8, group="a")
        with pytest.raises(minigan.DamagedFileError, match="links.h5: expected a group c"):
            data.ImageDataset(tmp_path / "links.h5", size=8, group="c")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("0.png", layout)
    with pytest.raises(minigan.DamagedFileError,
                       match="virtual.h5, /0.png: .*not in the file itself"):
        data.ImageDataset(tmp_path / "virtual.h5", size=8)


SANDBOXES = {
    "crashes": "sandbox._read = lambda *request: os.abort()",
    "hangs": "sandbox.SECONDS = 1; sandbox._read = lambda *request: [0 for _ in iter(int, 1)]",
    "takes too much": "sandbox._read = lambda *request: bytearray(2**32)",
}


@pytest.mark.skipif(sandbox.resource is None, reason="there are no limits for processes")
@pytest.mark.parametrize("change", SANDBOXES.values(), ids=list(SANDBOXES))
def test_a_file_that_libhdf5_fails_on_is_refused(odd, monkeypatch, change):
    sandbox._stop()
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "SERVE", sandbox.SERVE.replace(
            "sandbox.serve()", f"import os; {change}; sandbox.serve()"))
        with pytest.raises(minigan.DamagedFileError, match="odd.h5: .*that libhdf5 fails on"):
            data.ImageDataset(odd[0], size=8)
    assert len(data.ImageDataset(odd[0], size=8)) == 5  # another process looks at the next


def test_what_is_read_is_read_in_the_sandbox_first(tmp_path, monkeypatch):
    images = {f"{number}.png": pixels(1, 1, 3) for number in range(2100)}
    path = written(tmp_path / "long.h5", images)
    requests = []
    monkeypatch.setattr("minigan.data.images.read_in_sandbox",
                        lambda path, group, size, indices=(): requests.append(indices))
    dataset = data.ImageDataset(path, size=1)
    dataset.shape(999)
    assert requests == [()]
    dataset.batch([5, 1500, -1])
    dataset.batch(numpy.array([1500, 6, 2099]))
    dataset.raw(5), dataset[7], dataset.shape(1000), dataset.shape(-2), dataset.shape(7)
    assert requests[1:] == [[5, 1500, 2099], [6], [7], [1000], [2098]]
    data.ImageDataset(path, size=1).batch(slice(3, 5))
    assert requests[6:] == [(), [3, 4]]
    with pytest.raises(IndexError):
        dataset.shape(2100)


@pytest.mark.skipif(sandbox.resource is None, reason="there are no limits for processes")
def test_the_sandbox_sees_a_file_that_was_changed_in_place(tmp_path):
    path = written(tmp_path / "a.h5", {"0.png": pixels(8, 8, 3)}, fletcher32=True)
    assert numpy.array_equal(data.ImageDataset(path, size=8).raw(0), pixels(8, 8, 3))
    gc.collect()
    write_bad_chunk(path, dict(fletcher32=True), bytes(3), 0)
    with pytest.raises(minigan.DamagedFileError, match="a.h5"):
        data.ImageDataset(path, size=8).raw(0)
