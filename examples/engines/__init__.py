"""The engines that examples/benchmark.py compares: the same training steps, each in a process of
its own.

    in_minigan.py, in_torch.py, in_jax.py  the training step in each
    in_numpy.py      one large matrix product, as a yardstick
    eager.py         the step that minigan and PyTorch share
    workloads.py     what is measured: the examples' networks and batches as Tasks
    layers.py        a network as plain data, and built again
    worker.py        an engine in its own process
    parallel.py      one of several processes that train together, for scaling.py
    dry_run.py       what a step launches on a GPU, counted without one
    machine.py       cores, memory and names of the machine; blas.py: the library behind NumPy

Each in_*.py has make_run(task, **options), which returns a function run(steps): it takes that many
training steps, waits until all is computed, and returns the last step's losses as numbers. An
engine's process imports that engine and no other; even workloads.py, which imports minigan, runs
only in the benchmark's process.
"""

import json
from dataclasses import dataclass, field

import numpy

BATCHES = 4  # which the steps take in turns


@dataclass
class Task:
    """A training step: forward pass, binary cross-entropy, backward pass and Adam.

    networks  [(layers, weights)] as in layers.py: a classifier, or a GAN's discriminator and
              generator
    inputs    one (images or latents, labels or None, targets) for each part of the step: one part
              for a classifier; three for a GAN: real images, and latents for the discriminator's
              and for the generator's turn
    lr        learning rate of Adam
    device    cpu or cuda
    tf32      whether matrix products on a GPU use TF32
    """
    networks: list
    inputs: list
    lr: float
    device: str = "cpu"
    tf32: bool = False

    def batches(self):
        """The inputs of BATCHES steps: the first are `inputs`, the others have other images."""
        return [[(numpy.roll(x, i, axis=-1), labels, target) for x, labels, target in self.inputs]
                for i in range(BATCHES)]

    def save(self, path):
        """Write it to a .npz file, for `load_task`; on a CPU, without TF32."""
        arrays = {f"input {i} {j}": array for i, part in enumerate(self.inputs)
                  for j, array in enumerate(part) if array is not None}
        for i, (_, weights) in enumerate(self.networks):
            arrays |= {f"weight {i} {name}": array for name, array in weights.items()}
        facts = {"lr": self.lr, "parts": len(self.inputs),
                 "layers": [layers for layers, _ in self.networks]}
        numpy.savez(path, facts=json.dumps(facts), **arrays)


def load_task(path):
    """The Task that was saved there."""
    with numpy.load(path, allow_pickle=False) as arrays:
        facts = json.loads(str(arrays["facts"]))
        networks = [
            ([(name, tuple(tuple(a) if isinstance(a, list) else a for a in arguments))
              for name, arguments in layers],
             {key.removeprefix(f"weight {i} "): arrays[key] for key in arrays.files
              if key.startswith(f"weight {i} ")})
            for i, layers in enumerate(facts["layers"])]
        inputs = [tuple(arrays[key] if key in arrays.files else None
                        for key in (f"input {i} {j}" for j in range(3)))
                  for i in range(facts["parts"])]
    return Task(networks, inputs, facts["lr"])


@dataclass(frozen=True)
class Engine:
    """A row of the table.

    choice       the argument of --against that adds it; minigan and numpy are always there
    library      the package; the engine is the file in_<library>.py
    options      arguments of its make_run
    devices      where it is compared
    environment  additional variables of its process
    may_fail     if it fails, its row says '-' and why; any other failure ends the benchmark
    """
    choice: str
    library: str
    options: dict = field(default_factory=dict)
    devices: tuple = ("cpu", "cuda")
    environment: dict = field(default_factory=dict)
    may_fail: bool = False


ENGINES = {
    "minigan": Engine("minigan", "minigan"),
    "minigan textbook": Engine("minigan", "minigan", devices=("cpu",),
                               environment={"MINIGAN_KERNELS": "off"}),
    "minigan captured": Engine("minigan", "minigan", {"captured": True}),
    "torch": Engine("torch", "torch"),
    "torch fused": Engine("torch", "torch", {"fused": True}),
    "torch captured": Engine("torch", "torch", {"fused": True, "captured": True}, ("cuda",)),
    # One process compiles: a pool of them would live on while the other engines are measured.
    "torch compiled": Engine("torch-compile", "torch", {"fused": True, "compiled": True}, ("cpu",),
                             {"TORCHINDUCTOR_COMPILE_THREADS": "1"}, may_fail=True),
    "jax": Engine("jax", "jax", devices=("cpu",)),
    "product": Engine("numpy", "numpy"),
}
