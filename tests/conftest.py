"""What all tests share: the devices, a fixed seed, a cache folder of their own.

The devices are the CPU, a CUDA GPU where there is one, and the stand-in: CuPy as far as minigan
needs it, over NumPy, with minigan's CUDA kernels compiled for the CPU (tests/standin).
"""

import contextlib
import getpass
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest

import minigan
import standin
from minigan import data, kernels
from minigan.kernels import compiler, launch

CUDA = minigan.cuda.is_available()
GPUS = [
    pytest.param("standin", marks=pytest.mark.skipif(
        not standin.has_compiler(), reason="the stand-in for a GPU needs g++")),
    pytest.param("cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(
        not CUDA, reason="there is no CUDA GPU, or no CuPy to use it")])]
# CuPy refuses matrix products in a captured step; minigan's kernels make them.
needs_kernels = pytest.mark.skipif(launch.switched_off(), reason="MINIGAN_KERNELS is off")


if not launch.switched_off():  # one folder for all tests, and the processes that they start; kept
    os.environ["MINIGAN_KERNELS"] = str(
        Path(tempfile.gettempdir()) / f"minigan-tests-{getpass.getuser()}")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the options here
def pytest_cmdline_main(config):
    """All tests run on all cores where pytest-xdist is installed. Those that are named on the
    command line run in one process, as all do with `-n 0`."""
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.pluginmanager.hasplugin("xdist"):
        return
    option = config.option
    if option.numprocesses is None and config.args_source is config.ArgsSource.TESTPATHS:
        option.numprocesses, option.dist = "auto", "worksteal"
    if option.numprocesses:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")  # which workers inherit: each uses one core
        compile_kernels()


def compile_kernels():
    """All kernels, at once and before workers start, each of which would compile them for itself.
    What fails here fails again, and is reported, where it is needed."""
    with ThreadPoolExecutor() as pool:  # compilers are processes of their own
        for char in "fd":
            if not launch.switched_off():
                pool.submit(compiler.load, char)
            if standin.has_compiler():
                pool.submit(standin.compile_kernels, char)


def pytest_configure():
    if not launch.switched_off():
        for char in "fd":  # not within a test, since compiling is reported on stderr
            launch.load(char)


@contextlib.contextmanager
def on(place):
    """The device as the default for new tensors: "cpu", "cuda" or "standin"; or "textbook", the
    CPU without kernels."""
    around = {"standin": standin.in_place_of_cupy, "textbook": kernels.disabled}
    with around.get(place, contextlib.nullcontext)():
        minigan.set_device("cpu" if place in ("cpu", "textbook") else "cuda")
        tf32 = minigan.backends.cudnn.allow_tf32
        minigan.backends.cudnn.allow_tf32 = False  # tests compare to more digits than it has
        try:
            yield
        finally:
            minigan.backends.cudnn.allow_tf32 = tf32
            minigan.set_device("cpu")


@pytest.fixture(params=["cpu", "textbook", *GPUS])
def device(request):
    """Each device in turn, as the default for new tensors, and the CPU by the textbook's formulas
    alone; under its name, "cpu" or "cuda"."""
    with on(request.param):
        yield "cpu" if request.param in ("cpu", "textbook") else "cuda"


@pytest.fixture(params=["textbook", "kernels"])
def form(request, device):
    """Each form of operations in turn: NumPy's or CuPy's formulas alone, and kernels as well."""
    if request.param == "textbook":
        with kernels.disabled():
            yield "textbook"
    elif launch.covered(minigan.ones(1, device=device).array):
        yield "kernels"
    else:
        pytest.skip(kernels.status())


@pytest.fixture(params=GPUS)
def gpu(request):
    """As `device`, without the CPU."""
    with on(request.param):
        yield "cuda"


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
    places = ["cpu"] + ["the stand-in for a GPU"] * standin.has_compiler() + ["cuda"] * CUDA
    terminalreporter.write_line(f"devices tested: {', '.join(places)}")
