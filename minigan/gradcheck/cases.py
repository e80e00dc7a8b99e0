"""What `python -m minigan.gradcheck` checks: each operation and layer, in several configurations.

A case is its operation's name, what is special about it, the function, and how to make its inputs;
arrays are drawn in NumPy, so that every device sees the same numbers.
"""

import math
from typing import Callable, NamedTuple

import numpy

from minigan import functional as F
from minigan import nn
from minigan.creation import tensor
from minigan.device import float64, manual_seed


class Case(NamedTuple):
    operation: str
    configuration: str
    function: Callable  # of the inputs
    inputs: tuple       # each a function of a numpy Generator that gives an array
    direction: bool = False


def normal(*shape):
    return lambda random: random.standard_normal(shape)


def uniform(low, high, *shape):
    return lambda random: random.uniform(low, high, shape)


def off_zero(*shape):
    """Of both signs, at least 0.1 away from a kink at 0."""
    def draw(random):
        return random.choice([-1.0, 1.0], shape) * random.uniform(0.1, 2, shape)

    return draw


def apart(*shape):
    """All at least 0.1 from one another: no ties in max."""
    return lambda random: random.permutation(math.prod(shape)).reshape(shape) * 0.1 - 0.5


def whole(values):
    """Whole numbers; they get no gradient."""
    return lambda random: numpy.array(values)


def made(inputs, seed=0, device=None, dtype=float64):
    """The Tensors of a case: those of fractions have that dtype and require a gradient."""
    random = numpy.random.default_rng(seed)
    arrays = [numpy.asarray(draw(random)) for draw in inputs]
    return [tensor(a, dtype if a.dtype.kind == "f" else None, device, a.dtype.kind == "f")
            for a in arrays]


def prepared(case, device=None, dtype=float64):
    """(function, inputs) as `gradcheck` takes them, on a device."""
    inputs = made(case.inputs, device=device, dtype=dtype)
    if not case.operation.startswith(("nn.", "network")):
        return case.function, inputs
    manual_seed(0)
    module = case.function().to(device=device, dtype=dtype)
    randomize(module)
    return (lambda *given: module(*given[:len(inputs)])), [*inputs, *module.parameters()]


def randomize(module):
    """Other values than the first: batch-norm's weight of ones and bias of zeros hide mistakes."""
    random = numpy.random.default_rng(1)
    for p in module.parameters():
        p.data.copy_(tensor(0.5 * random.standard_normal(p.shape), device=p.device))


def used_twice(a):
    b = a * a
    c = b + b
    return c * b


def arithmetic():
    yield Case("add", "broadcast", F.add, (normal(2, 3), normal(3)))
    yield Case("add", "alpha", lambda a, b: F.add(a, b, alpha=-2.5), (normal(2, 3), normal(2, 1)))
    yield Case("sub", "broadcast", F.sub, (normal(3), normal(2, 3)))
    yield Case("sub", "alpha", lambda a, b: F.sub(a, b, alpha=0.5), (normal(2, 3), normal()))
    yield Case("mul", "broadcast", F.mul, (normal(2, 1, 3), normal(4, 1)))
    yield Case("mul", "number", lambda a: 3.5 * a, (normal(2, 3),))
    yield Case("div", "broadcast", F.div, (normal(2, 3), off_zero(3)))
    yield Case("div", "number / tensor", lambda a: 2 / a, (off_zero(2, 3),))
    yield Case("neg", "", F.neg, (normal(2, 3),))
    yield Case("pow", "number", lambda a: F.pow(a, 3), (off_zero(2, 3),))
    yield Case("pow", "tensor exponent", F.pow, (uniform(0.3, 2, 2, 3), normal(3)))
    yield Case("pow", "number ** tensor", lambda a: 2 ** a, (normal(2, 3),))
    yield Case("exp", "", F.exp, (normal(2, 3),))
    yield Case("log", "", F.log, (uniform(0.2, 3, 2, 3),))
    yield Case("sqrt", "", F.sqrt, (uniform(0.2, 3, 2, 3),))
    yield Case("abs", "", F.abs, (off_zero(2, 3),))
    yield Case("clamp", "both", lambda a: F.clamp(a, -0.43, 0.63), (apart(2, 6),))
    yield Case("clamp", "max", lambda a: F.clamp(a, max=0.07), (apart(2, 6),))
    yield Case("add", "same tensor twice", lambda a: F.add(a, a), (normal(2, 3),))
    yield Case("mul", "intermediate twice", used_twice, (normal(2, 3),))
    yield Case("clamp", "min", lambda a: F.clamp(a, min=0.07), (apart(2, 6),))
    yield Case("matmul", "matrices", F.matmul, (normal(2, 3), normal(3, 4)))
    yield Case("matmul", "vectors", F.matmul, (normal(3), normal(3)))
    yield Case("matmul", "vector, stack", F.matmul, (normal(3), normal(2, 3, 4)))
    yield Case("matmul", "stack, vector", F.matmul, (normal(2, 4, 3), normal(3)))
    yield Case("matmul", "broadcast stacks", F.matmul, (normal(2, 1, 2, 3), normal(2, 3, 2)))


