"""The picture of a graph, drawn with matplotlib alone. All lengths are in inches."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from minigan.inspect.graph import KINDS
from minigan.inspect.layout import STRONG, layout, spread

FONT, SIZE = "DejaVu Sans Mono", 8.5  # comes with matplotlib; all letters are equally wide
LETTER = 0.602 * SIZE / 72            # their width
HEIGHT = 0.40                         # of a box
BETWEEN = 0.36                        # rows, where edges turn
GAP, LANE = 0.22, 0.06                # between boxes; width of a passing edge
MARGIN = 0.25
LEGEND, LEGEND_ROW = 3.1, 0.3         # width of the legend, at the right, and height of its rows
DPI, MOST_PIXELS = 120, 12_000        # the latter along a side: a larger picture is coarser
LONGEST = 40                          # letters of a name; of a longer one both ends are shown
DARK, EDGE, NO_GRADIENT = "0.15", "#33587f", "0.6"


def picture(nodes, edges):
    """A Figure of nodes and edges, see graph.py; the last node is where the graph ends."""
    titles = [title_of(node) for node in nodes]
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
    axes.set(xlim=(0, width), ylim=(height, 0))  # downwards, as the rows are counted
    axes.axis("off")

    def top(row):
        return MARGIN + row * (HEIGHT + BETWEEN)

    places = [(MARGIN + x, top(row)) for x, row in zip(centres, rows)]
    starts, ends = ends_of(edges, routes, places, widths, nodes)
    for edge, route, start, end in zip(edges, routes, starts, ends):
        between = [(MARGIN + x, top(rows[edge.source] + 1 + i)) for i, x in enumerate(route)]
        add_edge(axes, start, between, end, edge.needs)
    for number, (node, (x, y), w) in enumerate(zip(nodes, places, widths)):
        add_box(axes, x - w / 2, y, w, HEIGHT, node.kind, is_last=number == len(nodes) - 1)
        add_text(axes, x, y + 0.36 * HEIGHT, titles[number], weight="bold")
        add_text(axes, x, y + 0.72 * HEIGHT, node.shape)
    add_legend(axes, width - LEGEND)
    return figure


def title_of(node):
    """A node's title on one line, not too long for a box."""
    title = " ".join(node.title.split())
    half = LONGEST // 2 - 1
    return title if len(title) <= LONGEST else f"{title[:half]}...{title[1 - half:]}"


def ends_of(edges, routes, places, widths, nodes):
    """Where each edge leaves its source and enters its target: beside each other, each towards the
    place where it leads, so that they do not cross. One that leaves alone does so in the middle."""
    starts, ends = [None] * len(edges), [None] * len(edges)
    for number, (x, y) in enumerate(places):
        leaving, entering = [], []  # (where it leads to, weight, number of the edge)
        for i, (edge, route) in enumerate(zip(edges, routes)):
            weight = STRONG if nodes[edge.source].kind == "operation" else 1
            route = [MARGIN + passed for passed in route]
            if edge.source == number:
                leaving.append(((*route, places[edge.target][0])[0], weight, i))
            if edge.target == number:
                entering.append(((places[edge.source][0], *route)[-1], weight, i))
        if len(leaving) == 1:
            leaving = [(x, *leaving[0][1:])]
        for found, where, side in ((leaving, starts, y + HEIGHT), (entering, ends, y)):
            found.sort()
            for (_, _, i), place in zip(found, ports(found, x, widths[number])):
                where[i] = (place, side)
    return starts, ends


def ports(found, x, width):
    """Places on the side of a box around x, for edges sorted by where they lead."""
    step = min(0.14, 0.84 * width / max(1, len(found)))
    left, right = x - 0.42 * width, x + 0.42 * width
    last = len(found) - 1
    wanted = [min(max(place, left + i * step), right - (last - i) * step)
              for i, (place, _, _) in enumerate(found)]
    return spread(wanted, [weight for _, weight, _ in found], [0] * len(found), step)


def add_edge(axes, start, between, end, needs):
    """A curve from box to box, upright where it passes a row."""
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
        color=EDGE if needs else NO_GRADIENT, linewidth=1.2 if needs else 1,
        linestyle="-" if needs else (0, (4, 2.5)), zorder=1))


def add_box(axes, x, y, width, height, kind, is_last=False):
    corner = 0.09 if kind == "operation" else 0.01
    axes.add_patch(FancyBboxPatch(
        (x, y), width, height, boxstyle=f"round,pad=0,rounding_size={corner}",
        facecolor=KINDS[kind][1], edgecolor=DARK if is_last else "0.45",
        linewidth=2 if is_last else 0.8, zorder=2))


def add_text(axes, x, y, text, **options):
    options = {"ha": "center", "va": "center"} | options
    # Names are shown as they are: a dollar sign is not the start of a formula.
    axes.text(x, y, text, family=FONT, fontsize=SIZE, color=DARK, zorder=3, parse_math=False,
              **options)


def add_legend(axes, left):
    y = MARGIN
    for kind, (text, _) in KINDS.items():
        add_box(axes, left, y, 0.36, 0.2, kind)
        add_text(axes, left + 0.5, y + 0.1, text, ha="left")
        y += LEGEND_ROW
    for needs, text in ((True, "a gradient flows back"), (False, "no gradient flows back")):
        add_edge(axes, (left + 0.18, y), [], (left + 0.18, y + 0.22), needs)
        add_text(axes, left + 0.5, y + 0.1, text, ha="left")
        y += LEGEND_ROW
