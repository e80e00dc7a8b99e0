"""minigan.training: progress line, arguments, confusion matrix, plots."""

import io
import re
import subprocess
import sys

import numpy
import pytest
from matplotlib.image import imread

import minigan
from minigan.training import (
    ArgumentParser, Progress, confusion_matrix, format_confusion, output_folder,
    plot_feature_maps, plot_losses, plot_predictions, positive_float, positive_int)

pytestmark = pytest.mark.usefixtures("device")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Time that passes only when it is set."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def run_progress(stream, steps, seconds_a_step, total=100, figure=lambda step: float(step)):
    clock = Clock()
    with Progress(total, "epoch 1/1", stream=stream, clock=clock) as progress:
        for step in range(steps):
            clock.now += seconds_a_step
            progress.advance(1, loss=figure(step))
    return stream.getvalue()


def test_a_terminals_line_is_rewritten_and_ends_with_a_newline():
    text = run_progress(Terminal(), steps=100, seconds_a_step=0.5)
    assert text.count("\n") == 1 and text.endswith("\n")
    lines = text.strip("\n").split("\r")[1:]
    assert len(lines) == 102  # at the start, at every step (0.5 s apart) and at the end
    assert "  0% 0/100" in lines[0]
    halfway = lines[50]
    assert halfway.startswith("epoch 1/1   50% 50/100  loss 24.50  2 images/s  0:25 left")
    assert "100% 100/100" in lines[-1] and "took 0:50" in lines[-1]


def test_a_terminals_line_is_rewritten_at_most_ten_times_a_second():
    text = run_progress(Terminal(), steps=1000, seconds_a_step=0.001, total=1000)
    assert 3 <= text.count("\r") <= 12


def test_a_terminals_line_is_cut_at_its_width_and_clears_what_was_there(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    text = run_progress(Terminal(), steps=100, seconds_a_step=0.5)
    assert {len(line) for line in text.strip("\n").split("\r")[1:]} == {29}


def test_elsewhere_full_lines_are_printed_now_and_then():
    text = run_progress(io.StringIO(), steps=100, seconds_a_step=0.3)
    assert "\r" not in text
    lines = text.splitlines()
    assert len(lines) == 3  # after ten and twenty seconds, and at the end
    assert re.search(r"34% 34/100  loss 16\.50  3\.333 images/s  0:20 left$", lines[0])
    assert re.search(r"100% 100/100  loss 49\.50  3\.333 images/s  took 0:30$", lines[-1])
    assert "2:45:00 left" in run_progress(io.StringIO(), steps=1, seconds_a_step=100.0)


def test_a_figure_is_the_mean_of_the_last_hundred_calls():
    text = run_progress(io.StringIO(), steps=300, seconds_a_step=0.001, total=300)
    assert "loss 249.5 " in text


def test_tensors_are_read_only_when_a_line_is_written():
    reads = []

    class Array(numpy.ndarray):
        def item(self):
            reads.append(1)
            return super().item()

    def figure(step):
        loss = minigan.ones(1, device="cpu")
        loss.array = (0.25 * loss.array).view(Array)
        return loss

    text = run_progress(Terminal(), steps=50, seconds_a_step=0.001, figure=figure)
    assert "loss 0.2500" in text
    assert len(reads) == 50  # those of the line at the end


def test_an_error_inside_leaves_the_terminals_line_ended():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), Progress(10, stream=stream):
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")


def test_progress_refuses_an_empty_loop():
    with pytest.raises(ValueError, match="total"):
        Progress(0)


def test_types_of_arguments():
    assert positive_int("3") == 3 and positive_float("2e-4") == 2e-4


@pytest.mark.parametrize("arguments", [
    ["--epochs", "0"], ["--epochs", "-2"], ["--epochs", "1.5"], ["--epochs", "many"],
    ["--lr", "0"], ["--lr", "-1"], ["--lr", "nan"], ["--lr", "inf"], ["--lr", "x"], ["--else"]])
def test_a_wrong_argument_ends_in_one_line_and_status_2(arguments, capsys):
    parser = ArgumentParser("A test.")
    parser.add_argument("--epochs", type=positive_int)
    parser.add_argument("--lr", type=positive_float)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(arguments)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and arguments[0] in error


def test_output_folder_is_made_and_left_empty(tmp_path):
    folder = output_folder(str(tmp_path / "a" / "b"))
    assert folder == tmp_path / "a" / "b" and folder.is_dir() and not list(folder.iterdir())


