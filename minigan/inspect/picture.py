"""A graph drawn by matplotlib. All lengths are in inches."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from minigan.inspect.figure import Figure
from minigan.inspect.graph import KINDS
from minigan.inspect.layout import layout

FONT, SIZE = "DejaVu Sans Mono", 8.5  # a monospaced font that comes with matplotlib
LETTER = 0.602 * SIZE / 72            # the width of its characters
HEIGHT = 0.40                         # of a box
BETWEEN = 0.36                        # the space between rows, where edges turn
GAP, LANE = 0.22, 0.06                # between boxes; the width of an edge that passes a row
MARGIN = 0.25
LEGEND, LEGEND_ROW = 3.1, 0.3         # width of the legend, on the right; height of its rows
DPI, MOST_PIXELS = 120, 12_000        # the latter along a side: larger pictures get a lower DPI
LONGEST = 40                          # characters of a title; longer ones are cut in the middle
DARK, EDGE, NO_GRADIENT = "0.15", "#33587f", "0.6"


def draw_graph(nodes, edges):
    """A Figure of the nodes and edges of graph.py; the last node is the loss."""
    titles = [shorten_title(node) for node in nodes]
    widths = [LETTER * max(len(title), len(node.shape)) + 0.24
              for title, node in zip(titles, nodes)]
    rows, centres, routes = layout(widths, [(edge.source, edge.target) for edge in edges], GAP,
                                   LANE)
    right = max(x + width / 2 for x, width in zip(centres, widths))
    right = max([right, *(x for route in routes for x in route)])
    width = MARGIN + right + MARGIN + LEGEND
    height = 2 * MARGIN + max((max(rows) + 1) * HEIGHT + max(rows) * BETWEEN,
                              (len(KINDS) + 2) * LEGEND_ROW)
    figure = Figure(figsize=(width, height), dpi=min(DPI, MOST_PIXELS / max(width, height)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # y grows downwards, as row numbers do
    axes.axis("off")

    def top(row):
        return MARGIN + row * (HEIGHT + BETWEEN)

    entries = entry_points(edges, routes, centres, widths)
    for edge, route, entry in zip(edges, routes, entries):
        start = (MARGIN + centres[edge.source], top(rows[edge.source]) + HEIGHT)
        between = [(MARGIN + x, top(rows[edge.source] + 1 + i)) for i, x in enumerate(route)]
        end = (MARGIN + entry, top(rows[edge.target]))
        add_edge(axes, start, between, end, edge.has_gradient)
    positions = [(MARGIN + x, top(row)) for x, row in zip(centres, rows)]
    for i, (node, (x, y), w) in enumerate(zip(nodes, positions, widths)):
        add_box(axes, x - w / 2, y, w, HEIGHT, node.kind, is_last=i == len(nodes) - 1)
        add_text(axes, x, y + 0.36 * HEIGHT, titles[i], weight="bold")
        add_text(axes, x, y + 0.72 * HEIGHT, node.shape)
    add_legend(axes, width - LEGEND)
    return figure


def shorten_title(node):
    """A node's title on one line, not too long for a box."""
    title = " ".join(node.title.split())
    half = LONGEST // 2 - 1
    return title if len(title) <= LONGEST else f"{title[:half]}...{title[1 - half:]}"


def entry_points(edges, routes, centres, widths):
    """Where each edge enters its target's upper side: side by side, sorted by where they come
    from, so that they do not cross."""
    entries = [0.0] * len(edges)
    for node, (centre, width) in enumerate(zip(centres, widths)):
        entering = sorted(((centres[edge.source], *route)[-1], i)
                          for i, (edge, route) in enumerate(zip(edges, routes))
                          if edge.target == node)
        step = min(0.14, 0.84 * width / max(1, len(entering)))
        for place, (_, i) in enumerate(entering):
            entries[i] = centre + step * (place - (len(entering) - 1) / 2)
    return entries


def add_edge(axes, start, between, end, has_gradient):
    """A curve from box to box, vertical where it passes a row."""
    points, codes = [start], [Curve.MOVETO]
    for x, y in [*between, end]:
        before, above = points[-1]
        middle = (above + y) / 2
        points += [(before, middle), (x, middle), (x, y)]
        codes += [Curve.CURVE4] * 3
        if (x, y) != end:
            points.append((x, y + HEIGHT))
            codes.append(Curve.LINETO)
    axes.add_patch(FancyArrowPatch(
        path=Curve(points, codes), arrowstyle="-|>", mutation_scale=7, shrinkA=0, shrinkB=0,
        color=EDGE if has_gradient else NO_GRADIENT, linewidth=1.2 if has_gradient else 1,
        linestyle="-" if has_gradient else (0, (4, 2.5)), zorder=1))


def add_box(axes, x, y, width, height, kind, is_last=False):
    corner = 0.09 if kind == "operation" else 0.01
    axes.add_patch(FancyBboxPatch(
        (x, y), width, height, boxstyle=f"round,pad=0,rounding_size={corner}",
        facecolor=KINDS[kind][1], edgecolor=DARK if is_last else "0.45",
        linewidth=2 if is_last else 0.8, zorder=2))


def add_text(axes, x, y, text, **options):
    options = {"ha": "center", "va": "center"} | options
    # parse_math=False: a dollar sign in a name does not start a formula.
    axes.text(x, y, text, family=FONT, fontsize=SIZE, color=DARK, zorder=3, parse_math=False,
              **options)


def add_legend(axes, left):
    y = MARGIN
    for kind, (text, _) in KINDS.items():
        add_box(axes, left, y, 0.36, 0.2, kind)
        add_text(axes, left + 0.5, y + 0.1, text, ha="left")
        y += LEGEND_ROW
    for has_gradient, text in ((True, "a gradient flows back"), (False, "no gradient flows back")):
        add_edge(axes, (left + 0.18, y), [], (left + 0.18, y + 0.22), has_gradient)
        add_text(axes, left + 0.5, y + 0.1, text, ha="left")
        y += LEGEND_ROW
