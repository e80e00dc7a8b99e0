"""Arithmetic, reductions, the matrix product, and how types combine."""

import math
import operator

import numpy
import pytest

import minigan
from minigan import tensor
from minigan.nn import functional as F

random = numpy.random.default_rng(0)
A = random.standard_normal((2, 3, 4))
B = random.uniform(0.5, 2, (3, 1))


def close(result, expected):
    numpy.testing.assert_allclose(result.detach().cpu().numpy(), expected, rtol=1e-12, atol=1e-14)
    assert result.dtype == expected.dtype


@pytest.mark.parametrize("operate", [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_broadcasting_with_tensors_arrays_and_numbers(operate, device):
    a, b = abs(A), B
    expected = operate(a, b)
    close(operate(tensor(a), tensor(b)), expected)
    if device == "cpu":
        close(operate(a, tensor(b)), expected)
        close(operate(tensor(a), b), expected)
    close(operate(tensor(a), 2), operate(a, 2))
    close(operate(2, tensor(a)), operate(2, a))
    close(operate(tensor(a), 0.5), operate(a, 0.5))
    close(operate(numpy.float64(0.5), tensor(a)), operate(0.5, a))


def test_array_times_tensor_is_a_tensor_with_a_gradient():
    x = tensor(A, requires_grad=True)
    y = B * x
    assert isinstance(y, minigan.Tensor)
    y.sum().backward()
    close(x.grad, numpy.broadcast_to(B, A.shape))


def test_alpha_multiplies_in_the_common_dtype():
    truth = tensor([True, False])
    assert minigan.add(truth, truth, alpha=2).dtype == "bool"
    close(minigan.add(minigan.ones(2), truth, alpha=2), numpy.array([3, 1], "float32"))


@pytest.mark.parametrize("x, y", [("float32", "float64"), ("int64", "float32")])
def test_matmul_of_two_dtypes_is_refused(x, y):
    with pytest.raises(TypeError, match=f"one dtype, got {x} and {y}"):
        minigan.ones(2, 2, dtype=x) @ minigan.ones(2, 2, dtype=y)


def test_add_and_sub_with_alpha():
    a, b = tensor(A), tensor(B)
    close(minigan.add(a, b, alpha=2), A + 2 * B)
    close(a.sub(b, alpha=0.5), A - 0.5 * B)
    close(minigan.sub(a, 3, alpha=2), A - 6)


@pytest.mark.parametrize("left, right, result", [
    ("float32", "float32", "float32"), ("float32", "float64", "float64"),
    ("int64", "float32", "float32"), ("bool", "int64", "int64"), ("uint8", "float32", "float32")])
def test_types_of_tensors(left, right, result):
    a, b = minigan.ones(2, dtype=left), minigan.ones(2, dtype=right)
    assert (a + b).dtype == result and (b * a).dtype == result


@pytest.mark.parametrize("dtype, number, result", [
    ("float32", 2.5, "float32"), ("float64", 2.5, "float64"), ("float32", 3, "float32"),
    ("int64", 2.5, "float32"), ("int64", 3, "int64"), ("bool", 3, "int64"),
    ("float32", numpy.float64(2.5), "float32"), ("int64", numpy.float64(2.5), "float32"),
    ("float32", numpy.int64(3), "float32"), ("float32", math.pi, "float32")])
def test_numbers_do_not_widen(dtype, number, result):
    a = minigan.ones(2, dtype=dtype)
    for c in (a + number, number + a, a * number, number * a, a - number):
        assert c.dtype == result


def test_a_0d_tensor_does_not_widen():
    assert (minigan.ones(2) * tensor(2.0, dtype="float64")).dtype == "float32"
    assert (minigan.ones(2) * tensor(numpy.float64(2.0))).dtype == "float32"


def test_whole_numbers_times_a_fraction():
    close(tensor([1, 2]) * 0.5, numpy.array([0.5, 1], dtype="float32"))
    close(tensor([1, 2]) / 2, numpy.array([0.5, 1], dtype="float32"))
    close(minigan.exp(tensor([0])), numpy.array([1], dtype="float32"))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs", "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementwise(name, dtype):
    x = (abs(A) + 0.1).astype(dtype)
    expected = getattr(numpy, name)(x.astype("float64"))
    rtol = 1e-6 if dtype == "float32" else 1e-12
    for result in (getattr(minigan, name)(tensor(x)), getattr(tensor(x), name)()):
        assert result.dtype == dtype
        numpy.testing.assert_allclose(result.cpu().numpy(), expected, rtol=rtol)


def test_log_and_sqrt_outside_their_domain_are_silent():
    assert minigan.log(tensor([0.0])).item() == -math.inf
    assert math.isnan(minigan.log(tensor([-1.0])).item())
    assert math.isnan(minigan.sqrt(tensor([-1.0])).item())


def test_gradient_of_a_tensor_exponent():
    x, y = tensor([2.0, 0.0], requires_grad=True), tensor([3.0, 2.0], requires_grad=True)
    (x ** y).sum().backward()
    close(x.grad, numpy.array([12, 0], dtype="float32"))
    close(y.grad, numpy.array([8 * math.log(2), 0], dtype="float32"))


def test_gradient_of_powers_at_zero():
    x = tensor([0.0, -2.0], requires_grad=True)
    (x ** 0 + x ** 1 + x ** 2).sum().backward()
    close(x.grad, numpy.array([1, -3], dtype="float32"))


def test_clamp():
    x = tensor([-2.0, -1.0, 0.0, 1.0, 2.0], requires_grad=True)
    y = x.clamp(-1, 1)
    y.sum().backward()
    close(y.detach(), numpy.array([-1, -1, 0, 1, 1], dtype="float32"))
    close(x.grad, numpy.array([0, 1, 1, 1, 0], dtype="float32"))
    close(minigan.clamp(x.detach(), min=1), numpy.array([1, 1, 1, 1, 2], dtype="float32"))
    with pytest.raises(ValueError, match="clamp: "):
        x.clamp()


REDUCTIONS = [None, (), 0, 1, -1, (0, 2), [0, 1], (0, 1, 2)]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", REDUCTIONS, ids=str)
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sum_and_mean(name, dim, keepdim, device):
    axis = None if dim in (None, ()) else tuple(dim) if isinstance(dim, list) else dim
    expected = numpy.asarray(getattr(numpy, name)(A, axis=axis, keepdims=keepdim))
    close(getattr(tensor(A), name)(dim, keepdim), expected)
    close(getattr(minigan, name)(tensor(A), dim=dim, keepdim=keepdim), expected)


@pytest.mark.parametrize("name", ["max", "min"])
def test_max_and_min(name, device):
    x = tensor(A)
    close(getattr(x, name)(), numpy.asarray(getattr(numpy, name)(A)))
    values, indices = getattr(x, name)(dim=1, keepdim=True)
    close(values, getattr(numpy, name)(A, axis=1, keepdims=True))
    close(indices, getattr(numpy, f"arg{name}")(A, axis=1, keepdims=True))
    close(getattr(x, name)((0, 2)), getattr(numpy, name)(A, axis=(0, 2)))


def test_ties_share_the_gradient_of_max():
    x = tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.max().backward()
    close(x.grad, numpy.array([0, 0.5, 0.5], dtype="float32"))
    x.grad = None
    x.max(0).values.backward()
    close(x.grad, numpy.array([0, 1, 0], dtype="float32"))


def test_reductions_of_whole_numbers():
    assert tensor([1, 2]).sum().dtype == "int64"
    assert tensor([True, True]).sum().item() == 2
    with pytest.raises(TypeError, match="mean: "):
        tensor([1, 2]).mean()


def test_argmax():
    x = tensor([[1.0, 5.0], [7.0, 2.0]])
    assert x.argmax().item() == 2
    assert x.argmax(dim=1).tolist() == [1, 0]
    assert minigan.argmax(x, 0, keepdim=True).tolist() == [[1, 0]]


@pytest.mark.parametrize("call", [
    lambda x: x.sum(3), lambda x: x.mean((0, 0)), lambda x: x.sum("rows"), lambda x: x.max(1.0),
    lambda x: x.sum(True)])
def test_bad_dims_are_named(call):
    with pytest.raises((TypeError, ValueError), match=r"(sum|mean|max): dim"):
        call(tensor(A))


@pytest.mark.parametrize("left, right", [
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2))])
def test_matmul(left, right, device):
    a, b = random.standard_normal(left), random.standard_normal(right)
    close(tensor(a) @ tensor(b), numpy.asarray(a @ b))
    if device == "cpu":
        close(a @ tensor(b), numpy.asarray(a @ b))


