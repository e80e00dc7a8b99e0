"""Measures of generated samples, against cases with a known answer."""

import numpy
import pytest

import minigan
from minigan.training import (
    checkerboard_ratio, features_of, frechet_distance, label_share, mean_distance, spread_ratio,
    spread_within_labels)


def normal(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape)


def whitened(count, features, seed=0):
    """Features with a mean of exactly 0 and a covariance of exactly the unit matrix."""
    x = normal(count, features, seed=seed)
    x -= x.mean(axis=0)
    return numpy.linalg.qr(x)[0] * numpy.sqrt(count - 1)


@pytest.mark.parametrize("make", [numpy.array, minigan.tensor])
def test_features_come_from_batches_in_order_and_without_a_graph(make, device):
    sizes, modes = [], []
    weight = minigan.ones(3, requires_grad=True)

    def function(batch):
        sizes.append(len(batch))
        modes.append(minigan.is_grad_enabled())
        return batch * weight

    images = numpy.arange(30, dtype="float32").reshape(10, 3)
    features = features_of(function, make(images), batch_size=4)
    assert isinstance(features, numpy.ndarray) and numpy.array_equal(features, images)
    assert sizes == [4, 4, 2] and not any(modes) and minigan.is_grad_enabled()


@pytest.mark.parametrize("images, batch_size", [
    (numpy.zeros((0, 3)), 4), (numpy.array(1.0), 4), (numpy.zeros((2, 3)), 0)])
def test_features_of_refuses(images, batch_size):
    with pytest.raises(ValueError, match="features_of"):
        features_of(lambda batch: batch, images, batch_size)


def test_features_of_refuses_a_function_that_mixes_images():
    with pytest.raises(ValueError, match="a row for each of 5 images"):
        features_of(lambda batch: batch.sum(), numpy.zeros((5, 3)))


def brightest(images):
    """A classifier: the class of an image is the place of its largest value."""
    return images * 2


def test_label_share_of_a_case_counted_by_hand(device):
    seen = [0, 0, 1, 1, 3, 3]
    asked = [0, 1, 1, 1, 3, 0]
    images = minigan.tensor(numpy.eye(4, dtype="float32")[seen])
    share = label_share(brightest, images, minigan.tensor(asked), classes=4)
    assert share.overall == pytest.approx(4 / 6)
    assert numpy.array_equal(share.per_class, [1 / 2, 2 / 3, numpy.nan, 1], equal_nan=True)
    assert type(share.overall) is float and share.per_class.dtype == "float64"


def test_label_share_of_more_images_than_a_batch_has():
    labels = numpy.arange(1000) % 10
    images = numpy.eye(10)[labels]
    images[::2] = images[::2, ::-1]  # every other one shows 9 - label instead
    share = label_share(brightest, images, labels)
    assert share.overall == 0.5
    assert share.per_class.tolist() == [0, 1] * 5


@pytest.mark.parametrize("scores, labels", [
    (numpy.eye(4), [0, 1, 2]), (numpy.eye(4)[:, :3], [0, 1, 2, 3]),
    (numpy.ones((4, 2, 2)), [0, 1, 2, 3]), (numpy.eye(4), [0, 1, 2, 4]),
    (numpy.eye(4), [0, 1, 2, -1]), (numpy.eye(4), [0.0, 1.0, 2.0, 3.0]),
    (numpy.eye(4), [[0], [1], [2], [3]]), (numpy.full((4, 4), numpy.nan), [0, 1, 2, 3])])
def test_label_share_refuses(scores, labels):
    with pytest.raises(ValueError, match="label_share"):
        label_share(brightest, scores, labels, classes=4)


def test_frechet_distance_of_diagonal_covariances():
    # With covariances diag(s^2) and diag(t^2): the sum of (s - t)^2 and of the squared shift.
    s, t = numpy.array([1.0, 2.0, 0.5]), numpy.array([3.0, 2.0, 0.0])
    shift = numpy.array([0.0, 1.0, -2.0])
    a, b = whitened(50, 3, seed=1) * s, whitened(70, 3, seed=2) * t + shift
    assert frechet_distance(a, b) == pytest.approx(((s - t) ** 2).sum() + (shift ** 2).sum())


