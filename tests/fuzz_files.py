"""Fuzz everything in minigan that reads files with damaged ones, and count the outcomes.

    python tests/fuzz_files.py                              2000 files of each kind
    python tests/fuzz_files.py --kind idx csv --count 10000
    python tests/fuzz_files.py --kind hdf5 --file FILE      one file again, in this process

A damaged file is a good one with bits flipped, bytes lost, inserted, zeroed or moved, and numbers
replaced by extreme ones, as the seed determines. It may be read to its end, or refused with a
DamagedFileError that begins with its path. Anything else is a failure: another error, a crash, more
time or memory than LIMITS. Files are read in a child process, which is replaced if it dies. Files
that fail are kept, and the exit status is 1.
"""

import collections
import itertools
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy

import minigan
from minigan import DamagedFileError, nn, optim
from minigan.data import ImageDataset, MnistDataset, read_idx, write_idx
from minigan.data.sandbox import limit_memory
from minigan.training import ArgumentParser, Checkpoint, Progress, positive_int, run
from minigan.training.checkpoint import write_checkpoint

# For one file. The time is longer than the sandbox waits; the memory is what the process may grow
# by.
LIMITS = SimpleNamespace(seconds=60, megabytes=200)
FAILURES = ("another error", "crash", "time", "memory")
INTEGERS = (0, 1, 127, 128, 255, 2**15 - 1, 2**15, 2**16 - 1, 2**20, 2**31 - 1, 2**31, 2**32 - 1,
            2**33, 2**40, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1)
PIECES = (b"\0", b"\r", b"\n", b",", b",,", b'"', b" 7", b"+1", b"-1", b"1_0", b"256", b"1e1",
          "\u0663".encode(), b"\xff\xfe", b"\x1f\x8b\x08", b"SNOD", b"TREE", b"HEAP", b"OHDR")


# Kinds of files: how to write a few good ones into a folder, and how to read all of one.

def write_idx_files(folder):
    values = numpy.random.default_rng(0).integers(0, 256, (6, 5, 4))
    for dtype in ("uint8", "int16", "float64"):
        write_idx(folder / dtype, values.astype(dtype))
        write_idx(folder / f"{dtype}.gz", values.astype(dtype))
    write_idx(folder / "zeros.gz", numpy.zeros(10**7, numpy.uint8))


def write_csv_files(folder):
    table = numpy.random.default_rng(0).integers(0, 256, (3, 785))
    table[:, 0] %= 10
    header = "label," + ",".join(f"pixel{number}" for number in range(784))
    for name, line_end, top in (("a", "\n", ""), ("b", "\r\n", ""), ("c", "\n", header)):
        numpy.savetxt(folder / f"{name}.csv", table, "%d", ",", newline=line_end, header=top,
                      comments="", encoding="ascii")


