"""State in files: saved and loaded again, and what is refused."""

import zipfile
import zlib

import h5py
import numpy
import pytest

import minigan
from minigan import DamagedFileError, nn, optim, serialization

pytestmark = pytest.mark.usefixtures("device")


ENDINGS = pytest.mark.parametrize("ending", [".npz", ".h5"])


@ENDINGS
def test_a_module_is_saved_and_loaded(tmp_path, ending):
    net, other = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    optim.Adam(net.parameters())  # it may have laid out the parameters anew
    net(minigan.rand(2, 1, 5, 5))
    path = minigan.save(net, tmp_path / "new" / f"net{ending}")
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
    with pytest.raises(TypeError, match="save: a: expected numbers"):
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
    with pytest.raises(DamagedFileError, match="s.npz: .*expected an .np[yz]"):
        minigan.load(path)


def test_other_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        minigan.load(tmp_path / "none.npz")
    with pytest.raises(TypeError, match="save: "):
        minigan.save([1.0], tmp_path / "s.npz")


@ENDINGS
def test_every_dtype_and_shape(tmp_path, ending):
    arrays = {f"{dtype}{shape}": numpy.ones(shape, dtype) * 2
              for dtype in ("bool", "uint8", "int64", "float16", "float32", "float64")
              for shape in ((), (0,), (2, 0, 3), (3, 4))}
    arrays["by columns"] = numpy.arange(6.0).reshape(2, 3).T
    arrays["other bytes"] = numpy.arange(3, dtype=">i4")
    loaded = minigan.load(minigan.save(arrays, tmp_path / f"a{ending}"))
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=") and loaded[name].flags.writeable
        numpy.testing.assert_array_equal(loaded[name], array)


def test_weights_go_to_pytorch_and_back(tmp_path):
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    state = minigan.load(minigan.save(ours, tmp_path / "net.npz"))
    theirs.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    x = minigan.randn(2, 1, 5, 5)
    numpy.testing.assert_allclose(ours(x).detach().cpu().numpy(), theirs(
        torch.tensor(x.cpu().numpy())).detach().numpy(), rtol=1e-5, atol=1e-6)
    theirs[0].weight.data += 1
    minigan.save({name: t.numpy() for name, t in theirs.state_dict().items()}, tmp_path / "t.npz")
    ours.load_state_dict(minigan.load(tmp_path / "t.npz"))
    numpy.testing.assert_array_equal(ours[0].weight.detach().cpu().numpy(),
                                     theirs[0].weight.detach().numpy())


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
    with pytest.raises(DamagedFileError, match="s.npz: entry 'a.npy': expected"):
        minigan.load(path)


# Sealed files

@pytest.fixture
def sealed_file(tmp_path):
    return minigan.save({"a": numpy.arange(300.0), "b": numpy.ones(2)}, tmp_path / "s.h5")


