"""summary: against numbers computed by hand, and that it restores the model's state."""

import copy

import numpy
import pytest

import dcgan
import mnist_cnn
import minigan
from minigan import nn, optim
from minigan.nn import functional as F
from minigan.hooks import hooks

pytestmark = pytest.mark.usefixtures("form")  # and device


def columns(table, *names):
    return [tuple(getattr(row, name) for name in names) for row in table.rows]


def small():
    return nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1))


def test_a_small_network_by_hand():
    table = minigan.summary(small(), (5, 3))
    assert columns(table, "path", "kind", "output_shape") == [
        ("0", "Linear", (5, 4)), ("1", "Sigmoid", (5, 4)), ("2", "Linear", (5, 1))]
    assert columns(table, "parameters", "multiply_adds") == [(16, 60), (0, 0), (5, 20)]
    # The results, float32: the next backward needs them, and the last is the caller's.
    assert columns(table, "memory") == [(80,), (80,), (20,)]
    assert (table.trainable, table.not_trainable) == (21, 0)
    assert (table.multiply_adds, table.memory) == (80, 180)
    lines = str(table).splitlines()
    assert lines[0].split("  ")[0] == "layer" and len(set(map(len, lines[:-2]))) == 1
    assert lines[2].split() == ["0", "(Linear)", "(5,", "4)", "16", "60", "80"]
    assert lines[-3].split() == ["total", "21", "80", "180"]
    assert lines[-2] == "parameters: 21 trainable, 0 not trainable"
    assert lines[-1] == "memory for backward: 180 B"
    assert repr(table) == str(table)


def test_the_convolutional_network():
    table = minigan.summary(mnist_cnn.make_model(), (64, 1, 28, 28))
    assert columns(table, "layer", "output_shape") == [
        ("0 (Conv2d)", (64, 10, 12, 12)), ("1 (LeakyReLU)", (64, 10, 12, 12)),
        ("2 (BatchNorm2d)", (64, 10, 12, 12)), ("3 (Conv2d)", (64, 10, 5, 5)),
        ("4 (LeakyReLU)", (64, 10, 5, 5)), ("5 (BatchNorm2d)", (64, 10, 5, 5)),
        ("6 (View)", (64, 250)), ("7 (Linear)", (64, 10)), ("8 (Sigmoid)", (64, 10))]
    assert [n for n, in columns(table, "parameters")] == [
        10 * 25 + 10, 0, 20, 10 * 90 + 10, 0, 20, 0, 2510, 0]
    assert [n for n, in columns(table, "multiply_adds")] == [
        64 * 10 * 144 * 25, 0, 0, 64 * 10 * 25 * 90, 0, 0, 0, 64 * 10 * 250, 0]
    assert table.trainable == 3720


def test_memory_of_convolutions(form):
    table = minigan.summary(nn.Conv2d(3, 8, 4, stride=2), (2, 3, 10, 10))
    assert columns(table, "layer", "parameters", "multiply_adds") == [
        ("Conv2d", 8 * 48 + 8, 2 * 8 * 16 * 48)]
    # The result (2,8,4,4), and in the textbook columns of 3 * 16 numbers for 2 * 16 positions.
    result, with_columns = 4 * 2 * 8 * 16, 4 * (2 * 8 * 16 + 3 * 16 * 2 * 16)
    assert table.memory == with_columns or form == "kernels" and table.memory >= result


def test_a_memory_is_counted_once():
    """relu saves its result, mul the same factor twice; view and t share the memory of others."""
    class Model(nn.Module):
        def forward(self, x):
            y = F.relu(self.layer(x))
            y = (y * y).view(6, 2).t()
            return y, {"again": y}

        def __init__(self):
            self.layer = nn.Linear(3, 4)

    table = minigan.summary(Model(), (3, 3))
    assert columns(table, "layer", "output_shape", "memory") == [
        ("Model", [(2, 6), (2, 6)], 4 * (12 + 12)), ("layer (Linear)", (3, 4), 4 * 12)]


