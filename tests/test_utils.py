"""Where PyTorch has its names: grids of pictures, schedules, aliases, switches."""

import importlib

import numpy
import pytest
from matplotlib.image import imread

import minigan
from minigan import nn, optim, tensor, utils


def test_a_grid_has_the_images_in_rows(device):
    images = minigan.arange(5 * 6).view(5, 1, 2, 3).float()
    grid = utils.make_grid(images, nrow=3, padding=1, pad_value=-1)
    assert grid.shape == (3, 2 * 3 + 1, 3 * 4 + 1)
    expected = numpy.full((7, 13), -1.0)
    for n in range(5):
        y, x = 1 + n // 3 * 3, 1 + n % 3 * 4
        expected[y:y + 2, x:x + 3] = images[n, 0].cpu().numpy()
    for channel in grid:
        assert channel.tolist() == expected.tolist()
    assert utils.make_grid([images[0], images[1]]).shape == (3, 2 + 4, 2 * 5 + 2)
    assert utils.make_grid(images[:1]).tolist() == [images[0, 0].tolist()] * 3


def test_a_grid_may_be_normalized(device):
    images = tensor([[[[-1.0, 3.0]]], [[[0.0, 1.0]]]])
    together = utils.make_grid(images, normalize=True, padding=0)[0].tolist()
    assert together == [[0, 1, 0.25, 0.5]]
    assert utils.make_grid(images, normalize=True, scale_each=True, padding=0)[0].tolist() == [
        [0, 1, 0, 1]]
    assert utils.make_grid(images, normalize=True, value_range=(0, 2), padding=0)[0].tolist() == [
        [0, 1, 0, 0.5]]
    assert images.tolist() == [[[[-1, 3]]], [[[0, 1]]]]


def test_a_picture_is_saved_and_read(tmp_path, device):
    images = minigan.linspace(0, 1, 24).view(2, 3, 2, 2)
    utils.save_image(images, tmp_path / "new" / "a.png", nrow=2, padding=0)
    pixels = imread(tmp_path / "new" / "a.png")[..., :3] * 255
    expected = numpy.concatenate(images.cpu().numpy() * 255, axis=2).transpose(1, 2, 0)
    assert abs(pixels - expected).max() <= 0.501
    utils.save_image(images, str(tmp_path / "b.jpg"))
    assert (tmp_path / "b.jpg").read_bytes()[:2] == b"\xff\xd8"
    utils.save_image(images, tmp_path / "c", format="png")
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"b.jpg", "c"}


def trained(scheduler, epochs):
    rates = []
    for _ in range(epochs):
        rates.append(scheduler.get_last_lr())
        scheduler.step()
    return rates


def groups():
    return optim.SGD([{"params": [nn.Parameter(minigan.ones(2))], "lr": lr} for lr in (0.5, 2.0)])


@pytest.mark.parametrize("make", [
    lambda o: optim.lr_scheduler.StepLR(o, 2, 0.5),
    lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 3], 0.5),
    lambda o: optim.lr_scheduler.LambdaLR(o, [lambda e: 1 / (1 + e), lambda e: 0.9 ** e]),
    lambda o: optim.lr_scheduler.ExponentialLR(o, 0.9),
    lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 4, 0.1)])
def test_a_schedule_goes_on_from_its_state(make, tmp_path):
    optimiser = groups()
    expected = trained(make(optimiser), 6)
    assert expected[0] == [0.5, 2.0] and expected[1] != expected[4]
    optimiser = groups()
    scheduler = make(optimiser)
    trained(scheduler, 3)
    minigan.save([scheduler.state_dict(), optimiser.state_dict()], tmp_path / "run.pt")
    mine, theirs = minigan.load(tmp_path / "run.pt")
    optimiser = groups()
    scheduler = make(optimiser)
    optimiser.load_state_dict(theirs)
    scheduler.load_state_dict(mine)
    assert trained(scheduler, 3) == expected[3:]
    with pytest.raises(ValueError, match="load_state_dict: .*expected a dict with"):
        scheduler.load_state_dict({"epoch": 3})


def test_a_schedule_reaches_the_parameters():
    p = nn.Parameter(minigan.zeros(1))
    optimiser = optim.SGD([p], lr=1.0)
    scheduler = optim.lr_scheduler.ExponentialLR(optimiser, 0.5)
    for _ in range(3):
        optimiser.zero_grad()
        (-p).sum().backward()
        optimiser.step()
        scheduler.step()
    assert p.item() == 1.75


@pytest.mark.parametrize("kind, options", [
    (optim.RMSprop, dict(momentum=0.9, centered=True)), (optim.AdamW, {}), (optim.Adagrad, {}),
    (optim.Adadelta, {})], ids=lambda value: getattr(value, "__name__", ""))
def test_an_optimiser_goes_on_from_its_state(kind, options, tmp_path, device):
    def step(p, optimiser):
        optimiser.zero_grad()
        (p * p).sum().backward()
        optimiser.step()

    p, q = (nn.Parameter(tensor([1.0, -2.0])) for _ in range(2))
    first, second = kind([p], lr=0.1, **options), kind([q], lr=0.1, **options)
    for _ in range(2):
        step(p, first)
    minigan.save(first.state_dict(), tmp_path / "optimiser.pt")
    q.data.copy_(p.data)
    second.load_state_dict(minigan.load(tmp_path / "optimiser.pt"))
    for _ in range(2):
        step(p, first)
        step(q, second)
    assert q.tolist() == p.tolist() != [1.0, -2.0]


@pytest.mark.parametrize("name", [
    "accelerator", "autograd", "backends.cudnn", "backends.mps", "cuda", "nn.functional", "nn.init",
    "nn.parallel", "nn.utils", "optim.lr_scheduler", "utils.data"])
def test_modules_are_where_pytorch_has_them(name):
    module = importlib.import_module(f"minigan.{name}")
    found = minigan
    for part in name.split("."):
        found = getattr(found, part)
    assert found is module


def test_switches_of_a_machine_with_at_most_one_gpu():
    there = minigan.cuda.is_available()
    assert minigan.accelerator.is_available() == there
    assert minigan.accelerator.current_accelerator() == ("cuda" if there else None)
    assert not minigan.backends.mps.is_available() and not minigan.backends.cudnn.is_available()
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    x = minigan.randn(4, 2)
    wrapped = nn.DataParallel(net, [0])
    assert wrapped(x).tolist() == nn.parallel.data_parallel(net, x, range(1)).tolist() == (
        net(x).tolist())
    assert list(wrapped.state_dict()) == ["module.0.weight", "module.0.bias"]


def test_types_by_name():
    x = tensor([1.7, -1.7])
    assert x.type(minigan.LongTensor).tolist() == x.type("torch.LongTensor").tolist() == [1, -1]
    for name in ("Half", "Float", "Double", "Byte", "Char", "Short", "Int", "Long", "Bool"):
        assert x.abs().type(f"torch.{name}Tensor").type() == f"torch.{name}Tensor"
    assert x.type(minigan.float64).dtype == "float64" and x.type(minigan.FloatTensor) is x
    with pytest.raises(ValueError, match="type: expected a dtype"):
        x.type("torch.TextTensor")
