"""autograd.grad beside backward, and Variable."""

import pytest

import minigan
from minigan import autograd, nn, optim, tensor
from minigan.autograd import Variable

pytestmark = pytest.mark.usefixtures("device")


def test_a_variable_is_a_tensor_on_the_same_memory():
    x = minigan.ones(2)
    v = Variable(x, requires_grad=True)
    assert isinstance(x, Variable) and isinstance(v, minigan.Tensor)
    assert v.requires_grad and not x.requires_grad and v.is_leaf
    x.fill_(3)
    assert v.tolist() == [3, 3]
    assert not Variable(v * 2).requires_grad
    with pytest.raises(TypeError, match="data must be a Tensor"):
        Variable([1.0])


def test_grad_is_what_backward_adds_and_leaves_no_gradient_behind():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    optimiser = optim.SGD(net.parameters(), lr=0.1)
    x = minigan.randn(5, 3, requires_grad=True)
    loss = (net(x) ** 2).mean()
    found = autograd.grad(loss, [x, *net.parameters()], retain_graph=True)
    assert all(p.grad is None for p in (x, *net.parameters()))
    kept = [g.tolist() for g in found]
    loss.backward()
    assert [p.grad.tolist() for p in (x, *net.parameters())] == kept
    optimiser.step()
    optimiser.zero_grad()
    (net(x) * 2).sum().backward()
    assert [g.tolist() for g in found] == kept  # in memory of their own


def test_gradients_of_results_inside_the_graph():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    z = (y * y + 3 * y).sum()
    gy, gx = autograd.grad(z, (y, x), retain_graph=True)
    assert gy.tolist() == [5, 11] and gx.tolist() == [10, 44]
    itself, = autograd.grad(z, z)
    assert itself.item() == 1


def test_weighted_outputs_are_added_up():
    x = tensor([1.0, 2.0], requires_grad=True)
    g, = autograd.grad([x * x, 3 * x, x], x, [tensor([1.0, 10.0]), minigan.ones(2), None][:2] + [
        tensor([0.5, 0.0])])
    assert g.tolist() == [2 + 3 + 0.5, 40 + 3]


def test_what_grad_refuses():
    x, y = minigan.ones(2, requires_grad=True), minigan.ones(2, requires_grad=True)
    with pytest.raises(NotImplementedError, match="create_graph=True is not supported: gradients"):
        autograd.grad(x.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="an input was not used"):
        autograd.grad(x.sum(), y)
    assert autograd.grad(x.sum(), (y, x), allow_unused=True)[0] is None
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        autograd.grad(x.sum(), minigan.ones(2))
    with pytest.raises(RuntimeError, match="only a tensor of one element"):
        autograd.grad(x * 2, x)
    loss = (x * x).sum()
    autograd.grad(loss, x)
    with pytest.raises(RuntimeError, match="used by a backward pass before"):
        autograd.grad(loss, x)
    loss = (x * y).sum()
    y.detach().fill_(5)
    with pytest.raises(RuntimeError, match="changed in place"):
        autograd.grad(loss, x)
