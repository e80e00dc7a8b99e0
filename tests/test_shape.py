"""Shape, order and selection."""

import numpy
import pytest

import minigan
from minigan import tensor
from minigan.nn import functional as F

A = numpy.arange(24.0).reshape(2, 3, 4)


def same(result, expected):
    numpy.testing.assert_array_equal(result.detach().cpu().numpy(), expected)


def gradient(function, x=A):
    """The gradient of sum(function(x) * 0..n): every element weighs differently."""
    x = tensor(x, requires_grad=True)
    y = function(x)
    y.backward(numpy.arange(1.0, y.numel() + 1).reshape(y.shape))
    return x.grad.cpu().numpy()


@pytest.mark.parametrize("shape", [(6, 4), ((6, 4),), ([6, 4],), (-1, 2), (24,), (2, 1, 12)])
def test_view_and_reshape(shape, device):
    expected = A.reshape(*shape)
    same(tensor(A).view(*shape), expected)
    same(tensor(A).reshape(*shape), expected)
    same(minigan.reshape(tensor(A), *shape), expected)
    assert gradient(lambda x: x.view(*shape)).ravel().tolist() == list(range(1, 25))


def test_view_shares_memory_where_it_can_and_copies_where_it_must():
    x = tensor(A)
    x.view(24)[0] = 100.0
    assert x[0, 0, 0].item() == 100
    photo = tensor(numpy.zeros((128, 128, 3)))
    assert photo.permute(2, 0, 1).view(1, 3, 128, 128).shape == (1, 3, 128, 128)
    same(tensor(A).permute(2, 0, 1).view(4, 6), A.transpose(2, 0, 1).reshape(4, 6))


def test_gradient_after_permute_and_view():
    got = gradient(lambda x: x.permute(2, 0, 1).view(1, 24))
    same(tensor(got), numpy.arange(1.0, 25).reshape(4, 2, 3).transpose(1, 2, 0))


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1), (0, 2, 1), (-1, 0, 1)])
def test_permute_on_a_cube(order):
    cube = numpy.arange(27.0).reshape(3, 3, 3)
    same(tensor(cube).permute(*order), cube.transpose(order))
    same(tensor(cube).permute(order), cube.transpose(order))
    back = numpy.argsort([d % 3 for d in order])
    same(tensor(gradient(lambda x: x.permute(*order), cube)), (cube + 1).transpose(back))


@pytest.mark.parametrize("dims", [(0, 1), (0, 2), (-1, -2)])
def test_transpose_on_a_cube(dims):
    cube = numpy.arange(27.0).reshape(3, 3, 3)
    same(tensor(cube).transpose(*dims), cube.swapaxes(*dims))
    same(tensor(gradient(lambda x: x.transpose(*dims), cube)), (cube + 1).swapaxes(*dims))


def test_t_flatten_squeeze_unsqueeze():
    x = tensor(A)
    same(x[0].t(), A[0].T)
    same(x[0].T, A[0].T)
    assert x.flatten().shape == (24,) and x.flatten(1).shape == (2, 12)
    assert x.flatten(0, 1).shape == (6, 4) and minigan.flatten(x, -2).shape == (2, 12)
    one = tensor(A[:, None, :, :1])
    assert one.squeeze().shape == (2, 3) and one.squeeze(1).shape == (2, 3, 1)
    assert one.squeeze(0).shape == one.shape and one.squeeze((1, -1)).shape == (2, 3)
    assert x.unsqueeze(0).shape == (1, 2, 3, 4) and x.unsqueeze(-1).shape == (2, 3, 4, 1)
    assert tensor(1.0).flatten().shape == (1,) and tensor(1.0).unsqueeze(0).shape == (1,)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cat_and_stack(dim, device):
    parts = [A, A + 100, A - 100]
    same(minigan.cat([tensor(p) for p in parts], dim), numpy.concatenate(parts, axis=dim))
    same(minigan.stack([tensor(p) for p in parts], dim=dim), numpy.stack(parts, axis=dim))


def test_cat_of_vectors_and_its_gradients():
    a, b = tensor([1.0, 2.0], requires_grad=True), tensor([3.0], requires_grad=True)
    y = minigan.cat((a, b))
    y.backward([1.0, 2.0, 3.0])
    same(y, [1, 2, 3])
    same(a.grad, [1, 2])
    same(b.grad, [3])


