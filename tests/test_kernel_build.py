"""The CPU kernels' library: compiled, kept and loaded, or refused in one line on stderr."""

import contextlib
import os
import shutil
import subprocess
import sys

import numpy
import pytest

from minigan import kernels
from minigan.kernels import compiler, launch

TWICE = """
extern "C" __global__ void twice(const T* x, T* y, long long n)
{
    EACH(i, n)
        y[i] = T(2) * x[i];
}
"""
COMPILER = shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")


@pytest.fixture(autouse=True)
def sources(tmp_path, monkeypatch):
    """Sources with one small kernel, which compile quickly, and nothing loaded yet."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("cpu.h", "vectors.h", "common.cu"):
        shutil.copy(compiler.FOLDER / name, folder)
    (folder / "twice.cu").write_text(TWICE)
    monkeypatch.setattr(compiler, "FOLDER", folder)
    monkeypatch.setattr(launch, "switch", launch.Switch())
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("MINIGAN_KERNELS", raising=False)
    return folder


@pytest.fixture
def libraries(cache):
    """The folder where libraries are kept."""
    return cache / "kernels"


def start_again(monkeypatch):
    """As a new process would: what is loaded stays, but it is forgotten."""
    monkeypatch.setattr(launch, "switch", launch.Switch())


def is_covered(dtype="float32"):
    return launch.covered(numpy.ones(3, dtype))


def check_twice(dtype="float32"):
    assert is_covered(dtype)
    x = numpy.arange(37).astype(dtype)
    y = numpy.empty_like(x)
    launch.launch_each("twice", x.size, x, y)
    assert (y == 2 * x).all()


def check_refused(capsys, *words):
    """Kernels are not there, of which one line tells, once."""
    assert not is_covered() and not is_covered() and not is_covered("float64")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("minigan: ") and "NumPy is used" in lines[0]
    for word in words:
        assert str(word) in lines[0]
    assert kernels.status().startswith("CPU kernels: none: ")
    assert capsys.readouterr().err == ""


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@needs_compiler
def test_it_is_compiled_once_for_each_dtype_and_then_found(monkeypatch, capsys, libraries):
    for dtype in ("float32", "float64"):
        check_twice(dtype)
        said = capsys.readouterr().err
        assert said.startswith(f"minigan: compiling CPU kernels for {dtype} with ")
        assert said.endswith(" s\n") and said.count("\n") == 1
    assert libraries.stat().st_mode & 0o777 == 0o700
    files = sorted(libraries.iterdir())
    assert [file.suffix for file in files] == [".so", ".so"]
    assert all(file.stat().st_mode & 0o022 == 0 for file in files)

    start_again(monkeypatch)
    monkeypatch.setattr(subprocess, "run", None)  # the compiler is not even asked for its version
    for dtype in ("float32", "float64"):
        check_twice(dtype)
    assert capsys.readouterr().err == ""
    assert str(files[0]) in kernels.status() or str(files[1]) in kernels.status()


@needs_compiler
@pytest.mark.parametrize("how", [
    "kill -TERM $$",  # the compiler itself
    "echo 'g++: fatal error: Killed signal terminated program cc1plus' >&2; exit 1",
    "echo 'clang: error: clang frontend command failed due to signal' >&2; exit 254"])
def test_a_compiler_that_was_killed_is_asked_again_another_time(how, monkeypatch, capsys, tmp_path,
                                                                libraries):
    """It would compile the slower forms: these are for compilers that refuse the first, and kept."""
    killed = tmp_path / "killed"
    fake = script(tmp_path / "g++", f"""
case "$*" in
    *HAS_LIBMVEC*) if [ ! -e {killed} ]; then touch {killed}; {how}; fi ;;
