"""A conditional GAN learns to draw the digit it is asked for.

    python examples/cgan.py                             on digits that minigan draws itself
    python examples/cgan.py --data mnist                on the real MNIST, downloaded once
    python examples/cgan.py --label 7 --from runs/cgan  six sevens; another --seed gives others
    python examples/cgan.py --help                      everything else

Two networks play against each other. The generator makes an image from a seed of random numbers
and a label; the discriminator is shown an image with a label and says whether it is a real one
of that label. Each learns from the other's mistakes.

The folder of the run gets the losses, a grid of samples after each epoch, all of them as an
animation, the generator, report.html with all of it, and a checkpoint: interrupt it, and --resume
goes on. At the end a classifier tells how many samples show the digit that was asked for.
"""

from pathlib import Path

import numpy

import minigan
from minigan import nn, optim
from minigan.data import DataLoader, MnistDataset
from minigan.nn import functional as F
from minigan.training import (
    ArgumentParser, Progress, discriminator_warning, features_of, frechet_distance,
    generator_warning, label_share, output_folder, plot_history, plot_sample_grid, run,
    save_animation, spread_ratio)

SEED_SIZE = 100
SAMPLES_TO_MEASURE = 10_000


def make_discriminator():
    """From an image and a label, (N,784) and (N,10) side by side, to (N,1): 1 for real."""
    return nn.Sequential(
        nn.Linear(784 + 10, 200),
        nn.LeakyReLU(0.02),
        nn.LayerNorm(200),
        nn.Linear(200, 1),
        nn.Sigmoid(),
    )


def make_generator():
    """From a seed and a label, (N,100) and (N,10) side by side, to an image (N,784)."""
    return nn.Sequential(
        nn.Linear(SEED_SIZE + 10, 200),
        nn.LeakyReLU(0.02),
        nn.LayerNorm(200),
        nn.Linear(200, 784),
        nn.Sigmoid(),
    )


def one_hot(labels):
    return minigan.eye(10)[labels]


def random_labels(count):
    return one_hot(minigan.randint(0, 10, (count,)))


def random_seeds(count):
    return minigan.randn(count, SEED_SIZE)


def random_inputs(count):
    """What the generator draws from in a step: labels and seeds, for each of the two times."""
    return random_labels(count), random_seeds(count), random_labels(count), random_seeds(count)


class Game:
    """Both networks, their optimisers and the three parts of a training step."""

    def __init__(self, lr):
        self.discriminator = make_discriminator()
        self.generator = make_generator()
        self.discriminator_optimiser = optim.Adam(self.discriminator.parameters(), lr=lr)
        self.generator_optimiser = optim.Adam(self.generator.parameters(), lr=lr)
        self.loss_function = nn.BCELoss()

    def judge(self, images, labels):
        return self.discriminator(minigan.cat((images, labels), dim=1))

    def draw(self, labels, seeds):
        return self.generator(minigan.cat((seeds, labels), dim=1))

    def step(self, images, labels, fake_labels, fake_seeds, drawn_labels, drawn_seeds):
        """One step on real images (N,784) with their labels (N,10): the losses of its parts.

        The others are what is drawn from, see random_inputs: they come from outside, since a
        recorded step (minigan.capture) would draw the same numbers every time.
        """
        count = len(images)
        real, fake = minigan.ones(count, 1), minigan.zeros(count, 1)

        # 1. The discriminator looks at real images: its answer should be 1.
        on_real = self.loss_function(self.judge(images, labels), real)
        self.discriminator_optimiser.zero_grad()
        on_real.backward()
        self.discriminator_optimiser.step()

        # 2. It looks at drawn ones, of any label: its answer should be 0. detach() cuts the
        #    graph: here the images are given, and only the discriminator learns.
        drawn = self.draw(fake_labels, fake_seeds).detach()
        on_fake = self.loss_function(self.judge(drawn, fake_labels), fake)
        self.discriminator_optimiser.zero_grad()
        on_fake.backward()
        self.discriminator_optimiser.step()

        # 3. The generator draws anew, and should make the discriminator say 1. The gradient comes
        #    to it through the discriminator, which itself is not changed.
        drawn = self.draw(drawn_labels, drawn_seeds)
        on_drawn = self.loss_function(self.judge(drawn, drawn_labels), real)
        self.generator_optimiser.zero_grad()
        on_drawn.backward()
        self.generator_optimiser.step()

        return {"D on real": on_real, "D on fake": on_fake, "G": on_drawn}


