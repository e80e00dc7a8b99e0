"""Everything needed to judge minigan on a GPU, in one report: run it once on a machine with one.

    python tests/gpu_report.py                     prints it
    python tests/gpu_report.py --out report.txt    and writes it to a file

The parts: the machine and versions; the tests on the GPU; how far CuPy's results are from NumPy's;
the benchmark, beside PyTorch if it is installed with CUDA. If a part fails, the others run all the
same, and the exit status is 1. Without a GPU it is 2.
"""

import platform
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "examples"), str(ROOT)]

import minigan  # noqa: E402
from crosscheck import cross_check  # noqa: E402
from engines.machine import cpu_name, gpu_name, versions  # noqa: E402
from minigan.training import ArgumentParser, run  # noqa: E402

# The largest errors that the tests allow, see test_on_gpu.py.
ALLOWED = {"float32": 1e-5, "float64": 1e-13}


def machine():
    """Lines about the machine and the versions of the libraries."""
    yield gpu_name()
    yield f"{cpu_name()}, {platform.platform()}"
    libraries = ["minigan", "numpy", "cupy-cuda12x", "torch"]
    yield ", ".join(f"{name} {version}" for name, version in versions(libraries).items())


def command(*arguments):
    """The lines that a command of this Python prints, and whether it succeeded."""
    result = subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.stdout.splitlines(), result.returncode == 0


def tests():
    """The tests marked `cuda`: those that failed, the counts, and whether they succeeded."""
    lines, good = command("-m", "pytest", "-m", "cuda", "--tb=line", "-v")  # setup.cfg has -q
    counts = dict((kind, int(count)) for count, kind in re.findall(
        r"(\d+) (passed|failed|errors?|skipped)", "\n".join(lines[-3:])))
    report = [line for line in lines if line.startswith(("FAILED", "ERROR"))] + [lines[-1]]
    if not counts.get("passed"):
        report.append("NO TEST RAN ON THE GPU: nothing below can be trusted")
    return report, good and bool(counts.get("passed"))


def errors():
    """The largest difference between NumPy and CuPy for each dtype, forward and backward."""
    worst = {}
    for name, dtype, what, error in cross_check("cuda"):
        worst[dtype, what] = max(worst.get((dtype, what), (-1.0, "")), (error, name))
    lines = [f"{dtype} {what}: {error:.1e} ({name})"
             for (dtype, what), (error, name) in sorted(worst.items())]
    return lines, all(error <= ALLOWED[dtype] for (dtype, _), (error, _) in worst.items())


def benchmark(*arguments):
    against = ["--against", "torch"] if torch_has_cuda() else []
    return command("examples/benchmark.py", "--device", "cuda", *against, *arguments)


def torch_has_cuda():
    """In a process of its own: PyTorch and CuPy may bring the libraries of different CUDAs."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


PARTS = {
    "The machine": lambda: (list(machine()), True),
    "Tests on the GPU (pytest -m cuda)": tests,
    "CuPy against NumPy, largest difference over largest number": errors,
    "Training steps in float32 (examples/benchmark.py --device cuda)": benchmark,
    "The large DCGAN in TF32": lambda: benchmark("--tf32", "--workload", "dcgan-256x64"),
}


def report(write):
    """Write all parts, line by line. Whether all of them succeeded."""
    all_good = True
    for number, (title, part) in enumerate(PARTS.items(), 1):
        print(f"part {number} of {len(PARTS)}: {title} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            lines, good = part()
        except Exception as error:  # reported, and the other parts run
            lines, good = [f"{type(error).__name__}: {error}"], False
        seconds = time.perf_counter() - start
        for line in ["", f"## {title} ({'done' if good else 'FAILED'}, {seconds:.0f} s)", *lines]:
            write(line)
        all_good = all_good and good
    return all_good


def main():
    parser = ArgumentParser(__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="FILE", help="also write the report to this file")
    args = parser.parse_args()
    try:
        minigan.set_device("cuda")
        minigan.set_device("cpu")
        file = open(args.out, "w", encoding="utf-8") if args.out else None
    except (RuntimeError, OSError) as error:
        parser.error(str(error))

    def write(line):
        print(line, flush=True)
        if file:
            print(line, file=file, flush=True)

    good = report(write)
    if file:
        file.close()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    run(main)
