"""State in .npz files: there and back, and what is refused."""

import numpy
import pytest

import minigan
from minigan import nn, optim

pytestmark = pytest.mark.usefixtures("device")


def test_there_and_back(tmp_path):
    net, other = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    optim.Adam(net.parameters())  # so that the parameters are views of one flat array
    net(minigan.rand(2, 1, 5, 5))
    path = minigan.save(net, tmp_path / "new" / "net.npz")
    state = minigan.load(path)
    assert list(state) == list(net.state_dict())
    other.load_state_dict(state)
    for key, value in net.state_dict().items():
        assert (other.state_dict()[key].cpu().numpy() == value.cpu().numpy()).all()
        assert state[key].dtype == value.dtype


def test_a_dict_of_arrays_and_tensors(tmp_path):
    minigan.save({"a": numpy.arange(3), "b.c": minigan.ones(2)}, tmp_path / "s.npz")
    state = minigan.load(tmp_path / "s.npz")
    assert state["a"].tolist() == [0, 1, 2] and state["b.c"].tolist() == [1, 1]


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = minigan.save({"a": numpy.arange(3)}, tmp_path / "s.npz")
    with pytest.raises(ValueError):
        minigan.save({"a": numpy.array([print], dtype=object)}, path)
    assert minigan.load(path)["a"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["s.npz"]


@pytest.mark.parametrize("damage", [
    lambda b: b"", lambda b: b[:100], lambda b: b[:-30], lambda b: b"\x93NUMPY" + b,
    lambda b: b.replace(b"descr", b"DESCR"), lambda b: b[:60] + bytes(40) + b[100:],
    lambda b: b"something else"])
def test_damaged_files_are_named(tmp_path, damage):
    path = minigan.save({"a": numpy.arange(300.0)}, tmp_path / "s.npz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="load: .*s.npz"):
        minigan.load(path)


def test_other_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        minigan.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="npz"):
        minigan.save({}, tmp_path / "s.pt")
    with pytest.raises(TypeError, match="save: "):
        minigan.save([1.0], tmp_path / "s.npz")


def test_names_that_are_arguments_of_other_functions(tmp_path):
    names = ["file", "allow_pickle", "a.b", "path"]
    path = minigan.save({name: minigan.ones(1) for name in names}, tmp_path / "s.npz")
    assert list(minigan.load(path)) == names
    with numpy.load(path, allow_pickle=False) as archive:  # what NumPy itself reads
        assert archive["file"].tolist() == [1]


@pytest.mark.parametrize("shape", [b"(1000000000000,)", b"(10000000000000000000000000,)", b"((",
                                   b"(True,)"])
def test_headers_that_claim_too_much(tmp_path, shape):
    path = minigan.save({"a": numpy.arange(300.0)}, tmp_path / "s.npz")
    content = path.read_bytes()
    header = content[content.index(b"\x93NUMPY") + 10:][:118]
    assert b"(300,), }" in header
    changed = header.replace(b"(300,), }", shape + b", }").strip()
    path.write_bytes(content.replace(header.strip(), changed[:len(header.strip())].ljust(
        len(header.strip()))))
    with pytest.raises(ValueError, match="load: .*s.npz"):
        minigan.load(path)
