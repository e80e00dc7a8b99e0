"""python -m minigan.gradcheck: check every operation and layer, by the textbook's formulas and by
the kernels, on every device there is."""

import argparse
import sys

from minigan import cuda, kernels
from minigan.gradcheck import GradcheckError
from minigan.gradcheck.cases import all_cases
from minigan.gradcheck.forms import FORMS, check, have_kernels


def main():
    cases = list(all_cases())
    names = sorted({case.operation for case in cases})
    parser = argparse.ArgumentParser(
        prog="python -m minigan.gradcheck",
        description="Check every operation and layer against finite differences, by the textbook's "
                    "formulas and by the kernels, on every device there is. The table shows the "
                    "worst errors; '-' stands where no kernel computes an operation, 'none' where "
                    "the device has no kernels. The exit status is 1 if an error is above 1e-6.")
    parser.add_argument("operations", nargs="*", metavar="OPERATION",
                        help="check only these: " + ", ".join(names))
    selected = parser.parse_args().operations
    for name in selected:
        if name not in names:
            parser.error(f"unknown operation {name!r}; known are {', '.join(names)}")
    devices = ["cpu", "cuda"] if cuda.is_available() else ["cpu"]
    missing = {(device, "kernels") for device in devices if not have_kernels(device)}
    print(f"{'operation':34}{'configuration':28}{'device':8}"
          + "".join(f"{form:>10}" for form in FORMS))
    errors = {form: [] for form in FORMS}
    failures = []
    for case in cases:
        if selected and case.operation not in selected:
            continue
        for device in devices:
            row = f"{case.operation:34}{case.configuration:28}{device:8}"
            for form in FORMS:
                cell = "none"
                if (device, form) not in missing:
                    try:
                        error = check(case, device, form)
                        cell = "-" if error is None else f"{error:.1e}"
                        errors[form] += [] if error is None else [error]
                    except Exception as problem:  # reported below the table; the others go on
                        failures.append((case, device, form, problem))
                        cell = "FAILED"
                row += f"{cell:>10}"
            print(row, flush=True)
    for case, device, form, problem in failures:
        kind = "" if isinstance(problem, GradcheckError) else f"{type(problem).__name__}: "
        print(f"FAILED {case.operation} ({case.configuration}) by the {form} on {device}: "
              f"{kind}{problem}")
    for form in FORMS:
        worst = f", worst error {max(errors[form]):.1e}" if errors[form] else ""
        print(f"{form}: {len(errors[form])} checks passed{worst}")
    if missing:
        print(kernels.status())
    print(f"{sum(map(len, errors.values())) + len(failures)} checks, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
