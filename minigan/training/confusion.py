"""Confusion matrices: how often each class is predicted as each class."""

import numpy

from minigan.checks import check_int, explain_errors
from minigan.training.arrays import as_classes, as_numpy


@explain_errors
def confusion_matrix(labels, predictions, classes=10):
    """How often each true class was predicted as each class: int64 (classes, classes).

    labels, predictions  integers (N,), each in 0..classes-1; Tensors, arrays or lists

    Row: the true class; column: the predicted one. ValueError for other shapes or values.
    """
    classes = check_int("confusion_matrix", "classes", classes)
    labels = as_classes("confusion_matrix", "labels", labels, classes)
    predictions = as_classes("confusion_matrix", "predictions", predictions, classes)
    if len(labels) != len(predictions):
        raise ValueError(f"confusion_matrix: {len(labels)} labels, but {len(predictions)} "
                         f"predictions")
    cells = labels.astype("int64") * classes + predictions.astype("int64")
    return numpy.bincount(cells, minlength=classes * classes).reshape(classes, classes)


@explain_errors
def format_confusion(matrix):
    """A confusion matrix as lines of text, with each class's recall (the share of it found).

    ValueError if the matrix is not square.
    """
    matrix = as_numpy(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"format_confusion: expected a square matrix, got {matrix.shape}")
    width = max(len(str(matrix.max())), len(str(len(matrix) - 1))) + 2
    lines = ["true | predicted",
             "     |" + "".join(f"{column:{width}d}" for column in range(len(matrix)))
             + "    recall"]
    for true, row in enumerate(matrix):
        recall = f"{100 * row[true] / row.sum():8.1f} %" if row.sum() else "         -"
        # Dots for zeros, so that mistakes stand out.
        counts = "".join(f"{count or '.':>{width}}" for count in row.tolist())
        lines.append(f"{true:4d} |{counts}{recall}")
    return "\n".join(lines)
