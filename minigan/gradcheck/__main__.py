"""python -m minigan.gradcheck: check every operation and layer on every device there is."""

import argparse
import sys

from minigan import cuda
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.gradcheck.cases import all_cases, prepare


def main():
    cases = list(all_cases())
    names = sorted({case.operation for case in cases})
    parser = argparse.ArgumentParser(prog="python -m minigan.gradcheck", description=__doc__)
    parser.add_argument("operations", nargs="*", metavar="OPERATION",
                        help="check only these: " + ", ".join(names))
    wanted = parser.parse_args().operations
    for name in wanted:
        if name not in names:
            parser.error(f"unknown operation {name!r}; known are {', '.join(names)}")
    devices = ["cpu", "cuda"] if cuda.is_available() else ["cpu"]
    print(f"{'operation':34}{'configuration':28}{'worst error':>12}  device")
    failures = []
    checked = 0
    for case in cases:
        if wanted and case.operation not in wanted:
            continue
        for device in devices:
            try:
                error = gradcheck(*prepare(case, device), direction=case.direction)
                cell = f"{error:.1e}"
            except Exception as problem:  # reported below the table; the other checks go on
                failures.append((case, device, problem))
                cell = "FAILED"
            checked += 1
            print(f"{case.operation:34}{case.configuration:28}{cell:>12}  {device}", flush=True)
    for case, device, problem in failures:
        kind = "" if isinstance(problem, GradcheckError) else f"{type(problem).__name__}: "
        print(f"FAILED {case.operation} ({case.configuration}) on {device}: {kind}{problem}")
    print(f"{checked} checks, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
