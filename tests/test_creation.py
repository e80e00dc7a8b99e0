"""Making tensors, their dtypes and devices, and the random streams."""

import importlib
import sys
from types import SimpleNamespace

import numpy
import pytest

import minigan
from minigan import tensor


@pytest.mark.parametrize("data, dtype", [
    ([1.0, 2.0], "float32"), ([1, 2], "int64"), ([True], "bool"), (1.5, "float32"), (3, "int64"),
    ([[1, 2.5]], "float32"), (numpy.zeros(2), "float64"), (numpy.zeros(2, "float32"), "float32"),
    (numpy.zeros(2, "uint8"), "uint8"), (numpy.float64(1), "float64"), ([], "float32"),
    (numpy.zeros(2, ">f4"), "float32"), ((1.0, 2), "float32"), (range(3), "int64")])
def test_dtypes(data, dtype):
    x = tensor(data)
    assert x.dtype == numpy.dtype(dtype) and x.dtype.isnative
    assert x.shape == numpy.shape(data)


def test_tensor_copies():
    array = numpy.zeros(3, "float32")
    for make in (tensor, minigan.FloatTensor):
        x = make(array)
        x[0] = 1
        assert array[0] == 0
    y = tensor(x)
    y[1] = 5
    assert x[1].item() == 0


def test_tensor_of_tensors():
    assert tensor([tensor(1.0), tensor(2.0)]).tolist() == [1, 2]
    assert tensor([tensor([1, 2]), tensor([3, 4])]).tolist() == [[1, 2], [3, 4]]


def test_float_tensor():
    assert minigan.FloatTensor([1, 2]).dtype == "float32"
    assert minigan.FloatTensor(numpy.zeros((2, 3))).shape == (2, 3)
    assert minigan.FloatTensor(4).shape == (4,)


def test_constants(device):
    assert minigan.zeros(2, 3).shape == minigan.ones((2, 3)).shape == (2, 3)
    assert minigan.zeros(2, requires_grad=True).requires_grad
    assert minigan.full((2,), 7).dtype == "int64" and minigan.full(2, 7.0).dtype == "float32"
    assert minigan.full((2, 2), 7.0).tolist() == [[7, 7], [7, 7]]
    x = minigan.zeros(2, dtype="float64")
    assert minigan.ones_like(x).dtype == "float64" and minigan.zeros_like(x).tolist() == [0, 0]
    assert minigan.zeros(2).device == device and minigan.zeros(()).shape == ()


def test_random_streams(device):
    minigan.manual_seed(5)
    a, b = minigan.rand(4, 5), minigan.randn((4, 5))
    minigan.manual_seed(5)
    assert (minigan.rand(4, 5) == a).sum().item() == 20
    assert (minigan.randn(4, 5) == b).sum().item() == 20
    big = minigan.randn(100, 100)
    assert big.dtype == "float32" and abs(big.mean().item()) < 0.05
    uniform = minigan.rand(100, 100)
    assert 0 <= uniform.min().item() and uniform.max().item() < 1
    assert abs(uniform.mean().item() - 0.5) < 0.02


@pytest.mark.parametrize("call, error, named", [
    (lambda: tensor("abc"), TypeError, "tensor: "),
    (lambda: tensor([[1, 2], [3]]), ValueError, "tensor: "),
    (lambda: tensor(None), TypeError, "tensor: "),
    (lambda: tensor([1j]), TypeError, "tensor: "),
    (lambda: minigan.zeros(-1), ValueError, "zeros: "),
    (lambda: minigan.rand(2.5), ValueError, "rand: "),
    (lambda: minigan.full((2,), [1, 2]), TypeError, "full: "),
    (lambda: minigan.manual_seed(-1), ValueError, "manual_seed: "),
    (lambda: minigan.manual_seed("a"), ValueError, "manual_seed: "),
    (lambda: minigan.device("tpu"), ValueError, "device: .*'tpu'"),
    (lambda: minigan.set_device("gpu"), ValueError, "device: .*'gpu'"),
    (lambda: tensor([1.0]).to("mps"), ValueError, "device: .*'mps'")])
def test_errors(call, error, named):
    with pytest.raises(error, match=named):
        call()


def test_to():
    x = tensor([1.5, 2.5], requires_grad=True)
    y = x.to(minigan.float64)
    (y * y).sum().backward()
    assert y.dtype == "float64" and x.grad.dtype == "float32" and x.grad.tolist() == [3, 5]
    assert x.to(minigan.float32) is x and x.to("cpu") is x and x.cpu() is x
    assert x.to(minigan.int64).tolist() == [1, 2]
    assert x.to(minigan.device("cpu"), minigan.float64).dtype == "float64"
    assert x.to(y).dtype == "float64"


def without_a_gpu():
    raise RuntimeError("libnvrtc.so.12: cannot open shared object file")


NO_CUDA = {
    "no CuPy": (None, r"CuPy is not installed; install it by `pip install \"cupy-cuda12x\[ctk\]\"`"),
    "no driver": (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)),
                  "no working NVIDIA driver or GPU; .*ubuntu-drivers install"),
    "no libraries": (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True),
                                     ones=lambda n: without_a_gpu()),
                     r"cannot use its CUDA libraries .*libnvrtc.*pip install \"cupy-cuda12x\[ctk\]\""),
}


def test_a_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.import_module("minigan.device"), "_cupy", None)
    with pytest.raises(RuntimeError, match="installed but cannot use .*ImportError: libcuda.so.1"):
        minigan.set_device("cuda")
    assert not minigan.cuda.is_available()


@pytest.mark.parametrize("missing", NO_CUDA)
def test_what_is_missing_for_a_gpu_is_told_in_one_line(missing, monkeypatch):
    module, said = NO_CUDA[missing]
    monkeypatch.setattr(importlib.import_module("minigan.device"), "_cupy", None)
    monkeypatch.setitem(sys.modules, "cupy", module)
    for use in (lambda: minigan.set_device("cuda"), lambda: minigan.zeros(2).cuda(),
                lambda: minigan.ones(2, device="cuda")):
        with pytest.raises(RuntimeError, match=said) as error:
            use()
        assert "cuda" in str(error.value) and len(str(error.value).splitlines()) == 1
    assert not minigan.cuda.is_available()
    minigan.set_device("auto")
    assert minigan.zeros(1).device == "cpu"


def test_moving_to_the_gpu_and_back(gpu):
    x = tensor([1.0, 2.0], device="cpu", requires_grad=True)
    y = x.cuda()
    assert y.is_cuda and y.device == "cuda" and y.device.type == "cuda"
    (y * y).sum().cpu().backward()
    assert x.grad.tolist() == [2, 4] and x.grad.device == "cpu"


def test_device_compares_to_its_name():
    assert minigan.device("cuda:0") == "cuda" and minigan.device("cpu").type == "cpu"
    assert str(minigan.zeros(1).device) == "cpu"


def test_sizes_and_types():
    x = minigan.zeros(2, 3)
    assert x.size() == (2, 3) and x.size(1) == 3 and x.shape == (2, 3)
    assert x.numel() == 6 and x.dim() == x.ndim == 2


def test_randint_and_eye(device):
    x = minigan.randint(2, 5, (1000,))
    assert x.dtype == "int64" and set(x.tolist()) == {2, 3, 4}
    assert minigan.eye(3)[minigan.tensor([2, 0])].tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(ValueError, match="randint: "):
        minigan.randint(3, 3, (1,))
