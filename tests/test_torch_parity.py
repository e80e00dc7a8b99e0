"""PyTorch's numbers: values and gradients of every operation, optimisers, whole trainings."""

import itertools
import math
import operator

import numpy
import pytest

import minigan
from minigan import nn, optim
from minigan.nn import functional as F

pytestmark = pytest.mark.usefixtures("device")

torch = pytest.importorskip("torch")
TF = torch.nn.functional
random = numpy.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape)


def probability(*shape):
    return random.uniform(0.05, 0.95, shape)


def check(function, theirs, *arrays, rtol=1e-10):
    """Values, and gradients under a random cotangent, of both on the same float64 arrays."""
    ours = [minigan.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    other = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, z = function(*ours), theirs(*other)
    assert y.shape == tuple(z.shape) and str(y.dtype) == str(z.dtype).partition(".")[2]
    numpy.testing.assert_allclose(y.detach().cpu().numpy(), z.detach().numpy(), rtol=rtol,
                                  atol=1e-12)
    g = normal(*y.shape)
    y.backward(g)
    z.backward(torch.tensor(g))
    for a, b in zip(ours, other):
        if b.grad is None:
            assert a.grad is None or not b.requires_grad
        elif b.requires_grad:
            numpy.testing.assert_allclose(a.grad.cpu().numpy(), b.grad.numpy(), rtol=rtol,
                                          atol=1e-11)


STRIDES, PADDINGS, DILATIONS = (1, 2, (3, 1)), (0, 1, (2, 3)), (1, 2, (1, 2))
KERNELS = ((1, 1), (2, 3), (3, 2))


@pytest.mark.parametrize("N", [0, 1, 2])
@pytest.mark.parametrize("stride, padding, dilation",
                         list(itertools.product(STRIDES, PADDINGS, DILATIONS)), ids=str)
def test_convolutions(stride, padding, dilation, N):
    options = dict(stride=stride, padding=padding, dilation=dilation)
    for kernel in KERNELS:
        check(lambda *t: F.conv2d(*t, **options), lambda *t: TF.conv2d(*t, **options),
              normal(N, 3, 9, 8), normal(2, 3, *kernel), normal(2))
        check(lambda *t: F.conv_transpose2d(*t, **options),
              lambda *t: TF.conv_transpose2d(*t, **options),
              normal(N, 3, 7, 8), normal(3, 2, *kernel), normal(2))


@pytest.mark.parametrize("operation, options, shapes", [
    ("conv2d", dict(padding="same", dilation=2), [(2, 3, 6, 7), (2, 3, 3, 5), (2,)]),
    ("conv2d", dict(padding="valid"), [(2, 3, 6, 7), (2, 3, 2, 4)]),
    ("conv2d", dict(stride=2), [(3, 6, 7), (2, 3, 2, 4), (2,)]),
    ("conv_transpose2d", dict(stride=(3, 2), output_padding=(2, 1), padding=1),
     [(2, 3, 4, 5), (3, 2, 3, 3), (2,)]),
    ("conv_transpose2d", dict(stride=2), [(3, 4, 5), (3, 2, 3, 3)]),
    ("linear", {}, [(5, 4), (3, 4), (3,)]),
    ("linear", {}, [(4,), (3, 4), (3,)]),
    ("linear", {}, [(2, 0, 4), (3, 4), (3,)]),
    ("linear", {}, [(2, 5, 4), (3, 4)]),
    ("layer_norm", dict(normalized_shape=(4,)), [(2, 5, 4)]),
    ("layer_norm", dict(normalized_shape=(4,)), [(4,)]),
    ("softmax", dict(dim=1), [(2, 3, 4)]),
    ("log_softmax", dict(dim=-1), [(2, 3, 4)]),
    ("max_pool2d", dict(kernel_size=2), [(2, 3, 5, 6)]),
    ("max_pool2d", dict(kernel_size=(3, 2), stride=(1, 3)), [(3, 5, 6)]),
    ("avg_pool2d", dict(kernel_size=(2, 3), stride=1), [(2, 3, 5, 6)]),
    ("avg_pool2d", dict(kernel_size=2), [(3, 5, 6)]),
    ("max_pool2d", dict(kernel_size=3, stride=2, padding=1), [(2, 3, 5, 6)]),
    ("avg_pool2d", dict(kernel_size=(3, 2), padding=1), [(2, 3, 5, 6)]),
    ("avg_pool2d", dict(kernel_size=3, padding=1, count_include_pad=False), [(3, 5, 6)]),
    ("adaptive_avg_pool2d", dict(output_size=(2, 4)), [(2, 3, 5, 6)]),
    ("adaptive_avg_pool2d", dict(output_size=(None, 1)), [(3, 5, 6)]),
    ("interpolate", dict(scale_factor=2), [(2, 3, 4, 5)]),
    ("interpolate", dict(scale_factor=1.7), [(2, 3, 4, 5)]),
    ("interpolate", dict(size=(3, 7)), [(2, 3, 4, 5)]),
    ("interpolate", dict(scale_factor=2, mode="bilinear"), [(2, 3, 4, 5)]),
    ("interpolate", dict(scale_factor=(1.7, 0.6), mode="bilinear"), [(2, 3, 4, 5)]),
    ("interpolate", dict(size=(3, 9), mode="bilinear", align_corners=True), [(2, 3, 4, 5)]),
    ("pad", dict(pad=(1, -2, 0, 2), value=0.3), [(2, 3, 4, 5)]),
    ("pad", dict(pad=(2, 1, 0, 3), mode="reflect"), [(2, 3, 4, 5)]),
    ("pad", dict(pad=(2, 1), mode="replicate"), [(2, 3, 4)]),
    ("pixel_shuffle", dict(upscale_factor=2), [(2, 8, 3, 4)]),
    ("instance_norm", dict(eps=1e-3), [(2, 3, 4, 5)]),
    ("prelu", {}, [(2, 3, 4), (3,)]),
    ("prelu", {}, [(4,), (1,)]),
    ("smooth_l1_loss", dict(beta=0.5, reduction="sum"), [(3, 4), (3, 4)]),
    ("conv2d", dict(groups=2, stride=2), [(2, 4, 6, 7), (6, 2, 3, 2), (6,)]),
    ("conv_transpose2d", dict(groups=2, stride=2), [(2, 4, 3, 4), (4, 3, 3, 2), (6,)]),
])
def test_operations(operation, options, shapes):
    check(lambda *t: getattr(F, operation)(*t, **options),
          lambda *t: getattr(TF, operation)(*t, **options), *(normal(*s) for s in shapes))


@pytest.mark.parametrize("call", [
    lambda torch, x: torch.var(x, 1), lambda torch, x: x.var((0, 2), keepdim=True),
    lambda torch, x: torch.std(x), lambda torch, x: x.std(2, unbiased=False),
    lambda torch, x: x.norm(), lambda torch, x: torch.norm(x, 3, 1), lambda torch, x: x.norm(1, -1),
    lambda torch, x: torch.norm(x, float("inf")), lambda torch, x: torch.where(x > 0, x, 2 * x),
    lambda torch, x: x.masked_fill(x > 0, 3), lambda torch, x: x.expand(2, 2, 3, 4),
    lambda torch, x: x.repeat(2, 1, 1, 2), lambda torch, x: x.chunk(2, 2)[1] * x.chunk(2, 2)[0],
    lambda torch, x: x.split([1, 2], 1)[1], lambda torch, x: torch.maximum(x, x * x),
    lambda torch, x: torch.minimum(x, x.abs()), lambda torch, x: torch.mm(x[0], x[1].t()),
    lambda torch, x: x.bmm(x.transpose(1, 2)),
    lambda torch, x: x.gather(2, torch.tensor([[[0, 3, 3]] * 3] * 2))])
def test_values_and_gradients(call):
    check(lambda x: call(minigan, x), lambda x: call(torch, x), normal(2, 3, 4))


@pytest.mark.parametrize("name, options", [
    ("relu", {}), ("leaky_relu", {}), ("leaky_relu", dict(negative_slope=-0.5)),
    ("leaky_relu", dict(negative_slope=1.5)), ("sigmoid", {}), ("tanh", {}), ("gelu", {}),
    ("gelu", dict(approximate="tanh")), ("softplus", {}), ("softplus", dict(beta=3, threshold=4))])
def test_activations(name, options):
    theirs = getattr(TF, name, None) or getattr(torch, name)
    x = numpy.concatenate([normal(200) * 5, [0.0, 40, -40, 700, -700]])
    check(lambda t: getattr(F, name)(t, **options), lambda t: theirs(t, **options), x)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2), (2, 3, 4, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    mean, var = normal(3), random.uniform(0.5, 2, 3)
    ours, theirs = (minigan.tensor(mean), minigan.tensor(var)), (torch.tensor(mean),
                                                                 torch.tensor(var))
    check(lambda x, w, b: F.batch_norm(x, *ours, w, b, training, 0.3, 1e-3),
          lambda x, w, b: TF.batch_norm(x, *theirs, w, b, training, 0.3, 1e-3),
          normal(*shape), normal(3), normal(3))
    for a, b in zip(ours, theirs):
        numpy.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("options", [
    {}, dict(momentum=None), dict(affine=False), dict(track_running_stats=False)], ids=str)
def test_batch_norm_layer(options):
    ours = nn.BatchNorm2d(3, **options).double()
    theirs = torch.nn.BatchNorm2d(3, **options).double()
    for _ in range(3):
        x = normal(2, 3, 4, 4)
        check(ours, theirs, x)
    check(ours.eval(), theirs.eval(), x)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        numpy.testing.assert_allclose(ours.state_dict()[key].cpu().numpy(), value.numpy(),
                                      rtol=1e-12)


REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


@REDUCTIONS
@pytest.mark.parametrize("weight", [None, random.uniform(0.5, 2, (4, 3))], ids=["", "weight"])
def test_binary_losses(reduction, weight):
    w = None if weight is None else minigan.tensor(weight)
    tw = None if weight is None else torch.tensor(weight)
    check(lambda p, t: F.binary_cross_entropy(p, t, w, reduction=reduction),
          lambda p, t: TF.binary_cross_entropy(p, t, tw, reduction=reduction),
          probability(4, 3), probability(4, 3))
    check(lambda p, t: F.mse_loss(p, t, reduction=reduction),
          lambda p, t: TF.mse_loss(p, t, reduction=reduction), normal(4, 3), normal(4, 3))
    check(lambda p, t: F.l1_loss(p, t, reduction=reduction),
          lambda p, t: TF.l1_loss(p, t, reduction=reduction), normal(4, 3), normal(4, 3))
    for positive in (None, random.uniform(0.5, 2, 3)):
        pos, tpos = (None, None) if positive is None else (minigan.tensor(positive),
                                                           torch.tensor(positive))
        check(lambda x, t: F.binary_cross_entropy_with_logits(
                  x, t, w, reduction=reduction, pos_weight=pos),
              lambda x, t: TF.binary_cross_entropy_with_logits(
                  x, t, tw, reduction=reduction, pos_weight=tpos),
              normal(4, 3) * 4, probability(4, 3))


@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2, 3), (5,)], ids=str)
def test_cross_entropy(reduction, smoothing, weighted, shape):
    weight = random.uniform(0.5, 2, 5)
    w, tw = (minigan.tensor(weight), torch.tensor(weight)) if weighted else (None, None)
    options = dict(reduction=reduction, label_smoothing=smoothing)
    labels = random.integers(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ())
    ignored = int(labels.flat[0]) if labels.ndim else -100
    check(lambda x: F.cross_entropy(x, minigan.tensor(labels), w, ignore_index=ignored, **options),
          lambda x: TF.cross_entropy(x, torch.tensor(labels), tw, ignore_index=ignored, **options),
          normal(*shape))
    options_of_nll = dict(reduction=reduction, ignore_index=ignored)
    check(lambda x: F.nll_loss(x, minigan.tensor(labels), w, **options_of_nll),
          lambda x: TF.nll_loss(x, torch.tensor(labels), tw, **options_of_nll), normal(*shape))
    check(lambda x, t: F.cross_entropy(x, t, w, **options),
          lambda x, t: TF.cross_entropy(x, t, tw, **options), normal(*shape), probability(*shape))


