"""How good are the samples of a GAN? The figures for a run of cgan.py or dcgan.py.

    python examples/evaluate.py               of the newest run
    python examples/evaluate.py runs/cgan     of the newest run of cgan.py: each epoch's label
                                              share, Fréchet distance and spread
    python examples/evaluate.py runs/dcgan/2  of this run of dcgan.py: the spread of its pictures

Label share: how many samples show the digit that was asked for, according to a classifier, which is
trained here on the run's data. Fréchet distance: how far the samples are from real test images, in
the features of the classifier's last hidden layer. Spread: how far samples are from each other,
over the same for real images. See minigan.training.metrics.

The figures are printed and saved in the run's folder as evaluation.json, those of epochs also as
evaluation.png.
"""

import json

import numpy

import cgan
import dcgan
import minigan
from minigan import nn, optim
from minigan.data import DataLoader, ImageDataset, MnistDataset
from minigan.files import write_atomically
from minigan.nn import functional as F
from minigan.training import (
    ArgumentParser, Progress, features_of, frechet_distance, label_share, plot_history, run,
    run_folder, spread_ratio, update_index)

SAMPLES = 10_000
PICTURES = 200  # of a DCGAN


def make_features():
    """From images (N,784) to the features (N,64) that distances are measured in."""
    return nn.Sequential(
        nn.View(1, 28, 28),              # (N,1,28,28)
        nn.Conv2d(1, 16, 5, stride=2),   # (N,16,12,12)
        nn.BatchNorm2d(16),
        nn.GELU(),
        nn.Conv2d(16, 32, 3, stride=2),  # (N,32,5,5)
        nn.BatchNorm2d(32),
        nn.GELU(),
        nn.View(32 * 5 * 5),             # (N,800)
        nn.Linear(32 * 5 * 5, 64),       # (N,64)
        nn.GELU(),
    )


def train_classifier(dataset, epochs=3):
    """A classifier of digits and the part of it that makes the features, both in eval mode."""
    features = make_features()
    classifier = nn.Sequential(features, nn.Linear(64, 10))
    optimiser = optim.Adam(classifier.parameters())
    loader = DataLoader(dataset, batch_size=64, shuffle=True, seed=0)
    with Progress(epochs * len(dataset), "classifier") as progress:
        for _ in range(epochs):
            for labels, images, _ in loader:
                loss = F.cross_entropy(classifier(images), labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                progress.advance(len(labels), loss=loss)
    classifier.eval()
    return classifier, features


def load_generator(path, generator):
    generator.load_state_dict(minigan.load(path))
    return generator


def load_cgan(folder, settings):
    """What evaluate_cgan needs: {epoch: generator}, training and test set."""
    paths = sorted(folder.glob("generators/epoch_*.npz"))
    if not paths:
        raise ValueError(f"{folder}: holds no generators, the first is saved after an epoch")
    generators = {int(path.stem.removeprefix("epoch_")): load_generator(path, cgan.make_generator())
                  for path in paths}
    train_set, test_set = (MnistDataset(settings["data"], train=train) for train in (True, False))
    if len(train_set) < 2 or len(test_set) < 2:
        raise ValueError(f"{settings['data']}: expected at least 2 images to train and to test")
    few = test_set.batch(slice(0, 100))[1]
    spread_ratio(few, few)  # images that are all the same are an error
    return generators, train_set, test_set


@minigan.no_grad()
def evaluate_cgan(generators, train_set, test_set):
    """The figures of each epoch, {name: list}, and those of real images, {name: figure}."""
    with minigan.enable_grad():
        classifier, features = train_classifier(train_set)
    n = min(SAMPLES, len(test_set), len(train_set))
    real_labels, real, _ = test_set.batch(slice(0, n))
    _, others, _ = train_set.batch(slice(0, n))
    real_features = features_of(features, real)
    # What real images reach: no samples can be expected to do better.
    reference = {
        "label share, %": 100 * label_share(classifier, real, real_labels).overall,
        "Fréchet distance": frechet_distance(features_of(features, others), real_features)}
    print(f"real images: the classifier recognises {reference['label share, %']:.2f} % of the test "
          f"images; Fréchet distance {reference['Fréchet distance']:.2f} of training from test "
          f"images")

    figures = {"label share, %": [], "Fréchet distance": [], "spread": []}
    for epoch, generator in generators.items():
        labels = minigan.randint(0, 10, (n,))
        noise = minigan.randn(n, cgan.LATENT_SIZE)
        images = cgan.generate(generator, minigan.eye(10)[labels], noise)
        share = label_share(classifier, images, labels)
        distance = frechet_distance(features_of(features, images), real_features)
        spread = spread_ratio(images, real)
        for values, value in zip(figures.values(), (100 * share.overall, distance, spread)):
            values.append(value)
        print(f"epoch {epoch}: label share {100 * share.overall:.1f} % (lowest "
              f"{100 * numpy.nanmin(share.per_class):.1f} %), Fréchet distance {distance:.1f}, "
              f"spread {spread:.2f} of real images'")
    print("label share per digit: " + "  ".join(
        f"{digit}: {100 * part:.1f} %" for digit, part in enumerate(share.per_class)))
    return figures, reference


def load_dcgan(folder, settings):
    """What evaluate_dcgan needs: the generator, real pictures and the batch size."""
    generator = dcgan.make_generator(settings["channels"], settings["activation"])
    load_generator(folder / "generator.npz", generator)
    pictures = ImageDataset(settings["data"], device="cpu").batch(slice(0, PICTURES))
    return generator, pictures, settings["batch_size"]


def evaluate_dcgan(generator, real, batch_size):
    """The figures, as evaluate_cgan gives them."""
    count = -(-PICTURES // batch_size) * batch_size  # whole batches, see dcgan.generate
    pictures = dcgan.generate(generator, minigan.randn(count, dcgan.LATENT_SIZE), batch_size)
    spread = spread_ratio(pictures, real)
    print(f"spread: {count} pictures are {spread:.2f} times as far from each other as real ones")
    return {"spread": [spread]}, {}


EXAMPLES = {"cgan.py": (load_cgan, evaluate_cgan), "dcgan.py": (load_dcgan, evaluate_dcgan)}


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("folder", nargs="?", help="of a run, or of runs, for the newest of them")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    args = parser.parse_args()
    with parser.report_errors():
        minigan.set_device(args.device)
        minigan.manual_seed(args.seed)
        folder = run_folder(args.folder, "runs/cgan", "runs/dcgan")
        settings = folder / "settings.json"
        if not settings.is_file():
            raise ValueError(f"{folder}: expected the folder of a run of "
                             f"{' or '.join(EXAMPLES)}, found no settings.json")
        saved = json.loads(settings.read_text(encoding="utf-8"))
        script = saved.get("script")
        if script not in EXAMPLES:
            raise ValueError(f"{folder}: expected a run of {' or '.join(EXAMPLES)}, "
                             f"got one of {script}")
        load, evaluate = EXAMPLES[script]
        inputs = load(folder, saved["settings"])
    figures, reference = evaluate(*inputs)
    write_atomically(folder / "evaluation.json",
                     json.dumps({"figures": figures, "real images": reference}, indent=1).encode())
    update_index(folder)
    print(folder / "evaluation.json")
    if reference:
        print(plot_history(figures, folder / "evaluation.png", reference))


if __name__ == "__main__":
    run(main)