def reductions():
    for operation in (F.sum, F.mean, F.max, F.min):
        name = operation.__name__
        yield Case(name, "all", operation, (apart(2, 3, 2),))
        yield Case(name, "dims 0 and 2, keepdim",
                   lambda a, operation=operation: operation(a, (0, 2), keepdim=True),
                   (apart(2, 3, 2),))
    yield Case("sum", "dim -1", lambda a: F.sum(a, -1), (normal(2, 3),))
    yield Case("mean", "dim=()", lambda a: F.mean(a, ()), (normal(2, 3),))
    yield Case("max", "dim 1", lambda a: F.max(a, 1).values, (apart(2, 3, 2),))
    yield Case("min", "dim 0, keepdim", lambda a: F.min(a, 0, True).values, (apart(2, 3, 2),))


def shapes():
    yield Case("reshape", "", lambda a: F.reshape(a, (3, -1)), (normal(2, 3, 2),))
    yield Case("view", "after permute", lambda a: F.view(F.permute(a, 2, 0, 1), 1, 2, 6),
               (normal(2, 3, 2),))
    yield Case("flatten", "from dim 1", lambda a: F.flatten(a, 1), (normal(2, 3, 2),))
    yield Case("squeeze", "", lambda a: F.squeeze(a, 1), (normal(2, 1, 3),))
    yield Case("unsqueeze", "", lambda a: F.unsqueeze(a, -1), (normal(2, 3),))
    yield Case("permute", "cube", lambda a: F.permute(a, 1, 2, 0), (normal(2, 2, 2),))
    yield Case("transpose", "cube", lambda a: F.transpose(a, 0, 2), (normal(2, 2, 2),))
    yield Case("t", "", F.t, (normal(2, 3),))
    yield Case("cat", "dim 1", lambda a, b: F.cat((a, b), 1), (normal(2, 3), normal(2, 1)))
    yield Case("cat", "vectors", lambda a, b: F.cat([a, b]), (normal(3), normal(2)))
    yield Case("stack", "dim 1", lambda a, b: F.stack((a, b), 1), (normal(2, 3), normal(2, 3)))
    yield Case("index", "slices", lambda a: a[:, ::2, None, -1], (normal(2, 4, 3),))
    yield Case("index", "repeated", lambda a, i: a[i, 1], (normal(3, 2), whole([0, 0, 2, 0])))
    yield Case("index", "boolean", lambda a, m: a[m > 0], (normal(4, 2), whole([1, 0, 1, 1])))
    yield Case("interpolate", "nearest", lambda a: F.interpolate(a, scale_factor=(2, 3)),
               (normal(1, 2, 2, 2),))


def dropped(a, dropout=F.dropout):
    manual_seed(3)  # the same elements every time
    return dropout(a, 0.4)


def activations():
    wide = uniform(-6, 6, 3, 7)
    yield Case("sigmoid", "", F.sigmoid, (wide,))
    yield Case("tanh", "", F.tanh, (wide,))
    yield Case("relu", "", F.relu, (off_zero(3, 7),))
    yield Case("leaky_relu", "0.02", lambda a: F.leaky_relu(a, 0.02), (off_zero(3, 7),))
    yield Case("leaky_relu", "negative slope", lambda a: F.leaky_relu(a, -0.5), (off_zero(3, 7),))
    yield Case("gelu", "exact", F.gelu, (wide,))
    yield Case("gelu", "tanh", lambda a: F.gelu(a, "tanh"), (wide,))
    yield Case("softplus", "", F.softplus, (wide,))
    yield Case("softplus", "beta 2, threshold 5", lambda a: F.softplus(a, 2, 5), (wide,))
    yield Case("softmax", "dim 1", lambda a: F.softmax(a, 1), (normal(2, 3, 2),))
    yield Case("log_softmax", "dim 0", lambda a: F.log_softmax(a, 0), (normal(3, 2),))
    yield Case("dropout", "p 0.4", dropped, (normal(3, 4),))
    yield Case("dropout2d", "p 0.4", lambda a: dropped(a, F.dropout2d), (normal(2, 3, 2, 2),))


