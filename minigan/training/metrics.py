"""How good generated samples are: whether they show the labels asked for, resemble real images,
and differ from each other as much as real images do.

Compare each figure with what real images reach: a classifier does not recognise all of them
either, and two sets of real images are some distance apart too.
"""

from typing import NamedTuple

import numpy

from minigan.tensor import Tensor
from minigan.creation import tensor
from minigan.checks import check_callable, check_int, explain_errors
from minigan.grad_mode import no_grad
from minigan.training.arrays import as_numpy
from minigan.training.confusion import confusion_matrix


class LabelShare(NamedTuple):
    """overall: a float in 0..1; per_class: float64 (classes,), nan for a class without samples."""

    overall: float
    per_class: numpy.ndarray


@explain_errors
@no_grad()
def features_of(function, images, batch_size=256):
    """A function's results for many images, computed batch by batch: a NumPy array (N,...).

    function  from a Tensor (n,...) to a Tensor (n,...), such as a network or its first layers; it
              is called inside no_grad, in the mode that it is in: call eval() first where a
              batch-norm would mix the images of a batch
    images    (N,...) with N > 0: a Tensor, or an array, which is moved to the default device

    ValueError for no images, a batch size below 1, and a result without a row for each image.
    """
    check_callable("features_of", "function", function)
    batch_size = check_int("features_of", "batch_size", batch_size)
    images = images if isinstance(images, Tensor) else tensor(images)
    if not images.ndim or not len(images):
        raise ValueError(f"features_of: expected images (N,...) with N > 0, got {images.shape}")
    parts = []
    for start in range(0, len(images), batch_size):
        batch = images[start:start + batch_size]
        part = as_numpy(function(batch))
        if part.shape[:1] != (len(batch),):
            raise ValueError(f"features_of: expected a row for each of {len(batch)} images, "
                             f"the function returned {part.shape}")
        parts.append(part)
    return numpy.concatenate(parts)


@explain_errors
def label_share(classifier, images, labels, classes=10):
    """The share of the samples that show the label they were asked to show: a LabelShare.

    classifier  from images (n,...) to scores (n,classes), the highest for the class it recognises;
                called as in `features_of`
    images      samples (N,...): a Tensor or an array
    labels      the labels asked for, integers (N,) in 0..classes-1

    ValueError for other shapes or values, and for scores that are nan.
    """
    classes = check_int("label_share", "classes", classes)
    scores = features_of(classifier, images)
    if scores.shape != (len(scores), classes) or numpy.isnan(scores).any():
        raise ValueError(f"label_share: expected scores (N,{classes}) without nan, got "
                         f"{scores.shape}")
    matrix = confusion_matrix(labels, scores.argmax(axis=1), classes)
    asked = matrix.sum(axis=1)
    per_class = numpy.full(classes, numpy.nan)
    numpy.divide(matrix.diagonal(), asked, out=per_class, where=asked > 0)
    return LabelShare(float(matrix.trace() / asked.sum()), per_class)


@explain_errors
def frechet_distance(a, b):
    """The Fréchet distance (squared, as usual) between two sets of features: a float, 0 or more.

    a, b  features (N,D) and (M,D), of at least two samples each; Tensors or arrays

    Each set is described by a normal distribution with its mean m and its covariance C (the sum
    divided by N-1); the distance between the two is

        |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

    D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal
    distributions", 1982; as a measure of generated images: M. Heusel et al., "GANs trained by a
    two time-scale update rule converge to a local Nash equilibrium", 2017.

    Covariances estimated from few samples make it too large (bias). So compare only distances
    between sets of the same sizes, and expect none below that between two sets of real images of
    these sizes. Sets with fewer samples than features work, with a larger bias.

    Computed in float64. ValueError for other shapes and for numbers that are not finite.
    """
    a, b = as_numpy(a).astype("float64"), as_numpy(b).astype("float64")
    if (a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not a.shape[1]
            or len(a) < 2 or len(b) < 2):
        raise ValueError(f"frechet_distance: expected features (N,D) and (M,D) with N and M of at "
                         f"least 2, got {a.shape} and {b.shape}")
    if not (numpy.isfinite(a).all() and numpy.isfinite(b).all()):
        raise ValueError("frechet_distance: the features must be finite, there are inf or nan")
    shift = a.mean(axis=0) - b.mean(axis=0)
    covariance_a, covariance_b = (numpy.atleast_2d(numpy.cov(x, rowvar=False)) for x in (a, b))
    # C_a C_b is not symmetric, but has the eigenvalues of R C_b R with R = C_a^(1/2), which is.
    root = _square_root(covariance_a)
    eigenvalues = numpy.linalg.eigvalsh(root @ covariance_b @ root)
    trace_of_root = numpy.sqrt(eigenvalues.clip(min=0)).sum()
    distance = (shift @ shift + covariance_a.trace() + covariance_b.trace() - 2 * trace_of_root)
    # Rounding errors may make it negative for equal sets.
    return max(0.0, float(distance))


