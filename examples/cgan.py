"""A conditional GAN learns to draw the digit it is asked for.

    python examples/cgan.py                  on digits that minigan draws itself
    python examples/cgan.py --data mnist     on the real MNIST, downloaded once
    python examples/cgan.py --label 7        six sevens by the newest run; --seed gives others
    python examples/evaluate.py runs/cgan    how good the samples of each epoch are
    python examples/cgan.py --help           everything else

The generator turns random noise and a label into an image; the discriminator sees an image and a
label, and estimates how likely it is a real image of that label. Each learns from the other. (M.
Mirza and S. Osindero, Conditional generative adversarial nets, 2014)

The run's folder gets samples and the generator after each epoch, losses, report.html with all
pictures, and checkpoints: interrupt the run, and --resume continues it.
"""

from pathlib import Path

import minigan
from minigan import nn, optim
from minigan.data import DataLoader, MnistDataset, SampleAhead
from minigan.training import (
    ArgumentParser, check_gan, folder_or_name, plot_sample_grid, run, run_folder, save_animation,
    spread_within_labels)

LATENT_SIZE = 100
loss_function = nn.BCELoss()


def make_discriminator():
    """From an image and a label, (N,784) and (N,10) side by side, to (N,1): 1 for real."""
    return nn.Sequential(
        nn.Linear(784 + 10, 200),          # (N,200)
        nn.LeakyReLU(0.02),
        nn.LayerNorm(200),
        nn.Linear(200, 1),                 # (N,1)
        nn.Sigmoid(),
    )


def make_generator():
    """From noise and a label, (N,100) and (N,10) side by side, to an image (N,784)."""
    return nn.Sequential(
        nn.Linear(LATENT_SIZE + 10, 200),  # (N,200)
        nn.LeakyReLU(0.02),
        nn.LayerNorm(200),
        nn.Linear(200, 784),               # (N,784)
        nn.Sigmoid(),
    )


def sample_inputs(count):
    """What the generator is to draw: one-hot labels (N,10) at random, and noise (N,100)."""
    return minigan.eye(10)[minigan.randint(0, 10, (count,))], minigan.randn(count, LATENT_SIZE)


def generate(generator, labels, noise):
    """Images (N,784) of one-hot labels (N,10), each from its noise (N,100)."""
    return generator(minigan.cat((noise, labels), dim=1))


@minigan.no_grad()
def generate_digit(generator, digit, noise):
    return generate(generator, minigan.eye(10)[[digit] * len(noise)], noise)


class ConditionalGAN:
    """Both networks, their optimisers and the training step."""

    def __init__(self, lr, generator_lr=None, beta1=0.9, label_smoothing=0.0):
        self.discriminator = make_discriminator()
        self.generator = make_generator()
        self.discriminator_optimiser = optim.Adam(
            self.discriminator.parameters(), lr, betas=(beta1, 0.999))
        self.generator_optimiser = optim.Adam(
            self.generator.parameters(), generator_lr or lr, betas=(beta1, 0.999))
        self.label_smoothing = label_smoothing

    def discriminate(self, images, labels):
        return self.discriminator(minigan.cat((images, labels), dim=1))

    def train_step(self, images, labels, fake_labels, fake_noise, labels_for_g, noise_for_g):
        """One step on real images (N,784) with their labels (N,10): the losses of its parts.

        Labels and noise for the generator come from outside: a captured step (minigan.capture)
        would use the same random numbers every time.
        """
        n = len(images)
        real, fake = minigan.ones(n, 1), minigan.zeros(n, 1)
        almost_real = minigan.full((n, 1), 1 - self.label_smoothing)

        # 1. The discriminator sees real images: its answer should be 1, or with label smoothing a
        #    little less, so that it is never quite sure.
        loss_real = loss_function(self.discriminate(images, labels), almost_real)
        self.discriminator_optimiser.zero_grad()
        loss_real.backward()
        self.discriminator_optimiser.step()

        # 2. It sees generated images: its answer should be 0. detach() cuts the graph between the
        #    networks: only the discriminator learns here.
        fakes = generate(self.generator, fake_labels, fake_noise).detach()
        loss_fake = loss_function(self.discriminate(fakes, fake_labels), fake)
        self.discriminator_optimiser.zero_grad()
        loss_fake.backward()
        self.discriminator_optimiser.step()

        # 3. The generator makes other images, and should make the discriminator answer 1. Its
        #    gradient comes through the discriminator, which is frozen meanwhile: the gradients of
        #    its own weights are not needed here, and skipping them is faster.
        self.discriminator.requires_grad_(False)
        fakes = generate(self.generator, labels_for_g, noise_for_g)
        loss_g = loss_function(self.discriminate(fakes, labels_for_g), real)
        self.generator_optimiser.zero_grad()
        loss_g.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)

        return {"D on real": loss_real, "D on fake": loss_fake, "G": loss_g}


