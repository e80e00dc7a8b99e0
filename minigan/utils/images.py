"""Images side by side in one, as torchvision.utils makes them."""

import math
from pathlib import Path

import numpy

from minigan.checks import check_int, check_number, check_type, describe, explain_errors
from minigan.creation import full
from minigan.device import to_device
from minigan.files import atomic_path
from minigan.functional import cat, stack
from minigan.tensor import Tensor


@explain_errors
def make_grid(tensor, nrow=8, padding=2, normalize=False, value_range=None, scale_each=False,
              pad_value=0.0):
    """Images side by side, `nrow` of them in a row, as one image (C,H,W); of one image itself.

    tensor       (N,C,H,W), (C,H,W), (H,W) or a list of (C,H,W); grey, C = 1, becomes C = 3
    padding      pixels of pad_value between the images and around them
    normalize    shift and scale to 0..1: from value_range, a pair, or from the smallest and the
                 largest number, of each image alone with scale_each

    ValueError for other shapes.
    """
    if isinstance(tensor, (list, tuple)):
        tensor = stack(list(tensor))
    if not isinstance(tensor, Tensor) or not 2 <= tensor.ndim <= 4:
        raise ValueError(f"make_grid: expected images (N,C,H,W), (C,H,W) or (H,W), "
                         f"got {describe(tensor)}")
    check_int("make_grid", "nrow", nrow)
    check_int("make_grid", "padding", padding, 0)
    images = tensor.detach()
    images = images.view((1,) * (4 - images.ndim) + images.shape)
    N, C, H, W = images.shape
    if not images.numel():
        raise ValueError(f"make_grid: expected at least one pixel, got shape {tuple(tensor.shape)}")
    if normalize:
        groups = [images[i:i + 1] for i in range(N)] if scale_each else [images]
        images = cat([_normalized(group, value_range) for group in groups])
    images = cat([images] * 3, 1) if C == 1 else images
    if N == 1:
        return images[0]
    columns = min(nrow, N)
    rows = math.ceil(N / columns)
    shape = images.shape[1], rows * (H + padding) + padding, columns * (W + padding) + padding
    grid = full(shape, pad_value, dtype=images.dtype, device=images.device)
    for n in range(N):
        y, x = (place * (size + padding) + padding
                for place, size in zip(divmod(n, columns), (H, W)))
        grid[:, y:y + H, x:x + W] = images[n]
    return grid


def _normalized(images, value_range):
    if value_range is None:
        value_range = images.min().item(), images.max().item()
    if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
        raise TypeError(f"make_grid: value_range must be a pair, got {describe(value_range)}")
    low, high = (check_number("make_grid", "value_range", n) for n in value_range)
    return (images.clamp(low, high) - low) / max(high - low, 1e-5)


@explain_errors
def save_image(tensor, fp, format=None, **options):
    """Save images, numbers from 0 to 1, as one picture; options as `make_grid`.

    fp      the file's path, whose ending is the format's: '.png', '.jpg'
    format  otherwise the format

    OSError if it cannot be written.
    """
    from PIL import Image  # matplotlib brings it along

    grid = make_grid(tensor, **options)
    pixels = (grid * 255 + 0.5).clamp(0, 255).permute(1, 2, 0).to(dtype="uint8")
    if format is None:
        format = Path(fp).suffix[1:].lower()
    check_type("save_image", "format", format, str)
    kind = Image.registered_extensions().get(f".{format.lower()}")
    if kind not in Image.SAVE:
        raise ValueError(f"save_image: {fp}: format must be that of a picture such as 'png', got "
                         f"{describe(format)}")
    picture = Image.fromarray(numpy.ascontiguousarray(to_device(pixels.array, "cpu")))
    with atomic_path(fp) as unfinished:
        picture.save(unfinished, format=kind)
