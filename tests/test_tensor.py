"""What a Tensor does as a Python object: in-place sums, rows, formatting, flags, memory."""

import gc
import threading
import weakref

import numpy
import pytest

import minigan
from minigan import nn, no_grad, optim, tensor

pytestmark = pytest.mark.usefixtures("device")


# Results without dimensions are arrays like all others

def test_running_sums_of_numbers():
    correct, total = 0, 0
    for _ in range(3):
        correct += (tensor([1, 2]) == tensor([1, 2])).sum()
        total += tensor(1.0) * 2
    assert correct.item() == 6 and total.item() == 6


@pytest.mark.parametrize("make", [
    lambda x: x + x, lambda x: x * 2, lambda x: -x, lambda x: x.exp(), lambda x: x / 2,
    lambda x: x ** 2, lambda x: abs(x), lambda x: x.sum(), lambda x: x.max(), lambda x: x @ x,
    lambda x: x.sigmoid(), lambda x: x.mean(), lambda x: (x > 0) * 1, lambda x: x[...]])
def test_results_are_arrays_and_can_be_changed(make):
    x = make(tensor(2.0) if make(tensor([2.0])).shape else tensor([2.0]))
    assert type(x.array) is type(minigan.zeros(1).array)
    x.zero_()
    x += 1
    assert x.item() == 1


def test_gradient_of_a_0d_leaf_can_be_changed():
    x = tensor(2.0, requires_grad=True)
    (x * x).backward()
    x.grad.zero_()
    assert x.grad.item() == 0


def test_a_tensor_needs_numbers():
    for bad in (None, "a", [None]):
        with pytest.raises((TypeError, ValueError), match="FloatTensor"):
            minigan.Tensor(bad)


def test_a_tensor_of_sizes_of_numbers_and_of_a_shape():
    numbers = numpy.arange(6).reshape(2, 3)
    for made in (minigan.Tensor(2, 3), minigan.Tensor(numbers), minigan.Tensor(numbers.tolist()),
                 minigan.Tensor(minigan.ones(2, 3).size()), minigan.zeros(1).new(2, 3)):
        assert (made.shape, made.dtype, made.is_leaf) == ((2, 3), "float32", True)
    assert minigan.Tensor([1, 2]).tolist() == [1, 2] and minigan.Tensor().shape == (0,)
    assert minigan.Tensor((2, 3)).tolist() == [2, 3]  # numbers, where a Size is a shape
    assert minigan.LongTensor(minigan.ones(2, 3).shape).dtype == "int64"


def test_shapes_are_sizes():
    size = minigan.ones(2, 3).shape
    assert type(size) is type(minigan.ones(1).size()) is minigan.Size
    assert str(size) == f"{size[:]}" == "minigan.Size([2, 3])" and size.numel() == 6
    assert type(size[0]) is int and type(size[1:]) is minigan.Size and size == (2, 3)
    assert repr(size + (1,)) == "minigan.Size([2, 3, 1])" and type((1,) + size) is minigan.Size
    assert hash(size) == hash((2, 3)) and minigan.zeros(size).shape == size


# Views and copies

def test_single_elements_are_views():
    x = tensor([1.0, 2.0, 3.0])
    x[0].fill_(9)
    x[numpy.int64(1)].fill_(8)
    x[tensor(2)].fill_(7)
    assert x.tolist() == [9, 8, 7]


@pytest.mark.parametrize("index", [0, numpy.int64(0), (0, ...), slice(0, 1), tensor(0)], ids=str)
def test_changes_through_any_view_are_found_out(index):
    x, w = minigan.zeros(2, 2), minigan.ones(2, 2, requires_grad=True)
    y = (x * w).sum()
    x[index].fill_(5)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_changes_of_a_copy_are_not_held_against_the_original():
    x, w = minigan.zeros(2, 3), minigan.ones(2, 3, requires_grad=True)
    y = (x * w).sum()
    x.t().reshape(6).add_(1)
    x[[0, 1]].add_(1)
    x.clone().add_(1)
    y.backward()
    assert not w.grad.cpu().numpy().any()


def test_changes_after_data_was_changed_are_still_found():
    x, w = tensor([1.0, 2.0]), minigan.ones(2, requires_grad=True)
    v = x.view(-1)
    x.data += 1
    y = (v * w).sum()
    x.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_changes_below_a_parameter_are_found():
    t = tensor([1.0, 2.0])
    p = nn.Parameter(t)
    y = (p * p).sum()
    t.add_(5)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_changed_result_is_found():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x.sigmoid()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


# Flags

def test_whole_numbers_have_no_gradient():
    x = tensor([1.5, 2.5], requires_grad=True)
    for y in (x.long(), x.to(minigan.int64), x > 2):
        assert not y.requires_grad
    with pytest.raises(TypeError, match="floating-point"):
        tensor([1]).requires_grad = True
    with pytest.raises(ValueError, match="leaf"):
        (x * 2).requires_grad = False
    assert (x * 2).requires_grad_().requires_grad


def test_what_needs_a_gradient_is_settled_when_it_is_recorded():
    generator, discriminator = nn.Linear(1, 1), nn.Linear(1, 1)
    discriminator.requires_grad_(False)
    loss = discriminator(generator(minigan.ones(1, 1))).sum()
    discriminator.requires_grad_(True)
    loss.backward()
    assert discriminator.weight.grad is None and generator.weight.grad is not None


