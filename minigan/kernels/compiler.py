"""The kernels' sources, and the library that the machine's C++ compiler makes of them for its CPU.

The library is compiled when it is first needed, in a few seconds, and kept in the cache folder. Its
name there is a hash of all that it depends on: sources, flags, compiler, CPU, C library. It is
compiled for this very CPU, and a home folder may be shared between machines.

What is loaded runs with the user's rights. So the folder and the library are refused where somebody
else owns them or may write to them, and a library whose content is not what was written is made
anew. Nothing here raises an error beyond Unavailable: NumPy's formulas do all that kernels do.
"""

import ctypes
import hashlib
import os
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

from minigan.files import cache_folder

FOLDER = Path(__file__).parent
TYPES = {"f": "float", "d": "double"}  # by NumPy's letter for the dtype
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(')
HOST_FUNCTION = re.compile(r"^static Object\* (\w+)\(Object\*, Object\* const\* args, ptrdiff_t count\)",
                           re.MULTILINE)

# Roots and comparisons are vectorised only if they need not set errno or trap. Nothing else of
# -ffast-math: sums keep their order, nan and infinity stay what they are.
FLAGS = "-std=c++17 -O3 -fPIC -shared -fvisibility=hidden -fno-math-errno -fno-trapping-math".split()
if sys.platform == "darwin":
    FLAGS += ["-undefined", "dynamic_lookup"]  # of what Python defines
# The first is taken that works. libmvec is glibc's library of functions of vectors.
VARIANTS = (["-march=native", "-DHAS_LIBMVEC", "-lmvec", "-lm", "-fopenmp"],
            ["-march=native", "-fopenmp"], ["-march=native"], [])
PATIENCE = 300  # seconds for the compiler
HINTS = {"linux": "sudo apt install g++", "darwin": "xcode-select --install"}


class Unavailable(Exception):
    """Why there is no library, in one line. reported: whether it was printed already."""

    def __init__(self, reason, reported=False):
        super().__init__(" ".join(reason.split()))
        self.reported = reported


class Killed(Unavailable):
    """The compiler was ended by a signal. That says nothing about the flags: the slower library that
    the next ones give is not to be kept for ever."""


# Sources

def sources(*endings):
    """[(name, text)] of the files of this folder with these endings, common.cu first."""
    paths = sorted((path for path in FOLDER.iterdir() if path.suffix in endings),
                   key=lambda path: (path.name != "common.cu", path.name))
    return [(path.name, path.read_text(encoding="utf-8")) for path in paths]


def cpu_source(char):
    """The whole source for 'f' or 'd'."""
    cpu, vectors = sources(".h")
    texts = [cpu, ("T", f"typedef {TYPES[char]} T;"), vectors, *sources(".cu", ".cpp")]
    functions = {name: f"Entry<{name}>::call" for _, text in texts for name in KERNEL.findall(text)}
    functions |= {name: name for _, text in texts for name in HOST_FUNCTION.findall(text)}
    methods = "".join(f'{{"{name}", {function}, METH_FASTCALL, nullptr}},\n'
                      for name, function in functions.items())
    texts.append(("methods", "extern \"C\" {\nVISIBLE Method methods[] = {\n"
                  f"{methods}{{}}}};\n}}"))
    return "\n".join(f'#line 1 "{name}"\n{text}' for name, text in texts)


def parameters(name):
    """The parameters of a kernel, as its source declares them."""
    for _, text in sources(".cu", ".cpp"):
        found = re.search(rf'extern "C" __global__ void {name}\(([^)]*)\)', text)
        if found:
            return found.group(1).split(",")
    raise KeyError(name)


# Loading

class Method(ctypes.Structure):
    """Python's PyMethodDef; in cpu.h, too."""
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p),
                ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class Library:
    """A loaded library.

    functions  {kernel: function of arrays, numbers, and None for an array that is not there}
    """

    def __init__(self, path):
        self.path = path
        self.library = ctypes.PyDLL(str(path))
        self.library.built_by.restype = ctypes.c_char_p
        self.library.prepare.argtypes = [ctypes.py_object, ctypes.py_object, ctypes.c_ssize_t]
        self.library.prepare(None, numpy.ndarray, object.__basicsize__)
        self.functions = dict(self.methods())
        array = numpy.zeros(3)
        address = self.functions["address"]
        if address(array) != array.ctypes.data or address(None) != 0:
            raise Unavailable("this NumPy keeps the address of an array's data elsewhere")

    def methods(self):
        new = ctypes.pythonapi.PyCFunction_NewEx
        new = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.c_void_p] * 3)(
            ctypes.cast(new, ctypes.c_void_p).value)
        place = ctypes.addressof(Method.in_dll(self.library, "methods"))
        while (method := Method.from_address(place)).name:
            yield method.name.decode(), new(place, None, None)
            place += ctypes.sizeof(Method)

    def built_by(self):
        """The compiler and its flags."""
        return self.library.built_by().decode()


