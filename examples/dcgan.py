"""A DCGAN learns to draw colour pictures, 128 x 128 pixels, like those it is shown.

    python examples/dcgan.py --channels 32          on faces that minigan draws, for a CPU
    python examples/dcgan.py                        at full width; for a GPU, or much patience
    python examples/dcgan.py --data pictures.h5     on pictures of your own, see
                                                    python -m minigan.data pack --help
    python examples/dcgan.py --help                 everything else

The generator turns a seed of 100 random numbers into a picture, by transposed convolutions that
double its size three times; the discriminator turns a picture into one number, 1 for a real one,
by convolutions that halve it. Each learns from the other's mistakes.

The folder of the run gets the losses, a grid of pictures from the same seeds as the training goes
on, all of them as an animation, the generator, report.html with all of it, and a checkpoint:
interrupt it, and --resume goes on.
"""

import minigan
from minigan import nn, optim
from minigan.data import DataLoader, ImageDataset, ReadAhead
from minigan.training import (
    ArgumentParser, discriminator_warning, generator_warning, plot_sample_grid, positive_int, run,
    save_animation, spread_ratio)

SEED_SIZE = 100
MOST_FRAMES = 40  # of the animation


def make_activation(name):
    return nn.GELU() if name == "gelu" else nn.LeakyReLU(0.2)


