"""How a convolution becomes a matrix product, by im2col and col2im, on small numbers."""

import numpy

from minigan.functional.convolution import col2im, conv2d_geometry, im2col


def make_columns(pixels, kernel):
    """The columns (KH*KW, OH*OW) of one image (H,W), and the geometry."""
    geometry = conv2d_geometry(pixels.shape, kernel, (1, 1), (0, 0), (1, 1))
    return im2col(pixels[None, :, :, None], geometry), geometry


def label_rows(columns, kernel, verb):
    """A line for each kernel entry: its indices, and its row of the columns."""
    for (kh, kw), row in zip(numpy.ndindex(kernel), format_rows(columns)):
        yield f"    kernel entry ({kh},{kw}) {verb}  {row}"


def format_rows(matrix):
    """The rows of a matrix of integers as lines, with aligned columns."""
    width = max(len(f"{x:g}") for x in matrix.ravel())
    return ["  ".join(f"{x:{width}g}" for x in row) for row in matrix]


def illustrate_conv2d(image, weight):
    """image (1,1,H,W), weight (1,1,KH,KW), both of integers."""
    x, w = image.array[0, 0], weight.array[0, 0]
    columns, geometry = make_columns(x, w.shape)
    yield ("\nim2col: the pixels that the kernel covers at one position become a column. Here the "
           "value of\neach pixel is its number, which shows where it goes:\n")
    yield from ("    " + row for row in format_rows(x))
    yield f"\nand its columns {columns.shape}, one for each of {columns.shape[1]} positions:\n"
    yield from label_rows(columns, w.shape, "meets")
    row = w.reshape(1, -1)
    yield (f"\nThe convolution is one product, weight (1, {w.size}) @ columns {columns.shape}:\n")
    yield f"    [{format_rows(row)[0]}] @ columns = [{format_rows(row @ columns)[0]}]"
    OH, OW = geometry.output
    yield f"\nReshaped to {OH, OW}, this is the output above:\n"
    yield from ("    " + line for line in format_rows((row @ columns).reshape(OH, OW)))


def illustrate_conv_transpose2d(image, weight):
    """image (1,1,H,W), weight (1,1,KH,KW), both of integers."""
    x, w = image.array[0, 0], weight.array[0, 0]
    size = tuple(n + k - 1 for n, k in zip(x.shape, w.shape))
    pixels = numpy.arange(float(size[0] * size[1])).reshape(size)
    targets, geometry = make_columns(pixels, w.shape)
    columns = w.reshape(-1, 1) @ x.reshape(1, -1)
    yield (f"\nThe reverse of conv2d. First the product, weight.T ({w.size}, 1) @ image "
           f"(1, {x.size}):\nevery pixel times every kernel entry. A column is what one pixel adds "
           f"to the output.\n")
    yield from label_rows(columns, w.shape, "gives")
    yield ("\ncol2im: each of these numbers is added to the pixel of the output that im2col would "
           "read it\nfrom. If the output's pixels are numbered")
    yield ""
    yield from ("    " + row for row in format_rows(pixels))
    yield "\nthe numbers are added:\n"
    yield from label_rows(targets, w.shape, "to pixel")
    middle = pixels[1, 1]
    addends = columns[targets == middle]
    yield (f"\nFor example, pixel {middle:g} is " + " + ".join(f"{a:g}" for a in addends)
           + f" = {addends.sum():g}. Together they are the output above:\n")
    y = col2im(columns, 1, geometry)[0, :, :, 0]
    yield from ("    " + row for row in format_rows(y))


ILLUSTRATIONS = {"conv2d": illustrate_conv2d, "conv_transpose2d": illustrate_conv_transpose2d}
