"""What all tests share: the devices there are, and a fixed seed before each test."""

import pytest

import minigan

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


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"devices tested: {', '.join(DEVICES)}")
