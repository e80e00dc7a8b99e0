"""Command lines of training scripts: a wrong argument ends in one line, before any training."""

import argparse
import io
import math
import os
import shlex
import sys
from pathlib import Path

from minigan.messages import report
from minigan.training.runs import Every, Run, RunEnded, checkpoint_of, typed

# What may be another when a run goes on: it leaves all steps as they would have been (where --data
# has only moved to another place; other data is told).
CHANGEABLE = {"epochs", "steps", "device", "data", "checkpoint_every"}
BUILT_IN = {"digits", "mnist", "faces"}  # what --data may be beside a path
# What is of this command, not of the run.
OF_THE_COMMAND = {"out", "resume", "detect_anomaly"}


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with defaults in its help and errors of one line, exit status 2."""

    def __init__(self, documentation):
        """documentation: a text, whose first line describes the script; None under python -OO."""
        super().__init__(description=(documentation or "").partition("\n")[0],
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
        self.add_argument("--out", default=out, help="the folder for the results, one for each run")
        self.add_argument("--resume", nargs="?", const="", metavar="CHECKPOINT",
                          help="go on with the run in --out, or from this file in a run's folder")
        self.add_argument("--checkpoint-every", type=steps_or_time, default="60s", metavar="N|TIME",
                          help="after so many steps or so much time (500, 30s, 5m, 1h; 500,5m for "
                               "whichever comes first)")
        self.add_argument("--detect-anomaly", action="store_true",
                          help="slowly: end at the first operation that makes a nan or infinity")

    def parse_training(self):
        """The arguments, with --resume those that the run was started with.

        `checkpoint` among them is the Checkpoint to go on from, or None. Typed anew, options may
        change that leave the steps as they would have been; others end the program.
        """
        args = self.parse_args()
        args.checkpoint = None
        if args.resume is None:
            return args
        try:
            args.checkpoint = checkpoint_of(args.resume or args.out)
        except (OSError, ValueError) as error:
            self.error(str(error))
        facts, folder = args.checkpoint.facts, args.checkpoint.path.parent
        if facts["script"] != self.prog:
            self.error(f"--resume: {folder} holds a run of {facts['script']}")
        kept = facts["settings"]
        untyped = object()
        typed = vars(self.parse_args(namespace=argparse.Namespace(
            **{action.dest: untyped for action in self._actions})))
        for name, value in kept.items():
            if typed.get(name, untyped) is untyped:
                setattr(args, name, value)
            elif name not in CHANGEABLE and value != plain(typed[name]):
                self.error(f"--{name.replace('_', '-')}: the run goes on with what it was started "
                           f"with, {value}, and cannot with {plain(typed[name])}")
        if typed["out"] is not untyped and args.resume and not same_folder(args.out, folder):
            self.error(f"--out {args.out}: the run of {args.resume} goes on in its own folder")
        if isinstance(args.checkpoint_every, str):
            args.checkpoint_every = steps_or_time(args.checkpoint_every)
        args.out = str(folder)
        return args

    def start_run(self, args, **options):
        """The Run of `parse_training`'s arguments; options as Run has them. Errors as Run's."""
        settings = {name: plain(value) for name, value in vars(args).items()
                    if name not in OF_THE_COMMAND | {"checkpoint"}}
        data = settings.get("data")
        if data not in BUILT_IN and data and os.path.exists(data):
            settings["data"] = os.path.abspath(data)  # --resume may be typed in another folder
        command = f"python {shlex.quote(sys.argv[0])} --resume {typed('--out', args.out)}"
        return Run(args.out, settings, args.checkpoint, args.checkpoint_every, command, self.prog,
                   args.detect_anomaly, **options)

    def error(self, message):
        message = " ".join(line.strip() for line in message.splitlines())
        report(f"{self.prog}: error: {message} (--help lists the options)")
        self.exit(2)


def run(main):
    """Call a script's main. What ends a training before its time ends the script in a line, not
    in a traceback: a RunEnded with its status, Ctrl-C with 130, a file that cannot be read or
    written, and output that nobody reads any more (`| head`), with 1."""
    prepare_output()
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        report("stopped by Ctrl-C")
        sys.exit(130)
    except RunEnded as ended:
        report(str(ended))
        sys.exit(ended.status)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        report(f"{Path(sys.argv[0]).name}: error: {error}")
        sys.exit(1)
    finally:
        drop_unwritable_output()


def prepare_output():
    """Let stdout and stderr take any text, also where the program was started without them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Besides, a file that is opened later does not get the descriptor to which libraries
            # in C write their messages.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does: a folder's name may hold bytes that stdout's encoding cannot express.
        sys.stdout.reconfigure(errors="backslashreplace")


def drop_unwritable_output():
    """Python would fail again on what could not be written, and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except ValueError:  # closed
            pass


def same_folder(one, other):
    return os.path.realpath(one) == os.path.realpath(other)


def plain(value):
    """An argument as JSON can hold it."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


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


class StepsOrTime(Every):
    """An Every that shows itself as it was typed."""

    def __str__(self):
        parts = [] if math.isinf(self.steps) else [f"{self.steps}"]
        parts += [] if math.isinf(self.seconds) else [f"{self.seconds}s"]
        return ",".join(parts)


def steps_or_time(text):
    """'500', '30s', '5m', '1h' or steps and a time, '500,5m', as an argparse type."""
    found = {}
    for part in text.split(","):
        unit = {"s": 1, "m": 60, "h": 3600}.get(part[-1:])
        try:
            key, value = ("seconds", float(part[:-1]) * unit) if unit else ("steps", int(part))
        except ValueError:
            key, value = "", 0
        if not 0 < value < math.inf or key in found:
            raise argparse.ArgumentTypeError(f"expected steps or a time above 0 such as 500, 30s, "
                                             f"5m, 1h or 500,5m, got {text!r}")
        found[key] = value
    return StepsOrTime(**found)
