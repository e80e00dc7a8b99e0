"""The recorded graph and the backward pass through it."""

import copy
import gc
import subprocess
import sys
import types

import numpy
import pytest

import minigan
from minigan import Tensor, enable_grad, is_grad_enabled, no_grad, optim, tensor
from minigan.autograd import node

pytestmark = pytest.mark.usefixtures("device")


def leaf(values, dtype="float64"):
    return tensor(values, dtype=dtype, requires_grad=True)


def close(a, b):
    numpy.testing.assert_allclose(a.cpu().numpy(), numpy.asarray(b), rtol=1e-12)


def test_a_chain_of_100_000_operations():
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(100_000):
        y = y + 1
    y.sum().backward()
    close(x.grad, [1, 1])


def test_shared_intermediates_are_walked_once():
    x = leaf(1.0)
    y = x
    for _ in range(60):  # a walk along every path would take 2^60 steps
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0 ** 60


def test_diamond_of_different_depths():
    x = leaf(3.0)
    a = x * x
    b = a * 2
    c = a + b.exp() * 0 + b
    c.backward()
    assert x.grad.item() == 18


def test_two_backwards_add_up_to_two_times():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    close(x.grad, [4, 8])


def test_a_backward_gets_arrays_also_without_dimensions():
    types = []

    def backward(g):
        types.append(type(g))
        return (g,)

    x = leaf(2.0)
    y = node(x.array.copy(), (x,), backward)
    (y * 3 + y * 3).backward()
    assert types == [type(x.array)] and x.grad.item() == 6


def test_a_gradient_in_the_graph_changes_only_after_the_pass():
    a, b = leaf([2.0]), leaf([3.0])
    (a * 5).backward()
    y = a.grad * b                    # 5 b
    (a + b + y * a).backward()        # a gets 1 + 5 b, b gets 1 + 5 a
    close(a.grad, [5 + 1 + 15])
    close(b.grad, [1 + 10])


def test_second_backward_without_retain_graph_is_an_error():
    x = leaf([1.0, 2.0])
    h = x * x
    h.sum().backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        (h * 2).sum().backward()
    close(x.grad, [2, 4])


def test_refused_backward_leaves_no_gradient_anywhere():
    x, w = leaf([1.0]), leaf([2.0])
    used = x * x
    used.backward()
    x.grad = None
    with pytest.raises(RuntimeError):
        (used + w).backward()
    assert w.grad is None and x.grad is None


@pytest.mark.parametrize("gradient", [
    tensor([1.0, 2.0]), numpy.array([1.0, 2.0]), [1.0, 2.0]])
def test_gradient_of_a_vector(gradient):
    x = leaf([3.0, 4.0])
    (x * x).backward(gradient)
    close(x.grad, [6, 16])


@pytest.mark.parametrize("gradient", [2, 2.0, numpy.float32(2), numpy.array(2.0), tensor(2.0)])
def test_gradient_of_a_number(gradient):
    x = leaf([3.0, 4.0])
    (x * x).sum().backward(gradient)
    close(x.grad, [12, 16])


@pytest.mark.parametrize("gradient, error", [
    (None, RuntimeError), (numpy.ones(3), ValueError), ([[1.0, 1.0]], ValueError),
    (2.0, ValueError), ("one", (TypeError, ValueError))])
def test_gradient_of_a_wrong_shape(gradient, error):
    with pytest.raises(error, match="backward: "):
        (leaf([1.0, 2.0]) * 2).backward(gradient)


@pytest.mark.parametrize("shape, given", [((), (1,)), ((1,), ()), ((1, 1, 1), (1, 1))])
def test_gradient_of_one_element_in_another_shape(shape, given):
    """As in PyTorch."""
    with pytest.raises(ValueError, match="backward: "):
        minigan.ones(shape, requires_grad=True).backward(minigan.ones(given))


def test_backward_without_anything_to_differentiate():
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        minigan.ones(1).backward()


def test_backward_on_a_leaf():
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1


def test_leaf_gradients_do_not_share_memory():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + y).sum().backward()
    x.grad.zero_()
    close(y.grad, [1, 1])


def test_broadcasting_is_undone():
    a, b, c = leaf(numpy.ones((2, 1, 3))), leaf(numpy.ones((4, 1))), leaf(2.0)
    ((a + b) * c).sum().backward()
    assert a.grad.shape == (2, 1, 3) and b.grad.shape == (4, 1) and c.grad.shape == ()
    close(a.grad, numpy.full((2, 1, 3), 8))
    close(b.grad, numpy.full((4, 1), 12))
    assert c.grad.item() == 48


def test_gradient_has_the_dtype_of_its_tensor():
    x, y = leaf([1.0], "float32"), leaf([2.0], "float64")
    (x * y).backward()
    assert x.grad.dtype == "float32" and y.grad.dtype == "float64"


def test_memory_is_freed_without_the_collector():
    def recorded():
        return sum(type(x) in (Tensor, types.FunctionType) for x in gc.get_objects())

    def walk():
        x = leaf([1.0, 2.0])
        (x.sigmoid() * x).sum().backward()
        x.sigmoid() * x  # and a graph that nobody walks

    walk()  # makes what is kept, such as kernels
    gc.collect()
    gc.disable()
    try:
        before = recorded()
        for _ in range(50):
            walk()
        assert recorded() - before < 50
    finally:
        gc.enable()


# Recording

