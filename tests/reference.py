"""The operations once more, as plain loops over indices: slow, and hard to get wrong.

Everything takes and gives NumPy arrays. N batch, C channels in, O channels out, H W image,
KH KW kernel, OH OW output.
"""

import math

import numpy


def conv2d(x, w, b=None, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1)):
    """x (N,C,H,W), w (O,C,KH,KW), b (O,); padding ((top, bottom), (left, right))."""
    N, C, H, W = x.shape
    O, _, KH, KW = w.shape
    (top, bottom), (left, right) = padding
    OH = (top + H + bottom - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    OW = (left + W + right - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    y = numpy.zeros((N, O, OH, OW))
    for n, o, oh, ow in numpy.ndindex(N, O, OH, OW):
        for c, kh, kw in numpy.ndindex(C, KH, KW):
            h = oh * stride[0] + kh * dilation[0] - top
            v = ow * stride[1] + kw * dilation[1] - left
            if 0 <= h < H and 0 <= v < W:
                y[n, o, oh, ow] += x[n, c, h, v] * w[o, c, kh, kw]
        if b is not None:
            y[n, o, oh, ow] += b[o]
    return y


def conv_transpose2d(x, w, b=None, stride=(1, 1), padding=(0, 0), output_padding=(0, 0),
                     dilation=(1, 1)):
    """x (N,C,H,W), w (C,O,KH,KW), b (O,): each pixel adds its kernel to the output."""
    N, C, H, W = x.shape
    _, O, KH, KW = w.shape
    OH = (H - 1) * stride[0] - 2 * padding[0] + dilation[0] * (KH - 1) + output_padding[0] + 1
    OW = (W - 1) * stride[1] - 2 * padding[1] + dilation[1] * (KW - 1) + output_padding[1] + 1
    y = numpy.zeros((N, O, OH, OW))
    for n, c, h, v, o, kh, kw in numpy.ndindex(N, C, H, W, O, KH, KW):
        oh = h * stride[0] + kh * dilation[0] - padding[0]
        ow = v * stride[1] + kw * dilation[1] - padding[1]
        if 0 <= oh < OH and 0 <= ow < OW:
            y[n, o, oh, ow] += x[n, c, h, v] * w[c, o, kh, kw]
    if b is not None:
        for n, o, oh, ow in numpy.ndindex(y.shape):
            y[n, o, oh, ow] += b[o]
    return y


def pooled(reduce, x, kernel, stride):
    """reduce(the numbers of a window) for each window of (N,C,H,W)."""
    N, C, H, W = x.shape
    OH, OW = (H - kernel[0]) // stride[0] + 1, (W - kernel[1]) // stride[1] + 1
    y = numpy.zeros((N, C, OH, OW))
    for n, c, oh, ow in numpy.ndindex(y.shape):
        y[n, c, oh, ow] = reduce([x[n, c, oh * stride[0] + kh, ow * stride[1] + kw]
                                  for kh, kw in numpy.ndindex(*kernel)])
    return y


def adaptive_avg_pool2d(x, size):
    """x (N,C,H,W): means of windows from floor(i H / OH) up to ceil((i + 1) H / OH)."""
    N, C, H, W = x.shape
    y = numpy.zeros((N, C, *size))
    for n, c, i, j in numpy.ndindex(y.shape):
        rows = range(math.floor(i * H / size[0]), math.ceil((i + 1) * H / size[0]))
        columns = range(math.floor(j * W / size[1]), math.ceil((j + 1) * W / size[1]))
        y[n, c, i, j] = sum(x[n, c, h, w] for h in rows for w in columns) / (
            len(rows) * len(columns))
    return y


def bilinear(x, size, scale=None, align_corners=False):
    """x (N,C,H,W) between its pixels; scale: how far apart neighbours of the result are in x."""
    N, C, H, W = x.shape
    scale = scale or (H / size[0], W / size[1])
    y = numpy.zeros((N, C, *size))

    def between(i, old, new, scale):
        """[(index, share)] of the neighbours of place i."""
        at = i * (old - 1) / max(new - 1, 1) if align_corners else max((i + 0.5) * scale - 0.5, 0)
        low = min(int(at), old - 1)
        return (low, 1 - (at - low)), (min(low + 1, old - 1), at - low)

    for n, c, i, j in numpy.ndindex(y.shape):
        for h, v in between(i, H, size[0], scale[0]):
            for w, u in between(j, W, size[1], scale[1]):
                y[n, c, i, j] += v * u * x[n, c, h, w]
    return y


def pad(x, pad, mode="constant", value=0.0):
    """x of any shape; pad as PyTorch's: (before, after) of the last dimension first."""
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [
        tuple(pad[i:i + 2]) for i in range(len(pad) - 2, -1, -2)]
    y = numpy.zeros([n + before + after for n, (before, after) in zip(x.shape, pairs)])
    for index in numpy.ndindex(y.shape):
        place = [i - before for i, (before, _) in zip(index, pairs)]
        if mode == "constant":
            inside = all(0 <= i < n for i, n in zip(place, x.shape))
            y[index] = x[tuple(place)] if inside else value
        elif mode == "replicate":
            y[index] = x[tuple(min(max(i, 0), n - 1) for i, n in zip(place, x.shape))]
        else:
            y[index] = x[tuple(-i if i < 0 else 2 * (n - 1) - i if i >= n else i
                               for i, n in zip(place, x.shape))]
    return y


def pixel_shuffle(x, r):
    """x (N,C*r*r,H,W)."""
    N, C, H, W = x.shape
    y = numpy.zeros((N, C // (r * r), H * r, W * r))
    for n, c, h, w in numpy.ndindex(y.shape):
        y[n, c, h, w] = x[n, c * r * r + h % r * r + w % r, h // r, w // r]
    return y


def instance_norm(x, weight=None, bias=None, eps=1e-5):
    """x (N,C,...)."""
    return numpy.concatenate([batch_norm(image[None], weight=weight, bias=bias, training=True,
                                         eps=eps)[0] for image in x])


def linear(x, w, b=None):
    """x (...,in), w (out,in), b (out,)."""
    y = numpy.zeros(x.shape[:-1] + w.shape[:1])
    for index in numpy.ndindex(y.shape):
        item, o = index[:-1], index[-1]
        for i in range(w.shape[1]):
            y[index] += x[item + (i,)] * w[o, i]
        if b is not None:
            y[index] += b[o]
    return y


def mean_and_variance(numbers):
    """The mean, and the variance without the unbiased factor."""
    mean = sum(numbers) / len(numbers)
    return mean, sum((number - mean) ** 2 for number in numbers) / len(numbers)


def batch_norm(x, mean=None, var=None, weight=None, bias=None, training=False, momentum=0.1,
               eps=1e-5):
    """x (N,C,...): (y, running mean, running variance), the last two moved in training."""
    y = numpy.zeros(x.shape)
    new_mean = None if mean is None else mean.copy()
    new_var = None if var is None else var.copy()
    for c in range(x.shape[1]):
        places = [index for index in numpy.ndindex(x.shape) if index[1] == c]
        if training:
            m, v = mean_and_variance([x[index] for index in places])
            if mean is not None:
                unbiased = v * len(places) / (len(places) - 1)
                new_mean[c] = (1 - momentum) * mean[c] + momentum * m
                new_var[c] = (1 - momentum) * var[c] + momentum * unbiased
        else:
            m, v = mean[c], var[c]
        for index in places:
            y[index] = (x[index] - m) / math.sqrt(v + eps)
            if weight is not None:
                y[index] *= weight[c]
            if bias is not None:
                y[index] += bias[c]
    return y, new_mean, new_var


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """x (...,*normalized_shape), weight and bias of normalized_shape."""
    y = numpy.zeros(x.shape)
    for item in numpy.ndindex(x.shape[:x.ndim - len(normalized_shape)]):
        places = list(numpy.ndindex(*normalized_shape))
        m, v = mean_and_variance([x[item + place] for place in places])
        for place in places:
            y[item + place] = (x[item + place] - m) / math.sqrt(v + eps)
            if weight is not None:
                y[item + place] *= weight[place]
            if bias is not None:
                y[item + place] += bias[place]
    return y


# Activations of one number; `each` takes them to arrays.

def each(function, x, *options):
    y = numpy.zeros(x.shape)
    for index in numpy.ndindex(x.shape):
        y[index] = function(float(x[index]), *options)
    return y


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def prelu(x, weight):
    """x (N,C,...), weight (C,)."""
    y = numpy.zeros(x.shape)
    for index in numpy.ndindex(x.shape):
        y[index] = x[index] if x[index] > 0 else weight[index[1]] * x[index]
    return y


def relu(x):
    return x if x > 0 else 0.0


def leaky_relu(x, negative_slope=0.01):
    return x if x > 0 else negative_slope * x


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2
    return x * math.erfc(-x / math.sqrt(2)) / 2


def softplus(x, beta=1.0, threshold=20.0):
    return x if beta * x > threshold else math.log1p(math.exp(beta * x)) / beta


def log_softmax(x, axis):
    y = numpy.zeros(x.shape)
    for index in numpy.ndindex(x.shape):
        row = [x[index[:axis] + (i,) + index[axis + 1:]] for i in range(x.shape[axis])]
        largest = max(row)
        y[index] = x[index] - largest - math.log(sum(math.exp(v - largest) for v in row))
    return y


# Losses

def reduced(losses, reduction):
    return {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]


def held_log(p):
    return max(math.log(p), -100) if p > 0 else -100


def binary_cross_entropy(p, t, weight=None, reduction="mean"):
    losses = numpy.zeros(p.shape)
    w = numpy.broadcast_to(1.0 if weight is None else weight, p.shape)
    for i in numpy.ndindex(p.shape):
        losses[i] = -w[i] * (t[i] * held_log(p[i]) + (1 - t[i]) * held_log(1 - p[i]))
    return reduced(losses, reduction)


def binary_cross_entropy_with_logits(x, t, weight=None, reduction="mean", pos_weight=None):
    losses = numpy.zeros(x.shape)
    w = numpy.broadcast_to(1.0 if weight is None else weight, x.shape)
    positive = numpy.broadcast_to(1.0 if pos_weight is None else pos_weight, x.shape)
    for i in numpy.ndindex(x.shape):
        log_p = -math.log1p(math.exp(-x[i])) if x[i] > 0 else x[i] - math.log1p(math.exp(x[i]))
        log_q = log_p - x[i]  # log(1 - sigmoid(x))
        losses[i] = -w[i] * (positive[i] * t[i] * log_p + (1 - t[i]) * log_q)
    return reduced(losses, reduction)


def mse_loss(x, t, reduction="mean"):
    losses = numpy.zeros(x.shape)
    for i in numpy.ndindex(x.shape):
        losses[i] = (x[i] - t[i]) ** 2
    return reduced(losses, reduction)


def l1_loss(x, t, reduction="mean"):
    losses = numpy.zeros(x.shape)
    for i in numpy.ndindex(x.shape):
        losses[i] = abs(x[i] - t[i])
    return reduced(losses, reduction)


def smooth_l1_loss(x, t, reduction="mean", beta=1.0):
    losses = numpy.zeros(x.shape)
    for i in numpy.ndindex(x.shape):
        d = abs(x[i] - t[i])
        losses[i] = d * d / (2 * beta) if d < beta else d - beta / 2
    return reduced(losses, reduction)


def nll_loss(log_p, t, weight=None, ignore_index=-100, reduction="mean"):
    """log_p (C,), (N,C) or (N,C,...); t class indices."""
    axis = min(1, log_p.ndim - 1)
    weight = numpy.ones(log_p.shape[axis]) if weight is None else weight
    losses = numpy.zeros(t.shape)
    divisor = 0.0
    for index in numpy.ndindex(t.shape):
        if t[index] != ignore_index:
            losses[index] = -weight[t[index]] * log_p[(*index[:axis], t[index], *index[axis:])]
            divisor += weight[t[index]]
    return losses.sum() / divisor if reduction == "mean" else reduced(losses, reduction)


def cross_entropy(x, t, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """x (C,), (N,C) or (N,C,...); t class indices or probabilities."""
    probabilities = t.dtype.kind == "f"
    if x.ndim == 1:
        x, t, unbatched = x[None], t[None], True
    else:
        unbatched = False
    C = x.shape[1]
    log_p = log_softmax(x, 1)
    weight = numpy.ones(C) if weight is None else weight
    losses = numpy.zeros(x.shape[:1] + x.shape[2:])
    divisor = 0.0
    for index in numpy.ndindex(losses.shape):
        if not probabilities and t[index] == ignore_index:
            continue
        for c in range(C):
            place = index[:1] + (c,) + index[1:]
            wanted = t[place] if probabilities else float(t[index] == c)
            q = (1 - label_smoothing) * wanted + label_smoothing / C
            losses[index] -= weight[c] * q * log_p[place]
        divisor += 1 if probabilities else weight[t[index]]
    if reduction == "mean":
        return losses.sum() / divisor
    return losses[0] if unbatched and reduction == "none" else reduced(losses, reduction)
