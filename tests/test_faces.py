"""The built-in faces: what they look like in numbers, and where they are cached."""

import itertools

import h5py
import numpy
import pytest

from minigan import data


@pytest.fixture(scope="module")
def faces():
    """Sixty faces, and the middles of them: (60,128,128,3)."""
    images = list(data.draw_faces(60, seed=1))
    return images, numpy.stack([data.crop_center(image, 128, 128) for image in images])


def test_faces_are_the_same_for_the_same_seed_only(faces):
    images, _ = faces
    for image, again in zip(images, data.draw_faces(5, seed=1)):
        assert numpy.array_equal(image, again)
    other = next(data.draw_faces(1, seed=2))
    assert not numpy.array_equal(data.crop_center(other, 128, 128), faces[1][0])
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        data.draw_faces(0)


def test_faces_have_sizes_of_their_own_and_differ(faces):
    images, crops = faces
    assert all(image.dtype == "uint8" and image.shape[2] == 3 for image in images)
    for axis in (0, 1):
        sides = {image.shape[axis] for image in images}
        assert len(sides) > 10 and 140 <= min(sides) <= 145 and 155 <= max(sides) <= 160
    changes = [numpy.abs(one - other.astype(float)).mean()
               for one, other in itertools.combinations(crops, 2)]
    assert min(changes) > 8


def test_faces_are_centred_upright_and_of_one_scale(faces):
    """What they have in common shows in their mean, which is what a generator learns first."""
    mean = faces[1].mean(axis=0)
    grey = mean.mean(axis=2)
    # Left and right alike.
    assert numpy.abs(mean - mean[:, ::-1]).mean() < 6
    # Both pupils are darker than the brows above, and these darker than the cheeks below.
    for column in (50, 78):
        pupil, brow = grey[62:66, column - 2:column + 3], grey[53:57, column - 6:column + 7]
        cheek = grey[76:80, column - 6:column + 7]
        assert pupil.min() + 5 < brow.mean() < cheek.mean() - 5
    # Warm colours: skin is redder than blue in the middle, backgrounds are of all colours.
    assert (faces[1][:, 60:90, 50:78, 0].astype(float)
            - faces[1][:, 60:90, 50:78, 2]).mean(axis=(1, 2)).min() > 10
    corners = faces[1][:, :10, :10].mean(axis=(1, 2))
    assert numpy.ptp(corners, axis=0).min() > 100
    # Lips are redder than the skin around them.
    redness = mean[:, :, 0] - mean[:, :, 1]
    assert redness[89:93, 58:70].mean() > redness[76:80, 58:70].mean() + 10


def test_faces_are_cached(cache, capsys):
    drawn = data.open_faces(8, seed=2)
    assert sorted(drawn["faces"]) == [f"{number}.png" for number in range(8)]
    for number, image in enumerate(data.draw_faces(8, seed=2)):
        assert numpy.array_equal(drawn[f"faces/{number}.png"][()], image)
    assert "8/8" in capsys.readouterr().err
    path, = cache.iterdir()
    assert "seed-2" in path.name and "count-8" in path.name
    # What is in the file now is what the next reader gets.
    with h5py.File(path, "r+") as file:
        file["faces/3.png"][...] = 7
    again = data.open_faces(8, seed=2)
    assert (again["faces/3.png"][()] == 7).all() and capsys.readouterr().err == ""
    assert len(data.open_faces(9, seed=2)["faces"]) == 9


def test_damaged_faces_in_the_cache_are_generated_again(cache):
    first = data.open_faces(4)["faces/0.png"][()]
    path, = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert numpy.array_equal(data.open_faces(4)["faces/0.png"][()], first)
    with h5py.File(path) as file:
        assert numpy.array_equal(file["faces/0.png"][()], first)


def test_faces_need_no_cache(cache, capsys):
    cache.write_text("a file where the folder should be")
    file = data.open_faces(3)
    assert len(file["faces"]) == 3 and file["faces/2.png"].shape[2] == 3
    assert capsys.readouterr().err.count("faces: not cached for the next run: ") == 1
    assert not [path for path in cache.parent.iterdir() if path.name != "cache"]


def test_the_built_in_set(monkeypatch):
    monkeypatch.setattr("minigan.data.images.FACES", 10)  # as many as a test has time for
    dataset = data.ImageDataset()
    assert len(dataset) == 10 and dataset.group == "faces"
    expected = [data.crop_center(image, 128, 128) for image in data.draw_faces(10)]
    batch = data.ImageDataset("faces").batch(slice(None))  # from the cache
    assert batch.shape == (10, 3, 128, 128)
    assert numpy.array_equal(batch.numpy(), [
        crop.transpose(2, 0, 1) / numpy.float32(255) for crop in expected])
    assert numpy.array_equal(dataset.raw(9), expected[9])
