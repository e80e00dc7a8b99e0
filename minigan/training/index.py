"""index.html in a folder named `runs`: all runs below it, with settings, figures and pictures.

It is made from files in the runs' folders: settings.json, state.json (how far the run is),
evaluation.json and pictures. Whatever else is in `runs`, and files that cannot be read, are passed
over: other people's folders may be there, and old or damaged runs.
"""

import json
import math
import os
import time
from pathlib import Path

from minigan.files import write_atomically
from minigan.training.folders import SETTINGS, begun, is_locked, is_run, number_of, run_name
from minigan.training.pages import GENERATOR, document, duration, figure_text, image, link, text

STATE, EVALUATION = "state.json", "evaluation.json"
LARGEST = 1_000_000   # bytes of a JSON file that is read
LONGEST = 200         # characters of a value that are shown
LOGGED_STEPS = 100    # whose losses are averaged

STYLE = """
.runs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr));
        gap: 1em; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
          padding: .8em 1em; }
article h3 { margin: 0; font-size: 1em; } article p.state { margin: 0 0 .5em; font-size: .85em; }
article p.warning { margin: .5em 0; font-size: .85em; }
article .pictures { display: flex; gap: .5em; height: 130px; margin-bottom: .5em; }
article .pictures a { flex: 0 1 auto; min-width: 0; }
article .pictures img { height: 100%; width: 100%; object-fit: contain; }
article p.state span { white-space: nowrap; }
article dl { display: grid; grid-template-columns: auto 1fr; gap: 0 1em; margin: .4em 0 0;
             font-size: .85em; font-variant-numeric: tabular-nums; }
dt { color: var(--soft); } dd { margin: 0; }
p.common { color: var(--soft); font-size: .85em; margin: 0 0 1em; }
"""


def index_folder(folder):
    """The folder named `runs` that holds a run's folder, or the folder which that is in; or None."""
    above = list(Path(folder).absolute().parents)[:2]
    return next((path for path in above if path.name == "runs"), None)


def write_state(run):
    """Write state.json of a Run, for the list of runs. OSError if it cannot be written."""
    losses = {name: math.fsum(values[-LOGGED_STEPS:]) / len(values[-LOGGED_STEPS:])
              for name, values in run.history.losses.items()}
    last_step = run.last_step if run.last_step and math.isfinite(run.last_step) else None
    write_atomically(run.folder / STATE, json.dumps({
        "state": run.state, "step": run.step, "last_step": last_step, "epoch": run.epoch,
        "seconds": run.seconds, "losses": losses, "warnings": run.warnings,
        "metrics": {name: values[-1] for name, values in run.metrics.items()}}, indent=1).encode())


def update_index(folder):
    """Write the list that a run's folder belongs to, if there is one. An index.html that something
    else has written stays. OSError if it cannot be written."""
    root = index_folder(folder)
    if root is None or is_foreign(root / "index.html"):
        return
    for _ in range(3):  # again if another run has changed meanwhile, whose list this one replaces
        before = changes(root)
        write_atomically(root / "index.html", page(root))
        if changes(root) == before:
            break


def is_foreign(path):
    try:
        with open(path, "rb") as file:
            return GENERATOR.encode() not in file.read(1000)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def folders_in(folder):
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def runs_in(root):
    """{NAME: [folder of a run]} with the newest first: root/NAME itself and root/NAME/*."""
    found = {}
    for folder in folders_in(root):
        inside = [path for path in (folder, *folders_in(folder)) if readable_run(path)]
        if inside:
            found[folder.name] = sorted(inside, key=lambda path: (number_of(path), begun(path)),
                                        reverse=True)
    return dict(sorted(found.items(), key=lambda item: max(map(begun, item[1])), reverse=True))


def readable_run(folder):
    try:
        return is_run(folder)
    except OSError:  # a folder that nobody may enter
        return False


def changes(root):
    """When the states of the runs were last written: {path: time}."""
    found = {}
    for folders in runs_in(root).values():
        for folder in folders:
            try:
                found[folder] = (folder / STATE).stat().st_mtime_ns
            except OSError:
                found[folder] = None
    return found