@pytest.mark.parametrize("left, right", [((2, 3), (2, 3)), ((), (2,)), ((3,), (2, 3, 4, 5))])
def test_matmul_names_both_shapes(left, right):
    with pytest.raises(ValueError, match="matmul: ") as error:
        minigan.zeros(left) @ minigan.zeros(right)
    assert str(left) in str(error.value) and str(right) in str(error.value)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"add: .*\(2, 3\).*\(4,\)"):
        minigan.zeros(2, 3) + minigan.zeros(4)


@pytest.mark.parametrize("other", ["two", None, [1, 2], {}])
def test_operands_that_are_no_numbers(other):
    with pytest.raises(TypeError, match="mul: "):
        minigan.ones(2) * other
    with pytest.raises(TypeError, match="add: "):
        other + minigan.ones(2)


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons(name):
    compare = getattr(operator, name)
    a, b = tensor([1.0, 2.0, 3.0]), tensor([2.0, 2.0, 2.0])
    expected = compare(a.numpy(), b.numpy())
    assert compare(a, b).dtype == minigan.bool
    close(compare(a, b), expected)
    close(compare(a, 2), expected)
    close(getattr(a, name)(b), expected)
    assert {a: 1}[a] == 1


@pytest.mark.parametrize("name", [
    "add", "sub", "mul", "matmul", "pow"])
def test_functions_and_methods_agree(name):
    a, b = tensor(abs(A)), tensor(random.uniform(1, 2, (4, 4)))
    b = b if name == "matmul" else b[:3]
    close(getattr(minigan, name)(a, b), getattr(a, name)(b).numpy())


def test_functional_has_the_package_functions():
    for name in ("neg", "exp", "log", "sigmoid", "tanh", "relu"):
        close(getattr(F, name)(tensor(abs(A))), getattr(minigan, name)(tensor(abs(A))).numpy())