@explain_errors
def mean_distance(samples, pairs=2000, seed=0):
    """The mean Euclidean distance between two samples, over random pairs: a float.

    samples  (N,...) with N of at least 2; a Tensor or an array
    pairs    the number of random pairs, each of two different samples
    seed     of the random pairs

    Small where a generator makes much the same sample of all noise. ValueError for fewer samples,
    no pairs, and numbers that are not finite.
    """
    pairs = check_int("mean_distance", "pairs", pairs)
    seed = check_int("mean_distance", "seed", seed, least=0)
    samples = as_numpy(samples)
    if not samples.ndim or len(samples) < 2:
        raise ValueError(f"mean_distance: expected samples (N,...) with N of at least 2, "
                         f"got {samples.shape}")
    if not numpy.isfinite(samples).all():
        raise ValueError("mean_distance: the samples must be finite, there are inf or nan")
    rng = numpy.random.default_rng(seed)
    first = rng.integers(len(samples), size=pairs)
    second = (first + rng.integers(1, len(samples), size=pairs)) % len(samples)
    # Pair by pair: all the differences at once would not fit into memory for large images.
    distances = [numpy.linalg.norm(numpy.subtract(samples[i], samples[j], dtype="float64"))
                 for i, j in zip(first, second)]
    return float(numpy.mean(distances))


@explain_errors
def spread_ratio(generated, real, pairs=2000, seed=0):
    """The mean distance between generated samples over that between real ones: a float.

    generated, real  (N,...) and (M,...), samples of one shape

    Near 1 for samples as different from each other as real ones are, 0 for a generator that has
    collapsed to one sample. ValueError for other shapes, for real samples that are all the same,
    and as `mean_distance` says.
    """
    generated, real = as_numpy(generated), as_numpy(real)
    if generated.shape[1:] != real.shape[1:]:
        raise ValueError(f"spread_ratio: expected samples of one shape, got {generated.shape} "
                         f"and {real.shape}")
    real_distance = mean_distance(real, pairs, seed)
    if not real_distance:
        raise ValueError("spread_ratio: the real samples are all the same")
    return mean_distance(generated, pairs, seed) / real_distance


@explain_errors
def checkerboard_ratio(generated, real):
    """The energy of the finest detail of generated images over that of real ones: a float.

    generated, real  images (N,...,H,W) and (M,...,H,W) of one shape; Tensors or arrays

    Detail counts as fine where its period is shorter than 8/3 pixels along an axis, a frequency
    above 3/8. Photographs and drawings have little of it. Noise and the checkerboards that
    convolutions with strides leave, with a period of 2 pixels, are nearly all of this kind:
    A. Odena, V. Dumoulin and C. Olah, Deconvolution and checkerboard artifacts, 2016.

    Near 1 for images as clean as real ones, above for a checkerboard or noise, below for blur.
    ValueError for other shapes, for real images without any fine detail, and for numbers that are
    not finite.
    """
    generated, real = as_numpy(generated), as_numpy(real)
    if generated.shape[1:] != real.shape[1:] or real.ndim < 3 or not len(real) * len(generated):
        raise ValueError(f"checkerboard_ratio: expected images (N,...,H,W) of one shape, got "
                         f"{generated.shape} and {real.shape}")
    if not (numpy.isfinite(generated).all() and numpy.isfinite(real).all()):
        raise ValueError("checkerboard_ratio: the images must be finite, there are inf or nan")
    real_energy = _fine_energy(real)
    if not real_energy:
        raise ValueError("checkerboard_ratio: the real images have no fine detail")
    return _fine_energy(generated) / real_energy


@explain_errors
def spread_within_labels(generated, real, labels, pairs=200, seed=0):
    """The mean over labels of the `spread_ratio` among samples of one label: a float.

    generated  for each label 0, 1, ... samples (S,...): Tensors or arrays
    real       real samples (M,...)
    labels     their labels, integers (M,)

    Near 0 where the generator makes one sample of a label from all noise, whatever differs between
    labels. Labels without two different real samples are left out; nan where all are. ValueError
    for other shapes.
    """
    real, labels = as_numpy(real), as_numpy(labels)
    generated = list(generated)
    if not generated or labels.shape != real.shape[:1]:
        raise ValueError(f"spread_within_labels: expected samples of at least one label, real "
                         f"samples (M,...) and labels (M,), got {len(generated)} labels, "
                         f"{real.shape} and {labels.shape}")
    ratios = []
    for label, samples in enumerate(generated):
        others = real[labels == label]
        if len(others) and numpy.ptp(others, axis=0).any():
            ratios.append(spread_ratio(samples, others, pairs, seed))
    return float(numpy.mean(ratios)) if ratios else numpy.nan


def _fine_energy(images):
    """The mean over images of their spectrum's energy at frequencies above 3/8."""
    down, across = (numpy.abs(numpy.fft.fftfreq(size)) > 3 / 8 for size in images.shape[-2:])
    fine = down[:, None] | across
    # Image by image: the spectra of all would not fit into memory.
    return float(numpy.mean([(numpy.abs(numpy.fft.fft2(image)[..., fine]) ** 2).sum()
                             for image in images]))


def _square_root(covariance):
    """The symmetric R with R R = covariance."""
    eigenvalues, vectors = numpy.linalg.eigh(covariance)
    # The zeros of a singular covariance come out as tiny numbers of either sign.
    return (vectors * numpy.sqrt(eigenvalues.clip(min=0))) @ vectors.T
