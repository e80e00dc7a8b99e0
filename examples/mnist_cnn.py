"""A convolutional network learns to read handwritten digits, one image at a time.

    python examples/mnist_cnn.py                  on digits that minigan draws itself
    python examples/mnist_cnn.py --data mnist     on the real MNIST, downloaded once
    python examples/mnist_cnn.py --help           everything else

Prints the accuracy on test images the training never saw and which digits are taken for which.
The folder of the run gets the losses, right and wrong predictions and the convolutions' feature
maps as pictures, report.html with all of them, and a checkpoint: interrupt it, and --resume goes
on.
"""

from pathlib import Path

import minigan
from minigan import nn, optim
from minigan.data import DataLoader, MnistDataset
from minigan.training import (
    ArgumentParser, confusion_matrix, format_confusion, plot_feature_maps, plot_predictions, run)


def make_model():
    """From images (N,1,28,28) to the ten outputs (N,10), each between 0 and 1."""
    return nn.Sequential(
        nn.Conv2d(1, 10, kernel_size=5, stride=2),   # (N,10,12,12)
        nn.LeakyReLU(0.02),
        nn.BatchNorm2d(10),
        nn.Conv2d(10, 10, kernel_size=3, stride=2),  # (N,10,5,5)
        nn.LeakyReLU(0.02),
        nn.BatchNorm2d(10),
        nn.View(250),
        nn.Linear(250, 10),
        nn.Sigmoid(),
    )


def train(model, loader, training, epochs, lr):
    """Train the model on the loader's batches, within a Run: it counts, records and saves."""
    loss_function = nn.BCELoss()
    optimiser = optim.Adam(model.parameters(), lr=lr)

    def learn(images, targets):
        loss = loss_function(model(images.view(-1, 1, 28, 28)), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    # On a GPU the step is recorded and launched as a whole, see minigan.capture. What is recorded
    # has a fixed shape, so the last batch of an epoch, if it is smaller, goes step by step.
    recorded = minigan.capture(learn)
    training.keep(loader, model=model, optimiser=optimiser)
    model.train()
    for _ in training.epochs(epochs):
        for labels, images, targets in training.batches():
            whole = len(labels) == loader.batch_size
            loss = (recorded if whole else learn)(images, targets)
            training.record({"loss": loss}, len(labels))


@minigan.no_grad()
def outputs_for(model, loader):
    """What the model says to all of the loader's images, batch by batch: (len(dataset), 10)."""
    return minigan.cat([model(images.view(-1, 1, 28, 28)) for _, images, _ in loader])


@minigan.no_grad()
def feature_maps(model, image):
    """What each convolution of the model makes of one image (1,28,28): a list of names and maps."""
    maps = []
    x = image.view(1, 1, 28, 28)
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            maps.append((f"Convolution {len(maps) + 1}", x[0]))
    return maps


def percent_right(confusion):
    """The part of all images that are on the diagonal, where the answer is the true class."""
    return f"{100 * confusion.trace() / confusion.sum():.2f} %"


def prepare():
    """The arguments, the training and the test data in batches, and the Run to train in.

    Whatever can be wrong with them is told here, before the training.
    """
    parser = ArgumentParser(__doc__)
    parser.add_argument("--data", default="digits",
                        help="digits (built in), mnist (downloaded) or a folder with MNIST's files")
    parser.add_training_options(epochs=3, batch_size=1, lr=0.001, out="runs/mnist_cnn")
    args = parser.parse_training()
    try:
        minigan.set_device(args.device)
        minigan.manual_seed(args.seed)
        # In the data's own order, which is mixed already. The test batches are of the same size:
        # that matters to batch-norms, see below.
        if Path(args.data).is_file():
            raise ValueError(f"--data {args.data}: expected a folder, with images to train and "
                             f"to test")
        train_loader, test_loader = (
            DataLoader(MnistDataset(args.data, train=train), batch_size=args.batch_size)
            for train in (True, False))
        return args, train_loader, test_loader, parser.start_run(args, log=True)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(str(error))


def main():
    args, train_loader, test_loader, training = prepare()
    with training:
        model = make_model()
        train(model, train_loader, training, args.epochs, args.lr)
        count, seconds = args.epochs * len(train_loader.dataset), training.seconds
        print(f"trained on {count} images in {seconds:.1f} s: {count / seconds:.0f} images/s")
        print(minigan.save(model, training.folder / "model.npz"))
        examine(model, test_loader, args.batch_size, training.folder)


def examine(model, test_loader, batch_size, folder):
    """Print how good the model is on the test images, and draw what it says and sees."""

    # A batch-norm normalises in two ways. In training it uses the statistics of the batch at hand,
    # with batches of one image those of that image alone; it only keeps running averages of them.
    # With eval() it uses these averages for every image. The weights were fitted to the first way,
    # so after training with single images eval() is another function, and usually a worse one.
    # With larger batches the batch's statistics are close to the averages and so are the figures.
    #
    # eval() comes first: scoring as trained passes test images through batch-norms in training
    # mode, which moves their running averages.
    labels, images, _ = test_loader.dataset.batch(range(len(test_loader.dataset)))
    model.eval()
    with_eval = confusion_matrix(labels, outputs_for(model, test_loader).argmax(dim=1))
    model.train()
    outputs = outputs_for(model, test_loader)
    predictions = outputs.argmax(dim=1)
    as_trained = confusion_matrix(labels, predictions)
    print(f"test accuracy as trained (statistics of each batch of {batch_size}): "
          f"{percent_right(as_trained)}")
    print(f"test accuracy with eval() (running statistics): {percent_right(with_eval)}")
    print(f"\nas trained:\n{format_confusion(as_trained)}\n")

    # The model stays in training mode: the second convolution sees what it was trained on.
    images = images.view(-1, 1, 28, 28)
    print(plot_predictions(images, labels, predictions, outputs, folder / "predictions.png"))
    print(plot_feature_maps(images[0], feature_maps(model, images[0]),
                            folder / "feature_maps.png"))


if __name__ == "__main__":
    run(main)
