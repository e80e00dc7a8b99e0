"""How good are the samples of a GAN? The figures for a run of cgan.py or dcgan.py.

    python examples/evaluate.py               of the newest run
    python examples/evaluate.py runs/cgan     of the newest run of cgan.py: each epoch's label
                                              share, Fréchet distance and spread
    python examples/evaluate.py runs/dcgan/2  of this run of dcgan.py: Fréchet distance, spread and
                                              checkerboard on the way

Label share: how many samples show the digit that was asked for, according to a classifier, which is
trained here on the run's data. Fréchet distance: how far the samples are from real images, in the
features of the classifier's last hidden layer, or for a DCGAN, whose pictures have no labels, of an
autoencoder's code: 64 numbers, from which it learned to paint the same real pictures again. Spread:
how far samples are from each other, over the same for real images. Checkerboard: the energy of the
finest detail, over the same for real pictures. See minigan.training.metrics.

The figures are printed and saved in the run's folder as evaluation.json and evaluation.png.
"""

import json

import numpy

import cgan
import dcgan
import minigan
from minigan import distributed, nn, optim
from minigan.data import DataLoader, ImageDataset, MnistDataset, TensorDataset
from minigan.files import write_atomically
from minigan.nn import functional as F
from minigan.training import (
    ArgumentParser, Progress, checkerboard_ratio, features_of, frechet_distance, label_share,
    plot_history, run, run_folder, spread_ratio, update_index)

SAMPLES = 10_000
PICTURES = 600  # of a DCGAN
CHECKPOINTS = 10  # of a DCGAN, at most: each takes some ten seconds


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


def make_encoder():
    """From pictures (N,3,128,128) to codes (N,64), the features that distances are measured in."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 8, stride=4, padding=2),   # (N,16,32,32)
        nn.BatchNorm2d(16),
        nn.GELU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),  # (N,32,16,16)
        nn.BatchNorm2d(32),
        nn.GELU(),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),  # (N,64,8,8)
        nn.BatchNorm2d(64),
        nn.GELU(),
        nn.View(64 * 8 * 8),
        nn.Linear(64 * 8 * 8, 64),                  # (N,64)
    )


def make_decoder():
    """From codes (N,64) to pictures (N,3,128,128)."""
    return nn.Sequential(
        nn.Linear(64, 64 * 8 * 8),
        nn.GELU(),
        nn.View(64, 8, 8),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # (N,32,16,16)
        nn.BatchNorm2d(32),
        nn.GELU(),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),  # (N,16,32,32)
        nn.BatchNorm2d(16),
        nn.GELU(),
        nn.ConvTranspose2d(16, 3, 8, stride=4, padding=2),   # (N,3,128,128)
        nn.Sigmoid(),
    )


def train_encoder(pictures, epochs=12):
    """The encoder of an autoencoder that has learned to copy pictures, in eval mode."""
    encoder, decoder = make_encoder(), make_decoder()
    optimiser = optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.002)
    loader = DataLoader(TensorDataset(pictures), batch_size=16, shuffle=True, seed=0)
    with Progress(epochs * len(pictures), "autoencoder") as progress:
        for _ in range(epochs):
            for images, in loader:
                loss = F.mse_loss(decoder(encoder(images)), images)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                progress.advance(len(images), loss=loss)
    return encoder.eval()


def load_dcgan(folder, settings):
    """What evaluate_dcgan needs: {step: generator}, real pictures and the batch size."""
    paths = sorted(folder.glob("generators/step_*.npz"))
    if not paths:
        raise ValueError(f"{folder}: holds no generators of a run of dcgan.py")
    apart = -(-len(paths) // CHECKPOINTS)
    generators = {
        int(path.stem.removeprefix("step_")): load_generator(
            path, dcgan.make_generator(settings["channels"], settings["activation"]))
        for path in paths[::-apart][::-1]}  # the last among them
    pictures = ImageDataset(settings["data"], device="cpu").batch(slice(0, 2 * PICTURES))
    return generators, pictures, settings["batch_size"]


@minigan.no_grad()
def evaluate_dcgan(generators, pictures, batch_size):
    """The figures, as evaluate_cgan gives them."""
    with minigan.enable_grad():
        encoder = train_encoder(pictures)
    n = max(2, len(pictures) // 2)  # distances are between so many pictures and as many others
    real, others = pictures[:n], pictures[len(pictures) - n:]
    real_features = features_of(encoder, real)

    def measure(images):
        return {"Fréchet distance": frechet_distance(features_of(encoder, images), real_features),
                "spread": spread_ratio(images, real),
                "checkerboard": checkerboard_ratio(images, real)}

    def describe(found):
        return ", ".join(f"{name} {value:.4g}" for name, value in found.items())

    reference = measure(others)
    print(f"real pictures, from others: {describe(reference)}")
    count = -(-n // batch_size) * batch_size  # whole batches, see dcgan.generate
    noise = minigan.randn(count, dcgan.LATENT_SIZE)
    figures = {name: [] for name in reference}
    for step, generator in generators.items():
        found = measure(dcgan.generate(generator, noise, batch_size)[:n])
        for name, value in found.items():
            figures[name].append(value)
        print(f"step {step}: {describe(found)}")
    return figures, reference


EXAMPLES = {"cgan.py": (load_cgan, evaluate_cgan, "epoch"),
            "dcgan.py": (load_dcgan, evaluate_dcgan, "step")}


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("folder", nargs="?", help="of a run, or of runs, for the newest of them")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    args = parser.parse_args()
    with parser.report_errors():
        if distributed.size() > 1:
            raise ValueError("this is done by one process, without mpiexec")
        minigan.set_device(args.device)
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
        load, evaluate, unit = EXAMPLES[script]
        inputs = load(folder, saved["settings"])
    minigan.manual_seed(args.seed)  # here, so that all runs are measured by the same network
    figures, reference = evaluate(*inputs)
    at = list(inputs[0])  # the epochs or steps that the figures belong to
    write_atomically(folder / "evaluation.json", json.dumps(
        {unit: at, "figures": figures, "real images": reference}, indent=1).encode())
    update_index(folder)
    print(folder / "evaluation.json")
    print(plot_history(figures, folder / "evaluation.png", reference,
                       title=f"After these {unit}s", at=at, unit=unit))


if __name__ == "__main__":
    run(main)