def test_transposed_convolutions_count_their_input():
    table = minigan.summary(nn.ConvTranspose2d(3, 5, (4, 2), stride=2), (2, 3, 6, 7))
    assert table.multiply_adds == 2 * 3 * 6 * 7 * 5 * 4 * 2
    generator = minigan.summary(dcgan.make_generator(4, "gelu"), (1, 100))
    assert generator.rows[3].multiply_adds == 3 * 11 * 11 * 4 * 64


def test_matrix_products():
    class Attention(nn.Module):
        def __init__(self):
            self.query = nn.Linear(6, 4, bias=False)

        def forward(self, x):
            q = self.query(x)
            weights = F.softmax(q @ q.transpose(1, 2), -1)
            return minigan.matmul(other=q, input=weights)

    table = minigan.summary(Attention(), (2, 3, 6))
    assert columns(table, "layer", "multiply_adds") == [
        ("Attention", 2 * (3 * 3 * 4) + 2 * (3 * 4 * 3)), ("query (Linear)", 2 * 3 * 4 * 6)]


def test_shared_parameters_are_counted_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    table = minigan.summary(nn.Sequential(first, second, first), (1, 3))
    assert columns(table, "path", "parameters", "shared") == [
        ("0", 12, 0), ("1", 3, 9), ("0", 0, 12)]
    assert table.trainable == 15 and table.multiply_adds == 27
    assert str(table).splitlines()[4].split()[4] == "shared"


def test_frozen_parameters():
    model = small()
    model[0].requires_grad_(False)
    table = minigan.summary(model, (5, 3))
    assert (table.trainable, table.not_trainable) == (5, 16)
    # Nothing is recorded before the last layer, which keeps its input and its result.
    assert columns(table, "memory") == [(0,), (0,), (100,)]


def test_nested_layers_and_layers_that_do_not_run():
    class Model(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(minigan.ones(1))
            self.body = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Tanh()))
            self.unused = nn.Sequential(nn.Linear(4, 5))
            self.hidden = [nn.Linear(3, 3)]

        def forward(self, x):
            return self.hidden[0](self.body(x)) * self.scale

    table = minigan.summary(Model(), (7, 2))
    assert columns(table, "layer", "output_shape", "parameters", "memory") == [
        ("Model", (7, 3), 1, 84), ("body.0.0 (Linear)", (7, 3), 9, 84),
        ("body.0.1 (Tanh)", (7, 3), 0, 84), ("? (Linear)", (7, 3), 0, 84),
        ("unused.0 (Linear)", None, 25, 0)]
    assert "did not run" in str(table) and table.trainable == 35


def test_several_inputs_and_dtypes():
    class Model(nn.Module):
        def __init__(self):
            self.table = nn.Embedding(5, 3)

        def forward(self, x, i):
            return x + self.table(i)

    for shapes in ([(2, 3), (2,)], ((2, 3), [2])):
        table = minigan.summary(Model(), shapes, dtype=[minigan.float32, "int64"])
        assert columns(table, "layer", "output_shape") == [("Model", (2, 3)), ("table (Embedding)",
                                                                               (2, 3))]
    table = minigan.summary(small().double(), (5, 3), dtype=minigan.float64)
    assert table.memory == 360
    with pytest.raises(ValueError, match="2 dtypes for 1 inputs"):
        minigan.summary(small(), (5, 3), dtype=["float32", "float32"])
    with pytest.raises(TypeError, match="summary: expected a dtype"):
        minigan.summary(small(), (5, 3), dtype="words")


class Restless(nn.Module):
    """Changes all that a forward can change, and fails on demand."""

    def __init__(self):
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout()
        self.calls = 0
        self.fails = False

    def forward(self, x):
        self.calls += 1
        self.norm.weight.data[0] += 1
        self.norm.bias.data = self.norm.bias.data + 1
        self.last = self.dropout(self.norm(x))
        self.train(False)
        if self.fails:
            raise RuntimeError("on purpose")
        return self.last


def state(model):
    return ({name: value.tolist() for name, value in model.state_dict().items()},
            [p.grad.tolist() for p in model.parameters()],
            [(id(tensor.array), id(tensor.grad_buffer), tensor.version[0])
             for tensor in (*model.parameters(), *model.buffers())],
            [module.training for module in model.modules()],
            {name for module in model.modules() for name in vars(module)}, model.calls)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("mode", [True, False])
