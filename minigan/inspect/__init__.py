"""Looking inside: where the time of a training step goes."""

from minigan.inspect.profile import profile

__all__ = ["profile"]
