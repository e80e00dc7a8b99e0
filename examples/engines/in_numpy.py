"""One large matrix product, by NumPy or CuPy: how many operations a second the machine gives."""

import os

import numpy

SIZES = {"cpu": 2048, "cuda": 8192}


def operations(device):
    return 2 * SIZES[device]**3


def make_run(task):
    """Only the task's device and precision are looked at."""
    size = SIZES[task.device]
    a, b = numpy.random.default_rng(0).random((2, size, size), dtype="float32")
    if task.device == "cpu":
        return repeated(numpy, a, b, lambda: None)
    os.environ["CUPY_TF32"] = str(int(task.tf32))  # CuPy reads it at the first product
    import cupy
    return repeated(cupy, cupy.asarray(a), cupy.asarray(b), cupy.cuda.Device().synchronize)


def repeated(xp, a, b, wait):
    product = xp.empty_like(a)

    def run(steps):
        for _ in range(steps):
            xp.matmul(a, b, out=product)
        wait()
        return []

    return run


def gpu_memory():
    import cupy
    return cupy.get_default_memory_pool().total_bytes()
