"""conv2d and conv_transpose2d against loops, over shapes with awkward edges."""

import numpy
import pytest

import minigan
import reference
from minigan import gradcheck
from minigan.nn.functional import conv2d, conv_transpose2d

pytestmark = pytest.mark.usefixtures("device")

# (N,C,H,W), (O,KH,KW), stride, padding, dilation
CONV = [
    ((2, 3, 6, 7), (4, 3, 3), (1, 1), (0, 0), (1, 1)),
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0), (1, 1)),     # 1x1
    ((2, 3, 4, 5), (2, 1, 1), (2, 3), (0, 0), (1, 1)),     # stride larger than kernel
    ((1, 2, 7, 5), (3, 2, 3), (3, 2), (0, 0), (1, 1)),     # rows left over
    ((2, 2, 8, 8), (3, 3, 3), (2, 2), (0, 0), (1, 1)),     # rows left over below and right
    ((2, 2, 3, 4), (2, 3, 3), (1, 1), (2, 2), (1, 1)),     # padding 2
    ((1, 2, 2, 3), (2, 2, 2), (2, 1), (4, 3), (1, 1)),     # padding larger than the kernel
    ((2, 1, 9, 8), (2, 3, 2), (1, 2), (1, 0), (2, 3)),     # dilation
    ((1, 3, 5, 9), (2, 5, 1), (2, 1), (0, 2), (1, 1)),     # kernel as high as the image
    ((3, 2, 4, 4), (1, 4, 4), (1, 1), (0, 0), (1, 1)),     # kernel as large as the image
    ((2, 1, 28, 28), (2, 5, 5), (2, 2), (0, 0), (1, 1)),
    ((1, 2, 6, 5), (2, 2, 3), (4, 3), (3, 1), (2, 1)),     # everything at once
    ((0, 2, 5, 5), (3, 3, 3), (1, 1), (0, 0), (1, 1)),     # no image
]

# (N,C,H,W), (O,KH,KW), stride, padding, output_padding, dilation
TRANSPOSED = [
    ((2, 3, 4, 5), (4, 3, 3), (1, 1), (0, 0), (0, 0), (1, 1)),
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0), (0, 0), (1, 1)),
    ((2, 2, 3, 4), (3, 1, 1), (2, 3), (0, 0), (0, 0), (1, 1)),  # gaps between the pixels
    ((1, 2, 3, 2), (2, 2, 3), (3, 2), (0, 1), (2, 1), (1, 1)),  # output_padding
    ((2, 3, 2, 3), (2, 4, 4), (2, 2), (1, 1), (0, 0), (1, 1)),  # the usual doubling
    ((2, 1, 3, 3), (2, 3, 2), (1, 2), (1, 0), (0, 1), (2, 3)),  # dilation
    ((1, 2, 2, 2), (2, 2, 2), (1, 1), (0, 0), (1, 2), (2, 3)),  # output_padding above stride
    ((1, 2, 6, 7), (2, 2, 2), (1, 1), (2, 3), (0, 0), (1, 1)),  # padding larger than the kernel
    ((0, 2, 3, 3), (2, 2, 2), (2, 2), (0, 0), (0, 0), (1, 1)),
]


def random(*shape):
    return numpy.random.default_rng(shape).standard_normal(shape)


def tensors(*arrays, dtype="float64"):
    return [minigan.tensor(a, dtype=dtype) for a in arrays]


def plain(x):
    return x.detach().cpu().numpy()


def conv_inputs(image, kernel):
    return random(*image), random(kernel[0], image[1], *kernel[1:]), random(kernel[0])


def transposed_inputs(image, kernel):
    return random(*image), random(image[1], *kernel), random(kernel[0])


