"""The engines that examples/benchmark.py lets compute the same training steps, one file each.

    in_minigan.py   in_torch.py   in_jax.py   in_numpy.py (one matrix product, to
                                               compare with)

Each has one function, make_run(task), for a Task as below. It gives back another, run(steps): so
many training steps, and the losses of the last as numbers when all is computed. An engine's process
imports that engine and no other: not minigan either, for which see works.py.

    works.py     what is measured: the examples' networks and batches as Tasks
    layers.py    a network as plain data, and built again
    eager.py     the step that minigan and PyTorch share
    worker.py    an engine in its own process
    machine.py   cores, memory, and what the machine says of itself; blas.py: NumPy's products
"""

from dataclasses import dataclass, field


@dataclass
class Task:
    """What a training step is made of: forward, loss (binary cross-entropy), backward and Adam.

    networks  [(layers, weights)], see layers.py: one that classifies, or a GAN's discriminator
              and generator
    inputs    for each part of a step (images or seeds, labels or None, targets): one part to
              classify; for a GAN three, with real images, drawn ones and again drawn ones
    lr        of Adam
    device    where it is computed: cpu or cuda; tf32: whether products may use it there
    """
    networks: list
    inputs: list
    lr: float
    device: str = "cpu"
    tf32: bool = False


@dataclass(frozen=True)
class Engine:
    """library: the package; module: the file here; options: of its make_run; devices: where."""
    library: str
    module: str
    options: dict = field(default_factory=dict)
    devices: tuple = ("cpu", "cuda")


ENGINES = {
    "minigan": Engine("minigan", "in_minigan"),
    "no graph": Engine("minigan", "in_minigan", {"recorded": False}, ("cuda",)),
    "torch": Engine("torch", "in_torch"),
    "torch fused": Engine("torch", "in_torch", {"fused": True}),
    "torch graph": Engine("torch", "in_torch", {"fused": True, "recorded": True}, ("cuda",)),
    "jax": Engine("jax", "in_jax", {}, ("cpu",)),
    "product": Engine("numpy", "in_numpy"),
}