def test_alternating_steps_of_two_networks():
    generator, discriminator = nn.Linear(2, 2), nn.Linear(2, 1)
    optimisers = [optim.Adam(m.parameters(), lr=0.1) for m in (generator, discriminator)]
    for _ in range(3):
        before = [generator.weight.detach().clone(), discriminator.weight.detach().clone()]
        discriminator(generator(minigan.rand(4, 2)).detach()).sum().backward()
        assert generator.weight.grad is None
        optimisers[1].step()
        optimisers[1].zero_grad()
        discriminator(generator(minigan.rand(4, 2))).sum().backward()
        optimisers[0].step()
        for optimiser in optimisers:
            optimiser.zero_grad()
        assert (generator.weight.detach() != before[0]).sum().item() == 4
        assert (discriminator.weight.detach() != before[1]).sum().item() == 2


def test_no_grad_in_threads():
    inside, leave = threading.Event(), threading.Event()
    enabled = []

    @no_grad()
    def sample(first):
        if first:
            inside.set()
            leave.wait(5)
        else:
            inside.wait(5)
            leave.set()

    def one():
        sample(True)
        enabled.append(minigan.is_grad_enabled())

    def other():
        with no_grad():
            sample(False)
        enabled.append(minigan.is_grad_enabled())

    threads = [threading.Thread(target=f) for f in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert enabled == [True, True]


def test_no_grad_on_methods_and_generators():
    class Sampler:
        @no_grad
        def plain(self, x):
            return x * 2

        @no_grad()
        def with_brackets(self, x):
            return x * 2

    x = minigan.ones(1, requires_grad=True)
    assert not Sampler().plain(x).requires_grad
    assert not Sampler().with_brackets(x).requires_grad
    with pytest.raises(NotImplementedError, match="no_grad"):
        @no_grad()
        def rows():
            yield 1


# As a Python object

def test_iteration_and_unpacking():
    x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    a, b = x
    (a * b).sum().backward()
    assert x.grad.tolist() == [[3, 4], [1, 2]]
    assert [row.tolist() for row in x.detach()] == [[1, 2], [3, 4]]
    assert 4.0 in x and 5 not in x
    with pytest.raises(TypeError, match="0-d"):
        list(tensor(1.0))


def test_formatting_and_indices():
    loss = tensor(0.123456)
    assert f"{loss:.3f}" == "0.123" and f"{loss}" == repr(loss)
    assert list(range(tensor(3))) == [0, 1, 2] and [5, 6][tensor(1)] == 6
    with pytest.raises(TypeError, match="an integer"):
        range(tensor(1.0))


def test_masks():
    x = tensor([1, 2, 3, 4])
    assert x[(x > 1) & ~(x == 3)].tolist() == [2, 4] and ((x < 2) | (x > 3)).sum().item() == 2
    assert not (x == None) and x != None  # noqa: E711
    small = tensor([1, 255], dtype=minigan.uint8)
    assert (small < 300).tolist() == [True, True] and (small >= -1).tolist() == [True, True]
    with pytest.raises(TypeError, match="index: .*uint8"):
        x[tensor([1, 0, 1, 0], dtype=minigan.uint8)]


def test_cat_follows_the_types_of_arithmetic():
    assert minigan.cat([minigan.ones(2), tensor([1])]).dtype == "float32"
    assert minigan.stack([minigan.ones(1), minigan.ones(1, dtype="float64")]).dtype == "float64"
    assert minigan.cat([tensor([1]), tensor([True])]).dtype == "int64"


def test_numpy_options_do_not_widen():
    x = minigan.ones(2, 3)
    F, half = nn.functional, numpy.float64(0.5)
    for y in (x.clamp(half), F.leaky_relu(x, half), F.softplus(x, half), F.layer_norm(
            x, 3, eps=half), F.batch_norm(x, None, None, training=True, eps=half), x * half):
        assert y.dtype == "float32"


def test_an_error_does_not_keep_its_arguments_alive():
    gc.collect()
    gc.disable()
    try:
        x = minigan.ones(10)
        alive = weakref.ref(x)
        for call in (lambda: x @ minigan.ones(3), lambda: x.view(3), lambda: x.sum(5)):
            try:
                call()
            except ValueError:
                pass
        del x, call
        assert alive() is None
    finally:
        gc.enable()


def test_zero_grad_that_keeps_the_gradient():
    p = minigan.ones(2, requires_grad=True)
    optimiser = optim.SGD([p])
    p.sum().backward()
    optimiser.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimiser.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("call, named", [
    (lambda: minigan.ones(2).size(5), "size: "), (lambda: minigan.zeros_like(5), "zeros_like: "),
    (lambda: minigan.ones(2).to(5), "to: "), (lambda: minigan.ones(2).to(dtype="foo"), "to: "),
    (lambda: minigan.ones(2).to(dtype=object), "to: "),
    (lambda: minigan.zeros(2, dtype="foo"), "zeros: "),
    (lambda: minigan.rand(2, dtype=minigan.int64), "rand: "),
    (lambda: tensor([1], dtype="foo"), "tensor: "),
    (lambda: tensor([300], dtype=minigan.uint8), "tensor: "),
    (lambda: minigan.full(2.5, 1), "full: "), (lambda: minigan.ones(2).argmax((0, 1)), "argmax: "),
    (lambda: minigan.ones(2) < "a", "lt: "), (lambda: minigan.ones(2).clamp([1]), "clamp: "),
    (lambda: setattr(minigan.ones(2), "data", numpy.ones(2)), "data: ")])
def test_errors_have_a_name(call, named):
    with pytest.raises((TypeError, ValueError), match=f"^{named}"):
        call()
