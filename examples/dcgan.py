"""A DCGAN learns to draw colour pictures, 128 x 128 pixels, like those it is shown.

    python examples/dcgan.py --channels 32          on faces that minigan draws, for a CPU
    python examples/dcgan.py                        at full width: for a GPU, or much patience
    python examples/dcgan.py --data pictures.h5     on pictures of your own, see
                                                    python -m minigan.data pack --help
    python examples/dcgan.py --channels 32 --recipe batch1    one picture at a time: it collapses
    python examples/evaluate.py runs/dcgan          how good the pictures of a run are
    python examples/dcgan.py --help                 everything else

The generator turns noise, 100 random numbers, into a picture by transposed convolutions that double
its size three times; the discriminator turns a picture into one number, 1 for a real one, by
convolutions that halve it. Each learns from the other. (A. Radford, L. Metz and S. Chintala,
Unsupervised representation learning with deep convolutional generative adversarial networks, 2015)

The run's folder gets pictures from the same noise as the training goes on, the generator, losses,
report.html with all pictures, and checkpoints: interrupt the run, and --resume continues it.
"""

from dataclasses import dataclass

import minigan
from checkerboard import balance_kernels, blur_kernels
from minigan import nn, optim
from minigan.data import DataLoader, ImageDataset, ReadAhead
from minigan.training import (
    ArgumentParser, check_gan, plot_sample_grid, positive_int, run, save_animation, spread_ratio)

LATENT_SIZE = 100
SHOWN = 24  # pictures in a grid
loss_function = nn.BCELoss()


@dataclass(frozen=True)
class Recipe:
    """How the networks learn. README.md says what each part does to the pictures."""

    epochs: int
    batch_size: int
    lr: float            # of the discriminator
    faster: float        # by which factor the generator's is larger
    beta1: float         # of both Adams
    noise: float         # deviation of the noise over all pictures that the discriminator sees
    memory: float        # of the averaged generator, 0 for the last one alone
    balanced: bool       # whether kernels begin blurred and stay balanced


RECIPES = {
    "batch16": Recipe(epochs=11, batch_size=16, lr=0.0002, faster=5, beta1=0.5, noise=0.1,
                      memory=0.997, balanced=True),
    "batch1": Recipe(epochs=5, batch_size=1, lr=0.0001, faster=1, beta1=0.9, noise=0.0,
                     memory=0.0, balanced=False),
}


def make_activation(name):
    return nn.GELU() if name == "gelu" else nn.LeakyReLU(0.2)


def make_discriminator(channels, activation):
    """From pictures (N,3,128,128) to (N,1), each between 0 and 1."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 8, stride=2),                      # (N,channels,61,61)
        nn.BatchNorm2d(channels),
        make_activation(activation),

        nn.Conv2d(channels, channels, 8, stride=2),               # (N,channels,27,27)
        nn.BatchNorm2d(channels),
        make_activation(activation),

        nn.Conv2d(channels, 3, 8, stride=2),                      # (N,3,10,10)
        make_activation(activation),

        nn.View(300),                                             # (N,300)
        nn.Linear(300, 1),                                        # (N,1)
        nn.Sigmoid(),
    )


def make_generator(channels, activation):
    """From noise (N,100) to pictures (N,3,128,128), each value between 0 and 1."""
    return nn.Sequential(
        nn.Linear(LATENT_SIZE, 3 * 11 * 11),                      # (N,363)
        make_activation(activation),
        nn.View(3, 11, 11),                                       # (N,3,11,11)

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


class DCGAN:
    """Both networks, their optimisers and the training step."""

    def __init__(self, channels, activation, lr, recipe=RECIPES["batch1"]):
        self.discriminator = make_discriminator(channels, activation)
        self.generator = make_generator(channels, activation)
        if recipe.balanced:
            blur_kernels(self.discriminator, 4)
            blur_kernels(self.generator, 1)
        # The generator's mean over the last steps, which makes the pictures that are shown: the
        # generator itself sways with the discriminator.
        self.averaged = make_generator(channels, activation)
        self.averaged.load_state_dict(self.generator.state_dict())
        betas = recipe.beta1, 0.999
        self.discriminator_optimiser = optim.Adam(self.discriminator.parameters(), lr, betas)
        self.generator_optimiser = optim.Adam(self.generator.parameters(), recipe.faster * lr,
                                              betas)

    def discriminate(self, images, pixel_noise):
        return self.discriminator(images if pixel_noise is None else images + pixel_noise)

    def train_step(self, images, fake_noise, noise_for_g, pixel_noise=None):
        """One step on real pictures (N,3,128,128): the losses of its three parts.

        The generator's noise (N,100), and the noise (N,3,128,128) that is added to all pictures
        before the discriminator sees them, come from outside: a captured step (minigan.capture)
        would use the same random numbers every time.
        """
        real, fake = minigan.ones(len(images), 1), minigan.zeros(len(images), 1)

        # 1. The discriminator sees real pictures: its answer should be 1.
        loss_real = loss_function(self.discriminate(images, pixel_noise), real)
        self.discriminator_optimiser.zero_grad()
        loss_real.backward()
        self.discriminator_optimiser.step()

        # 2. It sees generated pictures: its answer should be 0. detach() cuts the graph between
        #    the networks: only the discriminator learns here.
        fakes = self.generator(fake_noise).detach()
        loss_fake = loss_function(self.discriminate(fakes, pixel_noise), fake)
        self.discriminator_optimiser.zero_grad()
        loss_fake.backward()
        self.discriminator_optimiser.step()

        # 3. The generator makes other pictures, and should make the discriminator answer 1. Its
        #    gradient comes through the discriminator, which is frozen meanwhile: the gradients of
        #    its own weights are not needed here, and skipping them is faster.
        self.discriminator.requires_grad_(False)
        loss_g = loss_function(self.discriminate(self.generator(noise_for_g), pixel_noise), real)
        self.generator_optimiser.zero_grad()
        loss_g.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)

        return {"D on real": loss_real, "D on fake": loss_fake, "G": loss_g}

    @minigan.no_grad()
    def update_average(self, memory):
        """Count the generator's weights into its average, which forgets those before slowly."""
        for mean, newest in zip(self.averaged.parameters(), self.generator.parameters()):
            mean += (1 - memory) * (newest - mean)


