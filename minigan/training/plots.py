"""Plots of a training, saved as PNG files or shown in a notebook.

Every function takes Tensors or arrays. With a path it saves a PNG file, whose folder is made if it
does not exist, and returns the file's Path; without one it returns the figure, which a notebook
shows. Figures are made without pyplot: no display, no state shared with the caller's own plots.
Matplotlib is imported by the first plot.
"""

import functools
import inspect
import math
from pathlib import Path

import numpy

from minigan import distributed
from minigan.checks import describe, explain_errors, check_number, check_type
from minigan.files import atomic_path
from minigan.training.arrays import as_classes, as_numpy

COLOURS = ("#1f5a8a", "#c8643c", "#4d8050", "#7b5ea7")
DPI = 120


def drawn_once(function):
    """Decorate a function that draws into a file: of several processes only process 0 does, and the
    others get the file's path alone."""
    @functools.wraps(function)
    def draw(*args, **kwargs):
        if distributed.rank():
            path = inspect.signature(function).bind(*args, **kwargs).arguments.get("path")
            if path is not None:
                return as_path(path)
        return function(*args, **kwargs)

    return draw


@explain_errors
@drawn_once
def plot_losses(losses, path=None, every=10, title="Training loss", log=False):
    """Each logged loss as a faint point, their running mean as a line.

    losses  numbers (R,), or a dict {name: numbers (R,)}
    every   training steps from one logged loss to the next
    log     whether the axis of the losses is logarithmic, for losses of very different sizes;
            losses of 0 or less are left out

    A linear axis covers the lines and 98 % of each series' points: a few outliers would flatten all
    others.
    """
    path = as_path(path)
    check_number("plot_losses", "every", every, 0)
    series = losses if isinstance(losses, dict) else {"": losses}
    if not series:
        raise ValueError("plot_losses: expected at least one series, got an empty dict")
    figure = _figure(8, 5)
    axes = figure.add_subplot()
    ranges = []
    for index, (name, values) in enumerate(series.items()):
        values = as_numpy(values).astype("float64")
        if values.ndim != 1 or not values.size:
            raise ValueError(f"plot_losses: expected losses (R,) with R > 0, "
                             f"got {values.shape}")
        colour = COLOURS[index % len(COLOURS)]
        steps = every * numpy.arange(len(values))
        axes.plot(steps, values, ".", color=colour, markersize=4, markeredgewidth=0,
                  alpha=min(0.3, max(0.12, 600 / len(values))))
        window = max(1, len(values) // 50)
        means = numpy.convolve(values, numpy.full(window, 1 / window), "valid")
        middle = steps[window // 2:][:len(means)]
        mean = f"running mean of {window} points" if window > 1 else ""
        label = ", ".join(filter(None, [name, mean])) or "loss"
        # zorder: above the points of all series.
        axes.plot(middle, means, color=colour, linewidth=1.8, label=label, zorder=3)
        finite = values[numpy.isfinite(values)]
        if finite.size:
            ranges += [*numpy.percentile(finite, (1, 99)), *means[numpy.isfinite(means)]]
    if log and axes.dataLim.minposy < math.inf:  # there is a loss above 0
        axes.set_yscale("log")
    elif ranges and min(ranges) < max(ranges):
        margin = 0.05 * (max(ranges) - min(ranges))
        axes.set_ylim(min(ranges) - margin, max(ranges) + margin)
    axes.set(title=title, xlabel="training step", ylabel="loss")
    _open_frame(axes)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return save_png(figure, path)


@explain_errors
@drawn_once
def plot_history(series, path=None, references=None, title="After each epoch", at=None,
                 unit="epoch"):
    """Figures measured after each epoch, such as a label share or a distance, a panel for each.

    series      {name: numbers (E,)}; nan for an epoch without a figure
    references  {name: figure of real images} for some of the names, plotted as a dashed line
    at          numbers (E,), the epochs or steps of the figures; None for 1, 2, ...
    unit        what these numbers count, the label of the axis
    """
    path = as_path(path)
    check_type("plot_history", "unit", unit, str)
    series = {name: as_numpy(values).astype("float64") for name, values in series.items()}
    references = {} if references is None else references
    if not series or any(v.ndim != 1 or not v.size for v in series.values()):
        raise ValueError(f"plot_history: expected one or more series (E,) with E > 0, "
                         f"got {[v.shape for v in series.values()]}")
    if not isinstance(references, dict) or not references.keys() <= series.keys():
        raise ValueError(f"plot_history: references must have names among {list(series)}, "
                         f"got {describe(references)}")
    at = None if at is None else as_numpy(at)
    if at is not None and any(v.shape != at.shape for v in series.values()):
        raise ValueError(f"plot_history: expected a number in `at` for each figure, got "
                         f"{at.shape} for {[v.shape for v in series.values()]}")
    figure = _figure(4.2 * len(series), 3.4)
    figure.suptitle(title, fontsize=14)
    panels = figure.subplots(1, len(series), squeeze=False)[0]
    for index, (axes, (name, values)) in enumerate(zip(panels, series.items())):
        colour = COLOURS[index % len(COLOURS)]
        axes.axhline(0, color="0.8", linewidth=1)  # so that 0 is always visible
        x = numpy.arange(1, len(values) + 1) if at is None else at
        axes.plot(x, values, "o-", color=colour, markersize=4)
        if name in references:
            axes.axhline(float(references[name]), color="0.4", linewidth=1.2, linestyle="--",
                         label=f"real images: {float(references[name]):.3g}")
            axes.legend(frameon=False, fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        margin = (x[-1] - x[0]) / max(1, len(x) - 1) / 2 or 0.5
        axes.set(xlabel=unit, ylabel=name, xlim=(x[0] - margin, x[-1] + margin))
        _open_frame(axes)
    return save_png(figure, path)


@explain_errors
@drawn_once
def plot_predictions(images, labels, predictions, probabilities, path=None,
                     title="Predictions: true class, and the network's output for its answer"):
    """The first images that were classified correctly, and beside them the first that were not.

    images         (N,H,W) or (N,1,H,W), any range
    labels         true classes (N,)
    predictions    predicted classes (N,)
    probabilities  (N,classes), of which that of the predicted class is shown
    """
    path = as_path(path)
    images, labels, predictions, probabilities = map(
        as_numpy, (images, labels, predictions, probabilities))
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if (images.ndim != 3 or probabilities.ndim != 2
            or not labels.shape == predictions.shape == (len(images),) == (len(probabilities),)):
        raise ValueError(
            f"plot_predictions: expected images (N,H,W) or (N,1,H,W), labels (N,), predictions "
            f"(N,) and probabilities (N,classes), got {images.shape}, {labels.shape}, "
            f"{predictions.shape} and {probabilities.shape}")
    as_classes("plot_predictions", "predictions", predictions, probabilities.shape[1])
    right = labels == predictions
    figure = _figure(11, 8)
    figure.suptitle(title, fontsize=14)
    blocks = figure.subfigures(1, 2, wspace=0.04)
    for block, name, chosen in zip(blocks, ("Right", "Wrong"), (right, ~right)):
        block.suptitle(f"{name}: {chosen.sum()} of {len(labels)}", fontsize=12)
        chosen = numpy.flatnonzero(chosen)[:25]
        H, W = images.shape[1:]
        axes = block.subplots()
        corners = draw_images(axes, images[chosen], 5, 5, (H + 0.6 * W, 1.25 * W), cmap="gray_r")
        for index, (x, y) in zip(chosen, corners):
            true, predicted = labels[index], predictions[index]
            answer = f"{true}" if true == predicted else f"{true} read as {predicted}"
            axes.text(x + W / 2, y - 0.04 * W,
                      f"{answer}\n{100 * probabilities[index, predicted]:.0f} %", fontsize=9,
                      ha="center", va="bottom", color="0.2" if true == predicted else COLOURS[1])
    return save_png(figure, path)


@explain_errors
@drawn_once
def plot_feature_maps(image, maps, path=None, title="Feature maps"):
    """An image, and below it every channel of the layers' outputs for it.

    image  (H,W) or (1,H,W)
    maps   a list of (name, array (C,H,W)), one for each layer

    The channels of a layer share one scale, white at 0.
    """
    path = as_path(path)
    image = as_numpy(image)
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    maps = [(name, as_numpy(channels)) for name, channels in maps]
    if image.ndim != 2 or not image.size or not maps or any(
            m.ndim != 3 or not m.size for _, m in maps):
        raise ValueError(f"plot_feature_maps: expected an image (H,W) or (1,H,W) and maps (C,H,W), "
                         f"got {image.shape} and {[m.shape for _, m in maps]}")
    columns = min(10, max(len(channels) for _, channels in maps))
    rows = [math.ceil(len(channels) / columns) for _, channels in maps]
    figure = _figure(max(5, 1.1 * columns + 1), 2.4 + sum(1.15 * count + 0.5 for count in rows))
    figure.suptitle(title, fontsize=14)
    blocks = figure.subfigures(1 + len(maps), 1,
                               height_ratios=[1.9, *(1.15 * count + 0.5 for count in rows)])
    axes = blocks[0].subplots()
    axes.imshow(image, cmap="gray_r", interpolation="nearest")
    axes.axis("off")
    for block, count, (name, channels) in zip(blocks[1:], rows, maps):
        block.suptitle(f"{name}: {len(channels)} maps of {channels.shape[1]} x "
                       f"{channels.shape[2]}", fontsize=11)
        limit = numpy.abs(channels[numpy.isfinite(channels)]).max(initial=0) or 1
        axes, (_, H, W) = block.subplots(), channels.shape
        draw_images(axes, channels, count, columns, (1.15 * H, 1.15 * W),
                    cmap="RdBu_r", vmin=-limit, vmax=limit)
        block.colorbar(axes.images[0], ax=axes, fraction=0.02, pad=0.01)
    return save_png(figure, path)


def draw_images(axes, images, rows, columns, steps, **options):
    """Draw images (N,H,W) in rows on one Axes: one for each takes matplotlib three times as long.

    rows, columns  that there is room for
    steps          (down, across) from one image to the next, in pixels of theirs

    Returns the upper left corners (x,y) of the images.
    """
    (down, across), (H, W) = steps, images.shape[1:]
    corners = [(i % columns * across, i // columns * down) for i in range(len(images))]
    for image, (x, y) in zip(images, corners):
        axes.imshow(image, extent=(x, x + W, y + H, y), interpolation="nearest", **options)
    axes.set(xlim=(0, (columns - 1) * across + W), ylim=((rows - 1) * down + H, H - down),
             aspect="equal")
    axes.axis("off")
    return corners


def as_path(path):
    """The Path, or None: a TypeError before anything is plotted."""
    return None if path is None else Path(path)


def _figure(width, height):
    from minigan.inspect.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    return figure


def _open_frame(axes):
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def save_png(figure, path):
    """The Path of the saved figure; without a path the figure."""
    if path is None:
        return figure
    with atomic_path(path, ".png") as unfinished:
        figure.savefig(unfinished, dpi=DPI)
    return path
