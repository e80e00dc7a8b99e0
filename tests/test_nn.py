"""Module, its state, containers, layers without weights, first values."""

import copy
import math

import numpy
import pytest

import minigan
from minigan import nn, optim, tensor


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 10, 5, stride=2), nn.LeakyReLU(0.02), nn.BatchNorm2d(10),
        nn.View(1440), nn.Linear(1440, 10), nn.Sigmoid())


class Network(nn.Module):
    """As lessons write it, with a `train` of its own."""

    def __init__(self):
        super().__init__()
        self.model = cnn()
        self.scale = nn.Parameter(minigan.ones(10))
        self.loss_function = nn.BCELoss()
        self.optimiser = optim.SGD(self.parameters(), lr=0.1)
        self.counter = 0

    def forward(self, inputs):
        return self.model(inputs) * self.scale

    def train(self, inputs, targets):
        loss = self.loss_function(self.forward(inputs), targets)
        self.counter += 1
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def test_registration_by_attribute():
    net = Network()
    names = [name for name, _ in net.named_parameters()]
    assert names == ["scale", "model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias",
                     "model.4.weight", "model.4.bias"]
    assert [name for name, _ in net.named_buffers()] == [
        "model.2.running_mean", "model.2.running_var", "model.2.num_batches_tracked"]
    assert len(list(net.parameters())) == 7 and len(list(net.buffers())) == 3
    assert [name for name, _ in net.named_children()] == ["model", "loss_function"]
    assert [name for name, _ in net.named_modules()][:3] == ["", "model", "model.0"]


def test_a_module_in_two_places_is_applied_twice_and_found_once():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu)
    assert [name for name, _ in net.named_children()] == ["0", "1", "2"]
    assert list(net.children()) == [net[0], relu, net[2]]
    assert len(net) == 4 and list(net) == [net[0], relu, net[2], relu] and net[3] is relu
    assert [type(part) for part in net[1:]] == [nn.ReLU, nn.Linear, nn.ReLU]
    assert repr(net).count("ReLU()") == 2

    class Reversed(nn.ModuleList):
        def __iter__(self):
            return reversed([self[i] for i in range(len(self))])

    backwards = Reversed([net[0], relu])
    assert list(backwards) == [relu, net[0]] and backwards[0] is net[0]
    x = minigan.tensor([[1.0, -2.0]])
    assert (net(x).array == relu(net[2](relu(net[0](x)))).array).all()
    norm = nn.BatchNorm1d(2)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(norm, nn.ReLU(), norm))
    assert [type(part) for part in converted] == [nn.SyncBatchNorm, nn.ReLU, nn.SyncBatchNorm]


def test_a_users_own_train_is_never_called_by_the_engine():
    parent = nn.Sequential(Network(), nn.Linear(10, 1))
    net = parent[0]
    parent.eval()
    assert not net.training and not net.model[2].training and net.counter == 0
    parent.train()
    assert net.training and net.model[2].training and net.counter == 0
    net.eval()
    assert not net.training and net.counter == 0
    net.train(minigan.rand(2, 1, 28, 28), minigan.zeros(2, 10))
    assert net.counter == 1
    for change in (lambda: net.apply(lambda m: None), net.zero_grad, net.state_dict, net.double,
                   lambda: copy.deepcopy(net), lambda: repr(net)):
        change()


def test_shared_parameters_are_given_once_but_saved_twice():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight = a.weight
    both = nn.ModuleList([a, b])
    assert len(list(both.parameters())) == 3
    assert list(both.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_shared_modules_and_none():
    layer = nn.Linear(2, 2, bias=False)
    net = nn.Sequential(layer, nn.Tanh(), layer)
    assert len(list(net.parameters())) == 1 and len(list(net.modules())) == 3
    assert layer.bias is None and list(layer.state_dict()) == ["weight"]


def test_a_plain_tensor_does_not_replace_a_parameter():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="Linear: weight"):
        layer.weight = layer.weight * 2
    layer.weight = nn.Parameter(minigan.ones(2, 2))
    layer.bias = None
    assert layer(minigan.ones(2)).tolist() == [2, 2]


def test_apply_goes_from_the_inside_out():
    order = []
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Tanh()))
    net.apply(lambda m: order.append(type(m).__name__))
    assert order == ["Linear", "Tanh", "Sequential", "Sequential"]