esac
exec {COMPILER} "$@"
""")
    monkeypatch.setenv("CXX", str(fake))
    check_refused(capsys, "signal")
    assert not list(libraries.glob("*.so"))
    start_again(monkeypatch)
    check_twice("float32")
    assert "HAS_LIBMVEC" in kernels.status()


@needs_compiler
def test_everything_it_depends_on_is_in_its_name(monkeypatch, tmp_path, sources):
    def key():
        return compiler.key_of(compiler.cpu_source("f"), compiler.find_compiler())

    keys = [key(), compiler.key_of(compiler.cpu_source("d"), compiler.find_compiler())]
    assert key() == keys[0]
    with open(sources / "twice.cu", "a") as file:
        file.write("// changed\n")
    keys.append(key())
    monkeypatch.setattr(compiler, "FLAGS", [*compiler.FLAGS, "-g"])
    keys.append(key())
    monkeypatch.setattr(compiler, "cpu", lambda: "another")
    keys.append(key())
    monkeypatch.setenv("CXX", str(script(tmp_path / "c++", f'exec {COMPILER} "$@"')))
    keys.append(key())
    monkeypatch.setenv("CXX", f"{tmp_path / 'c++'} -g0")
    keys.append(key())
    os.utime(tmp_path / "c++", (1, 1))  # another version in its place
    keys.append(key())
    assert len(set(keys)) == len(keys)


@needs_compiler
def test_a_compiler_may_be_named(monkeypatch, tmp_path, capsys):
    path = script(tmp_path / "mycc", f'exec {COMPILER} "$@"')
    monkeypatch.setenv("CXX", f"{path} -DNAMED")
    check_twice()
    assert "with mycc" in capsys.readouterr().err
    assert "-DNAMED" in kernels.status()


@pytest.mark.parametrize("text, words", [
    ("echo 'kernels.cu:7: error: no such thing' >&2; exit 1", "error: no such thing"),
    ("exit 1", "it gave no reason"),
    ("exit 0", "cannot open shared object file"),
    ('while [ "$1" != -o ]; do shift; done; echo garbage > "$2"', ""),
])
def test_a_compiler_that_fails(monkeypatch, tmp_path, capsys, libraries, text, words):
    monkeypatch.setenv("CXX", str(script(tmp_path / "broken", text)))
    check_refused(capsys, "failed", "broken", words)
    assert not list(libraries.iterdir())


@needs_compiler
def test_a_library_without_the_kernels(monkeypatch, tmp_path, capsys):
    text = f'while [ "$1" != -o ]; do shift; done; echo | {COMPILER} -shared -x c - -o "$2"'
    monkeypatch.setenv("CXX", str(script(tmp_path / "other", text)))
    check_refused(capsys, "failed", "built_by")


def test_a_compiler_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler -O9")
    check_refused(capsys, "CXX names no-such-compiler")


def test_without_a_compiler_one_line_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    check_refused(capsys, "there is no C++ compiler", "apt install g++")


@needs_compiler
@pytest.mark.parametrize("what", ["folder", "library"])
def test_what_others_may_write_to_is_refused(monkeypatch, capsys, libraries, what):
    check_twice()
    place = libraries if what == "folder" else next(libraries.iterdir())
    place.chmod(0o722)
    start_again(monkeypatch)
    capsys.readouterr()
    check_refused(capsys, f"{place} belongs to somebody else or others may write to it")


@needs_compiler
@pytest.mark.parametrize("what", ["folder", "library"])
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="only root gives files away")
def test_what_others_own_is_refused(monkeypatch, capsys, libraries, what):
    check_twice()
    place = libraries if what == "folder" else next(libraries.iterdir())
    os.chown(place, 12345, -1)
    start_again(monkeypatch)
    capsys.readouterr()
    check_refused(capsys, place, "belongs to somebody else")


@needs_compiler
@pytest.mark.parametrize("what", ["folder", "library"])
def test_links_are_refused(monkeypatch, capsys, libraries, tmp_path, what):
    check_twice()
    place = libraries if what == "folder" else next(libraries.iterdir())
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    start_again(monkeypatch)
    capsys.readouterr()
    check_refused(capsys, f"{place} is a link")


@needs_compiler
def test_a_file_in_the_folders_place_is_refused(capsys, libraries):
    libraries.parent.mkdir(parents=True)
    libraries.write_text("")
    check_refused(capsys, libraries)


@needs_compiler
def test_a_folder_that_cannot_be_written(monkeypatch, capsys, libraries):
    def mkdtemp(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(libraries))

    # Permissions do not bind root, so the system's answer is made up.
    monkeypatch.setattr(compiler.tempfile, "mkdtemp", mkdtemp)
    check_refused(capsys, "Permission denied", libraries)


@needs_compiler
@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_library_is_made_anew(monkeypatch, capsys, libraries, damage):
    check_twice()
    path, = libraries.iterdir()
    content = path.read_bytes()
    path.unlink()  # this process still uses the old one
    path.write_bytes(content[:len(content) // 2] if damage is None else damage)
    path.chmod(0o700)
    start_again(monkeypatch)
    capsys.readouterr()
    check_twice()
    assert capsys.readouterr().err.startswith("minigan: compiling")
    start_again(monkeypatch)
    check_twice()
    assert capsys.readouterr().err == ""


@needs_compiler
def test_a_whole_library_that_does_not_load_is_made_anew(monkeypatch, capsys, libraries):
    check_twice()
    path, = libraries.iterdir()
    key = path.name.partition("-")[0]
    path.unlink()
    other = libraries / compiler.name_of(key, b"for another machine")
    other.write_bytes(b"for another machine")
    other.chmod(0o700)
    start_again(monkeypatch)
    check_twice()
    assert not other.exists()


@needs_compiler
def test_two_processes_may_compile_at_once(sources, cache):
    code = ("import sys, numpy; from pathlib import Path; from minigan.kernels import compiler, launch;"
            f"compiler.FOLDER = Path({str(sources)!r}); x = numpy.ones(3, 'f'); y = x * 0;"
            "assert launch.covered(x); launch.launch_each('twice', 3, x, y); print(y.sum())")
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
                 for _ in range(3)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["6.0\n"] * 3
    assert all(path.suffix == ".so" for path in (cache / "kernels").iterdir())


def test_off_means_that_nothing_is_compiled(monkeypatch, capsys, libraries):
    monkeypatch.setenv("MINIGAN_KERNELS", "off")
    assert not is_covered() and kernels.status() == "CPU kernels: off (MINIGAN_KERNELS)"
    assert capsys.readouterr().err == "" and not libraries.exists()


@needs_compiler
def test_disabled_is_a_context_and_a_decorator():
    check_twice()
    with kernels.disabled():
        assert not is_covered()
        with contextlib.suppress(ValueError), kernels.disabled():
            raise ValueError
        assert not is_covered()
    assert kernels.disabled()(is_covered)() is False
    assert is_covered()


@needs_compiler
def test_only_native_float32_and_float64_with_elements_are_covered():
    for dtype in ("float32", "float64"):
        assert is_covered(dtype)
    for x in (numpy.ones(3, "float16"), numpy.ones(3, "int64"), numpy.ones(3, bool),
              numpy.ones(0, "float32"), numpy.ones((2, 0), "float64"),
              numpy.ones(3, "float32").astype(numpy.dtype("float32").newbyteorder())):
        assert not launch.covered(x)


@needs_compiler
def test_arrays_are_made_dense():
    x = numpy.arange(24, dtype="float32").reshape(2, 3, 4)
    for view in (x, x.T, x.transpose(1, 0, 2), x[:, :1]):
        ours = launch.dense(view)
        assert (ours == view).all()
        assert (ours is view) == (view.size == x.size)
        other = numpy.ascontiguousarray(view + 1)
        same = launch.in_order_of(ours, other)
        assert same.strides == ours.strides and (same == view + 1).all()
    odd = numpy.zeros(17, "uint8")[1:].view("float32")
    assert launch.dense(odd).flags.aligned and launch.in_order_of(odd, odd).flags.aligned


@needs_compiler
def test_a_wrong_launch_is_an_error_not_a_crash():
    check_twice()
    x = numpy.ones(3, "float32")
    for args in ((x, x), (x, x, 3, 4), (x, x, "3"), (x, x, None), (x, [1.0], 3),
                 (x, numpy.float32(1), 3)):
        with pytest.raises(TypeError):
            launch.launch("twice", x, 1, 1, args)


def test_importing_loads_no_library_and_starts_no_process():
    code = ("import sys, subprocess; subprocess.Popen = None; import minigan, minigan.kernels;"
            "from minigan.kernels import launch; assert not launch.switch.libraries")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