def test_the_model_is_left_as_it_was(fails, mode):
    model = Restless()
    model(minigan.randn(4, 3)).sum().backward()
    optim.Adam(model.parameters())
    model.train(mode)
    model.fails = fails
    before = state(model)
    minigan.manual_seed(3)
    sampled = minigan.rand(3).tolist()
    minigan.manual_seed(3)
    if fails:
        with pytest.raises(ValueError, match="on purpose"):
            minigan.summary(model, (2, 3))
    else:
        minigan.summary(model, (2, 3))
    assert state(model) == before and hooks.observer is None
    assert minigan.rand(3).tolist() == sampled


def test_the_backward_of_a_graph_recorded_before():
    model = Restless()
    loss = model(minigan.randn(4, 3)).sum()
    minigan.summary(model, (2, 3))
    loss.backward()


def test_under_no_grad():
    with minigan.no_grad():
        assert minigan.summary(small(), (5, 3)).memory == 180
        assert not minigan.is_grad_enabled()


def test_the_optimisers_memory_is_not_counted():
    model = small()
    optim.Adam(model.parameters())
    assert minigan.summary(model, (5, 3)).memory == 180


@pytest.mark.parametrize("arguments, error, message", [
    ((3, (1,)), TypeError, "expected a Module, got int 3"),
    ((small, (1,)), TypeError, "expected a Module, got function"),
    ((small(), 3), TypeError, "input_shape must be a tuple of integers.*got int 3"),
    ((small(), ()), TypeError, "input_shape must be a tuple"),
    ((small(), "ab"), TypeError, "input_shape must be a tuple.*got str 'ab'"),
    ((small(), (5, 3.0)), TypeError, "got tuple .5, 3.0."),
    ((small(), (True, 3)), TypeError, "got tuple .True, 3."),
    ((small(), (5, (3,))), TypeError, "input_shape must be a tuple"),
    ((small(), [(5, 3), ()]), TypeError, "input_shape must be a tuple"),
    ((small(), (5, -3)), ValueError, r"at least 1, got \(5, -3\)"),
    ((small(), (0, 3)), ValueError, "at least 1"),
    ((small(), (5, 2)), ValueError,
     r"^summary: 0 \(Linear\) with a float32 Tensor of shape \(5, 2\) failed: linear: input"),
    ((small(), [(5, 3), (5, 3)]), ValueError, "Sequential with .*failed: .*positional arg")])
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        minigan.summary(*arguments)


def test_the_innermost_layer_that_fails_is_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh(), nn.Linear(5, 4)))
    with pytest.raises(ValueError, match=r"1.1 \(Linear\) with a float32 Tensor of shape .2, 4."):
        minigan.summary(model, (2, 3))


def test_a_failure_that_the_model_catches():
    class Careful(nn.Module):
        def __init__(self):
            self.wrong, self.right = nn.Linear(5, 1), nn.Linear(3, 1)

        def forward(self, x):
            try:
                return self.wrong(x)
            except ValueError:
                return self.right(x)

    table = minigan.summary(Careful(), (2, 3))
    assert columns(table, "layer", "output_shape") == [
        ("wrong (Linear)", None), ("right (Linear)", (2, 1))]


def test_within_a_profile():
    with minigan.profile(), pytest.raises(RuntimeError, match="profile is active already"):
        minigan.summary(small(), (5, 3))
    assert hooks.observer is None


def test_a_copy_gives_the_same():
    model = dcgan.make_discriminator(4, "leaky_relu")
    first, second = (minigan.summary(m, (1, 3, 128, 128)) for m in (model, copy.deepcopy(model)))
    assert str(first) == str(second)
    assert first.trainable == sum(p.numel() for p in model.parameters())
    assert first.multiply_adds == (4 * 61**2 * 3 * 64 + 4 * 27**2 * 4 * 64 + 3 * 100 * 4 * 64 + 300)
    assert numpy.prod(first.rows[0].output_shape) == 4 * 61 * 61
