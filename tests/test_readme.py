"""The README: its code runs, its commands exist, its figures of lines are right."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigan
import mnist_cnn
from minigan import nn, optim
from minigan.kernels import launch

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
# (what Python is given, the whole line), of the indented lines
COMMANDS = re.findall(r"^ {4}.*?(?<!\S)python ((?:examples|tests)/\S+\.py|-m [\w.]+\w)([^#\n]*)",
                      README, re.MULTILINE)


def test_the_code_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    assert len(BLOCKS) >= 4
    for block in BLOCKS:
        if "# with PyTorch" in block and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "graph.png").exists()


@pytest.mark.parametrize("command", sorted({command for command, _ in COMMANDS}))
def test_commands_have_the_options_that_are_named(command):
    help_text = subprocess.run([sys.executable, *command.split(), "--help"], cwd=ROOT, text=True,
                               capture_output=True, check=True).stdout
    named = {option for name, line in COMMANDS if name == command
             for option in re.findall(r"(?<!\S)--[a-z-]+", line)}
    assert {option for option in named if not re.search(rf"{option}(?![\w-])", help_text)} == set()


@pytest.mark.parametrize("lesson", ["relativistic_gan", "scheduled_classifier", "wasserstein_gan"])
def test_a_script_for_pytorch_runs_unchanged(lesson, tmp_path):
    script, = re.findall(r"^```py\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "as_minigan.py").write_text(script, encoding="utf-8")
    text = (ROOT / "tests" / "lessons" / f"{lesson}.py").read_text(encoding="utf-8")
    (tmp_path / "lesson.py").write_text(f"import sys\n{text}\nprint(sys.argv, torch.__name__)\n",
                                        encoding="utf-8")
    done = subprocess.run([sys.executable, "as_minigan.py", "lesson.py", "--lr", "1"], cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                          capture_output=True)
    assert done.stdout == "['lesson.py', '--lr', '1'] minigan\n", done.stderr


def test_line_counts():
    counted = re.findall(r"^\| `(\S+\.py)` \| (\d+) \|", README, re.MULTILINE)
    assert len(counted) >= 6
    for name, count in counted:
        lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
        assert abs(lines - int(count)) <= 0.03 * lines, (name, lines)


def reading_path():
    """The files that the README sends a reader to, in order."""
    return re.findall(r"^\| `(\S+\.py)` \| \d+ \|", README, re.MULTILINE)


def test_the_reading_path_is_short():
    lines = sum(len((ROOT / name).read_text(encoding="utf-8").splitlines())
                for name in reading_path())
    assert lines < 1800


def test_the_reading_path_is_self_contained():
    """Whatever it imports is on it, or is named in the paragraph after it."""
    path = reading_path()
    paragraph = README.split("The path is self-contained", 1)[1].split("\n\n", 1)[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", paragraph)
    for name in path:
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module.startswith("minigan."):
                continue
            file = node.module.replace(".", "/")
            assert f"{file}.py" in path or any(
                f"{file}.py" == f"minigan/{part}" or f"{file}/".startswith(f"minigan/{part}")
                for part in named), f"{name} imports {node.module}"


def test_files_that_are_shown_or_named_exist():
    for path in re.findall(r"\]\((\S+)\)", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:minigan|examples|tests)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path


def test_the_page_of_the_classifiers_step_is_what_is_printed():
    if launch.form() == "textbook":
        pytest.skip("the README shows the kernels' calls")
    model = mnist_cnn.make_model()
    loss_function = nn.BCELoss()
    optimiser = optim.Adam(model.parameters())

    def train_step(images, targets):
        loss = loss_function(model(images.view(-1, 1, 28, 28)), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    train_step = minigan.capture(train_step)
    for _ in range(3):
        train_step(minigan.rand(1, 784), minigan.rand(1, 10))
    page = "\n".join(f"    {line}".rstrip() for line in str(train_step).splitlines())
    assert page in README