def test_output_folder_refuses_a_file_and_what_lies_below_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    for path in (file, file / "below"):
        with pytest.raises(OSError, match=f"^{path}: no folder"):
            output_folder(path)
    assert file.read_text() == "kept"


LABELS = [0, 0, 1, 2, 2, 2]
PREDICTIONS = [0, 1, 1, 2, 2, 0]
MATRIX = [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("make", [list, numpy.array, minigan.tensor])
def test_confusion_matrix_of_a_case_counted_by_hand(make):
    matrix = confusion_matrix(make(LABELS), make(PREDICTIONS), classes=4)
    assert matrix.tolist() == MATRIX


@pytest.mark.parametrize("labels, predictions", [
    ([], []), ([0, 1], [0]), ([[0]], [[0]]), ([4], [0]), ([0], [-1]), ([0.0], [0])])
def test_confusion_matrix_refuses(labels, predictions):
    with pytest.raises(ValueError, match="confusion_matrix"):
        confusion_matrix(labels, predictions, classes=4)


def test_format_confusion_shows_counts_and_recall():
    lines = format_confusion(numpy.array(MATRIX)).splitlines()
    assert len({len(line) for line in lines[1:]}) == 1
    rows = [line.replace("|", " ").replace("%", " ").split() for line in lines[1:]]
    assert rows == [["0", "1", "2", "3", "recall"],
                    ["0", "1", "1", ".", ".", "50.0"],
                    ["1", ".", "1", ".", ".", "100.0"],
                    ["2", "1", ".", "2", ".", "66.7"],
                    ["3", ".", ".", ".", ".", "-"]]


def test_format_confusion_refuses_what_is_not_square():
    with pytest.raises(ValueError, match="square"):
        format_confusion(numpy.zeros((2, 3), "int64"))


def pixels(path):
    """The picture's pixels (H,W,4) in 0..1; the file must be a whole PNG."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    return imread(path)


def inked_part(picture):
    """The part of the pixels that are not white."""
    return (picture[..., :3] < 0.95).any(axis=-1).mean()


def test_plot_losses(tmp_path):
    path = tmp_path / "new" / "losses.png"
    assert plot_losses([0.5, 0.4, 0.3], str(path)) == path
    few = pixels(path)
    assert 0.005 < inked_part(few) < 0.5
    plot_losses([minigan.tensor(1.0 / (1 + i)) for i in range(500)], path)
    assert (pixels(path) != few).any()
    assert [file.name for file in path.parent.iterdir()] == ["losses.png"]


def test_plot_losses_of_two_networks_in_two_colours(tmp_path):
    series = {"generator": minigan.ones(50), "discriminator": numpy.linspace(0, 1, 50)}
    picture = pixels(plot_losses(series, tmp_path / "losses.png", every=1, title="A title"))
    red, blue = picture[..., 0], picture[..., 2]
    assert (red - blue > 0.3).any() and (blue - red > 0.3).any()


@pytest.mark.parametrize("count", [1, 2, 49, 51, 101])
def test_plot_losses_of_any_number_and_with_a_diverged_one(tmp_path, count):
    assert inked_part(pixels(plot_losses([0.5] * count, tmp_path / "losses.png"))) > 0.005
    plot_losses([0.5] * count + [float("nan"), float("inf")], tmp_path / "diverged.png")


@pytest.mark.parametrize("losses", [[0.0, -1.0], [float("nan")], [float("inf")], [0.5, 0.0, 1e-9]])
def test_plot_losses_on_a_logarithmic_axis_draws_whatever_there_is(tmp_path, losses):
    plain = pixels(plot_losses(losses, tmp_path / "losses.png"))
    logarithmic = pixels(plot_losses(losses, tmp_path / "losses.png", log=True))
    assert (logarithmic != plain).any() == (losses[0] == 0.5)


@pytest.mark.parametrize("losses", [[], {}, {"generator": []}, [[1.0, 2.0]], 1.0])
def test_plot_losses_refuses(tmp_path, losses):
    with pytest.raises(ValueError, match="plot_losses"):
        plot_losses(losses, tmp_path / "losses.png")
    assert not list(tmp_path.iterdir())


def predictions_of(n, wrong):
    """Half black images, labels, predictions and probabilities; the first are wrong."""
    labels = numpy.arange(n) % 10
    predictions = numpy.where(numpy.arange(n) < wrong, (labels + 1) % 10, labels)
    images = numpy.zeros((n, 28, 28), "float32")
    images[:, :14] = 1
    return images, labels, predictions, numpy.full((n, 10), 0.1)


@pytest.mark.parametrize("n, wrong", [(1, 0), (1, 1), (60, 30), (5, 2)])
def test_plot_predictions_shows_right_and_wrong_side_by_side(tmp_path, n, wrong):
    path = plot_predictions(*predictions_of(n, wrong), tmp_path / "predictions.png")
    picture = pixels(path)
    black = (picture[..., :3] < 0.05).all(axis=-1)
    # Black bars, not letters: points with black at all corners of a square that begins there.
    bars = black[:-9, :-9] & black[9:, :-9] & black[:-9, 9:] & black[9:, 9:]
    middle = picture.shape[1] // 2
    right_shown, wrong_shown = min(n - wrong, 25), min(wrong, 25)
    per_image = bars.sum() / (right_shown + wrong_shown)
    assert bars[:, :middle].sum() == pytest.approx(per_image * right_shown, abs=0.05 * per_image)
    assert bars[:, middle:].sum() == pytest.approx(per_image * wrong_shown, abs=0.05 * per_image)


def test_plot_predictions_takes_tensors_with_a_channel(tmp_path):
    images, *others = predictions_of(3, 1)
    a = plot_predictions(minigan.tensor(images[:, None]), *map(minigan.tensor, others),
                         tmp_path / "tensors.png")
    b = plot_predictions(images, *others, tmp_path / "arrays.png")
    assert numpy.array_equal(pixels(a), pixels(b))


@pytest.mark.parametrize("position, wrong", [
    (0, numpy.ones((5, 784))), (0, numpy.ones((4, 28, 28))), (1, numpy.ones((5, 1))),
    (1, numpy.array(3)), (2, numpy.ones(4)),
    (2, numpy.ones(5)), (2, numpy.full(5, 10)), (2, numpy.full(5, -1)), (3, numpy.ones(5)),
    (3, numpy.ones((4, 10)))])
def test_plot_predictions_refuses(tmp_path, position, wrong):
    arguments = list(predictions_of(5, 2))
    arguments[position] = wrong
    for refused in (arguments, predictions_of(0, 0)):
        with pytest.raises(ValueError, match="plot_predictions"):
            plot_predictions(*refused, tmp_path / "predictions.png")
    assert not list(tmp_path.iterdir())


def test_plot_feature_maps_draws_every_channel(tmp_path):
    image = numpy.zeros((28, 28))
    negative, positive = -numpy.ones((12, 6, 6)), minigan.ones(3, 4, 4)
    path = plot_feature_maps(image, [("a", negative), ("b", positive)], tmp_path / "maps.png")
    picture = pixels(path)
    body = picture[:, :int(0.9 * picture.shape[1])]  # without the colour bars
    red, blue = body[..., 0], body[..., 2]
    negatives, positives = (blue - red > 0.2).sum(), (red - blue > 0.2).sum()
    # Twelve blue squares and three red ones; ten fit into a row, at 120 dots an inch.
    assert 12 * 70 ** 2 < negatives < 12 * 132 ** 2
    assert negatives / positives == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_plot_feature_maps_of_a_dead_or_diverged_layer(tmp_path, value):
    maps = [("one", numpy.full((1, 3, 3), value))]
    path = plot_feature_maps(minigan.tensor([[[0.0, 1.0]]]), maps, tmp_path / "maps.png")
    assert inked_part(pixels(path)) > 0.02


@pytest.mark.parametrize("image, maps", [
    (numpy.ones(784), [("a", numpy.ones((1, 3, 3)))]),
    (numpy.ones((3, 8, 8)), [("a", numpy.ones((1, 3, 3)))]),
    (numpy.ones((8, 8)), []),
    (numpy.ones((8, 8)), [("a", numpy.ones((3, 3)))]),
    (numpy.ones((8, 8)), [("a", numpy.ones((0, 3, 3)))])])
def test_plot_feature_maps_refuses(tmp_path, image, maps):
    with pytest.raises(ValueError, match="plot_feature_maps"):
        plot_feature_maps(image, maps, tmp_path / "maps.png")
    assert not list(tmp_path.iterdir())


def test_matplotlib_is_imported_only_to_plot_and_never_pyplot(tmp_path):
    code = ("import sys, minigan.training as t; assert 'matplotlib' not in sys.modules; "
            "t.plot_losses([1.0], sys.argv[1]); assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "losses.png")], check=True)


def test_output_that_nobody_reads_ends_a_script_quietly():
    code = ("from minigan.training import run\n"
            "def main():\n"
            "    for i in range(100_000): print('a line of output', i)\n"
            "run(main)\n")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