@pytest.mark.parametrize("image, kernel, stride, padding, dilation", CONV)
@pytest.mark.parametrize("with_bias", [True, False])
def test_conv2d_equals_loops(image, kernel, stride, padding, dilation, with_bias):
    x, w, b = conv_inputs(image, kernel)
    b = b if with_bias else None
    expected = reference.conv2d(x, w, b, stride, [(p, p) for p in padding], dilation)
    bias = minigan.tensor(b) if with_bias else None
    y = conv2d(*tensors(x, w), bias, stride, padding, dilation)
    assert y.dtype == "float64" and y.shape == expected.shape
    numpy.testing.assert_allclose(plain(y), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("image, kernel, stride, padding, extra, dilation", TRANSPOSED)
@pytest.mark.parametrize("with_bias", [True, False])
def test_conv_transpose2d_equals_loops(image, kernel, stride, padding, extra, dilation, with_bias):
    x, w, b = transposed_inputs(image, kernel)
    b = b if with_bias else None
    expected = reference.conv_transpose2d(x, w, b, stride, padding, extra, dilation)
    bias = minigan.tensor(b) if with_bias else None
    y = conv_transpose2d(*tensors(x, w), bias, stride, padding, extra, 1, dilation)
    assert y.dtype == "float64" and y.shape == expected.shape
    numpy.testing.assert_allclose(plain(y), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("image, kernel, stride, padding, dilation",
                         [case for case in CONV if 0 < numpy.prod(case[0]) < 150])
def test_conv2d_gradients(image, kernel, stride, padding, dilation):
    inputs = [x.requires_grad_() for x in tensors(*conv_inputs(image, kernel))]
    gradcheck(lambda x, w, b: conv2d(x, w, b, stride, padding, dilation), inputs)


@pytest.mark.parametrize("image, kernel, stride, padding, extra, dilation",
                         [case for case in TRANSPOSED if 0 < numpy.prod(case[0])])
def test_conv_transpose2d_gradients(image, kernel, stride, padding, extra, dilation):
    inputs = [x.requires_grad_() for x in tensors(*transposed_inputs(image, kernel))]
    gradcheck(lambda x, w, b: conv_transpose2d(x, w, b, stride, padding, extra, 1, dilation),
              inputs)


@pytest.mark.parametrize("operation, image, weight", [
    (conv2d, (0, 2, 5, 5), (3, 2, 3, 3)), (conv_transpose2d, (0, 2, 5, 5), (2, 3, 3, 3))])
def test_no_image_gives_no_gradient(operation, image, weight):
    x, w, b = (t.requires_grad_() for t in tensors(random(*image), random(*weight), random(3)))
    y = operation(x, w, b)
    y.backward(minigan.zeros_like(y))
    assert x.grad.shape == image
    assert not plain(w.grad).any() and not plain(b.grad).any()


# Each axis gets dilation * (kernel - 1) in all, the odd one at the lower and right edge.
@pytest.mark.parametrize("kernel, dilation, padding", [
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((2, 4), (1, 1), ((0, 1), (1, 2))),
    ((1, 5), (1, 2), ((0, 0), (4, 4))),
    ((4, 2), (3, 3), ((4, 5), (1, 2))),
])
def test_padding_same(kernel, dilation, padding):
    x, w, b = conv_inputs((2, 2, 5, 6), (3, *kernel))
    y = conv2d(*tensors(x, w, b), padding="same", dilation=dilation)
    assert y.shape == (2, 3, 5, 6)
    expected = reference.conv2d(x, w, b, (1, 1), padding, dilation)
    numpy.testing.assert_allclose(plain(y), expected, rtol=1e-12, atol=1e-12)
    inputs = [t.requires_grad_() for t in tensors(x[:1, :, :4, :3], w, b)]
    gradcheck(lambda *a: conv2d(*a, padding="same", dilation=dilation), inputs)


def test_padding_valid_is_none():
    x, w, b = tensors(*conv_inputs((2, 2, 5, 6), (3, 3, 2)))
    numpy.testing.assert_array_equal(plain(conv2d(x, w, b, 2, "valid")), plain(conv2d(x, w, b, 2)))


def test_whole_numbers_mean_pairs():
    x, w, b = tensors(*conv_inputs((1, 2, 9, 8), (3, 2, 2)))
    numpy.testing.assert_array_equal(plain(conv2d(x, w, b, 2, 1, 3)),
                                     plain(conv2d(x, w, b, (2, 2), [1, 1], (3, 3))))
    w, b = tensors(random(2, 3, 2, 2), random(3))
    numpy.testing.assert_array_equal(
        plain(conv_transpose2d(x, w, b, 2, 1, 1, dilation=3)),
        plain(conv_transpose2d(x, w, b, (2, 2), [1, 1], (1, 1), dilation=(3, 3))))


@pytest.mark.parametrize("operation, inputs", [(conv2d, conv_inputs),
                                               (conv_transpose2d, transposed_inputs)])
def test_an_image_without_a_batch(operation, inputs):
    x, w, b = tensors(*inputs((1, 2, 5, 4), (3, 3, 2)))
    y = operation(x[0], w, b, 2, 1)
    numpy.testing.assert_array_equal(plain(y), plain(operation(x, w, b, 2, 1))[0])
    image = x[0].detach().requires_grad_()
    gradcheck(lambda *a: operation(*a, 2, 1), [image, w.requires_grad_(), b.requires_grad_()])


LAYOUTS = {
    "transposed": lambda x: x.transpose(2, 3),
    "permuted": lambda x: x.permute(1, 0, 3, 2),
    "every other": lambda x: x[:, :, ::2, 1::2],
    "a part": lambda x: x[:, 1:, 1:-1, 2:],
    "backwards": lambda x: x[:, ::-1, ::-1, ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_does_not_matter(layout):
    x, w, b = tensors(random(3, 3, 8, 8), random(3, 3, 4, 4), random(3))
    x, w = LAYOUTS[layout](x), LAYOUTS[layout](w)
    if layout == "a part":
        w = w[:, :, :1, :1]
    xs, ws = plain(x).copy(), plain(w).copy()
    O = w.shape[0]
    numpy.testing.assert_allclose(plain(conv2d(x, w, b[:O], 2, 1)),
                                  reference.conv2d(xs, ws, plain(b)[:O], (2, 2), [(1, 1)] * 2),
                                  rtol=1e-12, atol=1e-12)
    w, ws = w.transpose(0, 1), ws.swapaxes(0, 1)
    y = conv_transpose2d(x, w, b[:O], 2)
    numpy.testing.assert_allclose(plain(y),
                                  reference.conv_transpose2d(xs, ws, plain(b)[:O], (2, 2)),
                                  rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operation, inputs", [(conv2d, conv_inputs),
                                               (conv_transpose2d, transposed_inputs)])
def test_float32_stays_float32(operation, inputs):
    arrays = inputs((2, 3, 6, 5), (4, 3, 3))
    x, w, b = (t.requires_grad_() for t in tensors(*arrays, dtype="float32"))
    y = operation(x, w, b, 2, 1)
    assert y.dtype == "float32"
    y.backward(minigan.ones_like(y))
    assert {x.grad.dtype, w.grad.dtype, b.grad.dtype} == {numpy.dtype("float32")}
    exact = operation(*tensors(*arrays), 2, 1)
    numpy.testing.assert_allclose(plain(y), plain(exact), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operation, inputs", [(conv2d, conv_inputs),
                                               (conv_transpose2d, transposed_inputs)])
def test_inputs_are_left_alone(operation, inputs):
    arrays = inputs((1, 2, 7, 7), (2, 3, 3))
    x, w, b = (t.requires_grad_() for t in tensors(*arrays))
    first = operation(x, w, b, 1, 1, dilation=2)
    first.backward(minigan.ones_like(first))
    for tensor, array in zip((x, w, b), arrays):
        numpy.testing.assert_array_equal(plain(tensor), array)
    numpy.testing.assert_array_equal(plain(operation(x, w, b, 1, 1, dilation=2)), plain(first))


def zeros(*shape, dtype="float32"):
    return minigan.zeros(shape, dtype=dtype)


# arguments, what the message must contain
REFUSED_BY_CONV = [
    ((zeros(1, 2, 5, 5), zeros(4, 3, 3, 3)), ["(1, 2, 5, 5)", "(4, 3, 3, 3)", "channels"]),
    ((zeros(1, 4, 5, 5), zeros(4, 3, 3, 3)), ["(1, 4, 5, 5)", "(4, 3, 3, 3)", "channels"]),
    ((zeros(5, 5), zeros(4, 3, 3, 3)), ["(5, 5)"]),
    ((zeros(1, 1, 3, 5, 5), zeros(4, 3, 3, 3)), ["(1, 1, 3, 5, 5)"]),
    ((zeros(1, 3, 5, 5), zeros(3, 3, 3)), ["(3, 3, 3)"]),
    ((zeros(1, 3, 5, 5), zeros()), ["()"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), zeros(3)), ["(4,)", "(3,)"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), zeros(4, 1)), ["(4,)", "(4, 1)"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 6, 3)), ["(6, 3)", "(5, 5)"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 1, 0, 3), ["(3, 3)", "(5, 5)"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3, dtype="float64")), ["float32", "float64"]),
    ((zeros(1, 3, 5, 5, dtype="int64"), zeros(4, 3, 3, 3)), ["int64", "float32"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), zeros(4, dtype="float64")), ["float64"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 0), ["stride"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 1.5), ["stride"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, (1, 1, 1)), ["stride"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 1, -1), ["padding"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 1, "all"), ["padding", "all"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 2, "same"), ["same", "stride"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), None, 1, 0, 0), ["dilation"]),
    ((zeros(1, 4, 5, 5), zeros(3, 2, 3, 3), None, 1, 0, 1, 2), ["2 groups"]),
    ((zeros(1, 4, 5, 5), zeros(4, 4, 3, 3), None, 1, 0, 1, 2), ["(1, 4, 5, 5)", "needs 8"]),
    ((zeros(1, 4, 5, 5), zeros(4, 4, 3, 3), None, 1, 0, 1, 0), ["groups"]),
    ((numpy.zeros((1, 3, 5, 5)), zeros(4, 3, 3, 3)), ["input"]),
    ((zeros(1, 3, 5, 5), [1.0]), ["weight"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), 1.0), ["bias"]),
    ((zeros(1, 3, 5, 5), zeros(4, 3, 0, 3)), ["(0, 3)"]),
]
REFUSED_BY_TRANSPOSED = [
    ((zeros(1, 2, 5, 5), zeros(3, 4, 3, 3)), ["(1, 2, 5, 5)", "(3, 4, 3, 3)", "channels"]),
    ((zeros(1, 4, 5, 5), zeros(3, 4, 3, 3)), ["(1, 4, 5, 5)", "(3, 4, 3, 3)", "channels"]),
    ((zeros(5, 5), zeros(3, 4, 3, 3)), ["(5, 5)"]),
    ((zeros(1, 3, 5, 5), zeros(4,)), ["(4,)"]),
    ((zeros(1, 3, 5, 5), zeros()), ["()"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), zeros(3)), ["(4,)", "(3,)"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3, dtype="float64")), ["float32", "float64"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), None, 2, 0, 2), ["output_padding"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), None, 2, 0, -1), ["output_padding"]),
    ((zeros(1, 3, 1, 1), zeros(3, 4, 2, 2), None, 1, 1), ["(1, 3, 1, 1)", "(2, 2)"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), None, 0), ["stride"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), None, 1, "same"), ["padding"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), None, 1, 0, 0, 2), ["2 groups"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 3, 3), zeros(4), 1, 0, 0, 3), ["(12,)", "(4,)"]),
    ((zeros(1, 3, 5, 5), zeros(3, 4, 0, 3)), ["(0, 3)"]),
]


def check_refusal(operation, arguments, said):
    with pytest.raises((TypeError, ValueError, NotImplementedError)) as refusal:
        operation(*arguments)
    text = str(refusal.value)
    assert text.startswith(f"{operation.__name__}:")
    assert all(part in text for part in said), text


@pytest.mark.parametrize("arguments, said", REFUSED_BY_CONV)
def test_conv2d_refuses(arguments, said):
    check_refusal(conv2d, arguments, said)


@pytest.mark.parametrize("arguments, said", REFUSED_BY_TRANSPOSED)
def test_conv_transpose2d_refuses(arguments, said):
    check_refusal(conv_transpose2d, arguments, said)


def test_other_dtypes_are_a_type_error():
    with pytest.raises(TypeError, match="conv2d"):
        conv2d(zeros(1, 3, 5, 5), zeros(4, 3, 3, 3, dtype="float64"))
