"""draw and dot: what they show, that they leave the graph usable, and what they refuse."""

import random
import re
import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from matplotlib.patches import FancyBboxPatch

import cgan
import minigan
from minigan import nn, tensor
from minigan.inspect import dot, draw
from minigan.inspect.graph import MOST_NODES, build_graph
from minigan.inspect.layout import layout, spread
from minigan.inspect.picture import draw_graph

pytestmark = pytest.mark.usefixtures("device")

STRING = r'"((?:[^"\\]|\\.)*)"'


def parsed(text):
    """(labels of nodes, edges with their attributes) of DOT; AssertionError for what is not DOT."""
    lines = text.splitlines()
    assert lines[0] == "digraph recorded {" and lines[-1] == "}" and text.endswith("\n")
    nodes, edges = {}, []
    for line in lines[1:-1]:
        attribute = rf'\w+=(?:{STRING}|\w+)'
        statement = re.fullmatch(
            rf"    (\w+)(?: -> (\w+))?(?: \[{attribute}(?:, {attribute})*\])?;", line)
        assert statement, line
        source, target = statement[1], statement[2]
        if target:
            edges.append((source, target, "style=dashed" in line))
        elif source != "node":
            label = re.search(f"label={STRING}", line)[1]
            assert source not in nodes
            nodes[source] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], label)
    assert {end for edge in edges for end in edge[:2]} <= nodes.keys()
    return nodes, edges


def labelled(text):
    """Edges of DOT as (label, label, whether a gradient flows back)."""
    nodes, edges = parsed(text)
    return sorted((nodes[source], nodes[target], not dashed) for source, target, dashed in edges)


def test_a_linear_layer_and_a_loss(form):
    layer, x, target = nn.Linear(3, 2), minigan.ones(4, 3), minigan.zeros(4, 2)
    loss = nn.MSELoss()(layer(x), target)
    assert labelled(dot(loss, {"L": layer, "images": x})) == [
        ("L.bias\n(2,)", "linear\n(4, 2)", True), ("L.weight\n(2, 3)", "linear\n(4, 2)", True),
        ("data\n(4, 2)", "mse_loss\n()", False), ("images\n(4, 3)", "linear\n(4, 2)", False),
        ("linear\n(4, 2)", "mse_loss\n()", True)]
    assert "weight\\n(2, 3)" in dot(loss, layer) and "leaf\\n(2, 3)" in dot(loss)


def test_shared_tensors_are_one_node():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    nodes, edges = build_graph("dot", (y + y).sum(), {"x": x})
    assert [(node.kind, node.title) for node in nodes] == [
        ("parameter", "x"), ("operation", "mul"), ("operation", "add"), ("operation", "sum")]
    assert [(edge.source, edge.target) for edge in edges] == [
        (0, 1), (0, 1), (1, 2), (1, 2), (2, 3)]


def test_leaves_of_all_kinds():
    x = tensor([1.0, 2.0], requires_grad=True)
    loss = ((x * 0.5 + minigan.ones(2)) ** 2).sum()
    nodes, edges = build_graph("dot", loss, None)
    kinds = {(node.kind, node.title, node.shape) for node in nodes if node.kind != "operation"}
    assert kinds == {("parameter", "leaf", "(2,)"), ("constant", "0.5", "()"),
                     ("constant", "2", "()"), ("data", "data", "(2,)")}
    colours = re.findall(r'fillcolor="(#\w+)"', dot(loss))
    assert len(set(colours)) == 4
    assert [edge.has_gradient for edge in edges] == [True, False, True, False, True, False, True]


def test_names_are_quoted():
    x = tensor([1.0], requires_grad=True)
    name = 'a "quoted" \\ back\\nslash\nand a } -> [line]; é'
    nodes, _ = parsed(dot((x * x).sum(), {name: x}))
    assert f"{name}\n(1,)" in nodes.values()


def game_loss():
    """The loss of the generator in a step of the conditional GAN, and names for its leaves."""
    gan = cgan.ConditionalGAN(1e-4)
    labels, noise = cgan.sample_inputs(1)
    real = minigan.ones(1, 1)
    images = cgan.generate(gan.generator, labels, noise)
    loss = cgan.loss_function(gan.discriminate(images, labels), real)
    return loss, {"D": gan.discriminator, "G": gan.generator, "labels": labels, "real": real}


def test_the_generators_loss(form):
    loss, names = game_loss()
    nodes, edges = parsed(dot(loss, names))
    assert len(nodes) == 27 and len(edges) == 26
    # What is made of data alone is not recorded: the first cat is a leaf.
    others = [label.split("\n")[0] for label in nodes.values() if label[:2] not in ("D.", "G.")]
    assert sorted(others) == sorted(
        "data linear leaky_relu layer_norm linear sigmoid cat labels linear leaky_relu layer_norm "
        "linear sigmoid binary_cross_entropy real".split())
    assert sum(label.startswith("D.") for label in nodes.values()) == 6
    assert ("G.0.weight\n(200, 110)", "linear\n(1, 200)", True) in labelled(dot(loss, names))


def test_nothing_is_changed_or_used_up(tmp_path):
    loss, names = game_loss()
    first = dot(loss, names)
    draw(loss, tmp_path / "graph.png", names)
    assert dot(loss, names) == first
    loss.backward()
    assert all(p.grad is not None for p in names["G"].parameters())


def test_files(tmp_path):
    loss, names = game_loss()
    path = draw(loss, tmp_path / "new" / "graph.png", names)
    assert path == tmp_path / "new" / "graph.png"
    height, width, _ = imread(path).shape
    assert 800 < height < 1500 and 600 < width < 1400
    assert draw(loss, str(tmp_path / "graph.dot"), names).read_text() == dot(loss, names)
    assert draw(loss, tmp_path / "graph.svg").read_text().startswith("<?xml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph.dot", "graph.svg", "new"]