def test_frechet_distance_of_single_features_is_that_of_means_and_deviations():
    a, b = normal(20, 1, seed=1), 3 * normal(30, 1, seed=2) + 1
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_frechet_distance_of_correlated_features_against_the_product_of_covariances():
    a = normal(200, 6, seed=1) @ normal(6, 6, seed=2)
    b = normal(300, 6, seed=3) @ normal(6, 6, seed=4) + 0.5
    ca, cb = numpy.cov(a, rowvar=False), numpy.cov(b, rowvar=False)
    # The product's eigenvalues are real and not negative, though it is not symmetric.
    root = numpy.sqrt(numpy.linalg.eigvals(ca @ cb).astype("complex128")).real.sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + numpy.trace(ca) + numpy.trace(cb) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


@pytest.mark.parametrize("count, features", [(200, 8), (5, 40), (2, 3)])
def test_frechet_distance_of_equal_and_of_shifted_sets(count, features):
    a = normal(count, features)
    shift = numpy.linspace(-1, 2, features)
    assert 0 <= frechet_distance(a, a) < 1e-6
    assert 0 <= frechet_distance(a, a[::-1]) < 1e-6
    assert frechet_distance(a, a + shift) == pytest.approx(shift @ shift, rel=1e-6)


def test_frechet_distance_of_singular_covariances():
    # In one dimension of many, along the same direction: as for single features.
    direction = numpy.array([3.0, 0.0, 4.0, 0.0, 0.0]) / 5
    a, b = normal(4, 1, seed=1), 2 * normal(3, 1, seed=2) + 5
    assert frechet_distance(a * direction, b * direction) == pytest.approx(
        frechet_distance(a, b), rel=1e-6)
    # Along orthogonal directions the covariances have nothing in common.
    a, b = a - a.mean(), b - b.mean()
    distance = frechet_distance(a * [1, 0], b * [0, 1])
    assert distance == pytest.approx(a.var(ddof=1) + b.var(ddof=1), rel=1e-6)


def test_frechet_distance_falls_with_the_number_of_samples():
    few, many = (frechet_distance(normal(n, 10, seed=1), normal(n, 10, seed=2))
                 for n in (50, 2000))
    assert 0 < many < few / 10


def test_frechet_distance_of_float32_tensors(device):
    a, b = normal(50, 4, seed=1).astype("float32"), normal(60, 4, seed=2).astype("float32")
    assert frechet_distance(minigan.tensor(a), minigan.tensor(b)) == frechet_distance(a, b)


@pytest.mark.parametrize("wrong", [
    numpy.ones(5), numpy.ones((5, 3)), numpy.ones((1, 2)), numpy.ones((5, 2, 1)),
    numpy.full((5, 2), numpy.nan), numpy.full((5, 2), numpy.inf)])
def test_frechet_distance_refuses(wrong):
    for pair in ((normal(5, 2), wrong), (wrong, normal(5, 2))):
        with pytest.raises(ValueError, match="frechet_distance"):
            frechet_distance(*pair)


def test_frechet_distance_refuses_sets_without_features():
    with pytest.raises(ValueError, match="frechet_distance"):
        frechet_distance(numpy.ones((5, 0)), numpy.ones((5, 0)))


@pytest.mark.parametrize("samples, expected", [
    ([[0.0, 0.0], [3.0, 4.0]], 5), ([[1.0, 2.0]] * 6, 0), ([[[0, 1], [1, 1]]] * 2, 0),
    (3 * numpy.eye(7), 3 * 2 ** 0.5)])
@pytest.mark.parametrize("make", [numpy.array, minigan.tensor])
def test_mean_distance_of_samples_that_are_all_as_far_apart(samples, expected, make):
    assert mean_distance(make(samples), pairs=20) == pytest.approx(expected)


def test_mean_distance_never_pairs_a_sample_with_itself_and_pairs_all_alike():
    # Distances 1, 2 and 3 between the three pairs.
    samples = numpy.array([[0.0], [1.0], [3.0]])
    assert min(mean_distance(samples, pairs=1, seed=seed) for seed in range(50)) == 1
    assert mean_distance(samples, pairs=20_000) == pytest.approx(2, abs=0.03)


def test_mean_distance_of_bytes_does_not_overflow():
    assert mean_distance(numpy.array([[250], [5]], "uint8")) == 245


