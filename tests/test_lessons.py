"""Lessons written for PyTorch run here with their imports changed, and nothing else.

tests/lessons holds one of each style. Where PyTorch is installed the same texts run with it as
well, unchanged: they are its programs. A lesson makes its networks, then comes to `# Training`;
those whose training draws nothing from PyTorch's random stream must give the same losses in both
if they start from the same weights.
"""

import random
import sys
import types
from pathlib import Path

import numpy
import pytest

import minigan
from minigan import utils

FOLDER = Path(__file__).parent / "lessons"
LESSONS = sorted(path.stem for path in FOLDER.glob("*.py"))
DRAW_FROM_NUMPY = [
    "adversarial_autoencoder", "auxiliary_gan", "digit_classifier", "embedding_cgan", "energy_gan",
    "info_gan", "parallel_dcgan", "picture_gan", "relativistic_gan", "semi_supervised_gan",
    "wasserstein_gan"]
ON_THE_STANDIN = [
    "dcgan", "digit_classifier", "digit_gan", "embedding_cgan", "picture_gan", "wasserstein_gan"]

# Two of them leave the dimension of a softmax to be picked.
pytestmark = pytest.mark.filterwarnings("ignore:.*dim:UserWarning")

# All that changes: whole lines.
IMPORTS = {
    "import torch": "import minigan as torch",
    "import torch.nn as nn": "import minigan.nn as nn",
    "import torch.nn.functional as F": "import minigan.nn.functional as F",
    "import torch.optim as optim": "import minigan.optim as optim",
    "import torch.backends.cudnn as cudnn": "import minigan.backends.cudnn as cudnn",
    "import torch.nn.parallel": "import minigan.nn.parallel",
    "import torch.utils.data": "import minigan.utils.data",
    "from torch import nn, optim": "from minigan import nn, optim",
    "from torch.autograd import Variable": "from minigan.autograd import Variable",
    "from torch.nn import functional as F": "from minigan.nn import functional as F",
    "from torch.optim.lr_scheduler import LambdaLR":
        "from minigan.optim.lr_scheduler import LambdaLR",
    "from torch.optim.lr_scheduler import StepLR": "from minigan.optim.lr_scheduler import StepLR",
    "import torchvision.utils as vutils": "import minigan.utils as vutils",
    "from torchvision.utils import make_grid": "from minigan.utils import make_grid",
    "from torchvision.utils import save_image": "from minigan.utils import save_image",
    "from torch.utils.data import Dataset": "from minigan.data import Dataset",
    "from torch.utils.data import DataLoader, TensorDataset":
        "from minigan.data import DataLoader, TensorDataset",
}


class Lesson:
    """A lesson's text, run in two parts; `names` is what it has defined."""

    def __init__(self, name, imports):
        lines = (FOLDER / f"{name}.py").read_text().splitlines()
        text = "\n".join(imports.get(line, line) for line in lines)
        self.making, self.training = text.split("\n# Training\n")
        self.names = {"__name__": name}

    def make(self):
        exec(self.making, self.names)
        return self

    def train(self):
        exec(self.training, self.names)
        return self

    def networks(self, nn):
        return {name: value for name, value in self.names.items() if isinstance(value, nn.Module)}


def check_losses(progress):
    """The discriminator, or classifier, has learned something."""
    few = min(len(progress) // 3, 20)
    assert numpy.isfinite(progress).all()
    assert numpy.mean(progress[-few:]) < 0.8 * numpy.mean(progress[:few]), progress


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Lessons save pictures and checkpoints."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pytorch(monkeypatch):
    """PyTorch, on the CPU; where torchvision is missing, with minigan's grids of pictures."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    vision = types.ModuleType("torchvision")
    vision.utils = types.ModuleType("torchvision.utils")
    vision.utils.save_image = lambda images, path, **options: utils.save_image(
        minigan.tensor(images.numpy(), device="cpu"), path, **options)
    vision.utils.make_grid = lambda images, **options: torch.from_numpy(utils.make_grid(
        minigan.tensor(images.numpy(), device="cpu"), **options).numpy())
    monkeypatch.setitem(sys.modules, "torchvision", vision)
    monkeypatch.setitem(sys.modules, "torchvision.utils", vision.utils)
    return torch


@pytest.fixture
def place(device, monkeypatch):
    """The device, which lessons find to be there or not."""
    monkeypatch.setattr(minigan.cuda, "is_available", lambda: device == "cuda")
    return device


@pytest.fixture
def in_time(request):
    """Leaves out lessons of many steps on the stand-in, which is a hundred times slower."""
    place, name = (request.node.callspec.params[key] for key in ("device", "name"))
    if place == "standin" and name not in ON_THE_STANDIN:
        pytest.skip("too slow on the stand-in for a GPU")


@pytest.mark.parametrize("name", LESSONS)
def test_lesson(name, place, in_time):
    lesson = Lesson(name, IMPORTS).make().train()
    assert lesson.names["torch"] is minigan and "from torch" not in lesson.making
    check_losses(lesson.names["progress"])
    assert lesson.names.get("accuracy", 1) > 0.6
    for network in lesson.networks(minigan.nn).values():
        assert {p.device for p in network.parameters()} <= {place}


@pytest.mark.parametrize("name", LESSONS)
def test_lesson_in_pytorch(name, pytorch):
    check_losses(Lesson(name, {}).make().train().names["progress"])


@pytest.mark.parametrize("name", DRAW_FROM_NUMPY)
def test_losses_are_pytorchs(name, place, in_time, pytorch):
    theirs, ours = Lesson(name, {}).make(), Lesson(name, IMPORTS).make()
    for key, network in theirs.networks(pytorch.nn).items():
        ours.names[key].load_state_dict(network.state_dict())
    losses = []
    for lesson in (theirs, ours):
        random.seed(0)  # what training draws comes from these two streams
        numpy.random.seed(0)
        losses.append(lesson.train().names["progress"][:20])  # later, rounding has grown
    numpy.testing.assert_allclose(losses[1], losses[0], rtol=1e-3, atol=1e-5)
