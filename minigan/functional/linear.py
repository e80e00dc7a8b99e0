"""Products with a weight matrix: linear, and embedding, which picks its rows."""

from minigan.autograd import sum_in_float64, node, operation
from minigan.checks import check_embedding, check_linear
from minigan.device import array_module
from minigan.tensor import Tensor


@operation
def linear(input: Tensor, weight: Tensor, bias=None):
    """x @ weight.T + bias: (...,in) -> (...,out).

    input (...,in), weight (out,in), bias (out,) or None, all of one dtype. ValueError for shapes
    that do not fit, TypeError for dtypes that differ.
    """
    x, w = input.array, weight.array
    b = None if bias is None else bias.array
    check_linear(x, w, b)
    y = x @ w.T
    if b is not None:
        y += b

    def backward(g):
        rows = x.size // w.shape[1] if w.shape[1] else g.size // max(w.shape[0], 1)
        g2 = g.reshape(rows, w.shape[0])
        x2 = x.reshape(rows, w.shape[1])
        gx = (g2 @ w).reshape(x.shape) if input.requires_grad else None
        gw = g2.T.dot(x2) if weight.requires_grad else None  # for one row quicker than @
        return [gx, gw] if b is None else [gx, gw, sum_in_float64(g2, 0)]

    return node(y, (input, weight) if bias is None else (input, weight, bias), backward)


@operation
def embedding(input: Tensor, weight: Tensor, padding_idx=None):
    """Rows of weight (V,D) by integer indices (...), gives (...,D).

    The row of padding_idx gets no gradient. ValueError for an index out of range; on a GPU, which
    would have to be waited for, such a row is nan.
    """
    i, w = input.array, weight.array
    check_embedding(i, w, padding_idx)

    def backward(g):
        xp = array_module(g)
        gw = xp.zeros(w.shape, w.dtype)
        xp.add.at(gw, i, g)  # an index that occurs twice adds both gradients
        if padding_idx is not None:
            gw[padding_idx] = 0
        return None, gw

    return node(w[i], (input, weight), backward)
