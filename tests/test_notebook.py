"""minigan in a notebook: the lesson runs, and what is shown there. Needs nbclient and ipykernel."""

import base64
import json
import re
from pathlib import Path

import pytest

import minigan
from minigan import nn
from minigan.inspect import draw
from minigan.training import (
    plot_feature_maps, plot_history, plot_losses, plot_predictions, plot_sample_grid)

ROOT = Path(__file__).resolve().parent.parent
LESSON = ROOT / "examples" / "lesson.ipynb"
PNG = b"\x89PNG\r\n\x1a\n"


# What notebooks ask objects for

PIXELS = [[[0.0, 1.0], [0.5, 0.25]]] * 4


@pytest.mark.parametrize("figure", [
    lambda: draw(nn.Linear(2, 1)(minigan.ones(3, 2)).sum()),
    lambda: plot_losses([3.0, 2.0, 1.0]),
    lambda: plot_history({"a": [1.0, 2.0]}),
    lambda: plot_sample_grid(minigan.tensor(PIXELS)),
    lambda: plot_feature_maps(minigan.tensor(PIXELS[0]), [("a", minigan.tensor(PIXELS))]),
    lambda: plot_predictions(minigan.tensor(PIXELS), [0, 1, 0, 1], [0, 1, 1, 1],
                             minigan.full((4, 2), 0.5)),
], ids=["draw", "losses", "history", "sample_grid", "feature_maps", "predictions"])
def test_without_a_path_a_figure_is_returned_that_shows_itself(figure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = figure()
    assert figure._repr_png_().startswith(PNG)
    assert list(tmp_path.iterdir()) == []
    figure.savefig(tmp_path / "saved.png")
    assert (tmp_path / "saved.png").read_bytes().startswith(PNG)


def test_a_figure_has_the_pixels_of_the_saved_file(tmp_path):
    import matplotlib.image

    shown, saved = tmp_path / "shown.png", plot_losses([3.0, 2.0, 1.0], tmp_path / "saved.png")
    shown.write_bytes(plot_losses([3.0, 2.0, 1.0])._repr_png_())
    assert (matplotlib.image.imread(shown) == matplotlib.image.imread(saved)).all()


def cells_of(table):
    """The texts in a table's rows, which have as many cells as its header."""
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in table.split("<tr>")[1:]]
    assert rows and all(len(row) in (1, len(rows[0])) for row in rows)
    return rows


def test_a_summary_is_a_table():
    summary = minigan.summary(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1)), (2, 4))
    header, *rows = cells_of(summary._repr_html_())
    assert header[0] == "layer" and rows[0][:3] == ["0 (Linear)", "(2, 8)", "40"]
    assert rows[-1][0] == "total" and rows[-1][2] == "49"
    assert "49 trainable" in summary._repr_html_()


def test_a_profile_is_a_table():
    with minigan.profile() as profile:
        minigan.ones(3).sigmoid()
    rows = cells_of(profile._repr_html_())
    assert "sigmoid" in [row[0] for row in rows] and rows[-1][0] == "total"


@pytest.mark.parametrize("timed", [False, True])
def test_a_captured_step_is_a_table(timed):
    model = nn.Linear(2, 1)
    optimiser = minigan.optim.SGD(model.parameters(), lr=0.1)

    def step(images):
        loss = model(images).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    step = minigan.capture(step, profile=timed)
    assert "step: not recorded yet" in step._repr_html_()
    for _ in range(4):
        step(minigan.ones(3, 2))
    rows = cells_of(step._repr_html_())
    assert ["forward"] in rows and ["backward"] in rows and ["update"] in rows
    assert ("time" in rows[0]) == timed
    numbered = [row for row in rows[1:] if len(row) > 1]
    assert [row[0] for row in numbered] == [str(i + 1) for i in range(len(numbered))]
    assert len(numbered) == len(re.findall(r"^ *\d+  ", str(step), re.MULTILINE))
    assert "images (3,2)" in step._repr_html_()


def test_names_are_text_in_html():
    class Odd(nn.Linear):
        pass

    Odd.__name__ = "<b>&"
    assert "&lt;b&gt;&amp;" in minigan.summary(Odd(2, 1), (1, 2))._repr_html_()


# In a kernel

@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Executes a notebook: its code cells."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))

    def execute(notebook):
        if isinstance(notebook, list):
            cells = [nbformat.v4.new_code_cell(code) for code in notebook]
            notebook = nbformat.v4.new_notebook(cells=cells)
        else:
            notebook = nbformat.read(notebook, 4)
        nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3",
                                resources={"metadata": {"path": str(tmp_path)}}).execute()
        return [cell for cell in notebook.cells if cell.cell_type == "code"]

    return execute


def kinds(cell):
    """What a cell shows: the types of its results."""
    return [sorted(output["data"]) for output in cell["outputs"] if "data" in output]


def printed(cell, name):
    return "".join("".join(output["text"]) for output in cell["outputs"]
                   if output.get("name") == name)


@pytest.mark.filterwarnings("default")  # of the libraries that talk to the kernel
def test_the_lesson_runs_and_shows_what_is_stored(execute, tmp_path):
    stored = [cell for cell in json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
              if cell["cell_type"] == "code"]
    done = execute(LESSON)
    assert [kinds(cell) for cell in done] == [kinds(cell) for cell in stored]
    assert sum(["image/png", "text/plain"] == kind for cell in done for kind in kinds(cell)) == 4
    assert sum(["text/html", "text/plain"] == kind for cell in done for kind in kinds(cell)) == 2
    line = printed(done[-2], "stdout")
    assert line.startswith("\r") and line.count("\n") == 1 and "100% 3000/3000" in line
    assert printed(stored[-2], "stdout").strip().startswith("100% 3000/3000")
    # It has learned: at first its loss is far from that of a generator that is taken for real.
    pictures = done[-1]["outputs"][0]["data"]["image/png"]
    assert base64.b64decode(pictures).startswith(PNG)


@pytest.mark.filterwarnings("default")
def test_lines_are_redrawn_and_warnings_come_once(execute, tmp_path):
    cells = execute([
        "import minigan\nfrom minigan.training import Progress\nimport itertools\n"
        "with Progress(100, clock=itertools.count().__next__) as progress:\n"
        "    for i in range(100):\n"
        "        progress.advance(loss=1.0 if i < 50 else 1000000.0)",
        "import time\nstep = minigan.capture(lambda x: x * x.sum().item())\n"
        "softmax = minigan.nn.functional.softmax\n"
        "for _ in range(10):\n"
        "    step(minigan.ones(2)), softmax(minigan.ones(2))"])
    assert not printed(cells[0], "stderr")
    text = printed(cells[0], "stdout")
    assert text.count("\n") == 1 and text.count("\r") > 50
    shown = ""
    for line in text.strip("\n").split("\r"):  # as a browser does: what is longer stays
        shown = line + shown[len(line):]
    assert re.fullmatch(r"100% 100/100  loss \S+  \S+ images/s  took \S+ *", shown)
    warned = printed(cells[1], "stderr")
    assert warned.count("the step cannot be repeated and runs as usual") == 1
    assert warned.count("no dim is given") == 1


def test_outside_a_notebook_nothing_is_taken_for_one(monkeypatch):
    from minigan.training.progress import in_notebook
    assert not in_notebook()
    monkeypatch.setitem(__import__("sys").modules, "IPython", None)
    assert not in_notebook()