def test_zero_grad_and_requires_grad():
    net = cnn()
    net(minigan.rand(2, 1, 28, 28)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(minigan.rand(2, 1, 28, 28)).requires_grad


def test_to_changes_floating_point_only_and_keeps_the_objects():
    net = cnn()
    weight = net[0].weight
    net.to(minigan.float64)
    assert net[0].weight is weight and weight.dtype == "float64"
    assert net[2].running_mean.dtype == "float64" and net[2].num_batches_tracked.dtype == "int64"
    assert net(minigan.rand(2, 1, 28, 28, dtype="float64")).dtype == "float64"
    assert net.float().cpu()[0].weight.dtype == "float32"
    with pytest.raises(ValueError, match="device"):
        net.to("tpu")


@pytest.mark.parametrize("make", [
    lambda **o: nn.Linear(2, 3, **o), lambda **o: nn.Conv2d(2, 3, 1, padding_mode="zeros", **o),
    lambda **o: nn.ConvTranspose2d(2, 3, 1, groups=1, **o), lambda **o: nn.BatchNorm2d(2, **o),
    lambda **o: nn.LayerNorm(2, **o), lambda **o: nn.Embedding(2, 3, max_norm=None, **o)])
def test_layers_are_made_where_and_how_they_are_wanted(make, device):
    layer = make(device="cpu", dtype=minigan.float64)
    assert {(p.device, p.dtype) for p in layer.parameters()} == {("cpu", minigan.float64)}
    layer = make(device=None, dtype=None)
    assert {(p.device, p.dtype) for p in layer.parameters()} == {(device, minigan.float32)}


def test_forward_that_is_not_there():
    with pytest.raises(NotImplementedError, match="Module"):
        nn.Module()(1)


# State

def test_state_dict_shares_and_load_copies():
    source, target = cnn(), cnn()
    target.load_state_dict(source.state_dict())
    before = {key: value.numpy().copy() for key, value in target.state_dict().items()}
    source[0].weight.data.zero_()
    for key, value in target.state_dict().items():
        assert (value.numpy() == before[key]).all()
    assert not source.state_dict()["0.weight"].numpy().any()


def test_load_takes_arrays_and_tensors_of_other_precision():
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": numpy.array([[1.0, 2.0]]), "bias": tensor([3.0])})
    assert net.weight.dtype == "float32" and net(tensor([1.0, 1.0])).item() == 6


def test_load_names_every_wrong_key_and_changes_nothing():
    net = cnn()
    state = {key: value.numpy().copy() + 1 for key, value in net.state_dict().items()}
    del state["0.bias"]
    del state["2.running_var"]
    state["9.weight"] = numpy.zeros(3)
    state["4.weight"] = state["4.weight"].T
    before = net[0].weight.detach().numpy().copy()
    with pytest.raises(ValueError, match="load_state_dict: Sequential") as error:
        net.load_state_dict(state)
    for part in ("0.bias", "2.running_var", "9.weight", "4.weight has shape (1440, 10), needs "
                 "(10, 1440)"):
        assert part in str(error.value)
    assert (net[0].weight.detach().numpy() == before).all()


def test_load_without_num_batches_tracked():
    net = cnn()
    state = net.state_dict()
    del state["2.num_batches_tracked"]
    net.load_state_dict(state)


@pytest.mark.parametrize("state", [None, [1.0], 3, "weights"])
def test_load_of_no_dictionary_is_refused(state):
    with pytest.raises((TypeError, ValueError), match="load_state_dict"):
        nn.Linear(2, 1).load_state_dict(state)


def test_load_that_is_not_strict():
    net = nn.Linear(2, 1)
    left = net.load_state_dict({"bias": [5.0], "other": [1.0]}, strict=False)
    assert left.missing_keys == ["weight"] and left.unexpected_keys == ["other"]
    assert net.bias.item() == 5
    with pytest.raises(ValueError, match="bias has shape"):
        net.load_state_dict({"bias": [5.0, 6.0]}, strict=False)


def test_load_between_forward_and_backward_is_found_out():
    net = nn.Linear(2, 1)
    loss = (net(minigan.ones(2)) ** 2).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_deepcopy_is_independent():
    net = cnn()
    optimiser = optim.Adam(net.parameters())
    twin = copy.deepcopy(net)
    x = minigan.rand(2, 1, 28, 28)
    net(x).sum().backward()
    optimiser.step()
    assert (twin[0].weight.detach().numpy() != net[0].weight.detach().numpy()).any()
    twin(x).sum().backward()
    assert twin[0].weight.grad is not None and len(list(twin.parameters())) == 6


def test_parameter():
    p = nn.Parameter(minigan.zeros(2))
    assert p.requires_grad and not nn.Parameter(minigan.zeros(2), requires_grad=False).requires_grad
    assert repr(p) == "Parameter containing:\ntensor([0., 0.], requires_grad=True)"
    with pytest.raises(TypeError, match="Parameter: "):
        nn.Parameter([1.0])
    with pytest.raises(TypeError, match="floating-point"):
        nn.Parameter(tensor([1]))


def test_buffers():
    class Counter(nn.Module):
        def __init__(self):
            self.register_buffer("count", tensor(0))
            self.register_buffer("nothing", None)
            self.plain = minigan.ones(1)

    counter = Counter()
    assert list(counter.state_dict()) == ["count"]
    counter.count = tensor(5)
    assert counter.state_dict()["count"].item() == 5
    with pytest.raises(TypeError, match="register_buffer: count"):
        counter.register_buffer("count", 5)


def test_repr_is_pytorchs():
    net = nn.Sequential(nn.Conv2d(1, 10, 5, stride=2, padding=1, bias=False), nn.LeakyReLU(0.02),
                        nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)))
    assert repr(net) == """Sequential(
  (0): Conv2d(1, 10, kernel_size=(5, 5), stride=(2, 2), padding=(1, 1), bias=False)
  (1): LeakyReLU(negative_slope=0.02)
  (2): Sequential(
    (0): Linear(in_features=3, out_features=2, bias=True)
    (1): LayerNorm((2,), eps=1e-05, elementwise_affine=True)
  )
)"""
    assert repr(nn.ConvTranspose2d(3, 2, (2, 3), 2, output_padding=1)) == (
        "ConvTranspose2d(3, 2, kernel_size=(2, 3), stride=(2, 2), output_padding=(1, 1))")
    assert repr(nn.Embedding(5, 2)) == "Embedding(5, 2)"
    assert repr(nn.Sequential()) == "Sequential()"