def test_the_old_picture_stays_where_drawing_fails(tmp_path, monkeypatch):
    path = tmp_path / "graph.png"
    path.write_text("old")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        draw(game_loss()[0], path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def chain(length):
    y = tensor([1.0], requires_grad=True)
    for _ in range(length):
        y = y.tanh()
    return y


def test_sensible_sizes(tmp_path):
    sizes = [imread(draw(chain(length), tmp_path / "graph.png")).shape for length in (5, 100, 199)]
    assert sizes[0][0] < 700 and sizes[0][1] < 700
    assert 5000 < sizes[1][0] < 10_000 and sizes[2][0] <= 12_000


def test_texts_lie_within_their_boxes_and_boxes_apart():
    loss, names = game_loss()
    figure = draw_graph(*build_graph("draw", loss, names))
    axes, = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [patch.get_window_extent(renderer) for patch in axes.patches
             if isinstance(patch, FancyBboxPatch)]
    texts = [text.get_window_extent(renderer) for text in axes.texts]
    whole = figure.bbox
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert whole.x0 < box.x0 and box.x1 < whole.x1 and whole.y0 < box.y0 and box.y1 < whole.y1
    for i, text in enumerate(texts[:2 * 27]):  # behind them is the legend
        box = boxes[i // 2]
        assert box.x0 < text.x0 and text.x1 < box.x1 and box.y0 < text.y0 and text.y1 < box.y1
    for text in texts[2 * 27:]:
        assert text.x1 < whole.x1 and not any(text.overlaps(box) for box in boxes)


@pytest.mark.parametrize("seed", range(20))
def test_layouts_of_random_graphs(seed):
    """Edges lead downwards, boxes of a row lie apart, and passing edges between them."""
    draws = random.Random(seed)
    count = draws.randint(2, 40)
    edges = [(source, target) for target in range(1, count)
             for source in draws.sample(range(target), min(target, draws.randint(0, 3)))]
    edges += [(node, count - 1) for node in range(count - 1)
              if not any(source == node for source, _ in edges)]
    edges.sort(key=lambda edge: edge[1])
    widths = [draws.uniform(0.3, 2) for _ in range(count)]
    rows, centres, routes = layout(widths, edges, 0.2, 0.05)
    assert min(x - width / 2 for x, width in zip(centres, widths)) >= -1e-9
    spans = [(row, x - width / 2, x + width / 2) for row, x, width in zip(rows, centres, widths)]
    for (source, target), route in zip(edges, routes):
        assert len(route) == rows[target] - rows[source] - 1 >= 0
        spans += [(rows[source] + 1 + i, x, x) for i, x in enumerate(route)]
    spans.sort()
    for (row, _, right), (other, left, _) in zip(spans, spans[1:]):
        assert row != other or right < left


def test_spread():
    # The two that would overlap stand around the mean of what they want, 1.5.
    assert spread([1, 2, 9], [1, 1, 1], [2, 2, 2], 1) == [0, 3, 9]
    # One that counts much more stays where it is.
    assert spread([0, 0], [1e9, 1], [1, 1], 0) == pytest.approx([0, 1], abs=1e-6)
    assert spread([], [], [], 1) == []


def test_long_and_strange_names(tmp_path):
    xs = [tensor([1.0], requires_grad=True) for _ in range(3)]
    names = {"$\\alpha_1$ costs $5": xs[0], "line\nbreak": xs[1], "x" * 1000: xs[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw(minigan.cat(xs).sum(), tmp_path / "graph.png", names)
    assert imread(path).shape[1] < 1400


@pytest.mark.parametrize("function", [draw, dot])
def test_errors(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = function.__name__
    x = tensor([1.0], requires_grad=True)
    loss = (x * x).sum()
    for wrong in (3, None, nn.Linear(1, 1), [loss]):
        with pytest.raises(TypeError, match=f"{name}: expected a Tensor, got"):
            function(wrong)
    for empty in (x, minigan.ones(2), loss.detach(), minigan.ones(2) * 2):
        with pytest.raises(ValueError, match=f"{name}: no operation recorded this Tensor"):
            function(empty)
    with minigan.no_grad(), pytest.raises(ValueError, match="under no_grad"):
        function((x * x).sum())
    for names, message in (([x], "names must be a Module or a dict, got list"),
                        ("x", "names must be a Module or a dict, got str"),
                        ({"x": 3}, "'x' is int 3")):
        with pytest.raises(TypeError, match=f"{name}: names must.*{message}|{message}"):
            function(loss, names=names)
    loss.backward()
    with pytest.raises(RuntimeError, match=f"{name}: this graph has been used.*retain_graph"):
        function(loss)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_used_up_in_part():
    x = tensor([1.0], requires_grad=True)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="has been used"):
        dot(y + x)
    y = x * x
    y.backward(retain_graph=True)
    assert len(parsed(dot(y + x))[0]) == 3


def test_graphs_that_are_too_large(tmp_path):
    loss = chain(MOST_NODES)
    with pytest.raises(ValueError, match=f"has {MOST_NODES + 1} nodes.*graph.dot.*Graphviz"):
        draw(loss, tmp_path / "graph.png")
    assert not list(tmp_path.iterdir())
    draw(loss, tmp_path / "graph.dot")
    nodes, _ = parsed(dot(chain(5000)))  # far beyond what recursion could reach
    assert len(nodes) == 5001


@pytest.mark.parametrize("path", ["graph", "graph.jpg", "graph.png.txt", ""])
def test_other_endings(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="draw: path must end in .png, .svg, .pdf or .dot"):
        draw(chain(2), path)