def train(gan, dataset, args, training):
    """All epochs of a Run; saves samples and the generator after each."""
    # Each epoch has other batches; single images may keep their order.
    loader = DataLoader(dataset, args.batch_size, shuffle=args.batch_size > 1, seed=args.seed)
    training.register(loader, discriminator=gan.discriminator, generator=gan.generator,
                      discriminator_optimiser=gan.discriminator_optimiser,
                      generator_optimiser=gan.generator_optimiser)  # what checkpoints hold
    train_step = training.capture(gan.train_step)
    inputs = SampleAhead(sample_inputs, args.batch_size, times=2, seed=args.seed)
    fixed_noise = minigan.randn(8, LATENT_SIZE)  # in every epoch, to see how the images change
    real_labels, real, _ = dataset.batch(slice(0, 1000))
    for epoch in training.epochs(args.epochs):
        for _, images, labels in training.batches():
            n = len(images)
            training.log(train_step(images, labels, *inputs(training.step, n)), n)

        samples = [generate_digit(gan.generator, digit, fixed_noise) for digit in range(10)]
        plot_sample_grid(minigan.cat(samples), training.folder / f"samples/epoch_{epoch:03d}.png",
                         rows=10, title=f"epoch {epoch}")
        minigan.save(gan.generator, training.folder / f"generators/epoch_{epoch:03d}.npz")
        check_gan(training, spread_within_labels(samples, real, real_labels))
        for optimiser in (gan.discriminator_optimiser, gan.generator_optimiser):
            optimiser.param_groups[0]["lr"] *= args.lr_decay
    print(save_animation(sorted(training.folder.glob("samples/epoch_*.png")),
                         training.folder / "samples.gif"))


def draw_digit(digit, folder):
    """Six images of a digit by the newest generator of a run."""
    saved = sorted(Path(folder).glob("generators/epoch_*.npz"))
    if not saved:
        raise ValueError(f"{folder}: holds no generators of a run of cgan.py")
    generator = make_generator()
    generator.load_state_dict(minigan.load(saved[-1]))
    images = generate_digit(generator, digit, minigan.randn(6, LATENT_SIZE))
    return plot_sample_grid(images, Path(folder) / f"label_{digit}.png", rows=2,
                            title=f"label {digit}")


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("--data", default="digits", type=folder_or_name,
                        help="digits (built in), mnist (downloaded) or a folder with MNIST's files")
    parser.add_training_options(epochs=12, batch_size=1, lr=0.0001, out="runs/cgan")
    parser.add_gan_options()
    parser.add_argument("--label", type=int, choices=range(10),
                        help="do not train; draw this digit by the newest run, or the one in --out")
    args = parser.parse_training()
    with parser.report_errors():
        if args.label is not None:
            print(draw_digit(args.label, run_folder(args.out, "runs/cgan")))
            return
        dataset = MnistDataset(args.data)
        training = parser.start_run(args)
    with training:
        gan = ConditionalGAN(args.lr, args.generator_lr, args.beta1, args.label_smoothing)
        train(gan, dataset, args, training)
        print(f"trained for {training.seconds:.0f} s")


if __name__ == "__main__":
    run(main)
