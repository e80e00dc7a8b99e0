"""PyTorch's name for Apple's GPUs, which minigan does not use."""


def is_available():
    """Whether such a GPU can be used: no."""
    return False
