"""Creating tensors, their dtypes and devices, and the random generators."""

import importlib
import re
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
    assert x.dtype is numpy.dtype(dtype)  # the kernels look for this very object
    assert x.shape == numpy.shape(data)


class Column:
    """An array of another library: a column of a table, a tensor of PyTorch."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return numpy.array(self.values, dtype=dtype, copy=copy)


def test_tensor_copies():
    array = numpy.zeros(3, "float32")
    for make in (tensor, minigan.FloatTensor, lambda data: tensor(Column(data))):
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
    assert minigan.FloatTensor(4).shape == (4,) and minigan.FloatTensor().shape == (0,)
    assert minigan.FloatTensor(2, 3).tolist() == [[0, 0, 0]] * 2
    assert (minigan.FloatTensor(numpy.array([0, 255], "uint8")) / 255.0).tolist() == [0, 1]
    assert minigan.LongTensor([1, 2]).dtype == minigan.LongTensor(2).dtype == "int64"
    assert minigan.LongTensor(numpy.array([3], "int32")).tolist() == [3]
    assert minigan.is_tensor(minigan.FloatTensor([1.0])) and not minigan.is_tensor([1.0])


def test_constants(device):
    assert minigan.zeros(2, 3).shape == minigan.ones((2, 3)).shape == (2, 3)
    assert minigan.zeros(2, requires_grad=True).requires_grad
    assert minigan.full((2,), 7).dtype == "int64" and minigan.full(2, 7.0).dtype == "float32"
    assert minigan.full((2, 2), 7.0).tolist() == [[7, 7], [7, 7]]
    x = minigan.zeros(2, dtype="float64")
    assert minigan.ones_like(x).dtype == "float64" and minigan.zeros_like(x).tolist() == [0, 0]
    assert minigan.zeros(2).device == device and minigan.zeros(()).shape == ()
    assert minigan.zeros((3)).tolist() == minigan.empty(3).fill_(0).tolist() == [0, 0, 0]
    assert minigan.empty(2, 3, dtype="int64").dtype == "int64"


def test_like_another(device):
    x = minigan.ones(2, 3, dtype="float64")
    assert minigan.full_like(x, 7).tolist() == [[7] * 3] * 2
    for make in (minigan.zeros_like, minigan.ones_like, minigan.rand_like, minigan.randn_like,
                 lambda x, **options: minigan.full_like(x, 2, **options)):
        assert make(x).shape == (2, 3) and make(x).dtype == "float64"
        y = make(x, dtype=minigan.float32, device="cpu", requires_grad=True)
        assert y.dtype == "float32" and y.device == "cpu" and y.requires_grad
        assert make(x).device == device
    assert 0 <= minigan.rand_like(x).min().item() and minigan.rand_like(x).max().item() < 1


def test_ranges(device):
    assert minigan.arange(4).tolist() == [0, 1, 2, 3] and minigan.arange(4).dtype == "int64"
    assert minigan.arange(5, 1, -2).tolist() == [5, 3]
    x = minigan.arange(0, 1, 0.25)
    assert x.tolist() == [0, 0.25, 0.5, 0.75] and x.dtype == "float32" and x.device == device
    assert minigan.arange(3, dtype=minigan.float).dtype == "float32"
    y = minigan.linspace(-1, 1, 5)
    assert y.tolist() == [-1, -0.5, 0, 0.5, 1] and y.dtype == "float32" and y.device == device
    assert minigan.linspace(2, 3, 1).tolist() == [2] and minigan.linspace(2, 3, 0).shape == (0,)


def test_pytorchs_short_names_of_dtypes():
    names = {"half": "float16", "float": "float32", "double": "float64", "short": "int16",
             "int": "int32", "long": "int64"}
    for short, name in names.items():
        assert minigan.zeros(1, dtype=getattr(minigan, short)).dtype == name
        if short != "short":
            assert getattr(minigan.ones(1), short)().dtype == name
    assert minigan.tensor([0.0, 2.0]).bool().tolist() == [False, True]


def test_random_generators(device):
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


@pytest.mark.parametrize("call, error, message", [
    (lambda: tensor("abc"), TypeError, "tensor: "),
    (lambda: tensor([[1, 2], [3]]), ValueError, "tensor: "),
    (lambda: tensor(None), TypeError, "tensor: "),
    (lambda: tensor([1j]), TypeError, "tensor: "),
    (lambda: minigan.zeros(-1), ValueError, "zeros: "),
    (lambda: minigan.rand(2.5), TypeError, "rand: "),
    (lambda: minigan.full((2,), [1, 2]), TypeError, "full: "),
    (lambda: minigan.FloatTensor([1.0], [2.0]), ValueError, "FloatTensor: "),
    (lambda: minigan.FloatTensor("abc"), TypeError, "FloatTensor: "),
    (lambda: minigan.LongTensor(-1), ValueError, "LongTensor: "),
    (lambda: minigan.arange(1, 2, 0), ValueError, "arange: step"),
    (lambda: minigan.linspace(1, 2, -1), ValueError, "linspace: "),
    (lambda: minigan.rand_like([1.0]), TypeError, "rand_like: input"),
    (lambda: minigan.set_default_tensor_type("torch.DoubleTensor"), NotImplementedError,
     "set_default_tensor_type: .*DoubleTensor"),
    (lambda: minigan.no_such_name, AttributeError, "'minigan' has no attribute 'no_such_name'"),
    (lambda: minigan.manual_seed(-1), ValueError, "manual_seed: "),
    (lambda: minigan.manual_seed("a"), ValueError, "manual_seed: "),
    (lambda: minigan.device("tpu"), ValueError, "device: .*'tpu'"),
    (lambda: minigan.set_device("gpu"), ValueError, "device: .*'gpu'"),
    (lambda: tensor([1.0]).to("mps"), ValueError, "device: .*'mps'")])
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
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


def raise_without_libraries():
    raise RuntimeError("libnvrtc.so.12: cannot open shared object file")


NO_CUDA = {
    "no CuPy": (None, r"CuPy is not installed; install it by `pip install \"cupy-cuda12x\[ctk\]\"`, or "
                      r"cupy-cuda13x\[ctk\] where"),
    "no driver": (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)),
                  "no working NVIDIA driver or GPU; .*ubuntu-drivers install"),
    "no libraries": (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True),
                                     ones=lambda n: raise_without_libraries()),
                     r"cannot use its CUDA libraries .*libnvrtc.*pip install \"cupy.*\[ctk\]\""),
}


def test_a_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.import_module("minigan.device"), "_cupy", None)
    with pytest.raises(RuntimeError, match="installed but cannot use .*ImportError: libcuda.so.1"):
        minigan.set_device("cuda")
    assert not minigan.cuda.is_available()


@pytest.mark.parametrize("installed, advice", [
    ((), r'pip install "cupy-cuda12x\[ctk\]"'),
    (("cupy-cuda13x",), r'pip install "cupy-cuda13x\[ctk\]"'),
    (("cupy-cuda12x", "cupy-cuda13x"),
     "cupy-cuda12x and cupy-cuda13x are installed, which break each other .*libcuda.*; "
     "`pip uninstall cupy-cuda12x cupy-cuda13x`, then install one")])
def test_the_advice_is_for_the_cupy_that_is_there(installed, advice, monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1: cannot open')")
    for name in installed:
        folder = tmp_path / f"{name.replace('-', '_')}-14.2.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 14.2.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    device = importlib.import_module("minigan.device")
    monkeypatch.setattr(device, "_cupy", None)
    if device.cupy_packages() == sorted(installed):  # and none of this machine's own
        assert re.search(advice, device.why_no_cuda())


@pytest.mark.parametrize("missing", NO_CUDA)
def test_what_is_missing_for_a_gpu_is_reported_in_one_line(missing, monkeypatch):
    module, message = NO_CUDA[missing]
    monkeypatch.setattr(importlib.import_module("minigan.device"), "_cupy", None)
    monkeypatch.setitem(sys.modules, "cupy", module)
    for use in (lambda: minigan.set_device("cuda"), lambda: minigan.zeros(2).cuda(),
                lambda: minigan.ones(2, device="cuda"),
                lambda: minigan.cuda.FloatTensor([1.0]), lambda: minigan.cuda.LongTensor(3),
                lambda: minigan.cuda.get_device_name(0),
                lambda: minigan.set_default_tensor_type(minigan.cuda.FloatTensor),
                lambda: minigan.set_default_tensor_type("torch.cuda.FloatTensor")):
        with pytest.raises(RuntimeError, match=message) as error:
            use()
        assert "cuda" in str(error.value) and len(str(error.value).splitlines()) == 1
    assert not minigan.cuda.is_available() and minigan.cuda.device_count() == 0
    assert minigan.cuda.memory_allocated() == minigan.cuda.memory_reserved() == 0
    minigan.set_device("auto")
    assert minigan.zeros(1).device == "cpu"


def test_moving_to_the_gpu_and_back(gpu):
    x = tensor([1.0, 2.0], device="cpu", requires_grad=True)
    y = x.cuda()
    assert y.is_cuda and y.device == "cuda" and y.device.type == "cuda"
    (y * y).sum().cpu().backward()
    assert x.grad.tolist() == [2, 4] and x.grad.device == "cpu"


def test_the_gpu_as_lessons_use_it(gpu):
    minigan.set_default_device("cpu")
    assert minigan.cuda.is_available() and minigan.cuda.device_count() == 1
    assert minigan.cuda.get_device_name(0) == minigan.cuda.get_device_name("cuda:0") != ""
    with pytest.raises(ValueError, match="1"):
        minigan.cuda.get_device_name(1)
    x = minigan.cuda.FloatTensor([1, 2])
    assert x.is_cuda and x.dtype == "float32" and x.tolist() == [1, 2]
    y = minigan.cuda.LongTensor(2, 1)
    assert y.is_cuda and y.dtype == "int64" and y.shape == (2, 1)
    assert minigan.cuda.memory_allocated() >= x.array.nbytes + y.array.nbytes
    for name in (minigan.cuda.FloatTensor, "torch.cuda.FloatTensor"):
        minigan.set_default_tensor_type(name)
        assert minigan.zeros(1).is_cuda and minigan.FloatTensor([1.0]).is_cuda
        minigan.set_default_tensor_type(minigan.FloatTensor)
        assert not minigan.zeros(1).is_cuda
    minigan.set_default_tensor_type("torch.cuda.FloatTensor")
    minigan.set_default_tensor_type("torch.FloatTensor")
    assert not minigan.zeros(1).is_cuda


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
    assert set(minigan.randint(3, (1000,)).tolist()) == {0, 1, 2}
    assert minigan.eye(3)[minigan.tensor([2, 0])].tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(ValueError, match="randint: "):
        minigan.randint(3, 3, (1,))
