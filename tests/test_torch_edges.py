"""What teaching code meets at the edges: PyTorch 2.13's numbers, and its refusals."""

import numpy
import pytest

import minigan
from minigan import optim, utils

NAN, INF = float("nan"), float("inf")


def rates(optimiser, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append(round(optimiser.param_groups[0]["lr"], 9))
        optimiser.step()
        scheduler.step()
    return found


def test_a_later_scheduler_begins_with_the_first_rate():
    weight = minigan.ones(1, requires_grad=True)
    optimiser = optim.SGD([weight], lr=0.1)
    rates(optimiser, optim.lr_scheduler.ExponentialLR(optimiser, 0.5), 3)
    resumed = optim.SGD([weight], lr=0.7)
    resumed.load_state_dict(optimiser.state_dict())
    for one in (optimiser, resumed):
        later = optim.lr_scheduler.LambdaLR(one, lambda epoch: 1 - epoch / 10)
        assert rates(one, later, 2) == [0.1, 0.09]


def test_a_group_that_is_added_later_has_its_rates_too():
    optimiser = optim.SGD([minigan.ones(1, requires_grad=True)], lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimiser, 2, 0.5)
    optimiser.add_param_group({"params": [minigan.ones(1, requires_grad=True)], "lr": 0.3})
    for _ in range(2):
        scheduler.step()
    assert [group["lr"] for group in optimiser.param_groups] == [0.05, 0.15]


def test_a_state_from_before_continues_at_an_epoch():
    optimiser = optim.SGD([{"params": [minigan.ones(1, requires_grad=True)], "initial_lr": 0.1}],
                          lr=0.05)
    optim.lr_scheduler.StepLR(optimiser, 2, 0.5, last_epoch=3)
    assert optimiser.param_groups[0]["lr"] == 0.025


SCHEDULES = {
    "StepLR": lambda o: optim_of(o).lr_scheduler.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: optim_of(o).lr_scheduler.MultiStepLR(o, [1, 3, 3], 0.1),
    "LambdaLR": lambda o: optim_of(o).lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "ExponentialLR": lambda o: optim_of(o).lr_scheduler.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: optim_of(o).lr_scheduler.CosineAnnealingLR(o, 3, 0.01)}


def optim_of(optimiser):
    return optim if isinstance(optimiser, optim.Optimizer) else pytest.importorskip("torch").optim


def rates_of_two(torch, first, second):
    optimiser = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    schedulers = [SCHEDULES[first](optimiser), SCHEDULES[second](optimiser)]
    found = []
    for step in range(9):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step == 4:
            optimiser.param_groups[0]["lr"] *= 2  # by hand
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_two_schedulers_of_one_optimiser():
    found = rates_of_two(minigan, "StepLR", "ExponentialLR")
    assert found[:5] == pytest.approx([0.1, 0.09, 0.0405, 0.03645, 0.0164025])
    assert found[5] == pytest.approx(2 * 0.0164025 * 0.9)


@pytest.mark.parametrize("second", SCHEDULES)
@pytest.mark.parametrize("first", SCHEDULES)
def test_two_schedulers_are_pytorchs(first, second):
    torch = pytest.importorskip("torch")
    assert rates_of_two(minigan, first, second) == pytest.approx(
        rates_of_two(torch, first, second), rel=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_pytorchs_state_of_a_scheduler(name):
    torch = pytest.importorskip("torch")
    theirs, ours = (package.optim.SGD([package.ones(1, requires_grad=True)], lr=0.1)
                    for package in (torch, minigan))
    scheduler, loaded = SCHEDULES[name](theirs), SCHEDULES[name](ours)
    for _ in range(2):
        theirs.step()
        scheduler.step()
    ours.load_state_dict(theirs.state_dict())
    loaded.load_state_dict(scheduler.state_dict())
    for _ in range(4):
        theirs.step()
        scheduler.step()
        loaded.step()
        assert loaded.get_last_lr() == pytest.approx(scheduler.get_last_lr(), rel=1e-12)
    with pytest.raises(ValueError, match="load_state_dict"):
        loaded.load_state_dict({**scheduler.state_dict(), "unknown": 1})


FACTORS = [1.1, 1.34, 1.5, 2.1, 2.3, 0.5, 0.7, 3.3, (1.1, 2), (2, 1.2), (3, 2.05)]


@pytest.mark.parametrize("options", [
    dict(mode="nearest"), dict(mode="bilinear"), dict(mode="bilinear", align_corners=True)], ids=str)
@pytest.mark.parametrize("factor", FACTORS, ids=str)
def test_fractional_factors_are_pytorchs(factor, options):
    torch = pytest.importorskip("torch")
    pixels = numpy.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype("float32")
    x = minigan.tensor(pixels, requires_grad=True)
    theirs = torch.tensor(pixels, requires_grad=True)
    y = minigan.nn.functional.interpolate(x, scale_factor=factor, **options)
    expected = torch.nn.functional.interpolate(theirs, scale_factor=factor, **options)
    numpy.testing.assert_allclose(y.detach(), expected.detach(), rtol=1e-5, atol=1e-6)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    numpy.testing.assert_allclose(x.grad, theirs.grad, rtol=1e-5, atol=1e-5)


def test_a_fractional_factor_that_leads_to_the_old_or_twice_the_size():
    x = minigan.tensor([[[[0.0, 1.0, 2.0, 3.0]]]])
    assert minigan.nn.functional.interpolate(x, scale_factor=(1, 1.1)).tolist() == x.tolist()
    twice = minigan.nn.functional.interpolate(x, scale_factor=(1, 2.1))
    assert twice.tolist() == [[[[0, 0, 1, 1, 2, 2, 3, 3]]]]


def test_nothing_joined_to_something():
    x, nothing = minigan.ones(2, 2, requires_grad=True), minigan.zeros(0)
    assert minigan.cat([nothing, x], 1).shape == (2, 2)
    minigan.cat([nothing, x, nothing, x], 0).sum().backward()
    assert x.grad.tolist() == [[2, 2], [2, 2]]
    assert minigan.cat([nothing, nothing]).shape == (0,)
    assert minigan.cat([nothing.double(), x]).dtype == "float64"
    with pytest.raises(ValueError, match="cat"):
        minigan.cat([minigan.zeros(0, 3), x], 1)


def test_the_spread_of_a_population():
    x = minigan.tensor([1.0, 2.0, 3.0])
    assert x.std(False) == x.std(unbiased=False) and x.var(False) == x.var(unbiased=False)
    assert x.var(True) == x.var() == 1


def test_infinite_padding():
    padded = minigan.nn.functional.pad(minigan.ones(1), (1, 1), value=-INF)
    assert padded.tolist() == [-INF, 1, -INF]


def test_gradients_clipped_by_the_largest():
    for norm_type in ("inf", INF):
        x = minigan.tensor([3.0, -4.0], requires_grad=True)
        (x * x).sum().backward()
        total = minigan.nn.utils.clip_grad_norm_([x], 1.0, norm_type)
        assert total == 8 and x.grad.tolist() == pytest.approx([0.75, -1])


def test_new_tensors_are_of_the_same_dtype():
    x = minigan.ones(2).double()
    for made in (x.new_zeros(2, 3), x.new_ones((2, 3)), x.new_full((2, 3), 1), x.new_empty(2, 3),
                 x.new_tensor([[1, 2, 3]] * 2), x.new(2, 3), x.new([[1, 2, 3]] * 2)):
        assert (made.dtype, made.shape, made.requires_grad) == ("float64", (2, 3), False)
    assert x.new_full((1,), 2).tolist() == [2] and x.new_ones(1).tolist() == [1]
    assert x.new_zeros(1, dtype=minigan.int64, requires_grad=False).dtype == "int64"
    assert minigan.tensor([1.5]).type_as(minigan.tensor([1])).dtype == "int64"


def test_modules_with_names_that_are_made():
    net = minigan.nn.Sequential()
    net.add_module("0-linear", minigan.nn.Linear(2, 3))
    net.register_module("1-relu", minigan.nn.ReLU())
    assert net(minigan.ones(1, 2)).shape == (1, 3)
    assert list(net.state_dict()) == ["0-linear.weight", "0-linear.bias"]
    net.register_parameter("scale", minigan.nn.Parameter(minigan.ones(1)))
    assert next(net.named_parameters())[0] == "scale"
    for name in ("a.b", "", "forward", "training"):
        with pytest.raises(ValueError, match="add_module"):
            net.add_module(name, minigan.nn.ReLU())


def test_options_of_max_pooling_that_are_not_here():
    images = minigan.ones(1, 1, 4, 4)
    assert minigan.nn.functional.max_pool2d(images, 2, ceil_mode=False).shape == (1, 1, 2, 2)
    for option in (dict(ceil_mode=True), dict(dilation=2), dict(return_indices=True)):
        with pytest.raises(NotImplementedError, match="max_pool2d"):
            minigan.nn.functional.max_pool2d(images, 2, **option)


def test_where_loaded_tensors_go(tmp_path):
    path = str(tmp_path / "state.pth")
    minigan.save({"weight": minigan.ones(2), "shape": minigan.ones(2, 3).shape}, path)
    for place in ("cpu", lambda storage, location: storage, {"cuda:0": "cpu"}):
        loaded = minigan.load(path, map_location=place)
        assert loaded["weight"].device == "cpu" and loaded["weight"].tolist() == [1, 1]
        assert type(loaded["shape"]) is minigan.Size
    doubled = minigan.load(path, map_location=lambda storage, location: storage * 2)
    assert doubled["weight"].tolist() == [2, 2]


def test_a_state_that_contains_itself(tmp_path):
    state = []
    state.append(state)
    with pytest.raises(ValueError, match="save: state contains itself"):
        minigan.save(state, tmp_path / "state.pth")
    assert not list(tmp_path.iterdir())


def test_gradients_beside_nan():
    x, y = (minigan.tensor(values, requires_grad=True) for values in ([1.0, 2.0], [2.0, NAN]))
    minigan.maximum(x, y).sum().backward()
    assert x.grad.tolist() == [0, 1] and y.grad.tolist() == [1, 1]


@pytest.mark.parametrize("wrong, message", [
    (lambda: minigan.zeros(2).long().masked_fill(minigan.tensor([True, False]), INF), "cannot hold"),
    (lambda: minigan.zeros(2).to(minigan.uint8).masked_fill(minigan.tensor([True, False]), -1e9),
     "cannot hold"),
    (lambda: minigan.zeros(3).long().scatter_(0, minigan.tensor([0]), minigan.tensor([1.5])),
     "src is float32"),
    (lambda: minigan.tensor([-1, 2]).clamp_(-0.5, 0.5), "must be integers")])
def test_numbers_that_a_tensor_cannot_hold(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


def test_masked_fill_takes_a_tensor_of_one_number():
    mask = minigan.tensor([True, False])
    assert minigan.zeros(2).masked_fill(mask, minigan.tensor(3.0)).tolist() == [3, 0]
    assert minigan.zeros(2).masked_fill(mask, -INF).tolist() == [-INF, 0]


def test_chunks_of_nothing():
    assert [part.shape for part in minigan.ones(3, 0).chunk(3, 1)] == [(3, 0)] * 3


def test_saved_pictures_are_red_green_and_blue(tmp_path):
    from PIL import Image
    image = minigan.rand(3, 5, 4)
    utils.save_image(image, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.mode == "RGB"
        pixels = numpy.asarray(picture)
    expected = (image.permute(1, 2, 0) * 255 + 0.5).numpy().astype("uint8")
    numpy.testing.assert_array_equal(pixels, expected)
    with pytest.raises(ValueError, match="noext: format must be that of a picture"):
        utils.save_image(image, tmp_path / "noext")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