def products():
    yield Case("linear", "batch", F.linear, (normal(2, 3), normal(4, 3), normal(4)))
    yield Case("linear", "no leading dimension", F.linear, (normal(3), normal(4, 3), normal(4)))
    yield Case("linear", "two leading, no bias", F.linear, (normal(2, 2, 3), normal(2, 3)))
    yield Case("embedding", "repeated", lambda i, w: F.embedding(i, w),
               (whole([[0, 2], [2, 2]]), normal(4, 3)))
    yield Case("embedding", "of a product", lambda i, w: F.embedding(i, F.mul(w, w)),
               (whole([1, 3]), normal(4, 2)))


CONVOLUTIONS = (  # configuration, options, input (N,C,H,W), weight (O,C,KH,KW)
    ("plain", {}, (2, 2, 4, 5), (3, 2, 3, 2)),
    ("stride 2, rows left over", dict(stride=2), (1, 2, 6, 5), (2, 2, 3, 2)),
    ("stride larger than kernel", dict(stride=3), (1, 1, 7, 8), (2, 1, 2, 2)),
    ("padding 2, stride (2, 1)", dict(padding=2, stride=(2, 1)), (1, 2, 3, 3), (2, 2, 3, 3)),
    ("dilation (2, 1)", dict(dilation=(2, 1)), (1, 2, 6, 4), (2, 2, 3, 2)),
    ("all of them", dict(stride=2, padding=(1, 2), dilation=2), (2, 1, 6, 5), (2, 1, 2, 3)),
    ("1x1", {}, (2, 3, 2, 2), (2, 3, 1, 1)),
)


def convolutions():
    for configuration, options, x, w in CONVOLUTIONS:
        yield Case("conv2d", configuration, lambda x, w, b, options=options:
                   F.conv2d(x, w, b, **options), (normal(*x), normal(*w), normal(w[0])))
        flipped = (x[1], w[0]) + w[2:]
        yield Case("conv_transpose2d", configuration, lambda x, w, b, options=options:
                   F.conv_transpose2d(x, w, b, **options),
                   (normal(*x), normal(*flipped), normal(w[0])))
    yield Case("conv2d", "'same', even kernel", lambda x, w: F.conv2d(x, w, padding="same"),
               (normal(1, 2, 3, 4), normal(2, 2, 2, 3)))
    yield Case("conv2d", "unbatched", lambda x, w: F.conv2d(x, w, stride=2),
               (normal(2, 5, 4), normal(2, 2, 3, 2)))
    yield Case("conv_transpose2d", "output_padding",
               lambda x, w: F.conv_transpose2d(x, w, stride=(3, 2), output_padding=(2, 1)),
               (normal(1, 2, 2, 3), normal(2, 2, 2, 2)))
    yield Case("conv_transpose2d", "unbatched", lambda x, w: F.conv_transpose2d(x, w, stride=2),
               (normal(2, 3, 2), normal(2, 2, 3, 2)))


def pooling():
    for operation in (F.max_pool2d, F.avg_pool2d):
        name = operation.__name__
        yield Case(name, "rows left over", lambda x, operation=operation: operation(x, 2),
                   (apart(2, 2, 4, 5),))
        yield Case(name, "overlapping", lambda x, operation=operation: operation(x, (3, 2), (2, 1)),
                   (apart(1, 2, 5, 4),))
        yield Case(name, "unbatched, gaps", lambda x, operation=operation: operation(x, 1, 2),
                   (apart(2, 3, 4),))


def batch_norm_of(training):
    def function(x, w, b):
        C = x.shape[1]
        mean = tensor(numpy.linspace(-1, 1, C), device=x.device)
        var = tensor(numpy.linspace(0.5, 2, C), device=x.device)
        return F.batch_norm(x, mean, var, w, b, training=training)

    return function


