"""Command lines of training scripts: a wrong argument ends in one line, before any training."""

import argparse
import contextlib
import io
import math
import os
import shlex
import sys
from pathlib import Path

import minigan
from minigan import distributed
from minigan.device import default_device
from minigan.training.folders import new_run_folder, run_folder
from minigan.training.runs import Every, Run, RunEnded, find_checkpoint, shell_option

# What may change when a run is resumed: it leaves all steps as they would have been (if --data is
# the same data in another place; other data is reported).
CHANGEABLE = {"epochs", "steps", "device", "data", "checkpoint_every"}
BUILT_IN = {"digits", "mnist", "faces"}  # what --data may be besides a path
# Options of one command, not of the run.
COMMAND_OPTIONS = {"out", "resume", "detect_anomaly"}
SECONDS_TO_REPORT = 60.0  # that process 0 has for its last report


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that there are."""

    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with defaults in its help and errors of one line, exit status 2."""

    def __init__(self, description=None, **options):
        """description: a text, of which the first line is shown; None under python -OO."""
        super().__init__(description=(description or "").partition("\n")[0],
                         formatter_class=HelpFormatter, **options)

    def add_training_options(self, epochs, batch_size, lr, out):
        """The options that all training scripts have, with these defaults.

        out  the folder in which runs without --out get folders of their own: 1, 2, ...
        """
        self.runs = out
        self.add_argument("--epochs", type=positive_int, default=epochs,
                          help="passes through the data")
        self.add_argument("--batch-size", type=positive_int, default=batch_size,
                          help="images in a training step")
        self.add_argument("--lr", type=positive_float, default=lr, help="Adam's learning rate")
        self.add_argument("--seed", type=int, default=0, help="of all random numbers")
        self.add_argument("--device", default="auto", help="auto, cpu or cuda")
        self.add_argument("--out", metavar="FOLDER", help=f"the folder for the results; without "
                          f"it each run gets one of its own: {out}/1, {out}/2, ...")
        self.add_argument("--resume", nargs="?", const="", metavar="CHECKPOINT",
                          help="continue the newest run, the one in --out, or from this file in a "
                               "run's folder")
        self.add_argument("--checkpoint-every", type=steps_or_time, default="60s", metavar="N|TIME",
                          help="a number of steps or a time (500, 30s, 5m, 1h), or both (500,5m): "
                               "whichever comes first")
        self.add_argument("--detect-anomaly", action="store_true",
                          help="stop at the first operation that makes a nan or infinity; slow")

    def add_gan_options(self):
        """How a GAN's two networks learn."""
        self.add_argument("--generator-lr", type=positive_float,
                          help="the generator's learning rate, where it is not --lr")
        self.add_argument("--beta1", type=share, default=0.9, help="of both Adams")
        self.add_argument("--lr-decay", type=positive_float, default=1.0, metavar="FACTOR",
                          help="of both learning rates after each epoch")
        self.add_argument("--label-smoothing", type=share, default=0.0, metavar="PART",
                          help="the discriminator's target for real images is 1 minus this")

    def parse_training(self):
        """The arguments, with --resume those that the run was started with. Sets device and seed.

        `args.checkpoint` is the Checkpoint to resume from, or None. With --resume, options may be
        given anew if they leave the steps as they would have been; others are an error.
        """
        args = self._parse_resumed()
        with self.report_errors():
            minigan.set_device(args.device)
            minigan.manual_seed(args.seed)
            minigan.manual_seed(distributed.own_seed(args.seed))  # each draws noise of its own
            devices = distributed.gather(str(default_device()))
            if len(set(devices)) > 1:
                raise ValueError(f"--device {args.device}: the processes' devices differ: "
                                 f"{', '.join(devices)}; --device cpu lets all use their CPUs")
        return args

    def _parse_resumed(self):
        args = self.parse_args()
        args.checkpoint = None
        if args.resume is None:
            return args
        with self.report_errors():
            checkpoint = find_checkpoint(run_folder(args.resume or args.out, self.runs))
        settings, folder = checkpoint.facts["settings"], checkpoint.path.parent
        if checkpoint.facts["script"] != self.prog:
            self.error(f"--resume: {folder} holds a run of {checkpoint.facts['script']}")
        # Parsed again: where an option is not given, argparse keeps what the namespace holds.
        args = self.parse_args(namespace=argparse.Namespace(**{**settings, "out": None}))
        for name, value in settings.items():
            now = to_json(getattr(args, name))
            if name not in CHANGEABLE and value != now:
                self.error(f"--{name.replace('_', '-')}: the run was started with {value}, and "
                           f"cannot continue with {now}")
        if args.out is not None and args.resume and not same_folder(args.out, folder):
            self.error(f"--out {args.out}: the run of {args.resume} continues in its own folder")
        if isinstance(args.checkpoint_every, str):
            args.checkpoint_every = steps_or_time(args.checkpoint_every)
        args.out, args.checkpoint = str(folder), checkpoint
        return args

    def start_run(self, args, **options):
        """The Run of `parse_training`'s arguments; options as Run has them. Sets args.out to its
        folder, which is a new one if none was named."""
        settings = {name: to_json(value) for name, value in vars(args).items()
                    if name not in COMMAND_OPTIONS | {"checkpoint"}}
        data = settings.get("data")
        if data not in BUILT_IN and data and os.path.exists(data):
            settings["data"] = os.path.abspath(data)  # --resume may be given in another folder
        with self.report_errors():
            if args.out is None:
                new = "" if distributed.rank() else str(new_run_folder(self.runs))
                args.out = distributed.gather(new)[0]
                distributed.report_once(f"this run's folder: {args.out}")
            command = (f"python {shlex.quote(sys.argv[0])} --resume "
                       f"{shell_option('--out', args.out)}")
            return Run(args.out, settings, args.checkpoint, args.checkpoint_every, command,
                       self.prog, args.detect_anomaly, **options)

    @contextlib.contextmanager
    def report_errors(self):
        """Errors of what is done with the arguments end the program as wrong arguments do."""
        try:
            yield
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            self.error(str(error))

    def error(self, message):
        message = " ".join(line.strip() for line in message.splitlines())
        distributed.abort_together(f"{self.prog}: error: {message} (--help lists the options)", 2)


