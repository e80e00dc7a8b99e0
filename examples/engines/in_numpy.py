"""One large matrix product by NumPy or CuPy: how many operations a second the machine reaches."""

import os

import numpy

SIZES = {"cpu": 2048, "cuda": 8192}


def operations(device):
    return 2 * SIZES[device]**3


def make_run(task):
    """Of the task only its device and precision matter."""
    xp, wait = numpy, lambda: None
    if task.device == "cuda":
        os.environ["CUPY_TF32"] = str(int(task.tf32))  # CuPy reads it at the first product
        import cupy as xp
        wait = xp.cuda.Device().synchronize
    size = SIZES[task.device]
    a, b = xp.asarray(numpy.random.default_rng(0).random((2, size, size), dtype="float32"))
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
