"""capture: a training step recorded once and then repeated as a whole.

host.py   what the host does in it, on both devices
graph.py  on a GPU: as a CUDA graph
tape.py   on a CPU: the calls that it makes, noted; recorded.py: by arrays that see them
plan.py   and how they are repeated
cpu.py    when that is done, and how it is proven
"""

from minigan.capture.step import CapturedStep, capture  # noqa: F401