def run(main):
    """Call a script's main, in each of the processes that mpiexec started. What interrupts a
    training ends the script with one line instead of a traceback: RunEnded with its status, Ctrl-C
    with 130, a file that cannot be read or written with 1, and output that nobody reads any more
    (`| head`) with 1 and no line. sys.exit with an error in one process ends all."""
    prepare_output()
    name = Path(sys.argv[0]).name
    try:
        distributed.init()
    except RuntimeError as error:
        distributed.abort_together(f"{name}: error: {error}", 2)
    if distributed.rank():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # process 0 prints
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        distributed.abort_together("stopped by Ctrl-C", 130)
    except RunEnded as ended:
        # All end; process 0 may still be writing its report.
        distributed.abort_together(str(ended), ended.status, patience=SECONDS_TO_REPORT)
    except BrokenPipeError:
        end(1)
    except distributed.AllEnd:
        raise
    except SystemExit as ended:
        end(ended.code)
    except OSError as error:
        distributed.abort_together(f"{name}: error: {error}", 1)
    finally:
        drop_unwritable_output()


def end(code):
    """Exit as sys.exit does, and with an error all processes: the others may wait for this one."""
    if distributed.size() > 1 and code:
        is_status = isinstance(code, int)
        distributed.abort_together(f"exit status {code}" if is_status else str(code),
                                   code if is_status else 1)
    sys.exit(code)


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


def to_json(value):
    """An argument as JSON can hold it."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def positive_int(text):
    """An integer of at least 1, as an argparse type."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text!r}")
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


def share(text):
    """A number from 0 to below 1, as an argparse type."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text!r}")
    return value


def folder_or_name(text):
    """A folder of training and test images, or the name of a data set, as an argparse type."""
    if os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"expected a folder, with images to train and to test, "
                                         f"got the file {text}")
    return text


class StepsOrTime(Every):
    """An Every whose text is what `steps_or_time` reads."""

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