def write_hdf5_files(folder):
    """As `pack` writes them, as the faces are stored, and as other programs write them."""
    values = numpy.random.default_rng(0).integers(0, 256, (20, 6, 8, 3)).astype(numpy.uint8)
    forms = {
        "plain": (values, {}),
        "few": (values[:3], {}),
        "whole": (values, dict(chunks=(6, 8, 3), compression="gzip", shuffle=True)),
        "gzip": (values // 99, dict(chunks=(3, 3, 2), compression="gzip")),
        "lzf": (values[:2] // 99, dict(chunks=(3, 3, 2), compression="lzf", fletcher32=True)),
        "chunks": (values[:2], dict(chunks=(3, 3, 2), maxshape=(None, None, 3))),
    }
    for version, (name, (images, options)) in itertools.product(("earliest", "latest"),
                                                                forms.items()):
        with h5py.File(folder / f"{name}-{version}.h5", "w", libver=version) as file:
            for number, image in enumerate(images):
                file.create_dataset(f"images/{number}.png", data=image, **options)


def read_mnist_csv(path):
    list(MnistDataset(path))


def read_images(path):
    list(ImageDataset(path, size=4, device="cpu"))


def write_states(ending):
    def write(folder):
        arrays = {"0.weight": numpy.arange(24.0).reshape(2, 3, 4), "0.bias": numpy.ones(2, "f4"),
                  "1.num_batches_tracked": numpy.array(3), "empty": numpy.zeros((0, 2), bool)}
        minigan.save(arrays, folder / f"state{ending}")
        if ending == ".npz":
            numpy.savez_compressed(folder / "packed.npz", zeros=numpy.zeros(10**6), **arrays)

    return write


def write_checkpoints(folder):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimiser = optim.Adam(model.parameters())
    model(minigan.ones(2, 3)).sum().backward()
    optimiser.step()
    write_checkpoint(folder / "checkpoint.h5", {"step": 1}, {"m": model, "o": optimiser},
                     {"losses": numpy.ones(100)})


KINDS = {
    "idx": (write_idx_files, read_idx),
    "csv": (write_csv_files, read_mnist_csv),
    "hdf5": (write_hdf5_files, read_images),
    "npz": (write_states(".npz"), minigan.load),
    "state": (write_states(".h5"), minigan.load),
    "checkpoint": (write_checkpoints, Checkpoint),
}


def damaged(content, other, chance):
    """The bytes with one or a few changes; some are taken from the other file's bytes."""
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        size = len(content)
        place = chance.randrange(size + 1)
        part = slice(place, min(size, place + int(2 ** chance.uniform(0, 10))))
        length = part.stop - part.start
        match chance.randrange(9):
            case 0 if length:
                content[place] ^= 1 << chance.randrange(8)
            case 1 if length:
                content[place] = chance.randrange(256)
            case 2:
                content[part] = bytes(length)
            case 3:
                del content[part]
            case 4:
                del content[chance.choice((place, size - 1)):]
            case 5:
                start = chance.randrange(len(other))
                content[part] = other[start:start + length]
            case 6:
                content[place:place] = chance.choice((chance.randbytes(length), content[part]))
            case 7:
                content[place:place] = chance.choice(PIECES)
            case _:
                width = chance.choice((1, 2, 4, 8))
                number = chance.choice((*INTEGERS, size - 1, size, size + 1)) % 256 ** width
                place -= place % width
                content[place:place + width] = number.to_bytes(
                    width, chance.choice(("little", "big")))
    return bytes(content)


# The child process

def outcome(read, path):
    """The outcome of reading this file, and the error's text if there is one."""
    try:
        read(path)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        if any(isinstance(one, MemoryError) for one in causes(error)):
            return "memory", said
        if type(error) is DamagedFileError and str(error).startswith(str(path)):
            return "refused", said
        return "another error", said
    return "read", ""


def causes(error):
    """The error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def answer(connection, read, megabytes):
    """Send the outcome for each path that is received. The process may not outgrow the limit."""
    limit_memory(megabytes)
    connection.send("ready")
    while True:
        connection.send(outcome(read, connection.recv()))


class Child:
    """A process that reads files, restarted after one that it did not survive."""

    def __init__(self, read, limits):
        self.read, self.limits, self.process = read, limits, None

    def outcome(self, path):
        if self.process is None:
            self._start()
        try:
            self.connection.send(path)
            if self.connection.poll(self.limits.seconds):
                return self.connection.recv()
            self.stop()
            return "time", f"over {self.limits.seconds} s"
        except (EOFError, ConnectionError):
            self.process.join()
            status = self.process.exitcode
            self.stop()
            return "crash", f"exit status {status}"

    def _start(self):
        context = multiprocessing.get_context("spawn")  # a fork may inherit locks
        self.connection, its_end = context.Pipe()
        self.process = context.Process(
            target=answer, args=(its_end, self.read, self.limits.megabytes), daemon=True)
        self.process.start()
        its_end.close()
        self.connection.recv()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None


def fuzz(name, write, read, count, seed, keep, advance=lambda: None, limits=LIMITS):
    """Counts of the outcomes for damaged files, and lines about failures, whose files are kept.

    name    of the kind
    write   writes a few good files into a folder
    read    reads all of a file
    count   how many damaged files; each follows from its number and the seed
    keep    the folder for files that fail, created if there are any

    RuntimeError if a good file is not read.
    """
    counts, lines = collections.Counter(), []
    child = Child(read, limits)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        good = sorted(Path(folder).iterdir())
        contents = [path.read_bytes() for path in good]
        try:
            for path in good:
                result, said = child.outcome(path)
                if result != "read":
                    raise RuntimeError(f"{name}: {path.name}, a good file: {result}: {said}")
            for number in range(count):
                chance = random.Random(f"{name} {seed} {number}")
                original = chance.choice(range(len(good)))
                path = Path(folder, f"damaged-{seed}-{number}{good[original].suffix}")
                path.write_bytes(damaged(contents[original], chance.choice(contents), chance))
                result, said = child.outcome(path)
                counts[result] += 1
                if result in FAILURES:
                    keep.mkdir(parents=True, exist_ok=True)
                    kept = shutil.move(path, keep / f"{name}-{path.name}")
                    lines.append(f"{result}: {' '.join(said.split())}; again by: python "
                                 f"tests/fuzz_files.py --kind {name} --file {kept}")
                else:
                    path.unlink()
                advance()
        finally:
            child.stop()
    return counts, lines


def main():
    parser = ArgumentParser("Fuzz everything in minigan that reads files with damaged ones.")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS),
                        help="the kinds of files")
    parser.add_argument("--count", type=positive_int, default=2000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="determines the damage")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"),
                        help="the folder for files that fail")
    parser.add_argument("--file", type=Path, help="read only this file, in this process")
    args = parser.parse_args()
    if args.file:
        if len(args.kind) != 1:
            parser.error("--file needs one --kind")
        _, read = KINDS[args.kind[0]]
        read(args.file)
        return
    print(f"{'kind':11}{'files':>8}{'read':>8}{'refused':>9}"
          + "".join(f"{failure:>15}" for failure in FAILURES) + f"{'seconds':>9}")
    failures = []
    for name in args.kind:
        start = time.perf_counter()
        with Progress(args.count, name, unit="files") as progress:
            counts, lines = fuzz(name, *KINDS[name], args.count, args.seed, args.keep,
                                 progress.advance)
        print(f"{name:11}{counts.total():8}{counts['read']:8}{counts['refused']:9}"
              + "".join(f"{counts[failure]:15}" for failure in FAILURES)
              + f"{time.perf_counter() - start:9.1f}", flush=True)
        failures += lines
    for line in failures:
        print(line)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    run(main)
