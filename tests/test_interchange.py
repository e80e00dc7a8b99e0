"""Tensors that share memory with arrays of other libraries."""

import numpy
import pytest

import minigan


def test_from_numpy_shares_memory():
    array = numpy.arange(6, dtype="int32").reshape(2, 3)[:, ::-1]
    x = minigan.from_numpy(array)
    x[0, 0] = 9
    array[1, 2] = 8
    assert x.dtype == "int32" and x.tolist() == [[9, 1, 0], [5, 4, 8]] == array.tolist()


def test_as_tensor_copies_only_what_it_must(device):
    array = numpy.zeros(3, "float32")
    x = minigan.as_tensor(array)
    x[0] = 1
    assert x.device == device and array[0] == (device == "cpu")
    assert minigan.as_tensor(x) is x and minigan.as_tensor([1.5]).dtype == "float32"
    assert minigan.as_tensor(array, dtype=minigan.float64).dtype == "float64"
    assert minigan.as_tensor(array, device="cpu").array is array
    assert minigan.as_tensor(numpy.ones(2, ">f4")).tolist() == [1, 1]
    w = minigan.ones(2, requires_grad=True)
    minigan.as_tensor(w * 2, dtype=minigan.float64).sum().backward()
    assert w.grad.tolist() == [2, 2]


def test_numpy_asarray_shares_memory():
    x = minigan.zeros(3)
    array = numpy.asarray(x)
    array[1] = 2
    assert x.tolist() == [0, 2, 0] and numpy.asarray(x, "float64").dtype == "float64"
    with pytest.raises(ValueError, match="detach"):
        numpy.asarray(minigan.ones(1, requires_grad=True))


def test_dlpack_shares_memory_with_numpy():
    x = minigan.zeros(3)
    array = numpy.from_dlpack(x)
    y = minigan.from_dlpack(array)
    x[0] = 1
    assert x.tolist() == array.tolist() == y.tolist() == [1, 0, 0]
    if array.flags.writeable:  # NumPy 2.0 makes what it imports read-only
        array[1] = 2
        y[2] = 3
        assert x.tolist() == array.tolist() == [1, 2, 3]


def test_dlpack_shares_memory_with_pytorch():
    torch = pytest.importorskip("torch")
    x = minigan.zeros(2, 3)
    theirs = torch.from_dlpack(x)
    theirs[0, 1] = 5
    assert x.tolist() == theirs.tolist() == [[0, 5, 0], [0, 0, 0]]
    other = torch.arange(6.0).reshape(2, 3).T
    ours = minigan.from_dlpack(other)
    ours[0, 0] = 7
    assert ours.tolist() == other.tolist() == [[7, 3], [1, 4], [2, 5]]
    assert minigan.tensor(other).tolist() == other.tolist()
    with pytest.raises(BufferError, match="detach"):
        minigan.from_dlpack(torch.ones(1, requires_grad=True))


def test_dlpack_on_the_device(device):
    x = minigan.tensor([1.0, 2.0])
    y = minigan.from_dlpack(x)
    y[0] = 5
    assert y.device == device and x.tolist() == [5, 2]
    with pytest.raises(BufferError, match="__dlpack__: .*detach"):
        minigan.from_dlpack(minigan.ones(1, requires_grad=True))


def test_read_only_arrays_can_be_read():
    array = numpy.arange(3.0)
    array.flags.writeable = False
    for x in (minigan.from_numpy(array), minigan.as_tensor(array), minigan.from_dlpack(array)):
        assert (x * 2).tolist() == [0, 2, 4]
        for change in (lambda: x.fill_(1), lambda: x.add_(1), lambda: x.__setitem__(0, 1.0)):
            with pytest.raises(ValueError, match="read-only"):
                change()
    minigan.tensor(array).fill_(1)


class Elsewhere:
    def __dlpack__(self):
        raise AssertionError("must not be called")

    def __dlpack_device__(self):
        return 8, 0  # Metal


@pytest.mark.parametrize("call, error, message", [
    (lambda: minigan.from_numpy([1.0]), TypeError, "from_numpy: .*list"),
    (lambda: minigan.from_numpy(numpy.array(["a"])), TypeError, "from_numpy: "),
    (lambda: minigan.from_numpy(numpy.ones(2, ">f4")), TypeError, "from_numpy: .*>f4"),
    (lambda: minigan.as_tensor("abc"), TypeError, "as_tensor: "),
    (lambda: minigan.as_tensor(numpy.array(["a"])), TypeError, "as_tensor: "),
    (lambda: minigan.from_dlpack([1.0]), TypeError, "from_dlpack: .*__dlpack__"),
    (lambda: minigan.from_dlpack(numpy.ones(1, complex)), TypeError, "from_dlpack: .*complex"),
    (lambda: minigan.from_dlpack(Elsewhere()), ValueError, "from_dlpack: .*device type 8")])
def test_refusals(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
