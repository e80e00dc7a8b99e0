"""Padding, interpolation, pixel_shuffle, expand, repeat, chunk and split against loops."""

import numpy
import pytest

import minigan
import reference
from minigan import nn, tensor
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")
random = numpy.random.default_rng(0)


def assert_close(y, expected):
    assert y.dtype == "float64"
    numpy.testing.assert_allclose(y.detach().cpu().numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("pad", [(1, 2), (0, 1, 2, 0), (1, 1, 1, 1), (0, 0, 0, 0)])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
def test_pad_equals_loops(mode, pad):
    x = random.standard_normal((2, 1, 3, 4))
    assert_close(F.pad(tensor(x), pad, mode), reference.pad(x, pad, mode))


def test_pad_cuts_off_and_fills():
    x = random.standard_normal((2, 3, 4))
    assert_close(F.pad(tensor(x), (-1, 2, 0, -2, 1, 0), value=0.5),
                 reference.pad(x, (-1, 2, 0, -2, 1, 0), value=0.5))


@pytest.mark.parametrize("layer, mode", [
    (nn.ZeroPad2d, "constant"), (nn.ReflectionPad2d, "reflect"),
    (nn.ReplicationPad2d, "replicate")])
def test_padding_layers_are_the_function(layer, mode):
    x = tensor(random.standard_normal((2, 1, 3, 4)))
    assert layer(2)(x).tolist() == F.pad(x, (2, 2, 2, 2), mode).tolist()
    assert layer((1, 0, 2, 1))(x).tolist() == F.pad(x, (1, 0, 2, 1), mode).tolist()


@pytest.mark.parametrize("size", [(5, 8), (3, 4), (2, 1), (1, 9)])
@pytest.mark.parametrize("corners", [False, True])
def test_bilinear_equals_loops(size, corners):
    x = random.standard_normal((2, 1, 3, 4))
    assert_close(F.interpolate(tensor(x), size, None, "bilinear", corners),
                 reference.bilinear(x, size, align_corners=corners))


def test_a_fractional_factor_counts_not_the_size_it_leads_to():
    x = random.standard_normal((1, 1, 3, 4))
    assert_close(F.interpolate(tensor(x), None, (1.5, 2.1), "bilinear"),
                 reference.bilinear(x, (4, 8), (1 / 1.5, 1 / 2.1)))
    layer = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    assert_close(layer(tensor(x)), reference.bilinear(x, (6, 8), align_corners=True))


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (2, 3), (3, 4)])
def test_nearest_equals_loops(size):
    x = random.standard_normal((2, 1, 3, 4))
    expected = [[[[image[0, h * 3 // size[0], w * 4 // size[1]] for w in range(size[1])]
                  for h in range(size[0])]] for image in x]
    assert_close(F.interpolate(tensor(x), size), expected)


def test_pixel_shuffle_equals_loops():
    x = random.standard_normal((2, 8, 3, 2))
    assert_close(nn.PixelShuffle(2)(tensor(x)), reference.pixel_shuffle(x, 2))


def test_instance_norm_and_prelu_equal_loops():
    x, w, b = random.standard_normal((2, 3, 4, 2)), random.standard_normal(3), numpy.ones(3)
    assert_close(F.instance_norm(tensor(x), weight=tensor(w), bias=tensor(b), eps=0.1),
                 reference.instance_norm(x, w, b, 0.1))
    assert_close(F.prelu(tensor(x), tensor(w)), reference.prelu(x, w))
    assert_close(F.prelu(tensor(x), tensor([0.5], dtype="float64")),
                 reference.prelu(x, [0.5, 0.5, 0.5]))
    with pytest.raises(ValueError, match="more than one value a channel"):
        nn.InstanceNorm2d(3)(minigan.ones(2, 3, 1, 1))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_smooth_l1_loss_equals_loops(reduction):
    x, t = random.standard_normal((2, 4, 3))
    assert_close(F.smooth_l1_loss(tensor(x), tensor(t), reduction=reduction, beta=0.7),
                 reference.smooth_l1_loss(x, t, reduction, 0.7))
    assert_close(nn.SmoothL1Loss(reduction=reduction)(tensor(x), tensor(t)),
                 reference.smooth_l1_loss(x, t, reduction))


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_are_convolutions_side_by_side(groups):
    x, w = random.standard_normal((2, 4, 5, 4)), random.standard_normal((8, 4 // groups, 3, 2))
    y = F.conv2d(tensor(x), tensor(w), padding=1, groups=groups)
    parts = zip(numpy.split(x, groups, 1), numpy.split(w, groups))
    assert_close(y, numpy.concatenate([reference.conv2d(a, b, padding=((1, 1), (1, 1)))
                                       for a, b in parts], 1))
    w = random.standard_normal((4, 2, 3, 2))
    parts = zip(numpy.split(x, groups, 1), numpy.split(w, groups))
    y = F.conv_transpose2d(tensor(x), tensor(w), stride=2, groups=groups)
    assert_close(y, numpy.concatenate([reference.conv_transpose2d(a, b, stride=(2, 2))
                                       for a, b in parts], 1))
    assert nn.Conv2d(4, 8, 3, groups=groups).weight.shape == (8, 4 // groups, 3, 3)


def test_expand_shares_memory_and_is_not_written_to():
    x = tensor([[1.0], [2.0]])
    y = x.expand(3, 2, 4)
    assert y.shape == (3, 2, 4) and x.expand(-1, 4).shape == x.expand_as(y[0]).shape == (2, 4)
    x.mul_(10)
    assert y[2].tolist() == [[10] * 4, [20] * 4]
    with pytest.raises(RuntimeError, match="fill_: several elements of this tensor"):
        y.fill_(0)
    assert y.clone().fill_(0).sum().item() == 0


def test_repeat_equals_tiling():
    x = random.standard_normal((2, 3))
    for times in ((1, 1), (2, 3), (2, 1, 2), (0, 1)):
        assert_close(tensor(x).repeat(*times), numpy.tile(x, times))
    assert tensor([1, 2]).repeat(2).tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("n, chunks, sizes", [
    (7, 4, [2, 2, 2, 1]), (6, 4, [2, 2, 2]), (3, 5, [1, 1, 1]), (0, 2, [0, 0])])
def test_chunks_are_views_of_these_sizes(n, chunks, sizes):
    x = minigan.zeros(2, n)
    parts = x.chunk(chunks, 1)
    assert [part.shape for part in parts] == [(2, size) for size in sizes]
    for i, part in enumerate(parts):
        part += i
    assert x[0].tolist() == [i for i, size in enumerate(sizes) for _ in range(size)]


def test_splits_are_of_one_size_or_of_several():
    x = minigan.arange(7)
    assert [part.tolist() for part in x.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [part.tolist() for part in x.split([2, 0, 5])] == [[0, 1], [], [2, 3, 4, 5, 6]]
    with pytest.raises(ValueError, match=r"split: the sizes \[2, 4\] do not add up to 7"):
        x.split([2, 4])
