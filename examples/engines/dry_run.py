"""What a training step launches on a GPU: counted on the stand-in for CuPy, where there is none.

The stand-in is that of the tests (tests/standin), which needs a checkout of the repository and g++.
"""

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import minigan
from engines import in_minigan
from minigan.kernels import optim

TESTS = Path(__file__).resolve().parent.parent.parent / "tests"


@dataclass
class Gpu:
    """What a GPU is assumed to reach: by default an H100's data sheet (NVIDIA H100 SXM, 2023), where
    TF32 is without sparsity.

    bandwidth      of its memory, in GB/s
    float32, tf32  operations of products, in TFLOP/s
    launch         what each launch takes at least in a captured step, in microseconds
    """
    bandwidth: float = 3350
    float32: float = 67
    tf32: float = 495
    launch: float = 2

    def seconds(self, launch, precision):
        """How long a launch takes: as long as its bytes or its product, whichever is more."""
        return max(1e-6 * self.launch, launch.nbytes / (1e9 * self.bandwidth),
                   operations(launch) / (1e12 * getattr(self, precision)))


def operations(launch):
    """Floating-point operations of a launch's product; 0 for other launches."""
    m, n, k, count = launch.product or (0, 0, 0, 0)
    return 2 * m * n * k * count


def count(task):
    """(launches of one step of a Task, the most bytes of GPU memory that it has at a time)"""
    standin = stand_in()
    if not standin.has_compiler():
        raise RuntimeError("the stand-in for a GPU needs g++")
    task.device = "cuda"
    launch = optim.launch

    def launch_of_adam(*args, others=(), **options):
        """Adam's kernel finds its arrays by their addresses: it reads and writes the parameters and
        both moments, and reads the gradients."""
        launch(*args, others=others, **options)
        if others:
            launches[-1] = launches[-1]._replace(nbytes=sum(map(standin.extent, others)) * 7 // 4)

    with standin.in_place_of_cupy(), standin.dry_run() as launches, (
            mock.patch.object(optim, "launch", launch_of_adam)):
        try:
            run = in_minigan.make_run(task)
            run(1)  # which makes the optimisers' state
            launches.clear()
            standin.memory.reset_peak()
            run(1)
            return list(launches), standin.memory.peak
        finally:
            minigan.set_device("cpu")


def stand_in():
    """The stand-in. RuntimeError where it is not there."""
    if not (TESTS / "standin").is_dir():
        raise RuntimeError(f"{TESTS}: there is no stand-in for a GPU; it comes with the repository")
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    import standin
    return standin


def report(name, workload, gpu):
    """Lines: the launches and products of one step of a Workload, and the modelled time."""
    launches, memory = count(workload.task())
    yield (f"{name}: one step of batch {workload.batch} on a GPU, counted on the stand-in for CuPy; "
           f"nothing ran on a GPU")
    yield ""
    yield f"{'launches of':28}{'times':>7}{'MB read and written':>21}{'modelled us':>13}"
    groups = defaultdict(list)
    for launch in launches:
        groups[launch.name].append(launch)
    for name, group in sorted(groups.items(), key=lambda item: -time(item[1], gpu, "float32")):
        yield (f"{name:28}{len(group):7}{sum(x.nbytes for x in group) / 1e6:21,.1f}"
               f"{1e6 * time(group, gpu, 'float32'):13,.0f}")
    yield ""
    yield f"{'products':28}{'times':>7}{'GFLOP each':>21}"
    products = Counter((operations(x), x.product) for x in launches if x.product)
    for (size, (m, n, k, stacked)), times in sorted(products.items(), reverse=True):
        # cuBLAS writes columns: by rows it is the transposed product.
        shape = f"({n},{k}) @ ({k},{m})" + (f" x {stacked}" if stacked > 1 else "")
        yield f"{shape:28}{times:7}{size / 1e9:21,.3f}"
    yield ""
    yield (f"in all: {len(launches)} launches, {sum(x.nbytes for x in launches) / 1e9:,.3f} GB read "
           f"and written, {sum(map(operations, launches)) / 1e9:,.3f} GFLOP in "
           f"{sum(products.values())} products, {memory / 1e9:,.3f} GB of memory at most")
    yield (f"modelled, not measured: {1e3 * time(launches, gpu, 'float32'):,.2f} ms a step with "
           f"products in float32, {1e3 * time(launches, gpu, 'tf32'):,.2f} ms in TF32")
    yield (f"the model: a launch takes as long as its bytes at {gpu.bandwidth:,g} GB/s or its "
           f"product at {gpu.float32:,g} TFLOP/s ({gpu.tf32:,g} in TF32), whichever is more, and at "
           f"least {gpu.launch:g} us. It has no caches, and arithmetic on numbers and indices costs "
           f"nothing in it")


def time(launches, gpu, precision):
    return sum(gpu.seconds(launch, precision) for launch in launches)
