"""What all tests share: the devices there are, a fixed seed, a cache folder of their own."""

import numpy
import pytest

import minigan
from minigan import data

DEVICES = ["cpu", "cuda"] if minigan.cuda.is_available() else ["cpu"]


@pytest.fixture(params=DEVICES)
def device(request):
    """Each device there is, in turn, as the default for new tensors."""
    minigan.set_device(request.param)
    yield request.param
    minigan.set_device("cpu")


@pytest.fixture(autouse=True)
def seed():
    minigan.manual_seed(0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own: tests neither read nor fill the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MINIGAN_CACHE", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path):
    """A folder with a training set of seven images in MNIST's form."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    images = numpy.random.default_rng(5).integers(0, 256, (7, 28, 28)).astype("uint8")
    labels = numpy.array([3, 0, 9, 1, 1, 7, 4], "uint8")
    data.write_idx(folder / "train-images-idx3-ubyte", images)
    data.write_idx(folder / "train-labels-idx1-ubyte", labels)
    return folder


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"devices tested: {', '.join(DEVICES)}")
