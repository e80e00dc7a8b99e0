"""A convolutional network learns to read handwritten digits, one image at a time.

    python examples/mnist_cnn.py                  on digits that minigan draws itself
    python examples/mnist_cnn.py --data mnist     on the real MNIST, downloaded once
    python examples/mnist_cnn.py --help           everything else

Prints the accuracy on test images that the training never saw, and which digits are taken for
which. The run's folder gets the losses, right and wrong predictions and the convolutions' feature
maps as pictures, report.html with all of them, and checkpoints: interrupt the run, and --resume
continues it.
"""

import minigan
from minigan import nn, optim
from minigan.data import DataLoader, MnistDataset
from minigan.training import (
    ArgumentParser, confusion_matrix, folder_or_name, format_confusion, plot_feature_maps,
    plot_predictions, run)


def make_model():
    """From images (N,1,28,28) to the ten outputs (N,10), each between 0 and 1."""
    return nn.Sequential(
        nn.Conv2d(1, 10, kernel_size=5, stride=2),   # (N,10,12,12)
        nn.LeakyReLU(0.02),
        nn.BatchNorm2d(10),
        nn.Conv2d(10, 10, kernel_size=3, stride=2),  # (N,10,5,5)
        nn.LeakyReLU(0.02),
        nn.BatchNorm2d(10),
        nn.View(250),                                # (N,250)
        nn.Linear(250, 10),                          # (N,10)
        nn.Sigmoid(),
    )


def train(model, loader, training, epochs, lr):
    """All epochs of a Run, which counts, logs and saves the steps."""
    loss_function = nn.BCELoss()
    optimiser = optim.Adam(model.parameters(), lr=lr)

    def train_step(images, targets):
        outputs = model(images.view(-1, 1, 28, 28))  # (N,10)
        loss = loss_function(outputs, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    training.register(loader, model=model, optimiser=optimiser)
    train_step = training.capture(train_step)
    model.train()
    for _ in training.epochs(epochs):
        for _, images, targets in training.batches():
            loss = train_step(images, targets)
            training.log({"loss": loss}, len(images))


def evaluate(model, loader, training):
    """Print and log how good the model is on test images, and plot what it answers and sees."""

    # A batch-norm normalizes in two ways. In training it uses the statistics of the batch at hand,
    # with batches of one image those of that image alone, and only keeps running averages of them.
    # With eval() it uses these averages for every image. The weights were fitted to the first way,
    # so after training with single images eval() is another function, and usually a worse one.
    # With larger batches the batch's statistics are close to the averages, and so are the figures.
    #
    # eval() comes first: evaluating as trained passes test images through batch-norms in training
    # mode, which moves their running averages.
    labels, images, _ = loader.dataset.batch(range(len(loader.dataset)))
    model.eval()
    with_eval = confusion_matrix(labels, predict(model, loader).argmax(dim=1))
    model.train()
    outputs = predict(model, loader)
    predictions = outputs.argmax(dim=1)
    as_trained = confusion_matrix(labels, predictions)
    training.log_metrics({"test accuracy, %": accuracy(as_trained),
                          "the same with eval(), %": accuracy(with_eval)})
    print(f"test accuracy as trained (statistics of each batch of {loader.batch_size}): "
          f"{accuracy(as_trained):.2f} %")
    print(f"test accuracy with eval() (running statistics): {accuracy(with_eval):.2f} %")
    print(f"\nas trained:\n{format_confusion(as_trained)}\n")

    # The model stays in training mode: the second convolution sees what it was trained on.
    images = images.view(-1, 1, 28, 28)
    print(plot_predictions(images, labels, predictions, outputs,
                           training.folder / "predictions.png"))
    print(plot_feature_maps(images[0], feature_maps(model, images[:1]),
                            training.folder / "feature_maps.png"))


@minigan.no_grad()
def predict(model, loader):
    """The outputs for all of the loader's images, batch by batch: (len(dataset), 10)."""
    return minigan.cat([model(images.view(-1, 1, 28, 28)) for _, images, _ in loader])


@minigan.no_grad()
def feature_maps(model, x):
    """What each convolution makes of an image (1,1,28,28): a list of (name, maps (C,H,W))."""
    maps = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            maps.append((f"Convolution {len(maps) + 1}", x[0]))
    return maps


def accuracy(confusion):
    """The percentage of images on the diagonal, where the answer is the true class."""
    return 100 * confusion.trace() / confusion.sum()


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("--data", default="digits", type=folder_or_name,
                        help="digits (built in), mnist (downloaded) or a folder with MNIST's files")
    parser.add_training_options(epochs=3, batch_size=1, lr=0.001, out="runs/mnist_cnn")
    args = parser.parse_training()
    with parser.report_errors():
        # In the data's own order, which is mixed already. The test batches have the same size: that
        # matters to batch-norms, see `evaluate`.
        train_loader, test_loader = (
            DataLoader(MnistDataset(args.data, train=train), batch_size=args.batch_size)
            for train in (True, False))
        training = parser.start_run(args, log_scale=True)
    with training:
        model = make_model()
        train(model, train_loader, training, args.epochs, args.lr)
        count, seconds = args.epochs * len(train_loader.dataset), training.seconds
        print(f"trained on {count} images in {seconds:.1f} s: {count / seconds:.0f} images/s")
        print(minigan.save(model, training.folder / "model.npz"))
        evaluate(model, test_loader, training)


if __name__ == "__main__":
    run(main)
