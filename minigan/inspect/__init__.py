"""Looking inside: what a network is made of, what was recorded, where the time and the memory of a
training step go, and where the first nan comes from."""

from minigan.inspect.anomaly import detect_anomaly
from minigan.inspect.graph import dot, draw
from minigan.inspect.profile import profile
from minigan.inspect.summary import summary

__all__ = ["detect_anomaly", "dot", "draw", "profile", "summary"]
