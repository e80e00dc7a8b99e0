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
                          lr=0.1)
    optim.lr_scheduler.StepLR(optimiser, 2, 0.5, last_epoch=3)
    assert optimiser.param_groups[0]["lr"] == 0.025


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