# Containers

def test_sequential():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    assert len(net) == 3 and [type(m).__name__ for m in net] == ["Linear", "Tanh", "Linear"]
    assert isinstance(net[-1], nn.Linear) and len(net[:2]) == 2 and net[:2][0] is net[0]
    named = nn.Sequential({"first": nn.Linear(3, 1), "last": nn.Sigmoid()})
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert named(minigan.ones(3)).shape == (1,) and named.first is named[0]
    net.append(nn.ReLU())
    assert len(net) == 4
    with pytest.raises(TypeError, match="Sequential: "):
        nn.Sequential(nn.Tanh(), minigan.tanh)


def test_module_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(layers) == 3 and len(list(layers.parameters())) == 6
    assert layers[1] is list(layers)[1] and isinstance(layers[1:], nn.ModuleList)


# Layers without weights

def test_view_keeps_the_batch_axis():
    assert nn.View(250)(minigan.zeros(4, 10, 5, 5)).shape == (4, 250)
    assert nn.View(3, 11, 11)(minigan.zeros(2, 363)).shape == (2, 3, 11, 11)
    assert nn.View((3, 4))(minigan.zeros(0, 12)).shape == (0, 3, 4)
    with pytest.raises(ValueError, match="view: "):
        nn.View(7)(minigan.zeros(2, 6))


def test_a_users_own_view():
    class View(nn.Module):
        def __init__(self, *shape):
            super().__init__()
            self.shape = shape,

        def forward(self, x):
            return x.view(*self.shape)

    net = nn.Sequential(View(1, 6), nn.Linear(6, 1), View(1))
    assert net(minigan.ones(2, 3)).shape == (1,)


def test_shapes_of_the_other_layers():
    x = minigan.rand(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60) and nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4, 5)
    assert nn.Unflatten(-1, (-1,))(x).shape == x.shape
    assert nn.Upsample(scale_factor=2)(x).shape == (2, 3, 8, 10)
    with pytest.raises(ValueError, match="unflatten: "):
        nn.Unflatten(1, (2, 2))(x)


def test_dropout_follows_the_mode():
    layer = nn.Dropout(0.5)
    assert (layer(minigan.ones(100)).numpy() == 0).any()
    assert (layer.eval()(minigan.ones(100)).numpy() == 1).all()


# First values

@pytest.mark.parametrize("make, fan_in", [
    (lambda: nn.Linear(64, 500), 64), (lambda: nn.Conv2d(8, 60, (3, 5)), 120),
    (lambda: nn.ConvTranspose2d(60, 8, (3, 5)), 120)])
def test_weights_are_uniform_within_one_over_root_of_fan_in(make, fan_in):
    layer, bound = make(), 1 / math.sqrt(fan_in)
    for p in (layer.weight, layer.bias):
        values = p.detach().numpy()
        assert abs(values).max() <= bound and abs(values).max() > 0.7 * bound
    weight = layer.weight.detach().numpy()
    assert abs(weight.mean()) < 0.03 * bound
    assert abs(weight.std() / (bound / math.sqrt(3)) - 1) < 0.03


