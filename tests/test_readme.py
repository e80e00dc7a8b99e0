"""The README files: their code runs, their commands exist, what they show is what is printed."""

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
FILES = ["README.md", *sorted(
    path.relative_to(ROOT).as_posix() for folder in ("examples", "minigan", "tests")
    for path in (ROOT / folder).rglob("README.md"))]
TEXTS = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES}
README = TEXTS["README.md"]
BLOCKS = {file: re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
          for file, text in TEXTS.items()}
# (what Python is given, its arguments), of indented lines and of what stands in backticks
PYTHON = r"(?:python |%run minigan/)((?:examples|tests)/\S+\.py|-m minigan[\w.]*)"
COMMANDS = [command for text in TEXTS.values() for command in [
    *re.findall(rf"^ {{4}}.*?(?<!\S){PYTHON}(?!\S)((?:\\\n|[^#\n])*)", text, re.MULTILINE),
    *re.findall(rf"`{PYTHON}(?=[\s`])([^`]*)`", text)]]


def test_there_is_a_readme_for_each_part():
    assert {"README.md", "examples/README.md", "minigan/README.md", "minigan/distributed/README.md",
            "tests/README.md"} <= set(FILES)


@pytest.mark.parametrize("file", [file for file in FILES if BLOCKS[file]])
def test_the_code_runs_from_top_to_bottom(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS[file]:
        if "# with PyTorch" in block and importlib.util.find_spec("torch") is None:
            continue
        exec(compile(block, file, "exec"), names)
    if file == "README.md":
        assert len(BLOCKS[file]) >= 4
        assert (tmp_path / "graph.png").exists()


@pytest.mark.parametrize("command", sorted({command for command, _ in COMMANDS}))
def test_commands_have_the_options_that_are_named(command):
    help_text = subprocess.run([sys.executable, *command.split(), "--help"], cwd=ROOT, text=True,
                               capture_output=True, check=True).stdout
    named = {option for name, arguments in COMMANDS if name == command
             for option in re.findall(r"(?<!\S)--[a-z0-9-]+", arguments)}
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


@pytest.mark.parametrize("file", FILES)
def test_files_that_are_shown_or_named_exist(file):
    folder = (ROOT / file).parent
    for path in re.findall(r"\]\((\S+)\)", TEXTS[file]):
        assert (folder / path).exists(), path
    for path in re.findall(r"`((?:minigan|examples|tests)/[\w/.]+)`", TEXTS[file]):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`([\w/]+\.(?:py|cu|cpp|ipynb))`", TEXTS[file]):
        assert path == "as_minigan.py" or any(
            (base / path).exists() for base in (ROOT, ROOT / "minigan", folder)), path


def test_the_other_readme_files_are_linked_once():
    links = re.findall(r"\]\((\S+\.md)\)", README)
    assert sorted(links) == sorted(file for file in FILES if file != "README.md")


def test_pictures_are_shown_once_and_described():
    shown = []
    for file, text in TEXTS.items():
        for description, path in re.findall(r"!\[([^\]]*)\]\((\S+)\)", text):
            assert len(description) > 40, path
            shown.append(((ROOT / file).parent / path).resolve().name)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "examples/pictures").iterdir())


def test_the_tree_of_the_package_is_complete():
    tree = TEXTS["minigan/README.md"].split("\n    minigan/\n", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"^ {6}([\w/]+(?:\.py|/)) ", tree, re.MULTILINE)
    present = [path.name + "/" * path.is_dir() for path in (ROOT / "minigan").iterdir()
               if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert sorted([*named, "__init__.py"]) == sorted(present)


def test_the_speeds_are_those_of_the_table_of_the_benchmark():
    """The README's table has some of the columns of the one in examples/README.md."""
    rows, all_rows = ({cells[0]: cells[1:] for cells in (
        line.strip("| ").split(" | ") for line in text.splitlines())
        if ", batch " in cells[0] and len(cells) in (5, 11)}
        for text in (README, TEXTS["examples/README.md"]))
    assert len(rows) == 6
    assert rows == {name: [cells[i] for i in (0, 1, 6, 7)] for name, cells in all_rows.items()}


def test_the_explanation_is_what_is_printed():
    excerpt = README.split("    python -m minigan.explain conv2d\n", 1)[1]
    excerpt = re.search(r"\n\n((?: {4}.*\n|\n)+)", excerpt)[1]
    printed = subprocess.run([sys.executable, "-m", "minigan.explain", "conv2d"], cwd=ROOT, text=True,
                             capture_output=True, check=True).stdout
    parts = re.sub(r"^ {4}", "", excerpt, flags=re.MULTILINE).split("...\n")
    assert len(parts) >= 3
    place = 0
    for part in parts:
        place = printed.index(part.strip("\n"), place)


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
