"""report.html: a run's settings, losses and pictures on one page, for any browser.

The page refers to nothing but the pictures in the run's folder, so it works offline. As long as
the run is running, it reloads itself.
"""

import html
import math

import numpy

from minigan.files import write_atomically
from minigan.training.plots import plot_losses

SECONDS_BETWEEN_RELOADS = 15
MAX_SAMPLES = 24

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.15em; margin-top: 2em; }
p.state { color: #555; margin-top: .2em; }
p.warning { background: #fdf0e0; border-left: 4px solid #c8643c; padding: .5em 1em; }
progress { width: 100%; height: .6em; }
table { border-collapse: collapse; } td, th { padding: .15em 1.2em .15em 0; text-align: left;
        vertical-align: top; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } img.large { max-width: min(100%, 700px); }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: .8em; }
figure { margin: 0; } figcaption { font-size: .8em; color: #555; }
"""


def write_report(run):
    """Write losses.png and report.html of a Run. OSError if they cannot be written."""
    if run.history.steps:
        every = run.history.steps[1] - run.history.steps[0] if len(run.history.steps) > 1 else 1
        plot_losses(run.history.losses, run.folder / "losses.png", every=every, log=run.log_scale)
    # A folder's name may hold bytes that are no UTF-8: they are escaped.
    write_atomically(run.folder / "report.html", page(run).encode(errors="backslashreplace"))


def page(run):
    refresh = (f'<meta http-equiv="refresh" content="{SECONDS_BETWEEN_RELOADS}">'
               if run.state == "running" else "")
    samples = sorted((run.folder / "samples").glob("*.png"))
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">', refresh,
        f"<title>{_text(run.folder.name)}: {_text(run.state)}</title>",
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{_text(run.folder.name)}</h1>", *_state(run),
        *[f'<p class="warning">{_text(warning)}</p>' for warning in run.warnings],
        *_newest(samples), *_pictures(run), *_metrics(run), *_losses(run), *_timeline(samples),
        *_settings(run), "</body></html>", ""])


def _text(value):
    return html.escape(str(value))


def _state(run):
    total = run.last_step
    of = f" of {total:,}" if total else ""
    yield (f'<p class="state">{_text(run.state)}: {run.step:,}{of} steps, '
           f"{run.epoch} epochs, in {_duration(run.seconds)}</p>")
    if total and math.isfinite(total):
        yield f'<progress value="{run.step}" max="{total}"></progress>'


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _newest(samples):
    if samples:
        yield f"<h2>Samples, {_text(samples[-1].stem.replace('_', ' '))}</h2>"
        yield _image(f"samples/{samples[-1].name}", "large")


def _pictures(run):
    """losses.png first, then the pictures that the script has saved."""
    paths = [*sorted(run.folder.glob("[!.]*.png")), *sorted(run.folder.glob("[!.]*.gif"))]
    for path in sorted(paths, key=lambda path: path.name != "losses.png"):
        yield f"<h2>{_text(path.stem.replace('_', ' ').capitalize())}</h2>"
        yield _image(path.name, "large")


def _image(source, kind=""):
    return f'<img class="{kind}" src="{_text(source)}" alt="{_text(source)}" loading="lazy">'


def _table(title, rows):
    """A table of rows, each the heading of the row and its cells; figures to four digits."""
    yield f"<h2>{title}</h2><table>"
    for heading, *cells in rows:
        yield f"<tr><th>{_text(heading)}</th>{''.join(map(_cell, cells))}</tr>"
    yield "</table>"


def _cell(value):
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    return f"<td>{_text(value)}</td>"


def _metrics(run):
    if run.metrics:
        numbers = range(1, 1 + max(map(len, run.metrics.values())))
        yield from _table("Metrics", [["", *numbers], *(
            [name, *("-" if value is None else value for value in values)]
            for name, values in run.metrics.items())])


def _losses(run):
    """The mean of the last 100 logged steps: a single step's loss says little."""
    if run.history.steps:
        means = {name: numpy.mean(values[-100:]) for name, values in run.history.losses.items()}
        yield from _table("Losses, mean of the last 100 logged steps", means.items())
        yield '<p>All logged steps: <a href="losses.csv">losses.csv</a></p>'


def _timeline(samples):
    """At most MAX_SAMPLES of the samples, evenly spaced, if there are several."""
    if len(samples) > 1:
        yield '<h2>How they changed</h2><div class="samples">'
        for index in numpy.linspace(0, len(samples) - 1, min(len(samples), MAX_SAMPLES)).round():
            path = samples[int(index)]
            yield (f'<figure><a href="samples/{_text(path.name)}">{_image(f"samples/{path.name}")}'
                   f"</a><figcaption>{_text(path.stem.replace('_', ' '))}</figcaption></figure>")
        yield "</div>"


def _settings(run):
    yield from _table("Settings", ([name, str(value)] for name, value in run.settings.items()))
    if run.command:
        yield f"<p>To resume: <code>{_text(run.command)}</code></p>"