def test_embedding_and_norms_begin_as_pytorchs():
    weight = nn.Embedding(100, 100).weight.detach().numpy()
    assert abs(weight.mean()) < 0.05 and abs(weight.std() - 1) < 0.05
    norm = nn.BatchNorm2d(2)
    assert norm.weight.tolist() == [1, 1] and norm.bias.tolist() == [0, 0]
    assert norm.running_mean.tolist() == [0, 0] and norm.running_var.tolist() == [1, 1]


@pytest.mark.parametrize("make", [
    lambda: minigan.zeros(200, 100), lambda: nn.Parameter(minigan.zeros(200, 100))])
def test_init(make):
    x = make()
    assert nn.init.uniform_(x, -2, 4) is x
    assert -2 <= x.min().item() and x.max().item() < 4 and abs(x.mean().item() - 1) < 0.05
    nn.init.normal_(x, 3, 0.5)
    assert abs(x.mean().item() - 3) < 0.02 and abs(x.detach().numpy().std() - 0.5) < 0.02
    assert nn.init.constant_(x, 7).max().item() == 7
    assert nn.init.zeros_(x).max().item() == 0 and nn.init.ones_(x).min().item() == 1
    nn.init.kaiming_uniform_(x, nonlinearity="relu")
    assert abs(x.max().item() / math.sqrt(6 / 100) - 1) < 0.01
    with pytest.raises(ValueError, match="kaiming_uniform_: "):
        nn.init.kaiming_uniform_(minigan.zeros(3))
    with pytest.raises(ValueError, match="kaiming_uniform_: .*'fan'"):
        nn.init.kaiming_uniform_(x, mode="fan")


@pytest.mark.parametrize("call, named", [
    (lambda: nn.Linear(0, 1), "Linear: in_features"), (lambda: nn.Linear(2, 1.5), "Linear: out"),
    (lambda: nn.Conv2d(1, 1, 0), "Conv2d: kernel_size"),
    (lambda: nn.Conv2d(1, 1, (1, 2, 3)), "Conv2d: kernel_size"),
    (lambda: nn.Conv2d(3, 2, 1, groups=2), "Conv2d: groups=2 must divide"),
    (lambda: nn.Conv2d(2, 2, 1, padding_mode="reflect"), "Conv2d: padding_mode='reflect' is not"),
    (lambda: nn.ConvTranspose2d(2, 3, 1, groups=2), "ConvTranspose2d: groups=2 must divide"),
    (lambda: nn.Conv2d(2, 2, 1, transposed=True), "Conv2d.* unexpected keyword"),
    (lambda: nn.Embedding(3, 2, max_norm=1.0), "Embedding: max_norm=1.0 is not"),
    (lambda: nn.Embedding(3, 2, size=1), "Embedding: unexpected option size=1"),
    (lambda: nn.Upsample(scale_factor=2, align_corners=True), "Upsample: align_corners=True is"),
    (lambda: nn.Conv2d(2, 2, 3, padding="half"), "Conv2d: padding"),
    (lambda: nn.Conv2d(2, 2, 3, 2, padding="same"), "Conv2d: padding"),
    (lambda: nn.ConvTranspose2d(1, 1, 1, stride=-1), "ConvTranspose2d: stride"),
    (lambda: nn.ConvTranspose2d(1, 1, 1, padding="same"), "ConvTranspose2d: padding"),
    (lambda: nn.BatchNorm2d("3"), "BatchNorm2d: num_features"),
    (lambda: nn.LayerNorm((3, -1)), "LayerNorm: normalized_shape"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), "Embedding: padding_idx"),
    (lambda: nn.Dropout(-0.1), "Dropout: p"),
    (lambda: nn.Upsample(scale_factor=2, mode="cubic"), "Upsample: mode='cubic' is not"),
    (lambda: nn.Linear(3, 2)(minigan.ones(4)), "linear: input"),
    (lambda: nn.Linear(3, 2)([1.0, 2.0, 3.0]), "linear: input"),
    (lambda: nn.Conv2d(3, 2, 1)(minigan.ones(1, 4, 2, 2)), "conv2d: input"),
    (lambda: nn.BatchNorm2d(3)([1.0]), "BatchNorm2d: input"),
    (lambda: nn.Unflatten(1, (2, 2))([1.0]), "unflatten: input"),
    (lambda: nn.View(2)([1.0]), "View: input"),
    (lambda: nn.View(2)(tensor(1.0)), "View: input")])
def test_bad_arguments_are_named(call, named):
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=f"^{named}"):
        call()


def test_a_state_with_keys_that_are_no_names_is_refused():
    with pytest.raises(ValueError, match=r"load_state_dict: Linear does not fit; .*unexpected: 1, x"):
        nn.Linear(1, 2).load_state_dict({1: 2, "x": 3})
