"""Looking inside: where the time of a training step goes, and where the first nan comes from."""

from minigan.inspect.anomaly import detect_anomaly
from minigan.inspect.profile import profile

__all__ = ["detect_anomaly", "profile"]