def normalizations():
    for training, mode in ((True, "training"), (False, "evaluation")):
        function = batch_norm_of(training)
        yield Case("batch_norm", f"{mode}, (N,C,H,W)", function,
                   (normal(2, 3, 2, 2), normal(3), normal(3)))
        yield Case("batch_norm", f"{mode}, (N,C)", function, (normal(4, 2), normal(2), normal(2)))
    yield Case("batch_norm", "no weight", lambda x: F.batch_norm(x, None, None, training=True),
               (normal(1, 2, 2, 3),))
    yield Case("layer_norm", "last", lambda x, w, b: F.layer_norm(x, 4, w, b),
               (normal(3, 4), normal(4), normal(4)))
    yield Case("layer_norm", "last two", lambda x, w, b: F.layer_norm(x, (3, 2), w, b),
               (normal(2, 3, 2), normal(3, 2), normal(3, 2)))
    yield Case("layer_norm", "one dimension", lambda x: F.layer_norm(x, (5,)), (normal(5),))


def counting(x, *weights):
    """How much each class or element counts, as a Tensor like x."""
    return tensor(weights, dtype=x.dtype, device=x.device)


def losses():
    probability = uniform(0.1, 0.9, 3, 2)
    for reduction in ("mean", "sum", "none"):
        yield Case("binary_cross_entropy", reduction, lambda p, t, r=reduction:
                   F.binary_cross_entropy(p, t, reduction=r), (probability, probability))
        yield Case("binary_cross_entropy_with_logits", reduction, lambda x, t, r=reduction:
                   F.binary_cross_entropy_with_logits(x, t, reduction=r),
                   (normal(3, 2), probability))
        yield Case("mse_loss", reduction, lambda x, t, r=reduction:
                   F.mse_loss(x, t, reduction=r), (normal(3, 2), normal(3, 2)))
        yield Case("l1_loss", reduction, lambda x, t, r=reduction:
                   F.l1_loss(x, t, reduction=r), (normal(3, 2), normal(3, 2)))
        yield Case("nll_loss", f"weight, {reduction}", lambda x, t, r=reduction:
                   F.nll_loss(x, t, counting(x, 0.5, 2, 1, 1.5), reduction=r, ignore_index=1),
                   (normal(3, 4), whole([3, 1, 0])))
        yield Case("cross_entropy", f"indices, weight, {reduction}", lambda x, t, r=reduction:
                   F.cross_entropy(x, t, counting(x, 0.5, 2, 1, 1.5), reduction=r, ignore_index=1,
                                   label_smoothing=0.2), (normal(3, 4), whole([3, 1, 0])))
        yield Case("cross_entropy", f"probabilities, {reduction}", lambda x, t, r=reduction:
                   F.cross_entropy(x, t, reduction=r, label_smoothing=0.1),
                   (normal(2, 3, 2), uniform(0, 1, 2, 3, 2)))
    yield Case("binary_cross_entropy", "weight", lambda p, t:
               F.binary_cross_entropy(p, t, counting(p, 0.5, 3)), (probability, probability))
    yield Case("binary_cross_entropy_with_logits", "weight, pos_weight", lambda x, t:
               F.binary_cross_entropy_with_logits(x, t, counting(x, 0.5, 3),
                                                  pos_weight=counting(x, 2, 0.4)),
               (normal(3, 2), probability))
    yield Case("cross_entropy", "probabilities, weight", lambda x, t:
               F.cross_entropy(x, t, counting(x, 0.5, 2, 1)), (normal(2, 3), uniform(0, 1, 2, 3)))
    yield Case("nll_loss", "one item", F.nll_loss, (normal(4), whole(2)))
    yield Case("cross_entropy", "one item", F.cross_entropy, (normal(4), whole(2)))
    yield Case("cross_entropy", "(N,C,d)", F.cross_entropy,
               (normal(2, 3, 2), whole([[0, 2], [1, 1]])))