def test_losses_at_their_limits():
    p = numpy.array([0.0, 1.0, 0.0, 1.0, 1e-30, 0.5])
    t = numpy.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.5])
    # Only p: PyTorch's gradient of the target does not hold the logarithms at -100. Its bound of
    # 1e-12 on p (1 - p) is a float32 number.
    check(lambda p: F.binary_cross_entropy(p, minigan.tensor(t), reduction="none"),
          lambda p: TF.binary_cross_entropy(p, torch.tensor(t), reduction="none"), p, rtol=1e-7)
    x = numpy.array([800.0, -800.0, 800.0, -800.0])
    check(lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="sum"),
          lambda x, t: TF.binary_cross_entropy_with_logits(x, t, reduction="sum"),
          x, numpy.array([0.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_sigmoid_and_loss(dtype):
    x = numpy.linspace(-120, 120, 97).astype(dtype)
    t = numpy.tile([0, 1], 49)[:97].astype(dtype)
    a, b = minigan.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = F.binary_cross_entropy(a.sigmoid(), minigan.tensor(t), reduction="none")
    z = TF.binary_cross_entropy(b.sigmoid(), torch.tensor(t), reduction="none")
    y.sum().backward()
    z.sum().backward()
    # 1 - p has no digits left near p = 1: there one rounding step more or less decides. And where
    # e^-x overflows in float32, PyTorch's p is 0, while here it goes on to be tiny.
    resolved = (x > -88) & (x < 12) if dtype == "float32" else x < 30
    numpy.testing.assert_allclose(y.detach().cpu().numpy()[resolved],
                                  z.detach().numpy()[resolved], rtol=1e-4, atol=1e-6)
    assert (y.detach().cpu().numpy() <= 100).all() and numpy.isfinite(a.grad.cpu().numpy()).all()
    numpy.testing.assert_allclose(a.grad.cpu().numpy()[resolved], b.grad.numpy()[resolved],
                                  rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("function", [
    operator.add, operator.sub, operator.mul, operator.truediv, lambda a, b: abs(a) ** b,
    lambda a, b: (a @ b.view(4, 1)).sum(1) * 2, lambda a, b: 2 ** a + b.exp() - b / 3,
    lambda a, b: a.clamp(-0.5, 0.5) * b, lambda a, b: a.max(1).values * b.min(),
    lambda a, b: (a > b) * a + (a <= b) * b, lambda a, b: a.mean((0, 2), keepdim=True) + b,
    lambda a, b: a[1:, [0, 0, 1]] * b[None, :, None].squeeze(0).squeeze(-1),
    lambda a, b: a.permute(2, 0, 1).reshape(2, -1).t() @ a.view(2, 12) * b.sum()])
def test_arithmetic(function):
    check(function, function, normal(2, 3, 4), normal(4))


@pytest.mark.parametrize("left, right", [
    ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)),
    ((2, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2))])
def test_matmul(left, right):
    check(operator.matmul, operator.matmul, normal(*left), normal(*right))


@pytest.mark.parametrize("function", [
    lambda t: t.max(), lambda t: t.min(), lambda t: t.max(0).values, lambda t: abs(t),
    lambda t: t ** 2, lambda t: t ** 0, lambda t: t.clamp(0, 1), lambda t: t.clamp(min=1)])
def test_at_ties_and_kinks(function):
    check(function, function, numpy.array([0.0, 1.0, 1.0, -1.0, -1.0, 0.0]))


def test_pooling_at_ties():
    check(lambda t: F.max_pool2d(t, 3, 1), lambda t: TF.max_pool2d(t, 3, 1),
          random.integers(0, 3, (2, 3, 6, 6)).astype("float64"))


@pytest.mark.parametrize("left", ["float32", "float64", "int64", "bool", "uint8", "int32"])
def test_type_promotion(left):
    a, b = minigan.ones(2, dtype=left), torch.ones(2, dtype=getattr(torch, left))
    others = [2, 2.5, True]
    for dtype in ("float32", "float64", "int64", "bool", "uint8"):
        for shape in ((2,), ()):
            others.append((minigan.ones(shape, dtype=dtype),
                           torch.ones(shape, dtype=getattr(torch, dtype))))
    for other in others:
        ours, theirs = other if isinstance(other, tuple) else (other, other)
        for operate in (operator.add, operator.mul, operator.truediv):
            expected = str(operate(b, theirs).dtype).partition(".")[2]
            assert operate(a, ours).dtype == expected, (left, other, operate)


def both_linear():
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    ours = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours.double(), theirs.double()


@pytest.mark.parametrize("name, options", [
    ("SGD", dict(lr=0.1)), ("SGD", dict(lr=0.1, momentum=0.9)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("SGD", dict(lr=0.1, weight_decay=0.1)), ("Adam", dict(lr=0.01)),
    ("Adam", dict(lr=0.01, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1))])
def test_optimisers(name, options):
    ours, theirs = both_linear()
    a = getattr(optim, name)(ours.parameters(), **options)
    b = getattr(torch.optim, name)(theirs.parameters(), **options)
    for step in range(20):
        x = normal(5, 4)
        for module, optimiser, x in ((ours, a, minigan.tensor(x)), (theirs, b, torch.tensor(x))):
            optimiser.zero_grad()
            # Every third step leaves the last layer without a gradient.
            (module[:2](x) if step % 3 == 2 else module(x)).exp().sum().backward()
            optimiser.step()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        numpy.testing.assert_allclose(p.detach().cpu().numpy(), q.detach().numpy(), rtol=1e-9)


def test_initial_values_have_the_same_spread():
    for make in ("Linear(300, 200)", "Conv2d(20, 30, 5)", "ConvTranspose2d(30, 20, 5)",
                 "Embedding(200, 100)"):
        ours, theirs = eval(f"nn.{make}"), eval(f"torch.nn.{make}")
        a, b = ours.weight.detach().cpu().numpy(), theirs.weight.detach().numpy()
        assert a.shape == b.shape and abs(a.mean()) < 0.02 * b.std() * math.sqrt(10)
        assert abs(a.std() / b.std() - 1) < 0.02
    weight, other = minigan.zeros(200, 300), torch.zeros(200, 300)
    for options in (dict(), dict(a=2.0), dict(nonlinearity="relu"), dict(mode="fan_out")):
        nn.init.kaiming_uniform_(weight, **options)
        torch.nn.init.kaiming_uniform_(other, **options)
        assert abs(weight.abs().max().item() / other.abs().max().item() - 1) < 0.01
    for name in ("kaiming_normal_", "xavier_normal_", "xavier_uniform_"):
        getattr(nn.init, name)(weight)
        getattr(torch.nn.init, name)(other)
        assert abs(weight.std().item() / other.std().item() - 1) < 0.02


def cnn(nn, flatten):
    return nn.Sequential(
        nn.Conv2d(1, 10, 5, stride=2), nn.LeakyReLU(0.02), nn.BatchNorm2d(10),
        nn.Conv2d(10, 10, 3, stride=2), nn.LeakyReLU(0.02), nn.BatchNorm2d(10),
        flatten, nn.Linear(250, 10), nn.Sigmoid())


def digits(count, seed):
    """Images (count,1,28,28) and one-hot targets: blurred strokes of ten kinds, with noise."""
    random = numpy.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    kinds = numpy.random.default_rng(99).uniform(0, 1, (10, 7, 7)) > 0.6
    images = kinds[labels].repeat(4, axis=1).repeat(4, axis=2) * random.uniform(0.3, 1, (
        count, 28, 28))
    return images[:, None].astype("float32"), numpy.eye(10, dtype="float32")[labels]


@pytest.mark.parametrize("batch_size", [1, 16])
def test_losses_of_a_training_follow_pytorch(batch_size):
    first, worst = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        theirs = cnn(torch.nn, torch.nn.Flatten())
        ours = cnn(nn, nn.View(250))
        assert list(ours.state_dict()) == list(theirs.state_dict())
        ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
        a = optim.Adam(ours.parameters(), lr=0.001)
        b = torch.optim.Adam(theirs.parameters(), lr=0.001)
        images, targets = digits(100 * batch_size, seed)
        apart = []
        for start in range(0, len(images), batch_size):
            x, t = images[start:start + batch_size], targets[start:start + batch_size]
            losses = []
            for module, optimiser, tensor, loss in (
                    (ours, a, minigan.tensor, nn.BCELoss()),
                    (theirs, b, torch.tensor, torch.nn.BCELoss())):
                optimiser.zero_grad()
                value = loss(module(tensor(x)), tensor(t))
                value.backward()
                optimiser.step()
                losses.append(value.item())
            apart.append(abs(losses[0] - losses[1]) / (1e-3 + abs(losses[1])))
        first.append(apart[0])
        worst.append(max(apart))
    assert max(first) <= 1e-4
    assert numpy.median(worst) <= 1e-2


@pytest.mark.parametrize("call", [
    lambda torch: torch.arange(5), lambda torch: torch.arange(1, 2, 0.1),
    lambda torch: torch.arange(7, 1, -2), lambda torch: torch.arange(0, 5, dtype=torch.float),
    lambda torch: torch.linspace(-1, 1, 11), lambda torch: torch.linspace(0, 1, 1),
    lambda torch: torch.full_like(torch.ones(2, dtype=torch.double), 3),
    lambda torch: torch.full((3,), 1., dtype=torch.float), lambda torch: torch.zeros((10)),
    lambda torch: torch.FloatTensor(numpy.arange(3)) / 255.0,
    lambda torch: torch.LongTensor([3]), lambda torch: torch.FloatTensor([1]),
    lambda torch: torch.as_tensor(numpy.arange(3.0), dtype=torch.half),
    lambda torch: torch.ones(2).int(), lambda torch: torch.tensor([0.0, 0.5]).bool()])
def test_creation(call):
    ours, theirs = call(minigan), call(torch)
    assert ours.dtype == str(theirs.dtype).partition(".")[2]
    numpy.testing.assert_allclose(ours.cpu().numpy(), theirs.numpy(), rtol=1e-6, atol=1e-7)