def read_json(path):
    """The dict in a file; an empty one for anything else, and for a file that cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def part(facts, name, kind=dict):
    """An entry of such a dict, or an empty one of its kind where it is something else."""
    value = facts.get(name)
    return value if isinstance(value, kind) else kind()


def page(root):
    """The page, in bytes."""
    body, any_running = ["<h1>Runs</h1>"], False
    for name, folders in runs_in(root).items():
        facts = [read_json(folder / SETTINGS) for folder in folders]
        settings = [{key: short(value) for key, value in part(fact, "settings").items()
                     if value is not None} for fact in facts]
        known = [own for own in settings if own] or [{}]
        common = dict(set.intersection(*[set(own.items()) for own in known]))
        body.append(f"<h2>{text(name)}</h2>")
        if common:
            shared = " &middot; ".join(f"{text(key)}&nbsp;{text(value)}"
                                       for key, value in known[0].items() if key in common)
            body.append(f'<p class="common">{"Settings of all: " if len(folders) > 1 else ""}'
                        f"{shared}</p>")
        body.append('<div class="runs">')
        for folder, own in zip(folders, settings):
            state = read_json(folder / STATE)
            running = state.get("state") == "running" and is_locked(folder)
            any_running |= running
            differing = {key: value for key, value in own.items() if key not in common}
            body += card(root, folder, state, running, differing)
        body.append("</div>")
    if len(body) == 1:
        body.append("<p>There are none yet.</p>")
    return document("Runs", STYLE, body, reloads=any_running)


def short(value):
    value = str(value)
    return value if len(value) <= LONGEST else value[:LONGEST] + "..."


def card(root, folder, state, running, settings):
    """The lines for one run."""
    way = Path(os.path.relpath(folder, root))
    name = text(run_name(folder))
    report = folder / "report.html"
    title = f'<a href="{link(way / report.name)}">{name}</a>' if report.is_file() else name
    yield f"<article><h3>{title}</h3>"
    yield f'<p class="state">{progress(folder, state, running)}</p>'
    yield from pictures(root, folder)
    figures = {**part(state, "metrics"), **evaluation(folder),
               **{f"loss: {key}" if key != "loss" else key: value
                  for key, value in part(state, "losses").items()}}
    figures = {key: figure_text(value) for key, value in figures.items()}
    for facts in (figures, settings):
        if facts:
            yield "<dl>"
            for key, value in facts.items():
                yield f"<dt>{text(short(key))}</dt><dd>{text(value)}</dd>"
            yield "</dl>"
    for warning in part(state, "warnings", list):
        yield f'<p class="warning">{text(short(warning))}</p>'
    yield "</article>"


def progress(folder, state, running):
    """Such as 'interrupted: 500 of 1,000 steps in 12 s, begun 2026-01-31 12:00'."""
    word = short(state.get("state", "its state is not known"))
    if word == "running" and not running:
        word = "interrupted"
    step, last, seconds = (state.get(key) for key in ("step", "last_step", "seconds"))
    if isinstance(step, int):
        of = f" of {last:,}" if isinstance(last, int) and last != step else ""
        word += f": {step:,}{of} steps"
    if isinstance(seconds, float) and 0 <= seconds < math.inf:
        word += f" in {duration(seconds)}"
    when = begun(folder)
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
    return text(word) + (f", <span>begun {date}</span>" if when else "")


def evaluation(folder):
    """The last figures of examples/evaluate.py."""
    figures = part(read_json(folder / EVALUATION), "figures")
    return {name: values[-1] for name, values in figures.items()
            if isinstance(values, list) and values}


def pictures(root, folder):
    """The newest samples, or predictions, and the losses."""
    samples = sorted(folder.glob("samples/[!.]*.png"))[-1:] or [folder / "predictions.png"]
    found = [path for path in [*samples, folder / "losses.png"] if path.is_file()]
    if found:
        yield '<div class="pictures">'
        for path in found:
            way, alt = os.path.relpath(path, root), f"{run_name(folder)}, {path.stem.replace('_', ' ')}"
            yield f'<a href="{link(way)}">{image(way, alt)}</a>'
        yield "</div>"