def layers():
    def case(name, configuration, make, *inputs):
        return Case(f"nn.{name}", configuration, make, inputs)

    yield case("Linear", "", lambda: nn.Linear(3, 2), normal(2, 3))
    yield case("Conv2d", "stride 2", lambda: nn.Conv2d(2, 3, (3, 2), 2, 1), normal(2, 2, 4, 3))
    yield case("ConvTranspose2d", "stride 2", lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, 1),
               normal(2, 2, 2, 3))
    yield case("Embedding", "", lambda: nn.Embedding(4, 3), whole([1, 3, 1]))
    yield case("BatchNorm1d", "(N,C,L)", lambda: nn.BatchNorm1d(2), normal(3, 2, 2))
    yield case("BatchNorm2d", "training", lambda: nn.BatchNorm2d(2), normal(2, 2, 2, 2))
    yield case("BatchNorm2d", "evaluation", lambda: nn.BatchNorm2d(2).eval(), normal(2, 2, 2, 2))
    yield case("LayerNorm", "", lambda: nn.LayerNorm((2, 3)), normal(3, 2, 3))
    yield case("ReLU", "", nn.ReLU, off_zero(2, 3))
    yield case("LeakyReLU", "", lambda: nn.LeakyReLU(0.02), off_zero(2, 3))
    yield case("GELU", "", nn.GELU, normal(2, 3))
    yield case("Sigmoid", "", nn.Sigmoid, normal(2, 3))
    yield case("Tanh", "", nn.Tanh, normal(2, 3))
    yield case("Softplus", "", lambda: nn.Softplus(2, 5), normal(2, 3))
    yield case("Softmax", "", lambda: nn.Softmax(dim=1), normal(2, 3))
    yield case("LogSoftmax", "", lambda: nn.LogSoftmax(dim=1), normal(2, 3))
    yield case("MaxPool2d", "", lambda: nn.MaxPool2d(2), apart(1, 2, 4, 4))
    yield case("AvgPool2d", "", lambda: nn.AvgPool2d(3, 2), normal(1, 2, 5, 5))
    yield case("Identity", "", nn.Identity, normal(2, 3))
    yield case("Flatten", "", nn.Flatten, normal(2, 3, 2))
    yield case("Unflatten", "", lambda: nn.Unflatten(1, (2, 3)), normal(2, 6))
    yield case("View", "", lambda: nn.View(3, 2), normal(2, 6))
    yield case("Dropout", "evaluation", lambda: nn.Dropout().eval(), normal(2, 3))
    yield case("Dropout2d", "evaluation", lambda: nn.Dropout2d().eval(), normal(1, 2, 2, 2))
    yield case("Upsample", "", lambda: nn.Upsample(scale_factor=2), normal(1, 2, 2, 3))
    yield case("Sequential", "", lambda: nn.Sequential(nn.Linear(3, 2), nn.Tanh()), normal(2, 3))
    probability = uniform(0.1, 0.9, 3, 2)
    yield case("BCELoss", "", nn.BCELoss, probability, probability)
    yield case("BCEWithLogitsLoss", "pos_weight", lambda: nn.BCEWithLogitsLoss(
        pos_weight=tensor([0.5, 3])), normal(3, 2), probability)
    yield case("MSELoss", "", nn.MSELoss, normal(3, 2), normal(3, 2))
    yield case("L1Loss", "", nn.L1Loss, normal(3, 2), normal(3, 2))
    yield case("CrossEntropyLoss", "", nn.CrossEntropyLoss, normal(3, 4), whole([0, 3, 1]))
    yield case("NLLLoss", "", nn.NLLLoss, normal(3, 4), whole([0, 3, 1]))


def networks():
    """Whole networks, along one random direction for each parameter."""
    def cnn():
        return nn.Sequential(
            nn.Conv2d(1, 10, 5, stride=2), nn.LeakyReLU(0.02), nn.BatchNorm2d(10),
            nn.Conv2d(10, 10, 3, stride=2), nn.LeakyReLU(0.02), nn.BatchNorm2d(10),
            nn.View(250), nn.Linear(250, 10), nn.Sigmoid())

    def conditional():
        return nn.Sequential(nn.Linear(110, 200), nn.LeakyReLU(0.02), nn.LayerNorm(200),
                             nn.Linear(200, 784), nn.Sigmoid())

    def deconvolution():
        return nn.Sequential(
            nn.Linear(10, 72), nn.LeakyReLU(0.2), nn.View(8, 3, 3),
            nn.ConvTranspose2d(8, 8, 8, stride=2), nn.GELU(), nn.BatchNorm2d(8),
            nn.ConvTranspose2d(8, 3, 8, stride=2, padding=1), nn.Sigmoid())

    yield Case("network", "MNIST CNN", cnn, (normal(2, 1, 28, 28),), True)
    yield Case("network", "conditional generator", conditional, (normal(2, 110),), True)
    yield Case("network", "image generator", deconvolution, (normal(2, 10),), True)


def all_cases():
    for group in (arithmetic, reductions, shapes, activations, products, convolutions,
                  pooling, normalizations, losses, layers, networks):
        yield from group()
