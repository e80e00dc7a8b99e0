"""A gradient by backward beside finite differences, step by step."""

import numpy

from minigan.gradcheck import value_at

EPS = 1e-6


def compare_gradients(function, inputs, names, output):
    """A random cotangent, the gradients that backward computes from it, some entries checked."""
    g = numpy.asarray(numpy.random.default_rng(1).standard_normal(output.shape))
    yield ("A random cotangent g stands for the gradient that the rest of a network passes back. It\n"
           "turns the output into one number, L = sum(g * output), whose gradient is checked.")
    yield from format_array("g", g)
    output.backward(g)
    checked = [(name, x) for name, x in zip(names, inputs) if x.requires_grad]
    for name, x in checked:
        yield from format_array(f"dL / d {name}, by backward", x.grad.array)
    yield f"\nSome entries by quotients (L(x + eps) - L(x - eps)) / (2 eps) with eps = {EPS:g}:\n"
    yield (f"{'entry':22}{'L(x + eps)':>18}{'L(x - eps)':>18}{'quotient':>14}{'backward':>14}"
           f"{'error':>12}")
    for name, x in checked:
        for index in some_entries(x.grad.array):
            shift = numpy.zeros(x.shape)
            shift[index] = EPS
            above, below = ((g * value_at(function, inputs, x, step)).sum()
                            for step in (shift, -shift))
            quotient = (above - below) / (2 * EPS)
            analytic = x.grad.array[index]
            entry = f"{name}[{', '.join(map(str, index))}]"
            yield (f"{entry:22}{above:18.10f}{below:18.10f}{quotient:14.7f}{analytic:14.7f}"
                   f"{abs(quotient - analytic):12.1e}")


def some_entries(gradient):
    """Up to three indices: the first, the last and that of the largest entry."""
    indices = list(numpy.ndindex(gradient.shape))
    return [indices[i] for i in sorted({0, int(abs(gradient).argmax()), len(indices) - 1})]


def format_array(title, array):
    """A line with the title, and the array's numbers to four decimals, indented."""
    text = numpy.array2string(array, precision=4, suppress_small=True, max_line_width=96,
                              threshold=1000)
    yield f"\n{title}:"
    yield "\n".join("    " + line if line else "" for line in text.splitlines())
