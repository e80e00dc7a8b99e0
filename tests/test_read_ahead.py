"""Reading ahead: the same items, in a thread that ends with the loop."""

import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy
import pytest

import minigan
from minigan import data
from minigan.tensor import from_array

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.fixture
def dataset(tmp_path):
    """Seven images of 4 x 5 pixels, on the CPU."""
    images = numpy.random.default_rng(1).integers(0, 256, (7, 5, 4, 3)).astype("uint8")
    with h5py.File(tmp_path / "seven.h5", "w") as file:
        for number, image in enumerate(images):
            file[f"seven/{number}.png"] = image
    return data.ImageDataset(tmp_path / "seven.h5", size=4, device="cpu")


class Counted:
    """Integers; counts how many were asked for, and sets `enough` at a given number."""

    def __init__(self, until, enough_at=None):
        self.until = until
        self.asked = 0
        self.enough_at = enough_at
        self.enough = threading.Event()

    def __iter__(self):
        for number in range(self.until):
            self.asked += 1
            if self.asked == self.enough_at:
                self.enough.set()
            yield number


def test_the_batches_are_those_of_the_loader(dataset, device):
    ahead = data.ReadAhead(data.DataLoader(dataset, batch_size=2, shuffle=True, seed=4), ahead=2)
    plain = data.DataLoader(dataset, batch_size=2, shuffle=True, seed=4)
    assert len(ahead) == len(plain) == 4
    for _ in range(3):  # epochs, each in an order of its own
        batches, expected = list(ahead), list(plain)
        assert len(batches) == 4
        for batch, other in zip(batches, expected):
            assert batch.device == device and batch.dtype == "float32"
            assert numpy.array_equal(batch.cpu().numpy(), other.numpy())


def test_one_seed_decides_the_orders(dataset):
    def epochs():
        minigan.manual_seed(3)
        loader = data.ReadAhead(data.DataLoader(dataset, shuffle=True))
        return [(batch.numpy().tobytes(), minigan.rand(1).item())
                for _ in range(2) for batch in loader]

    assert epochs() == epochs()


def test_tensors_in_tuples_are_moved_and_others_left(device):
    on_cpu = from_array(numpy.ones(2))
    (label, (tensor, name)), = data.ReadAhead([(3, [on_cpu, "name"])])
    assert (label, name) == (3, "name") and tensor.device == device and tensor.tolist() == [1, 1]


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_items_are_prepared_than_asked_for(ahead):
    numbers = Counted(50, enough_at=ahead + 1)
    items = iter(data.ReadAhead(numbers, ahead=ahead))
    assert next(items) == 0
    assert numbers.enough.wait(10)  # one taken, and `ahead` waiting: comes without being asked for
    for expected in range(1, 20):
        assert next(items) == expected
        assert expected + 1 <= numbers.asked <= expected + 1 + ahead
    items.close()
    assert numbers.asked <= 20 + ahead
    assert list(data.ReadAhead(range(0))) == []


def test_an_error_comes_after_the_items_before_it():
    def broken():
        yield from range(3)
        raise KeyError("the fourth")

    seen = []
    with pytest.raises(KeyError, match="the fourth"):
        for item in data.ReadAhead(broken(), ahead=8):
            seen.append(item)
    assert seen == [0, 1, 2]
    with pytest.raises(TypeError, match="not iterable"):
        list(data.ReadAhead(5))


def test_a_bad_image_is_reported_in_the_loop(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(1100):
            file[f"{number}.png"] = numpy.zeros((1, 1, 3 + (number == 1050)), "uint8")
    dataset = data.ImageDataset(tmp_path / "a.h5", size=1)
    seen = 0
    with pytest.raises(ValueError, match="a.h5, /1050.png: expected a colour image"):
        for images in data.ReadAhead(data.DataLoader(dataset, batch_size=100)):
            seen += len(images)
    assert seen == 1000


def test_leaving_the_loop_stops_the_thread():
    running = threading.active_count()
    numbers = Counted(10**9)
    for item in data.ReadAhead(numbers):
        assert threading.active_count() == running + 1
        if item == 5:
            break
    assert threading.active_count() == running
    asked = numbers.asked
    with pytest.raises(ZeroDivisionError):
        for item in data.ReadAhead(numbers):
            item / 0
    assert threading.active_count() == running
    assert asked <= 10 and numbers.asked <= asked + 5


@pytest.mark.parametrize("end, status", [("", 0), ("1 / 0", 1)])
def test_python_exits_while_a_loop_is_half_way(tmp_path, end, status):
    script = ("from minigan.data import ReadAhead\n"
              "items = iter(ReadAhead(range(10**9)))\n"
              f"next(items)\n{end}\n")
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60,
                            capture_output=True, text=True)
    assert result.returncode == status
    assert ("ZeroDivisionError" in result.stderr) == bool(status)


@pytest.mark.parametrize("ahead", [0, -1, 1.5, None])
def test_ahead_must_be_an_integer(ahead):
    with pytest.raises(ValueError, match="ahead must be an integer of at least 1"):
        data.ReadAhead([], ahead=ahead)


def test_python_exits_where_nobody_left_the_loop(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(64):
            file[f"{i}.png"] = numpy.zeros((130, 130, 3), "uint8")
    code = ("import sys; from minigan.data import *; "
            "it = iter(ReadAhead(DataLoader(ImageDataset(sys.argv[1]), batch_size=16))); next(it); "
            "raise SystemExit(3)")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.h5"], timeout=60,
                          cwd=Path(minigan.__file__).parent.parent)
    assert done.returncode == 3