def test_mean_distance_is_the_same_for_the_same_seed():
    samples = normal(40, 5)
    assert mean_distance(samples, pairs=30) == mean_distance(samples, pairs=30)
    assert mean_distance(samples, pairs=30) != mean_distance(samples, pairs=30, seed=1)


@pytest.mark.parametrize("samples, pairs", [
    (numpy.ones((1, 3)), 5), (numpy.ones((0, 3)), 5), (numpy.array(1.0), 5),
    (numpy.ones((4, 3)), 0), (numpy.array([[1.0], [numpy.nan]]), 5)])
def test_mean_distance_refuses(samples, pairs):
    with pytest.raises(ValueError, match="mean_distance"):
        mean_distance(samples, pairs=pairs)


def test_spread_ratio():
    real = normal(30, 4)
    assert spread_ratio(real, real) == 1
    assert spread_ratio(minigan.tensor(real / 4), real) == pytest.approx(0.25)
    assert spread_ratio(numpy.ones((5, 4)), real) == 0


def test_spread_ratio_refuses():
    with pytest.raises(ValueError, match="spread_ratio"):
        spread_ratio(normal(5, 3), normal(5, 4))
    with pytest.raises(ValueError, match="all the same"):
        spread_ratio(normal(5, 3), numpy.ones((5, 3)))


def checkerboard(height, width):
    return numpy.indices((height, width)).sum(axis=0) % 2 - 0.5


def test_checkerboard_ratio_sees_fine_detail_only():
    real = normal(6, 3, 16, 24)
    # In another amplitude, brightness, or number of images.
    assert checkerboard_ratio(real, real) == pytest.approx(1)
    assert checkerboard_ratio(minigan.tensor(numpy.tile(real, (2, 1, 1, 1)) / 2 + 7), real) == (
        pytest.approx(0.25))
    # A wave of a period of 4 pixels is not fine, of 8/3 is just not, and of 16/7 is.
    places = numpy.arange(16)
    for period, fine in ((4, False), (8 / 3, False), (16 / 7, True), (2, True)):
        wave = numpy.cos(2 * numpy.pi * places / period)
        for waves in (wave + numpy.zeros((1, 16, 1)), wave[:, None] + numpy.zeros((1, 16, 16))):
            waves = numpy.broadcast_to(waves, (1, 16, 16))
            assert (checkerboard_ratio(waves, normal(5, 16, 16)) > 0.01) == fine


def test_checkerboard_ratio_of_a_checkerboard_is_the_ratio_of_energies():
    board = checkerboard(16, 24)
    real = numpy.stack([board, -board, 2 * board])  # a mean energy of 2 boards
    assert checkerboard_ratio(3 * board[None], real) == pytest.approx(9 / 2)


@pytest.mark.parametrize("generated, real, message", [
    (normal(5, 8, 8), normal(5, 8, 9), "of one shape"),
    (normal(5, 8), normal(5, 8), "of one shape"),
    (normal(0, 8, 8), normal(5, 8, 8), "of one shape"),
    (normal(2, 8, 8), numpy.zeros((2, 8, 8)), "no fine detail"),
    (numpy.full((2, 8, 8), numpy.nan), normal(2, 8, 8), "finite")])
def test_checkerboard_ratio_refuses(generated, real, message):
    with pytest.raises(ValueError, match=f"checkerboard_ratio: .*{message}"):
        checkerboard_ratio(generated, real)


def test_spread_within_labels_compares_samples_of_one_label_only():
    # Real samples of each label are 2 apart; generated ones 1 apart for label 0, equal for label 1.
    real = numpy.array([[0.0], [2.0], [10.0], [12.0], [50.0]])
    labels = [0, 0, 1, 1, 2]
    generated = [minigan.tensor([[7.0], [8.0]]), numpy.array([[9.0], [9.0]]), numpy.zeros((2, 1))]
    assert spread_within_labels(generated, real, labels) == pytest.approx((0.5 + 0) / 2)
    # Label 2 has a single real sample, with which nothing can be compared.
    assert numpy.isnan(spread_within_labels([numpy.zeros((2, 1))], real[4:], [0]))
    with pytest.raises(ValueError, match="spread_within_labels"):
        spread_within_labels([], real, labels)
    with pytest.raises(ValueError, match="spread_within_labels"):
        spread_within_labels(generated, real, labels[1:])
