"""Command lines of training scripts: a wrong argument ends in one line, before any training."""

import argparse
import math
import os
import sys
import tempfile
from pathlib import Path


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with defaults in its help and errors of one line, exit status 2."""

    def __init__(self, description):
        super().__init__(description=description,
                         formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    def add_training_options(self, epochs, batch_size, lr, out):
        """The options that all training scripts have, with these defaults."""
        self.add_argument("--epochs", type=positive_int, default=epochs,
                          help="how often to go through the data")
        self.add_argument("--batch-size", type=positive_int, default=batch_size,
                          help="how many images to learn from at a time")
        self.add_argument("--lr", type=positive_float, default=lr, help="Adam's learning rate")
        self.add_argument("--seed", type=int, default=0, help="decides all that is random")
        self.add_argument("--device", default="auto", help="auto, cpu or cuda")
        self.add_argument("--out", default=out, help="the folder for the results")

    def error(self, message):
        message = " ".join(line.strip() for line in message.splitlines())
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def run(main):
    """Call a script's main; Ctrl-C ends it with one line and exit status 130, output that nobody
    reads any more (`| head`) with status 1."""
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # What is still to be written goes nowhere: Python would fail on it again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def positive_int(text):
    """A whole number of at least 1, as an argparse type."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def positive_float(text):
    """A finite number above 0, as an argparse type."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def output_folder(path):
    """The folder as a Path, made where it is missing.

    OSError if it is a file or cannot be written to; asked before the training, so that its
    results are not lost after it.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise OSError(f"{folder}: no folder to write results to: {error.strerror}") from error