@minigan.no_grad()
def samples_of_all(generator, seeds):
    """All ten digits, each from the same seeds (S,100): (10 * S, 784)."""
    labels = minigan.cat([one_hot(minigan.full((len(seeds),), digit)) for digit in range(10)])
    return generator(minigan.cat((minigan.cat([seeds] * 10), labels), dim=1))


@minigan.no_grad()
def plot_images(generator, label, path):
    """Six new images of one label, in two rows of three."""
    labels = one_hot(minigan.full((6,), label))
    images = generator(minigan.cat((random_seeds(6), labels), dim=1))
    return plot_sample_grid(images, path, rows=2, title=f"label {label}")


class Examiner:
    """A classifier, trained on the same images, that tells how good the drawn ones are."""

    def __init__(self, train_set, test_set, epochs=3):
        self.features = nn.Sequential(
            nn.View(1, 28, 28),
            nn.Conv2d(1, 16, 5, stride=2), nn.BatchNorm2d(16), nn.GELU(),
            nn.Conv2d(16, 32, 3, stride=2), nn.BatchNorm2d(32), nn.GELU(),
            nn.View(32 * 5 * 5), nn.Linear(32 * 5 * 5, 64), nn.GELU())
        self.classifier = nn.Sequential(self.features, nn.Linear(64, 10))
        optimiser = optim.Adam(self.classifier.parameters())
        loader = DataLoader(train_set, batch_size=64, shuffle=True, seed=0)
        with Progress(epochs * len(train_set), "classifier to measure with") as progress:
            for _ in range(epochs):
                for labels, images, _ in loader:
                    loss = F.cross_entropy(self.classifier(images), labels)
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    progress.advance(len(labels), loss=loss)
        self.classifier.eval()

        # What real images reach is what drawn ones can be held against.
        count = min(SAMPLES_TO_MEASURE, len(test_set), len(train_set))
        labels, self.real, _ = test_set.batch(slice(0, count))
        _, others, _ = train_set.batch(slice(0, count))
        self.real_features = features_of(self.features, self.real)
        share = label_share(self.classifier, self.real, labels)
        floor = frechet_distance(features_of(self.features, others), self.real_features)
        print(f"classifier: {100 * share.overall:.2f} % of real test images recognised; Fréchet "
              f"distance of real from real {floor:.2f}")

    @minigan.no_grad()
    def measure(self, generator):
        """The samples' label share, their Fréchet distance to real images, and their spread."""
        labels = minigan.randint(0, 10, (len(self.real),))
        images = generator(minigan.cat((random_seeds(len(labels)), one_hot(labels)), dim=1))
        share = label_share(self.classifier, images, labels)
        distance = frechet_distance(features_of(self.features, images), self.real_features)
        return share, distance, spread_ratio(images, self.real)


def in_words(share, distance, spread):
    lowest = 100 * numpy.nanmin(share.per_class)
    return (f"label share {100 * share.overall:.1f} % (lowest {lowest:.1f} %), "
            f"Fréchet distance {distance:.1f}, spread {spread:.2f} of real images'")


def spread_within_labels(samples, dataset):
    """How different samples_of_all's images of one digit are, over the same of real images: the
    mean over the digits. 0 where a digit looks the same whatever the seed."""
    samples = samples.reshape(10, -1, 784)
    labels, images, _ = dataset.batch(slice(0, 1000))
    labels, images = labels.cpu().numpy(), images.cpu().numpy()
    real = [images[labels == digit] for digit in range(10)]
    return numpy.mean([spread_ratio(samples[digit], some, pairs=200)
                       for digit, some in enumerate(real) if numpy.ptp(some, axis=0).any()])


