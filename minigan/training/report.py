"""report.html: a run's settings, losses and pictures on one page, for any browser.

The page refers to nothing but the pictures in the run's folder, so it works offline. As long as
the run is running, it reloads itself.
"""

import math
import os

import numpy

from minigan.files import write_atomically
from minigan.training.folders import run_name
from minigan.training.index import index_folder
from minigan.training.pages import document, duration, image, link, text
from minigan.training.plots import plot_losses

MAX_SAMPLES = 24

STYLE = """
img.large { max-width: min(100%, 700px); }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: .8em; }
"""


def write_report(run):
    """Write losses.png and report.html of a Run. OSError if they cannot be written."""
    if run.history.losses:
        every = run.history.steps[1] - run.history.steps[0] if len(run.history.steps) > 1 else 1
        plot_losses(run.history.losses, run.folder / "losses.png", every=every, log=run.log_scale)
    write_atomically(run.folder / "report.html", page(run))


def page(run):
    name = run_name(run.folder)
    samples = sorted((run.folder / "samples").glob("[!.]*.png"))
    return document(f"{name}: {run.state}", STYLE, [
        f"<h1>{text(name)}</h1>", *_state(run),
        *[f'<p class="warning">{text(warning)}</p>' for warning in run.warnings],
        *_newest(samples), *_pictures(run), *_metrics(run), *_losses(run), *_timeline(samples),
        *_settings(run)], reloads=run.state == "running")


def _state(run):
    total = run.last_step
    of = f" of {total:,}" if total else ""
    yield (f'<p class="state">{text(run.state)}: {run.step:,}{of} steps, '
           f"{run.epoch} epochs, in {duration(run.seconds)}{_list_of_runs(run)}</p>")
    if total and math.isfinite(total) and run.state != "finished":
        yield f'<progress value="{run.step}" max="{total}"></progress>'


def _list_of_runs(run):
    root = index_folder(run.folder)
    if root is None:
        return ""
    way = os.path.relpath(root / "index.html", run.folder.absolute())
    return f' &middot; <a href="{link(way)}">all runs</a>'


def _newest(samples):
    if samples:
        yield f"<h2>Samples, {text(samples[-1].stem.replace('_', ' '))}</h2>"
        yield image(f"samples/{samples[-1].name}", samples[-1].stem.replace("_", " "), "large")


def _pictures(run):
    """losses.png first, then the pictures that the script has saved."""
    paths = [*sorted(run.folder.glob("[!.]*.png")), *sorted(run.folder.glob("[!.]*.gif"))]
    for path in sorted(paths, key=lambda path: path.name != "losses.png"):
        animated = ", animated" if path.suffix == ".gif" else ""
        yield f"<h2>{text(path.stem.replace('_', ' ').capitalize())}{animated}</h2>"
        yield image(path.name, path.stem.replace("_", " "), "large")


def _table(title, rows):
    """A table of rows, each the heading of the row and its cells; figures to four digits."""
    yield f'<h2>{title}</h2><div class="wide"><table>'
    for heading, *cells in rows:
        yield f"<tr><th>{text(heading)}</th>{''.join(map(_cell, cells))}</tr>"
    yield "</table></div>"


def _cell(value):
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    return f"<td>{text(value)}</td>"


def _metrics(run):
    if run.metrics:
        numbers = range(1, 1 + max(map(len, run.metrics.values())))
        yield from _table("Metrics", [["", *numbers], *(
            [name, *("-" if value is None else value for value in values)]
            for name, values in run.metrics.items())])


def _losses(run):
    """The mean of the last 100 logged steps: a single step's loss says little."""
    if run.history.losses:
        means = {name: numpy.mean(values[-100:]) for name, values in run.history.losses.items()}
        yield from _table("Losses, mean of the last 100 logged steps", means.items())
        yield '<p>All logged steps: <a href="losses.csv">losses.csv</a></p>'


def _timeline(samples):
    """At most MAX_SAMPLES of the samples, evenly spaced, if there are several."""
    if len(samples) > 1:
        yield '<h2>How they changed</h2><div class="samples">'
        for index in numpy.linspace(0, len(samples) - 1, min(len(samples), MAX_SAMPLES)).round():
            path = f"samples/{samples[int(index)].name}"
            name = samples[int(index)].stem.replace("_", " ")
            yield (f'<figure><a href="{link(path)}">{image(path, name)}</a>'
                   f"<figcaption>{text(name)}</figcaption></figure>")
        yield "</div>"


def _settings(run):
    yield from _table("Settings", ([name, str(value)] for name, value in run.settings.items()))
    if run.command:
        yield f"<p>To resume: <code>{text(run.command)}</code></p>"
