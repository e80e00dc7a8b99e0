"""PyTorch's switches for cuDNN. There is none here: only `allow_tf32` changes anything."""

allow_tf32 = True
enabled = deterministic = benchmark = False


def is_available():
    """Whether there is cuDNN: no."""
    return False