def test_no_grad_as_context_and_decorator():
    x = leaf([1.0])
    with no_grad():
        assert not is_grad_enabled()
        assert not (x * 2).requires_grad
        with enable_grad():
            assert (x * 2).requires_grad
        assert not is_grad_enabled()
    assert is_grad_enabled()

    @no_grad()
    def sample():
        return x * 2

    @no_grad
    def other(factor, *, offset):
        return x * factor + offset

    assert not sample().requires_grad and not other(2, offset=1).requires_grad
    assert is_grad_enabled()


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_detach_shares_memory_and_stops_gradients():
    x = leaf([1.0, 2.0])
    y = x.detach()
    assert not y.requires_grad
    (x * y).sum().backward()
    close(x.grad, [1, 2])
    assert y.array is x.array


def test_data_and_grad_are_tensors_on_the_same_memory():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    x.data[0] = 5.0
    x.grad[1] = 7.0
    assert isinstance(x.data, Tensor) and x.array[0] == 5 and x.grad.array[1] == 7
    x.data -= 0.5 * x.grad
    close(x.data, [4, -1.5])
    x.grad = None
    assert x.grad is None
    with pytest.raises(ValueError, match="grad: "):
        x.grad = minigan.ones(3)


# Changes in place

def stale(change):
    """Whether a change between forward and backward is found out."""
    w = leaf([1.0, 2.0])
    y = (w * w).sum()
    change(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    assert w.grad is None


def test_item_assignment_between_forward_and_backward():
    def change(w):
        with no_grad():
            w[0] = 3.0

    stale(change)


def test_change_through_data_between_forward_and_backward():
    def change(w):
        w.data += 1

    def replace(w):
        w.data = minigan.zeros(2, dtype="float64")

    stale(change)
    stale(replace)


def test_change_through_a_view_between_forward_and_backward():
    stale(lambda w: w.data.view(2, 1)[0].zero_())


def test_optimiser_step_between_forward_and_backward():
    w = leaf([1.0, 2.0])
    optimiser = optim.SGD([w], lr=0.1)
    (w * 2).sum().backward()
    y = (w * w).sum()
    optimiser.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_change_of_an_input_without_gradient_is_found_too():
    x, w = minigan.ones(2), leaf([1.0, 2.0], "float32")
    y = (w * x).sum()
    x += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_leaves_and_recorded_tensors_refuse_changes():
    x = leaf([1.0, 2.0])
    y = x * 2
    for change in (lambda: x.zero_(), lambda: y.zero_(), lambda: x.__setitem__(0, 1.0),
                   lambda: x.add_(1), lambda: y.mul_(2), lambda: minigan.ones(2).add_(x)):
        with pytest.raises(RuntimeError, match="gradient"):
            change()
    with pytest.raises(RuntimeError, match="gradient"):
        x += 1
    with pytest.raises(NotImplementedError, match="cat or stack"):
        minigan.zeros(2, dtype="float64")[0] = y[0]


def test_augmented_assignment_of_recorded_tensors_makes_a_new_one():
    x = leaf([1.0, 2.0])
    total = minigan.zeros(2, dtype="float64")
    start = total
    total += x * x
    total *= 2
    total.sum().backward()
    close(x.grad, [4, 8])
    close(start, [0, 0])


def test_augmented_assignment_without_gradients_works_in_place():
    x = tensor([1.0, 2.0])
    same = x
    x += 1
    x -= tensor([0.5, 0.5])
    x *= 2
    x /= numpy.array([1.0, 2.0], dtype="float32")
    assert same is x
    close(x, [3, 2.5])
    with pytest.raises(ValueError, match="add_: "):
        x += minigan.ones(3, 2)
    with pytest.raises(TypeError, match="add_: "):
        tensor([1, 2]).add_(0.5)


def test_leaf_may_change_under_no_grad():
    x = leaf([1.0, 2.0])
    with no_grad():
        x -= 0.5
        x[1] = 9.0
    assert x.requires_grad and x.is_leaf
    close(x.detach(), [0.5, 9])


# Small things

def test_deepcopy_copies_memory():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    y.data.zero_()
    y.grad.zero_()
    close(x.detach(), [1, 2])
    close(x.grad, [2, 4])
    assert y.requires_grad


def test_repr():
    assert repr(tensor([1.0, 2.0])) == "tensor([1., 2.])"
    assert repr(leaf([1.0])) == "tensor([1.], requires_grad=True, dtype=float64)"
    assert "grad_fn=<mul>" in repr(leaf([1.0]) * 2)
    assert "grad_fn=<conv2d>" in repr(minigan.nn.Conv2d(1, 1, 1)(minigan.ones(1, 2, 2)))


def test_numpy_and_item():
    x = tensor([[1.0, 2.0]])
    assert x[0, 1].item() == 2 and isinstance(x[0, 1].item(), float)
    assert float(x[0, 1]) == 2 and len(x) == 1
    with pytest.raises(ValueError, match="item: "):
        x.item()
    with pytest.raises(ValueError, match="detach"):
        leaf([1.0]).cpu().numpy()


def test_a_numpy_array_shares_the_memory_of_a_tensor_on_the_cpu():
    x = tensor([[1.0, 2.0]], device="cpu")
    x.numpy()[0, 0] = 5
    assert x[0, 0].item() == 5 and numpy.asarray(x).shape == (1, 2)


def test_requires_grad_is_for_floating_point_leaves():
    with pytest.raises(TypeError, match="floating-point"):
        tensor([1, 2], requires_grad=True)
    with pytest.raises(ValueError, match="leaf"):
        (leaf([1.0]) * 2).requires_grad_(False)


@pytest.mark.parametrize("module", ["matplotlib", "h5py", "cupy", "torch"])
def test_import_is_light(module):
    code = f"import sys, minigan; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_gradients_of_gradients_are_refused():
    x = tensor([1.0], requires_grad=True)
    with pytest.raises(NotImplementedError, match="^backward: create_graph=True"):
        (x * x).backward(create_graph=True)