def test_same_tensor_twice_in_cat():
    a = tensor([1.0, 2.0], requires_grad=True)
    minigan.cat([a, a]).backward([1.0, 2.0, 3.0, 4.0])
    same(a.grad, [4, 6])


INDICES = [0, -1, slice(1, None), (slice(None), 1), (Ellipsis, 0), (0, slice(None, None, 2)),
           (slice(None), None, 2), ([0, 0, 1],), (slice(None), [2, 0, 2, 2]),
           numpy.array([1, 0, 1]), (numpy.array([0, 1]), numpy.array([2, 2])), A > 11.5,
           (0, 1, 2), (slice(None, None, -1),), ([0, 0], [1, 2])]


@pytest.mark.parametrize("index", INDICES, ids=lambda i: repr(i).replace("\n", "")[:40])
def test_indexing_and_its_gradient(index):
    expected = A[index]
    same(tensor(A)[index], expected)
    wanted = numpy.zeros_like(A)
    numpy.add.at(wanted, index, numpy.arange(1.0, expected.size + 1).reshape(expected.shape))
    same(tensor(gradient(lambda x: x[index])), wanted)


def test_indexing_with_tensors():
    x = tensor(A)
    same(x[tensor([1, 0])], A[[1, 0]])
    same(x[x > 5], A[A > 5])
    # Numbers are taken first, as in PyTorch; NumPy would put the common dimension in front.
    for one in (1, tensor(1)):
        same(x[one, :, tensor([0, 3])], A[1][:, [0, 3]])
        same(x[..., [0, 2], one], A[..., 1][..., [0, 2]])
        y = tensor(A)
        y[one, :, tensor([0, 3])] = 0.0
        assert not y[1][:, [0, 3]].numpy().any() and y.numpy().astype(bool).sum() == 17


def test_item_assignment():
    x = minigan.zeros(3, 4)
    x[1, 2] = 5.0
    x[0] = tensor([1.0, 2.0, 3.0, 4.0])
    x[tensor([2, 2]), tensor([0, 1])] = numpy.array([7.0, 8.0])
    x[x == 8] = -1.0
    same(x, [[1, 2, 3, 4], [0, 0, 5, 0], [7, -1, 0, 0]])


@pytest.mark.parametrize("call", [
    lambda x: x.view(5, 5), lambda x: x.view(-1, -1), lambda x: x.view(2.0, 12),
    lambda x: x.reshape("flat"), lambda x: x.permute(0, 1), lambda x: x.permute(0, 0, 1),
    lambda x: x.transpose(0, 3), lambda x: x.flatten(2, 1), lambda x: x.squeeze(5),
    lambda x: x.unsqueeze(4), lambda x: x.t(), lambda x: minigan.cat(x), lambda x: minigan.cat([]),
    lambda x: minigan.cat([x, 1.0]), lambda x: minigan.cat([x, x[:, :2]]),
    lambda x: minigan.stack([x, x[0]]), lambda x: minigan.cat([x], dim=3), lambda x: x[5],
    lambda x: x[0, 0, 0, 0], lambda x: x["a"], lambda x: x[1.5], lambda x: x[[0, 9]],
    lambda x: F.interpolate(x, scale_factor=2), lambda x: F.interpolate(x, mode="bilinear")])
def test_errors_name_the_operation(call):
    names = r"^(view|reshape|permute|transpose|flatten|squeeze|unsqueeze|t|cat|stack|index|"
    with pytest.raises((TypeError, ValueError, NotImplementedError),
                       match=names + "interpolate): "):
        call(tensor(A))


def test_item_assignment_errors_are_named():
    x = minigan.zeros(2, 3)
    for index, value in ((5, 1.0), ((0, 0, 0), 1.0), (0, [1.0, 2.0]), ("a", 1.0)):
        with pytest.raises((TypeError, ValueError), match="^item assignment: "):
            x[index] = value


def test_interpolate_repeats_pixels():
    x = tensor(A[None])
    same(F.interpolate(x, scale_factor=(2, 3)), A[None].repeat(2, axis=2).repeat(3, axis=3))


def test_a_view_of_nothing_may_be_changed():
    x = minigan.zeros(2, 0).t().view(0)
    x += 1
    assert x.shape == (0,)