def make_discriminator(channels, activation):
    """From pictures (N,3,128,128) to (N,1), each between 0 and 1."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 8, stride=2),         # (N,channels,61,61)
        nn.BatchNorm2d(channels),
        make_activation(activation),

        nn.Conv2d(channels, channels, 8, stride=2),  # (N,channels,27,27)
        nn.BatchNorm2d(channels),
        make_activation(activation),

        nn.Conv2d(channels, 3, 8, stride=2),         # (N,3,10,10)
        make_activation(activation),

        nn.View(300),
        nn.Linear(300, 1),
        nn.Sigmoid(),
    )


def make_generator(channels, activation):
    """From seeds (N,100) to pictures (N,3,128,128), each value between 0 and 1."""
    return nn.Sequential(
        nn.Linear(SEED_SIZE, 3 * 11 * 11),
        make_activation(activation),
        nn.View(3, 11, 11),

        nn.ConvTranspose2d(3, channels, 8, stride=2),             # (N,channels,28,28)
        nn.BatchNorm2d(channels),
        make_activation(activation),

        nn.ConvTranspose2d(channels, channels, 8, stride=2),      # (N,channels,62,62)
        nn.BatchNorm2d(channels),
        make_activation(activation),

        nn.ConvTranspose2d(channels, 3, 8, stride=2, padding=1),  # (N,3,128,128)
        nn.BatchNorm2d(3),
        nn.Sigmoid(),
    )


def random_seeds(count):
    return minigan.randn(count, SEED_SIZE)


class Game:
    """Both networks, their optimisers and the three parts of a training step."""

    def __init__(self, channels, activation, lr):
        self.discriminator = make_discriminator(channels, activation)
        self.generator = make_generator(channels, activation)
        self.discriminator_optimiser = optim.Adam(self.discriminator.parameters(), lr=lr)
        self.generator_optimiser = optim.Adam(self.generator.parameters(), lr=lr)
        self.loss_function = nn.BCELoss()

    def step(self, images, fake_seeds, drawn_seeds):
        """One step on real pictures (N,3,128,128): the losses of its three parts.

        The generator draws from seeds (N,100) that come from outside: a recorded step
        (minigan.capture) would draw the same numbers every time.
        """
        count = len(images)
        real, fake = minigan.ones(count, 1), minigan.zeros(count, 1)

        # 1. The discriminator looks at real pictures: its answer should be 1.
        on_real = self.loss_function(self.discriminator(images), real)
        self.discriminator_optimiser.zero_grad()
        on_real.backward()
        self.discriminator_optimiser.step()

        # 2. It looks at drawn ones: its answer should be 0. detach() cuts the graph: here the
        #    pictures are given, and only the discriminator learns.
        drawn = self.generator(fake_seeds).detach()
        on_fake = self.loss_function(self.discriminator(drawn), fake)
        self.discriminator_optimiser.zero_grad()
        on_fake.backward()
        self.discriminator_optimiser.step()

        # 3. The generator draws anew, and should make the discriminator say 1. The gradient comes
        #    to it through the discriminator, which itself is not changed.
        drawn = self.generator(drawn_seeds)
        on_drawn = self.loss_function(self.discriminator(drawn), real)
        self.generator_optimiser.zero_grad()
        on_drawn.backward()
        self.generator_optimiser.step()

        return {"D on real": on_real, "D on fake": on_fake, "G": on_drawn}


@minigan.no_grad()
def draw(generator, seeds, batch_size):
    """Pictures from seeds (S,100), as the training makes them: (S,3,128,128).

    The generator stays in training mode, and draws in batches of the training's size: its
    batch-norms then normalize by each batch's own statistics, which is what the discriminator was
    shown. With eval() they would use running averages, under which nothing was trained; at batch
    1 the pictures come out grey. The drawing does move these averages, but nobody reads them.
    """
    return minigan.cat([generator(seeds[start:start + batch_size])
                        for start in range(0, len(seeds), batch_size)])


def train(game, dataset, args, training):
    """All epochs, or --steps, within a Run; draws pictures from the same seeds on the way."""
    folder = training.folder
    loader = DataLoader(dataset, args.batch_size, shuffle=True, seed=args.seed)
    real = dataset.batch(slice(0, 24))
    # A multiple of the batch size: a smaller last batch would be normalized unlike the others.
    fixed_seeds = random_seeds(-(-24 // args.batch_size) * args.batch_size)
    training.keep(loader, discriminator=game.discriminator, generator=game.generator,
                  discriminator_optimiser=game.discriminator_optimiser,
                  generator_optimiser=game.generator_optimiser)

    def show():
        pictures = draw(game.generator, fixed_seeds, args.batch_size)[:24]
        plot_sample_grid(pictures, folder / "samples" / f"step_{training.step:06d}.png", rows=4,
                         title=f"step {training.step}")
        minigan.save(game.generator, folder / "generator.npz")
        return spread_ratio(pictures, real, pairs=200)

    # On a GPU the step is recorded and launched as a whole. What is recorded has a fixed shape, so
    # the last batch of an epoch, if it is smaller, goes step by step.
    recorded = minigan.capture(game.step)
    for _ in training.epochs(args.epochs, args.steps):
        for images in training.batches(ReadAhead):
            if training.step % args.show_every == 0:
                spread = show()
                if training.step:  # at first all pictures are grey
                    training.measure({"spread": spread})
                    training.warn(generator_warning(spread))
                training.warn(discriminator_warning({
                    name: values for name, values in training.history.losses.items()
                    if name != "G"}))
            count = len(images)
            learn = recorded if count == args.batch_size else game.step
            training.record(learn(images, random_seeds(count), random_seeds(count)), count)
    steps, seconds = training.step, training.seconds
    print(f"{steps} steps of {args.batch_size} in {seconds:.0f} s: "
          f"{1000 * seconds / steps:.0f} ms a step, pictures included")
    spread = show()
    shown = sorted((folder / "samples").glob("step_*.png"))
    apart = -(-len(shown) // MOST_FRAMES)
    print(save_animation(shown[::-apart][::-1], folder / "samples.gif"))  # the last one is in it
    print(f"spread: the pictures are {spread:.2f} times as far from each other as real ones (near "
          f"0: the generator has collapsed)")


def prepare():
    """The arguments, the pictures and the Run to train in; what is wrong is told here."""
    parser = ArgumentParser(__doc__)
    parser.add_argument("--data", default="faces",
                        help="faces (drawn by minigan) or an HDF5 file of pictures")
    parser.add_training_options(epochs=5, batch_size=1, lr=0.0001, out="runs/dcgan")
    parser.add_argument("--steps", type=positive_int, help="stop after so many steps")
    parser.add_argument("--channels", type=positive_int, default=256,
                        help="width of the hidden layers")
    parser.add_argument("--activation", choices=("gelu", "leaky_relu"), default="gelu",
                        help="between the layers")
    parser.add_argument("--show-every", type=positive_int, default=100, metavar="STEPS",
                        help="how often pictures are drawn on the way")
    args = parser.parse_training()
    try:
        minigan.set_device(args.device)
        minigan.manual_seed(args.seed)
        dataset = ImageDataset(args.data, device="cpu")
        if len(dataset) < max(2, args.batch_size):
            raise ValueError(f"--data {args.data}, --batch-size {args.batch_size}: there are only "
                             f"{len(dataset)} pictures")
        few = dataset.batch(slice(0, 24))
        spread_ratio(few, few)  # pictures that are all the same are an error
        return args, dataset, parser.start_run(args)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(str(error))


def main():
    args, dataset, training = prepare()
    with training:
        game = Game(args.channels, args.activation, args.lr)
        for name, network in (("discriminator", game.discriminator), ("generator", game.generator)):
            print(f"{name}: {sum(p.numel() for p in network.parameters()):,} parameters")
        train(game, dataset, args, training)


if __name__ == "__main__":
    run(main)
