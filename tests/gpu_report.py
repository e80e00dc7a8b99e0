"""Everything needed to judge minigan on a GPU, in one report that may be made part by part.

    python tests/gpu_report.py                      the parts that are not done yet, one by one
    python tests/gpu_report.py --list               the parts, and how each went
    python tests/gpu_report.py tests-1 cnn-64       these alone, also if they are done

The parts: the machine and versions; the tests on the GPU, in four portions; how far CuPy's results
are from NumPy's; each workload of the benchmark, beside PyTorch if it is installed with CUDA. Each is
stopped after nine minutes (--limit). What each found is kept in the report's folder, gpu_report or
--folder, and after each part report.txt there is written anew from all of them: an interrupted
report is continued by the same command. If a part fails, the others run all the same, and the exit
status is 1. Without a GPU it is 2.
"""

import importlib.util
import os
import platform
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "examples"), str(ROOT)]

import minigan  # noqa: E402
from crosscheck import cross_check  # noqa: E402
from engines.machine import available_cores, cpu_name, gpu_name, versions  # noqa: E402
from engines.workloads import WORKLOADS  # noqa: E402
from minigan.device import cupy_packages  # noqa: E402
from minigan.training import ArgumentParser, positive_int, run  # noqa: E402

# The largest errors that the tests allow, see test_on_gpu.py.
ALLOWED = {"float32": 1e-5, "float64": 1e-13}
PORTIONS = 4     # of the tests
MOST_WORKERS = 8  # processes that share the GPU
# Other libraries may warn of what newer versions of their own dependencies deprecate.
WARNINGS = "filterwarnings=default\nerror:::minigan"


def machine(limit):
    """Lines about the machine and the versions of the libraries."""
    libraries = ["minigan", "numpy", *cupy_packages(), "torch"]
    return [gpu_name(), f"{cpu_name()}, {len(available_cores())} cores, {platform.platform()}",
            ", ".join(f"{name} {version}" for name, version in versions(libraries).items())], True


def command(*arguments, limit):
    """The lines that a command of this Python prints, and whether it succeeded. After `limit`
    seconds it is stopped, with the processes that it has started."""
    with subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except BaseException as error:  # Ctrl-C too
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            output, _ = process.communicate()
            return [*output.splitlines(), f"stopped: not done within {limit} s"], False
    return output.splitlines(), process.returncode == 0


def tests(portion, limit):
    """Some of the tests marked `cuda`: those that failed, the counts, and whether they passed."""
    files = sorted(HERE.glob("test_*.py"))[portion::PORTIONS]
    workers = min(MOST_WORKERS, len(available_cores()))
    parallel = ["-n", workers] if importlib.util.find_spec("xdist") else []
    lines, good = command("-m", "pytest", "-m", "cuda", "--tb=line", "-v",  # setup.cfg has -q
                          "-o", WARNINGS, *parallel, *files, limit=limit)
    counts = dict((kind, int(count)) for count, kind in re.findall(
        r"(\d+) (passed|failed|errors?|skipped)", "\n".join(lines[-3:])))
    report = [line for line in lines if line.startswith(("FAILED", "ERROR"))] + lines[-1:]
    if not counts.get("passed"):
        report.append("NO TEST RAN ON THE GPU")
    return report, good and bool(counts.get("passed"))


def errors(limit):
    """The largest difference between NumPy and CuPy for each dtype, forward and backward."""
    worst = {}
    for name, dtype, what, error in cross_check("cuda"):
        worst[dtype, what] = max(worst.get((dtype, what), (-1.0, "")), (error, name))
    lines = [f"{dtype} {what}: {error:.1e} ({name})"
             for (dtype, what), (error, name) in sorted(worst.items())]
    return lines, all(error <= ALLOWED[dtype] for (dtype, _), (error, _) in worst.items())


def benchmark(workload, limit):
    against = ["--against", "torch"] if torch_has_cuda() else []
    return command("examples/benchmark.py", "--device", "cuda", "--workload", workload, *against,
                   limit=limit)


def torch_has_cuda():
    """In a process of its own: PyTorch and CuPy may bring the libraries of different CUDAs."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


# {name: (title, function of the seconds that it may take)}
PARTS = {
    "machine": ("The machine", machine),
    **{f"tests-{i + 1}": (f"Tests on the GPU (pytest -m cuda), portion {i + 1} of {PORTIONS}",
                          partial(tests, i)) for i in range(PORTIONS)},
    "errors": ("CuPy against NumPy, largest difference over largest number", errors),
    **{name: (f"Training steps of {name} (examples/benchmark.py --device cuda)",
              partial(benchmark, name)) for name in WORKLOADS},
}


# The report

def make_part(name, folder, limit):
    """Do one part and keep what it found. Whether it succeeded."""
    title, part = PARTS[name]
    start = time.perf_counter()
    try:
        lines, good = part(limit=limit)
    except Exception as error:  # reported, and the other parts run
        lines, good = [f"{type(error).__name__}: {error}"], False
    seconds = time.perf_counter() - start
    text = "\n".join([f"## {title} ({'done' if good else 'FAILED'}, {seconds:.0f} s)", *lines])
    (folder / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    write_report(folder)
    print(f"\n{text}", flush=True)
    return good


def found(name, folder):
    """What a part found, its heading first; "" if it was not made."""
    path = folder / f"{name}.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def is_done(name, folder):
    return "(done, " in found(name, folder).partition("\n")[0]


def write_report(folder):
    texts = {name: found(name, folder) for name in PARTS}
    missing = [name for name, text in texts.items() if not text]
    last = f"Not made yet: {', '.join(missing)}\n" if missing else ""
    (folder / "report.txt").write_text("\n".join(filter(None, [*texts.values(), last])),
                                       encoding="utf-8")


def main():
    parser = ArgumentParser(__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help="some of " + ", ".join(PARTS))
    parser.add_argument("--folder", type=Path, default=Path("gpu_report"),
                        help="where the report is, and what each part found")
    parser.add_argument("--limit", type=positive_int, default=540, help="seconds for each part")
    parser.add_argument("--list", action="store_true", help="print the parts, and do nothing")
    args = parser.parse_args()
    for name in args.part:
        if name not in PARTS:
            parser.error(f"{name}: no part of the report; the parts: {', '.join(PARTS)}")
    if args.list:
        for name in PARTS:
            print(f"{name:14} {found(name, args.folder).partition(chr(10))[0] or 'not made yet'}")
        return
    try:
        minigan.set_device("cuda")
        minigan.set_device("cpu")
        args.folder.mkdir(parents=True, exist_ok=True)
    except (RuntimeError, OSError) as error:
        parser.error(str(error))
    names = args.part or [name for name in PARTS
                          if name == "machine" or not is_done(name, args.folder)]
    good = True
    for number, name in enumerate(names, 1):
        print(f"{number} of {len(names)}: {name} ...", file=sys.stderr, flush=True)
        good = make_part(name, args.folder, args.limit) and good
    print(f"\n{args.folder / 'report.txt'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    run(main)