def train(game, dataset, args, training, examiner):
    """All epochs, within a Run; draws after each."""
    folder = training.folder
    loader = DataLoader(dataset, batch_size=args.batch_size)
    fixed_seeds = random_seeds(8)
    training.keep(loader, discriminator=game.discriminator, generator=game.generator,
                  discriminator_optimiser=game.discriminator_optimiser,
                  generator_optimiser=game.generator_optimiser)
    # On a GPU the step is recorded and launched as a whole. What is recorded has a fixed shape, so
    # the last batch of an epoch, if it is smaller, goes step by step.
    recorded = minigan.capture(game.step)
    for epoch in training.epochs(args.epochs):
        for _, images, labels in training.batches():
            learn = recorded if len(images) == args.batch_size else game.step
            losses = learn(images, labels, *random_inputs(len(images)))
            training.record(losses, len(images))
        samples = samples_of_all(game.generator, fixed_seeds)
        plot_sample_grid(samples, folder / "samples" / f"epoch_{epoch:02d}.png", rows=10,
                         title=f"epoch {epoch}")
        minigan.save(game.generator, folder / "generator.npz")
        spread = spread_within_labels(samples, dataset)
        training.measure({"spread within labels": spread})
        training.warn(generator_warning(spread))
        training.warn(discriminator_warning({
            name: values for name, values in training.history.losses.items() if name != "G"}))
        if args.measure:
            share, distance, spread = examiner.measure(game.generator)
            training.measure({"label share, %": 100 * share.overall, "Fréchet distance": distance})
            print(f"epoch {epoch}: {in_words(share, distance, spread)}")
    print(save_animation(sorted((folder / "samples").glob("epoch_*.png")), folder / "samples.gif"))
    if args.measure:
        print(plot_history({name: training.measures[name] for name in (
            "label share, %", "Fréchet distance")}, folder / "history.png"))


def prepare():
    """The arguments, and the Run to train in or the folder for a picture; what is wrong with them
    is told here."""
    parser = ArgumentParser(__doc__)
    parser.add_argument("--data", default="digits",
                        help="digits (built in), mnist (downloaded) or a folder with MNIST's files")
    parser.add_training_options(epochs=12, batch_size=1, lr=0.0001, out="runs/cgan")
    parser.add_argument("--measure", action="store_true", help="measure the samples every epoch")
    parser.add_argument("--label", type=int, choices=range(10),
                        help="train nothing; draw this digit")
    parser.add_argument("--from", dest="source", type=Path, help="the folder of a run, for --label")
    args = parser.parse_training()
    if (args.label is None) != (args.source is None):
        parser.error("--label and --from belong together")
    try:
        minigan.set_device(args.device)
        minigan.manual_seed(args.seed)
        if args.label is not None:
            args.generator = make_generator()
            args.generator.load_state_dict(minigan.load(args.source / "generator.npz"))
            return args, output_folder(args.source)
        if Path(args.data).is_file():
            raise ValueError(f"--data {args.data}: expected a folder, with images to train and "
                             f"to test")
        train_set, test_set = (MnistDataset(args.data, train=train) for train in (True, False))
        if len(train_set) < 2 or len(test_set) < 2:
            raise ValueError(f"--data {args.data}: expected at least 2 images to train and to test")
        few = test_set.batch(slice(0, 100))[1]
        spread_ratio(few, few)  # images that are all the same are an error
        training = parser.start_run(args)
        args.train_set, args.test_set = train_set, test_set
        return args, training
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        parser.error(str(error))


def main():
    args, place = prepare()
    if args.label is not None:
        print(plot_images(args.generator, args.label, place / f"label_{args.label}.png"))
        return
    with place as training:
        learn_to_draw(args, training)


def learn_to_draw(args, training):
    """The training, and what came of it."""
    examiner = Examiner(args.train_set, args.test_set) if args.measure else None
    game = Game(args.lr)
    train(game, args.train_set, args, training, examiner)
    print(f"trained for {training.seconds:.0f} s")

    examiner = examiner or Examiner(args.train_set, args.test_set)
    share, distance, spread = examiner.measure(game.generator)
    print("at the end: " + in_words(share, distance, spread))
    print("label share per digit: " + "  ".join(
        f"{digit}: {100 * part:.1f} %" for digit, part in enumerate(share.per_class)))
    print(plot_images(game.generator, 7, training.folder / "label_7.png"))


if __name__ == "__main__":
    run(main)
