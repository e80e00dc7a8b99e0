"""The example scripts, run as a reader runs them."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import minigan

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments, cwd, script="mnist_cnn.py", **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error",
                   "MINIGAN_CACHE": str(cwd / "cache"), **environment}
    command = [sys.executable, ROOT / "examples" / script, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def write_idx(path, array):
    """An array of bytes in MNIST's format: magic number, sizes (big-endian), the bytes."""
    header = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    path.write_bytes(header + array.astype("uint8").tobytes())


@pytest.fixture
def folder(tmp_path):
    """Images that are easy to tell apart: a bright bar whose place is the label."""
    folder = tmp_path / "bars"
    folder.mkdir()
    random = numpy.random.default_rng(0)
    for name, count in (("train", 60), ("t10k", 20)):
        labels = numpy.arange(count) % 10
        images = random.integers(0, 60, (count, 28, 28))
        for image, label in zip(images, labels):
            image[2 * label + 4:2 * label + 6, 4:24] = 255
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


@pytest.mark.parametrize("batch_size, epochs, least", [(1, 3, 60), (7, 1, 0)])
def test_mnist_cnn_trains_and_evaluates(folder, tmp_path, batch_size, epochs, least):
    out = tmp_path / "new" / "out"
    result = run("--data", folder, "--epochs", epochs, "--batch-size", batch_size,
                 "--device", "cpu", "--out", out, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"trained on {60 * epochs} images" in result.stdout
    figures = re.findall(r"^test accuracy .*: ([\d.]+) %$", result.stdout, re.MULTILINE)
    assert len(figures) == 2 and all(0 <= float(figure) <= 100 for figure in figures)
    assert float(figures[0]) >= least
    rows = re.findall(r"^ +(\d) \|([ .\d]+) {3,}[\d.]+ %$", result.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == list("0123456789")
    counts = [[int(cell) for cell in row[1].replace(".", "0").split()] for row in rows]
    assert [sum(row) for row in counts] == [2] * 10
    assert sum(counts[i][i] for i in range(10)) == round(float(figures[0]) * 20 / 100)
    for name in ("feature_maps.png", "predictions.png", "report.html"):
        assert str(out / name) in result.stdout.splitlines() and (out / name).exists()
    assert f"epoch {epochs}/{epochs}  100% 60/60" in result.stderr


def test_mnist_cnn_is_the_same_for_the_same_seed(folder, tmp_path):
    runs = [run("--data", folder, "--epochs", 1, "--device", "cpu", "--seed", seed,
                "--out", tmp_path / f"out {number}", cwd=tmp_path)
            for number, seed in enumerate((1, 1, 2))]
    losses = [re.search(r"loss ([\d.]+)", result.stderr).group(1) for result in runs]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("arguments", [
    ["--device", "abacus"],
    ["--data", "no-such-folder"],
    ["--epochs", "0"],
    ["--epochs", "two"],
    ["--batch-size", "0"],
    ["--batch-size", "1.5"],
    ["--lr", "0"],
    ["--lr", "nan"],
    ["--seed", "-1"],
    ["--seed", "x"],
    ["--out", "file"],
    ["--out", "file/below"],
    ["--no-such-option"],
])
def test_mnist_cnn_refuses_wrong_arguments(folder, tmp_path, arguments):
    (tmp_path / "file").write_text("kept")
    check_refusal(run("--data", folder, "--device", "cpu", "--out", "out", *arguments,
                      cwd=tmp_path))
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(minigan.cuda.is_available(), reason="there is a GPU")
def test_mnist_cnn_refuses_cuda_where_there_is_none(folder, tmp_path):
    check_refusal(run("--data", folder, "--device", "cuda", "--out", "out", cwd=tmp_path))


def test_mnist_cnn_refuses_an_empty_test_set(folder, tmp_path):
    write_idx(folder / "t10k-images-idx3-ubyte", numpy.zeros((0, 28, 28)))
    write_idx(folder / "t10k-labels-idx1-ubyte", numpy.zeros(0))
    check_refusal(run("--data", folder, "--out", "out", cwd=tmp_path))


def test_mnist_cnn_refuses_a_truncated_file(folder, tmp_path):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    result = run("--data", folder, "--out", "out", cwd=tmp_path)
    check_refusal(result)
    assert path.name in result.stderr


def test_mnist_cnn_refuses_a_foreign_file(folder, tmp_path):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(b"Not a picture at all, but text.")
    result = run("--data", folder, "--out", "out", cwd=tmp_path)
    check_refusal(result)
    assert path.name in result.stderr


def test_mnist_cnn_says_when_mnist_cannot_be_downloaded(tmp_path):
    nowhere = "http://127.0.0.1:9"  # the port of a service that no one runs
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    result = run("--data", "mnist", "--out", "out", cwd=tmp_path, no_proxy="", NO_PROXY="",
                 **proxies)
    check_refusal(result)
    assert "--data FOLDER" in result.stderr


def check_refusal(result):
    """Exit status 2 and one line that says why, before anything was trained."""
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("mnist_cnn.py: error: ")
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n")
    assert "Traceback" not in result.stderr and not result.stdout
