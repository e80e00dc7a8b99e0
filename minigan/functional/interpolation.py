"""interpolate: images enlarged or reduced."""

from minigan.autograd import node, operation, sum_in_float64
from minigan.checks import check_floating, check_interpolation
from minigan.device import array_module
from minigan.tensor import Tensor


@operation
def interpolate(input: Tensor, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """(N,C,H,W) -> (N,C,OH,OW): images enlarged or reduced.

    size, scale_factor  integers (OH, OW), or factors of H and W; one for both or a pair
    mode           'nearest': pixel floor(i * H / OH); 'bilinear': between the two nearest rows and
                   columns, where pixels are squares, or with align_corners=True points whose outer
                   ones stay at the edge

    ValueError unless exactly one of size and scale_factor is given, NotImplementedError for other
    modes.
    """
    x = input.array
    check_floating("interpolate", x)
    size, factors = check_interpolation("interpolate", size, scale_factor, mode, align_corners)
    if x.ndim != 4 or not x.shape[2] or not x.shape[3]:
        raise ValueError(f"interpolate: input must have shape (N,C,H,W), got {x.shape}")
    if factors is not None:
        size = tuple(int(n * s) for n, s in zip(x.shape[2:], factors))
        if min(size) < 1:
            raise ValueError(f"interpolate: scale_factor {factors} leaves nothing of {x.shape}")
    scales = [n / m for n, m in zip(x.shape[2:], size)]
    if factors is not None:
        # As in PyTorch a fractional factor counts and not the size it led to, unless that is the
        # old one, or twice the old one in mode 'nearest'.
        by_size = (1, 0.5) if mode == "nearest" else (1,)
        scales = [scale if s == int(s) or scale in by_size else 1 / s
                  for scale, s in zip(scales, factors)]
    if mode == "bilinear":
        return bilinear(input, size, scales, align_corners)
    if all(new % old == 0 and scale == old / new
           for new, old, scale in zip(size, x.shape[2:], scales)):
        return repeated(input, size[0] // x.shape[2], size[1] // x.shape[3])
    xp = array_module(x)
    rows, columns = (xp.clip((xp.arange(n) * scale).astype("int64"), 0, old - 1)
                     for n, scale, old in zip(size, scales, x.shape[2:]))
    y = x[:, :, rows][:, :, :, columns]

    def backward(g):
        gx = xp.zeros(x.shape, x.dtype)
        xp.add.at(gx, (slice(None), slice(None), rows[:, None], columns), g)
        return (gx,)

    return node(y, (input,), backward)


def repeated(input, sh, sw):
    """Each pixel repeated, an integer number of times down and across."""
    x = input.array
    N, C, H, W = x.shape
    xp = array_module(x)
    y = xp.empty((N, C, H, sh, W, sw), x.dtype)
    y[...] = x[:, :, :, None, :, None]

    def backward(g):
        return (sum_in_float64(g.reshape(N, C, H, sh, W, sw), (3, 5)),)

    return node(y.reshape(N, C, H * sh, W * sw), (input,), backward, "interpolate")


def bilinear(input, size, scales, align_corners):
    """First between rows, then between columns: y = (1 - share) x[low] + share x[high]."""
    x = input.array
    xp = array_module(x)
    (top, bottom, v), (left, right, h) = (
        neighbours(xp, x.dtype, old, new, scale, align_corners)
        for old, new, scale in zip(x.shape[2:], size, scales))
    v = v[:, None]                                                       # (OH,1), h (OW,)
    rows = (1 - v) * x[:, :, top] + v * x[:, :, bottom]                  # (N,C,OH,W)
    y = (1 - h) * rows[:, :, :, left] + h * rows[:, :, :, right]         # (N,C,OH,OW)

    def backward(g):
        every = slice(None)
        gr, gx = xp.zeros(rows.shape, x.dtype), xp.zeros(x.shape, x.dtype)
        xp.add.at(gr, (every, every, every, left), (1 - h) * g)
        xp.add.at(gr, (every, every, every, right), h * g)
        xp.add.at(gx, (every, every, top), (1 - v) * gr)
        xp.add.at(gx, (every, every, bottom), v * gr)
        return (gx,)

    return node(y, (input,), backward, "interpolate")


def neighbours(xp, dtype, old, new, scale, align_corners):
    """Between which two of `old` places each of `new` lies, and its share of the second."""
    i = xp.arange(new)
    if align_corners:
        at = i * ((old - 1) / max(new - 1, 1))
    else:
        at = xp.maximum((i + 0.5) * scale - 0.5, 0)
    low = xp.minimum(xp.floor(at).astype("int64"), old - 1)
    return low, xp.minimum(low + 1, old - 1), (at - low).astype(dtype)