@minigan.no_grad()
def generate(generator, noise, batch_size):
    """Pictures (S,3,128,128) from noise (S,100), as the training makes them: in training mode and
    in batches of its size, so that batch-norms normalize each batch by its own statistics. With
    eval() they would use running averages, under which nothing was trained.
    """
    return minigan.cat([generator(noise[start:start + batch_size])
                        for start in range(0, len(noise), batch_size)])


def train(gan, dataset, recipe, args, training):
    """All epochs, or --steps, of a Run; saves pictures and the generator on the way."""
    loader = DataLoader(dataset, args.batch_size, shuffle=True, seed=args.seed)
    training.register(loader, **vars(gan))  # what checkpoints hold
    train_step = training.capture(gan.train_step)
    # Whole batches: a smaller last one would be normalized unlike the others.
    fixed_noise = minigan.randn(-(-SHOWN // args.batch_size) * args.batch_size, LATENT_SIZE)
    real = dataset.batch(slice(0, SHOWN))

    def show():
        pictures = generate(gan.averaged, fixed_noise, args.batch_size)[:SHOWN]
        name = f"step_{training.step:06d}"
        plot_sample_grid(pictures, training.folder / f"samples/{name}.png", rows=4,
                         title=f"step {training.step}")
        minigan.save(gan.averaged, training.folder / f"generators/{name}.npz")
        return spread_ratio(pictures, real, pairs=200)

    for _ in training.epochs(args.epochs, args.steps):
        for images in training.batches(ReadAhead):
            if training.step % args.show_every == 0:
                spread = show()
                if training.step:  # at first all pictures are grey
                    check_gan(training, spread)
            inputs = [images, *minigan.randn(2, len(images), LATENT_SIZE)]
            if recipe.noise:
                inputs.append(recipe.noise * minigan.randn(*images.shape))
            training.log(train_step(*inputs), len(images))
            if recipe.balanced:
                balance_kernels(gan.discriminator)
                balance_kernels(gan.generator)
            gan.update_average(recipe.memory)

    print(f"{training.step} steps of {args.batch_size} in {training.seconds:.0f} s: "
          f"{1000 * training.seconds / training.step:.0f} ms a step, pictures included")
    spread = show()
    print(f"spread: the pictures are {spread:.2f} times as far from each other as real ones (near "
          f"0: the generator has collapsed)")
    grids = sorted(training.folder.glob("samples/step_*.png"))
    apart = max(1, -(-len(grids) // 40))  # at most 40 frames, the last grid among them
    print(save_animation(grids[::-apart][::-1], training.folder / "samples.gif"))


def choose_recipe(args):
    """The Recipe of the arguments, which get its values where they were not given."""
    recipe = RECIPES[args.recipe]
    for name in ("epochs", "batch_size", "lr"):
        if getattr(args, name) is None:
            setattr(args, name, getattr(recipe, name))
    return recipe


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("--data", default="faces",
                        help="faces (drawn by minigan) or an HDF5 file of pictures")
    parser.add_argument("--recipe", choices=list(RECIPES), default="batch16",
                        help="how the networks learn; it sets what of --epochs, --batch-size and "
                             "--lr is not given")
    parser.add_training_options(epochs=None, batch_size=None, lr=None, out="runs/dcgan")
    parser.add_argument("--steps", type=positive_int, help="stop after so many steps")
    parser.add_argument("--channels", type=positive_int, default=256,
                        help="width of the hidden layers")
    parser.add_argument("--activation", choices=("gelu", "leaky_relu"), default="gelu",
                        help="between the layers")
    parser.add_argument("--show-every", type=positive_int, default=100, metavar="STEPS",
                        help="how often pictures are saved on the way")
    args = parser.parse_training()
    recipe = choose_recipe(args)
    with parser.report_errors():
        dataset = ImageDataset(args.data, device="cpu")
        if len(dataset) < max(2, args.batch_size):
            raise ValueError(f"--data {args.data}, --batch-size {args.batch_size}: there are only "
                             f"{len(dataset)} pictures")
        few = dataset.batch(slice(0, SHOWN))
        spread_ratio(few, few)  # pictures that are all the same are an error
        training = parser.start_run(args)
    with training:
        gan = DCGAN(args.channels, args.activation, args.lr, recipe)
        train(gan, dataset, recipe, args, training)


if __name__ == "__main__":
    run(main)