def load(char):
    """The library for 'f' or 'd', from the cache folder or compiled into it.

    Raises Unavailable if it cannot be had. That it is compiled is reported on stderr.
    """
    try:
        compiler = find_compiler()
        source = cpu_source(char)
        folder = own_folder()
        key = key_of(source, compiler)
        path = cached(folder, key)
        if path is not None:
            try:
                return Library(path)
            except (OSError, AttributeError):
                path.unlink()  # made anew
        return compiled(char, source, compiler, folder, key)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        raise Unavailable(f"{error}") from error


def find_compiler():
    """The command of the C++ compiler, a list: CXX, or what is on PATH."""
    named = shlex.split(os.environ.get("CXX", ""))
    if named:
        path = shutil.which(named[0])
        if path is None:
            raise Unavailable(f"CXX names {named[0]}, which is no program")
        return [path, *named[1:]]
    for name in ("g++", "clang++"):
        path = shutil.which(name)
        if path is not None:
            return [path]
    hint = HINTS.get(sys.platform)
    raise Unavailable("there is no C++ compiler" + (f"; `{hint}` installs one" if hint else ""))


def key_of(source, compiler):
    """A hash of all that the library depends on."""
    about = os.stat(compiler[0])
    libc = os.confstr("CS_GNU_LIBC_VERSION") if sys.platform == "linux" else platform.version()
    parts = [source, FLAGS, VARIANTS, compiler, about.st_size, about.st_mtime_ns, cpu(), libc]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def cpu():
    """What the compiler sees of the CPU: its architecture, model and extensions."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(1 << 14).split("\n\n")[0]  # all of them are alike
    except OSError:
        return platform.machine(), platform.processor()
    told = re.findall(r"^(model name|flags|Features|CPU \w+)\s*:(.*)$", first, re.MULTILINE)
    return platform.machine(), told


# The cache folder

def own_folder():
    """The folder for libraries, made if it is not there; nobody else may write to it."""
    named = os.environ.get("MINIGAN_KERNELS", "")
    folder = Path(named) if named else cache_folder() / "kernels"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    check_owner(folder, stat.S_ISDIR)
    return folder


def check_owner(path, is_kind):
    """Unavailable unless it is of this kind, no link, and in the user's hands alone."""
    about = path.lstat()
    if not is_kind(about.st_mode):
        raise Unavailable(f"{path} is a link, or not what it should be; remove it")
    if hasattr(os, "geteuid") and (about.st_uid != os.geteuid() or about.st_mode & 0o022):
        raise Unavailable(f"{path} belongs to somebody else or others may write to it; remove it")


def cached(folder, key):
    """The library's path if it is there as it was written, or None."""
    for path in sorted(folder.glob(f"{key}-*.so")):
        check_owner(path, stat.S_ISREG)
        if path.name == name_of(key, path.read_bytes()):
            return path
        path.unlink()  # damaged
    return None


def name_of(key, content):
    return f"{key}-{hashlib.sha256(content).hexdigest()[:32]}.so"


# Compiling

def compiled(char, source, compiler, folder, key):
    """The library, compiled into the folder; reported in one line."""
    with tempfile.TemporaryDirectory(prefix=".compiling-", dir=folder) as work:
        start = time.perf_counter()
        print(f"minigan: compiling CPU kernels for {numpy.dtype(char)} with "
              f"{version_of(compiler)} ... ", end="", file=sys.stderr, flush=True)
        library = None
        for i, variant in enumerate(VARIANTS):
            made = Path(work, f"{i}.so")
            try:
                compile_source(compiler, variant, source, made)
                library = Library(made)
                break
            except (OSError, AttributeError, Unavailable) as error:
                problem = " ".join(str(error).split())
                if isinstance(error, Killed):
                    break
        if library is None:
            print(f"failed, NumPy is used, slower: {problem}", file=sys.stderr, flush=True)
            raise Unavailable(f"the compiler failed: {problem}", reported=True)
        made.chmod(0o700)
        # Two processes at once write the same file, or two that are both whole.
        library.path = folder / name_of(key, made.read_bytes())
        os.replace(made, library.path)
    print(f"{time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return library


def version_of(compiler):
    """Such as 'g++ 12.2.0'."""
    try:
        text = subprocess.run([*compiler, "--version"], capture_output=True, text=True,
                              errors="replace", timeout=PATIENCE).stdout
    except (OSError, subprocess.TimeoutExpired):
        text = ""
    return " ".join([Path(compiler[0]).name, *re.findall(r"\d+\.[\d.]+", text)[:1]])


def compile_source(compiler, variant, source, made):
    """Unavailable, with the first line that says what is wrong, if it cannot be done."""
    flags = [*FLAGS, *variant]
    built_by = " ".join([Path(compiler[0]).name, *compiler[1:], *flags])
    command = [*compiler, f'-DBUILT_BY="{built_by}"', "-x", "c++", "-", "-o", str(made), *flags]
    try:
        result = subprocess.run(command, input=source, capture_output=True, text=True,
                                errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"the compiler did not end within {PATIENCE} s") from None
    if result.returncode:
        lines = result.stderr.splitlines() or [
            "it gave no reason" if result.returncode > 0 else
            f"the compiler was ended by signal {-result.returncode}"]
        kind = Killed if result.returncode < 0 or "signal" in result.stderr else Unavailable
        raise kind(next((line for line in lines if "error" in line), lines[0]))