def test_a_changed_byte_is_noticed_anywhere(sealed_file):
    content = sealed_file.read_bytes()
    for place in [*range(0, 600, 7), *range(600, len(content), 97), len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 1
        sealed_file.write_bytes(changed)
        with pytest.raises(DamagedFileError, match="s.h5: (byte 0|line 2|from byte 512): expected"):
            minigan.load(sealed_file)


@pytest.mark.parametrize("damage", [
    lambda b: b"", lambda b: b[:300], lambda b: b[:512], lambda b: b[:-1], lambda b: b + b"x",
    lambda b: b[512:], lambda b: b * 2, lambda b: b"something else"])
def test_damaged_sealed_files(sealed_file, damage):
    sealed_file.write_bytes(damage(sealed_file.read_bytes()))
    with pytest.raises(DamagedFileError, match="s.h5: "):
        minigan.load(sealed_file)


def test_other_tools_read_it(sealed_file):
    with h5py.File(sealed_file, "r") as file:
        assert file["arrays/a"][3] == 3
        assert file["arrays/a"].attrs["crc32"] == zlib.crc32(numpy.arange(300.0).tobytes())


def test_an_array_changed_and_sealed_again(sealed_file):
    with h5py.File(sealed_file, "r+") as file:
        file["arrays/a"][3] = 7
    body = sealed_file.read_bytes()[serialization.SEAL:]
    sealed_file.write_bytes(serialization._make_seal(body) + body)
    with pytest.raises(DamagedFileError, match="s.h5: arrays/a: expected the CRC-32"):
        minigan.load(sealed_file)


@pytest.mark.parametrize("body", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_seal_on_something_else(tmp_path, body):
    path = tmp_path / "s.h5"
    path.write_bytes(serialization._make_seal(body) + body)
    with pytest.raises(DamagedFileError, match="s.h5: from byte 512"):
        minigan.load(path)


@pytest.mark.parametrize("names", [["a", "a/b"], [""], ["/"], ["a//b"], ["."], ["a\0b"]])
def test_names_that_hdf5_cannot_hold(tmp_path, names):
    with pytest.raises(ValueError, match="cannot stand in an HDF5 file"):
        minigan.save(dict.fromkeys(names, numpy.ones(1)), tmp_path / "s.h5")
    assert not (tmp_path / "s.h5").exists()


def test_the_same_state_makes_the_same_file(tmp_path):
    net = nn.Linear(3, 2)
    one, other = (minigan.save(net, tmp_path / name).read_bytes() for name in ("a.h5", "b.h5"))
    assert one == other


def test_two_entries_of_one_name(tmp_path):
    path = minigan.save({"a": numpy.ones(2)}, tmp_path / "s.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", b"other")
    with pytest.raises(DamagedFileError, match="s.npz: .*entries have the same name"):
        minigan.load(path)


@pytest.mark.parametrize("array", [numpy.array(["a"]), numpy.ones(2, complex),
                                   numpy.zeros(2, [("x", "f4")])])
def test_arrays_of_other_kinds(tmp_path, array):
    numpy.savez(tmp_path / "s.npz", a=array)
    with pytest.raises(DamagedFileError, match="s.npz: entry 'a': expected an array of numbers"):
        minigan.load(tmp_path / "s.npz")


def test_pickles_are_refused(tmp_path):
    numpy.savez(tmp_path / "s.npz", a=numpy.array([print], dtype=object))
    with pytest.raises(DamagedFileError, match="s.npz: .*allow_pickle"):
        minigan.load(tmp_path / "s.npz")


# Other endings: dicts, lists and tuples

OBJECTS = [
    {"epoch": 3, "nested": {"a": [1.5, None, True], 7: (minigan.ones(2), "text")}, "empty": {}},
    [minigan.arange(3), numpy.arange(2.0), ()], minigan.zeros(0, 2), 2.5, float("inf")]


def same(a, b):
    if isinstance(a, (minigan.Tensor, numpy.ndarray)):
        return type(a) is type(b) and a.dtype == b.dtype and a.tolist() == b.tolist()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".tar", ""])
def test_objects_are_saved_and_loaded_under_any_ending(tmp_path, ending):
    for value in OBJECTS:
        minigan.save(value, tmp_path / f"run{ending}")
        assert same(minigan.load(tmp_path / f"run{ending}", map_location="cpu"), value)


def test_a_checkpoint_of_a_training(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimiser = optim.Adam(net.parameters())
    net(minigan.randn(4, 2)).sum().backward()
    optimiser.step()
    minigan.save({"net": net.state_dict(), "optimiser": optimiser.state_dict()}, tmp_path / "c.pt")
    loaded = minigan.load(tmp_path / "c.pt", map_location=minigan.device("cpu"), weights_only=False)
    net.load_state_dict(loaded["net"])
    optimiser.load_state_dict(loaded["optimiser"])
    assert same(loaded["net"], {key: value.cpu() for key, value in net.state_dict().items()})


@pytest.mark.parametrize("make, said", [
    (lambda: nn.Linear(1, 1), r"save: state: expected Tensors.*save its state_dict\(\)"),
    (lambda: {"a": [1, print]}, r"save: state\['a'\]\[1\]: expected Tensors, numbers"),
    (lambda: {(1, 2): 3}, "save: state: the keys of a dict"), (lambda: {1, 2}, "got set"),
    (lambda: [numpy.array(["a"])], r"save: state\[0\]: expected numbers")])
def test_anything_else_is_refused(tmp_path, make, said):
    with pytest.raises(TypeError, match=said):
        minigan.save(make(), tmp_path / "a.pt")
    assert not (tmp_path / "a.pt").exists()


def test_a_file_of_pytorch_or_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"PK\x03\x04 a zip archive with pickled code")
    with pytest.raises(DamagedFileError, match="a.pt: byte 0: expected a file written by minigan"):
        minigan.load(tmp_path / "a.pt")
    for structure in ({"code": 1}, {"Tensor": "9"}, {"list": 3}, {"dict": [1]}, {}):
        facts = {"kind": "object", "structure": structure}
        serialization.write_sealed(tmp_path / "b.pt", facts, {})
        with pytest.raises(DamagedFileError, match="b.pt: expected what minigan.save wrote"):
            minigan.load(tmp_path / "b.pt")
