"""Grids of samples, animations and plots of epochs: complete files that show the right things."""

import numpy
import pytest
from matplotlib.image import imread
from PIL import Image

import minigan
from minigan.training import (
    plot_history, plot_losses, plot_sample_grid, save_animation)


def pixels(path):
    """The picture's colours (H,W,3) in 0..1; the file must be a whole PNG."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    return imread(path)[..., :3]


def runs_of(line, colour):
    """Where stretches of a colour of 20 dots or more begin and end in a line of dots (n,3)."""
    same = numpy.abs(line - colour).max(axis=-1) < 0.01
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[0], same, [0]])))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= 20]


def middles(path, count_down, count_across, height, width):
    """The colour in the middle of each place of a grid without labels and title."""
    picture = pixels(path)
    down, across = picture.shape[0] - 16, picture.shape[1] - 16
    assert down / across == pytest.approx(count_down * height / (count_across * width), rel=0.05)
    return [[picture[8 + int((row + 0.5) * down / count_down),
                     8 + int((column + 0.5) * across / count_across)].round(2).tolist()
             for column in range(count_across)] for row in range(count_down)]


def test_grey_images_are_shown_row_after_row_with_black_for_1(tmp_path):
    values = numpy.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    images = numpy.ones((6, 28, 28)) * values[:, None, None]
    path = tmp_path / "new" / "grid.png"
    assert plot_sample_grid(images, str(path), rows=2) == path
    greys = [[colour[0] for colour in row] for row in middles(path, 2, 3, 28, 28)]
    assert numpy.allclose(greys, [[1.0, 0.8, 0.6], [0.4, 0.2, 0.0]])
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


@pytest.mark.parametrize("shape", [(6, 784), (6, 1, 28, 28)])
def test_shapes_of_grey_images(tmp_path, shape, device):
    images = numpy.random.default_rng(0).random((6, 28, 28), "float32")
    a = plot_sample_grid(images, tmp_path / "a.png")
    b = plot_sample_grid(minigan.tensor(images.reshape(shape)), tmp_path / "b.png", rows=2)
    assert numpy.array_equal(pixels(a), pixels(b))


def test_colour_images_are_cut_off_at_0_and_1(tmp_path):
    colours = numpy.array([[1, 0, 0], [0, 1, 0], [-5, 0, 1], [7, 1, numpy.inf], [0.2, 0.4, 0.6]])
    images = numpy.ones((5, 3, 20, 10)) * colours[:, :, None, None]
    path = plot_sample_grid(images, tmp_path / "grid.png", rows=2)
    white = [1, 1, 1]  # the last place has no image
    assert middles(path, 2, 3, 20, 10) == [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [white, pytest.approx([0.2, 0.4, 0.6]), white]]


def test_a_nan_is_shown_like_a_half(tmp_path):
    path = plot_sample_grid(numpy.full((1, 8, 8), numpy.nan, "float32"), tmp_path / "grid.png")
    assert middles(path, 1, 1, 8, 8)[0][0] == pytest.approx([0.5] * 3, abs=0.01)


def test_images_are_apart_and_their_pixels_are_all_of_one_size(tmp_path):
    # Black and white columns of pixels, in images that are black at both sides.
    images = numpy.tile([1.0, 0, 1, 0, 1], (4, 5, 1))
    picture = pixels(plot_sample_grid(images, tmp_path / "grid.png", rows=1))
    runs = runs_of(picture[len(picture) // 2], 0)
    assert len(runs) == 4 * 3
    assert len({end - start for start, end in runs}) == 1
    assert {runs[i + 1][0] - runs[i][1] for i in (2, 5, 8)} == {4}  # the gaps between images


def test_large_images_keep_their_pixels(tmp_path):
    image = numpy.random.default_rng(0).integers(0, 256, (1, 3, 500, 600)) / 255
    picture = pixels(plot_sample_grid(image, tmp_path / "grid.png"))
    assert picture.shape == (500 + 4 + 16, 600 + 4 + 16, 3)
    assert numpy.allclose(picture[10:-10, 10:-10], image[0].transpose(1, 2, 0), atol=1e-6)


def test_row_labels_and_title_are_beside_the_grid(tmp_path):
    images = numpy.ones((20, 28, 28))
    plain = pixels(plot_sample_grid(images, tmp_path / "plain.png", rows=10))
    labelled = pixels(plot_sample_grid(images, tmp_path / "labelled.png", title="Digits",
                                       row_labels=range(10)))
    added_height, added_width = (a - b for a, b in zip(labelled.shape[:2], plain.shape[:2]))
    assert added_height > 0 and added_width > 0
    # What was there is there still, at the right and below.
    assert numpy.array_equal(labelled[added_height + 8:, added_width + 8:], plain[8:, 8:])
    assert (labelled[:added_height] < 0.5).any()
    row = (labelled.shape[0] - added_height - 16) / 10
    for index in range(10):
        top = int(added_height + 8 + index * row)
        assert (labelled[top:int(top + row), :added_width] < 0.5).any()


@pytest.mark.parametrize("images, rows, row_labels", [
    (numpy.zeros((0, 28, 28)), None, None), (numpy.zeros(784), None, None),
    (numpy.zeros((0, 784)), None, None), (numpy.zeros((4, 0)), None, None),
    (numpy.zeros((4, 783)), None, None), (numpy.zeros((4, 2, 8, 8)), None, None),
    (numpy.zeros((4, 8, 0)), None, None), (numpy.zeros((4, 8, 8), "uint8"), None, None),
    (numpy.zeros((4, 8, 8)), 0, None), (numpy.zeros((4, 8, 8)), 5, None),
    (numpy.zeros((4, 8, 8)), 2, [0]), (numpy.zeros((4, 8, 8)), None, [])])
def test_grids_and_animations_refuse(tmp_path, images, rows, row_labels):
    with pytest.raises(ValueError, match="plot_sample_grid"):
        plot_sample_grid(images, tmp_path / "grid.png", rows=rows, row_labels=row_labels)
    assert not list(tmp_path.iterdir())


def frames(path):
    with Image.open(path) as picture:
        assert picture.format == "GIF"
        for index in range(picture.n_frames):
            picture.seek(index)
            yield numpy.asarray(picture.convert("RGB")) / 255, picture.info["duration"]


@pytest.fixture
def grey(tmp_path):
    """Saves a picture of one grey and gives its path."""
    def saved(name, value, side=28, title=None):
        return plot_sample_grid(numpy.full((4, side, side), value), tmp_path / f"{name}.png",
                                title=title)

    return saved


def test_an_animation_has_a_frame_for_each_picture(tmp_path, grey):
    path = tmp_path / "new" / "epochs.gif"
    saved = [grey(name, value) for name, value in (("a", 0.0), ("b", 0.5), ("c", 1.0))]
    assert save_animation(saved, str(path), seconds=0.25) == path
    pictures, durations = zip(*frames(path))
    assert durations == (250, 250, 250)
    for picture, file in zip(pictures, saved):
        assert picture.shape == pixels(file).shape
        assert abs(picture - pixels(file)).mean() < 0.01  # a GIF has 256 colours
    assert [file.name for file in path.parent.iterdir()] == ["epochs.gif"]


def test_animations_refuse(tmp_path, grey):
    saved = [grey("a", 0.5)]
    for pictures, seconds, message in (([], 1, "at least one"), (saved, 0, "seconds"),
                                    ([*saved, grey("b", 0.5, title="x")], 1, "of one size")):
        with pytest.raises(ValueError, match=f"save_animation: .*{message}"):
            save_animation(pictures, tmp_path / "epochs.gif", seconds)
    with pytest.raises(OSError):
        save_animation([tmp_path / "none.png"], tmp_path / "epochs.gif")
    assert {file.suffix for file in tmp_path.iterdir()} == {".png"}


BLUE, ORANGE = numpy.array([0x1f, 0x5a, 0x8a]) / 255, numpy.array([0xc8, 0x64, 0x3c]) / 255


def dots_of(picture, colour):
    """Which dots have a colour: (H,W)."""
    return numpy.abs(picture - colour).max(axis=-1) < 0.02


def test_plot_history_has_a_panel_for_each_series(tmp_path):
    series = {"label share (%)": [10, 60, 90], "Fréchet distance": minigan.tensor([9.0, 4.0, 2.0])}
    path = tmp_path / "new" / "history.png"
    assert plot_history(series, path) == path
    picture = pixels(path)
    half = picture.shape[1] // 2
    for panel, own, other in ((picture[:, :half], BLUE, ORANGE), (picture[:, half:], ORANGE, BLUE)):
        assert dots_of(panel, own).sum() > 500 and not dots_of(panel, other).any()
    with_reference = pixels(plot_history(series, path, references={"Fréchet distance": 1.5}))
    assert numpy.array_equal(with_reference[:, :half], picture[:, :half])
    assert not numpy.array_equal(with_reference[:, half:], picture[:, half:])


def test_plot_history_of_steps_puts_the_figures_where_they_belong(tmp_path):
    def columns(**options):
        picture = pixels(plot_history({"a": [0.0, 2.0, 1.0]}, tmp_path / "history.png", **options))
        top = dots_of(picture, BLUE).argmax(axis=0)  # the line's upper edge in each column
        return numpy.flatnonzero(top == top[top > 0].min()).mean() / picture.shape[1]

    assert columns(at=[10, 20, 30], unit="step") == pytest.approx(columns(), abs=0.03)
    assert columns(at=[10, 28, 30]) > columns(at=[10, 12, 30]) + 0.3


@pytest.mark.parametrize("values", [[3.0], [1.0, numpy.nan, 2.0], [numpy.nan], [0, 0]])
def test_plot_history_of_one_epoch_and_of_missing_figures(tmp_path, values):
    picture = pixels(plot_history({"distance": values}, tmp_path / "history.png"))
    assert dots_of(picture, BLUE).any() == numpy.isfinite(values).any()


@pytest.mark.parametrize("series, references", [
    ({}, None), ({"a": []}, None), ({"a": [[1.0]]}, None), ({"a": 1.0}, None),
    ({"a": [1.0]}, {"b": 1.0})])
def test_plot_history_refuses(tmp_path, series, references):
    with pytest.raises(ValueError, match="plot_history"):
        plot_history(series, tmp_path / "history.png", references=references)
    with pytest.raises(ValueError, match="`at`"):
        plot_history({"a": [1.0]}, tmp_path / "history.png", at=[1, 2])
    assert not list(tmp_path.iterdir())


def test_a_few_far_losses_do_not_press_the_others_flat(tmp_path):
    losses = numpy.tile([0.2, 0.8], 500)
    losses[200] = 8
    picture = pixels(plot_losses(losses, tmp_path / "losses.png"))
    # The line, at 0.5, is not down at the lower end, but across the middle.
    line = dots_of(picture[len(picture) // 5:len(picture) * 7 // 10], BLUE)
    assert line.any(axis=0).mean() > 0.8


def test_no_series_hides_the_line_of_another(tmp_path):
    noise = numpy.random.default_rng(0).random(50_000)
    # The first line lies amid the points of the second, and above the second's line.
    picture = pixels(plot_losses({"D": noise, "G": noise - 0.2}, tmp_path / "losses.png"))
    assert dots_of(picture, BLUE).any(axis=0).mean() > 0.8
