"""Tools to look inside: a network's layers (summary), the recorded graph (draw, dot), the time and
memory of a training step (profile), and the origin of the first nan (detect_anomaly)."""

from minigan.inspect.anomaly import detect_anomaly
from minigan.inspect.graph import dot, draw
from minigan.inspect.profile import profile
from minigan.inspect.summary import summary

__all__ = ["detect_anomaly", "dot", "draw", "profile", "summary"]
