"""How a convolution becomes a matrix product: im2col, and back again, in numbers one can follow."""

import numpy

from minigan.functional.convolution import col2im, conv2d_geometry, im2col


def columns_of(pixels, kernel):
    """The columns (KH*KW, OH*OW) of one image (H,W), and the geometry."""
    geometry = conv2d_geometry(pixels.shape, kernel, (1, 1), (0, 0), (1, 1))
    return im2col(pixels[None, :, :, None], geometry), geometry


def labelled(columns, kernel, said):
    """A line for each kernel entry: which it is, and its row of the columns."""
    numbers = rows_of(columns)
    for (kh, kw), row in zip(numpy.ndindex(kernel), numbers):
        yield f"    kernel entry ({kh},{kw}) {said}  {row}"


def rows_of(matrix):
    """The rows of a matrix of whole numbers, as lines in which all stand in columns."""
    width = max(len(f"{x:g}") for x in matrix.ravel())
    return ["  ".join(f"{x:{width}g}" for x in row) for row in matrix]


def picture_of_conv2d(image, weight):
    """image (1,1,H,W), weight (1,1,KH,KW), both of whole numbers."""
    x, w = image.array[0, 0], weight.array[0, 0]
    columns, geometry = columns_of(x, w.shape)
    yield ("\nim2col: what the kernel covers at one place becomes a column. Each pixel here is its "
           "own\nnumber, so that one sees where it goes:\n")
    yield from ("    " + row for row in rows_of(x))
    yield f"\nand its columns {columns.shape}, one for each of the {columns.shape[1]} places:\n"
    yield from labelled(columns, w.shape, "meets")
    row = w.reshape(1, -1)
    yield (f"\nThe convolution is one product, weight (1, {w.size}) @ columns {columns.shape}:\n")
    yield f"    [{rows_of(row)[0]}] @ columns = [{rows_of(row @ columns)[0]}]"
    OH, OW = geometry.output
    yield f"\nwhich in the shape {OH, OW} is the output above:\n"
    yield from ("    " + line for line in rows_of((row @ columns).reshape(OH, OW)))


def picture_of_conv_transpose2d(image, weight):
    """image (1,1,H,W), weight (1,1,KH,KW), both of whole numbers."""
    x, w = image.array[0, 0], weight.array[0, 0]
    size = tuple(n + k - 1 for n, k in zip(x.shape, w.shape))
    pixels = numpy.arange(float(size[0] * size[1])).reshape(size)
    places, geometry = columns_of(pixels, w.shape)
    columns = w.reshape(-1, 1) @ x.reshape(1, -1)
    yield (f"\nThe way of conv2d backwards. First the product, weight.T ({w.size}, 1) @ image "
           f"(1, {x.size}):\nevery pixel times every kernel entry. A column is what one pixel adds "
           f"to the output.\n")
    yield from labelled(columns, w.shape, "gives")
    yield ("\ncol2im: each of these numbers is added to that pixel of the output from which im2col "
           "would\nhave read it. With the output's pixels numbered")
    yield ""
    yield from ("    " + row for row in rows_of(pixels))
    yield "\nthese are:\n"
    yield from labelled(places, w.shape, "to pixel")
    middle = pixels[1, 1]
    addends = columns[places == middle]
    yield (f"\nSo pixel {middle:g} is " + " + ".join(f"{a:g}" for a in addends)
           + f" = {addends.sum():g}, and all of them are the output above:\n")
    y = col2im(columns, 1, geometry)[0, :, :, 0]
    yield from ("    " + row for row in rows_of(y))


PICTURES = {"conv2d": picture_of_conv2d, "conv_transpose2d": picture_of_conv_transpose2d}
