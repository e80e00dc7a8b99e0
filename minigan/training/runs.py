"""A training run in a folder of its own: it may be interrupted anywhere, and resumed.

    settings.json            the options that it was started with
    losses.csv               a row for every tenth step
    checkpoint.h5            all that is needed to resume; checkpoint.previous.h5: the one before
    samples/*.png            samples that the script has saved on the way
    losses.png, report.html  written anew every few seconds, and so is state.json: how far it is
    step.txt                 the training step, call by call, if it was captured

All runs in a folder named `runs` are listed in its index.html.
"""

import contextlib
import json
import math
import os
import shlex
import signal
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy

import minigan
from minigan import distributed
from minigan.capture import CapturedStep
from minigan.device import random_state, set_random_state
from minigan.distributed import report_once
from minigan.checks import (
    AnomalyError, DamagedFileError, NotFiniteError, check_callable, check_int, check_number,
    check_type, describe, explain_errors, short_repr)
from minigan.files import remove_partial, write_atomically
from minigan.nn import Module
from minigan.optim import Optimizer
from minigan.training.arrays import as_numpy
from minigan.training.checkpoint import Checkpoint, versions, write_checkpoint
from minigan.training.folders import (
    CHECKPOINT, PREVIOUS, SETTINGS, has_checkpoint, lock, output_folder)
from minigan.training.history import History
from minigan.training.index import update_index, write_state
from minigan.training.progress import Progress
from minigan.training.report import write_report

STEPS_BETWEEN_LOGS = 10
SECONDS_BETWEEN_FLUSHES = 1.0
FACTS = {"script": str, "step": int, "epoch": int, "batch": int, "batches": int, "data": int,
         "seconds": float, "metrics": dict, "warnings": list, "settings": dict}
SECONDS_BETWEEN_REPORTS = 15.0


class RunEnded(Exception):
    """A run that ended early: the message says why and how to resume it; `status` is the exit
    status for a script."""

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Every:
    """How often something is done: every so many steps, or seconds, or whichever comes first.
    ValueError for anything but numbers above 0."""
    steps: float = math.inf
    seconds: float = math.inf

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, Real) or not value > 0:
                raise ValueError(f"Every: {name} must be a number above 0, got {describe(value)}")


class StepForBatches(CapturedStep):
    """A captured step for batches of one size; others run as usual."""

    def __init__(self, step, batch_size):
        super().__init__(step)
        self.batch_size = batch_size

    def __call__(self, batch, *others):
        if len(batch) == self.batch_size:
            return super().__call__(batch, *others)
        return self.step(batch, *others)


def average_first(optimizer, args, kwargs):
    """At the beginning of a step: the mean of the gradients of all processes."""
    distributed.average_gradients(optimizer)


def mean_of_processes(loss):
    """A loss's mean over all processes, of shape ()."""
    loss = loss.reshape(()).copy()  # a captured step overwrites it in its next call
    distributed.all_reduce(loss)
    return loss / distributed.size()


class Run:
    """A training run: its loops count, log, check and save the steps.

    >>> with Run("runs/name") as run:
    ...     run.register(DataLoader(dataset, batch_size=16), model=model, optimiser=optimiser)
    ...     for epoch in run.epochs(3):
    ...         for images in run.batches():
    ...             run.log({"loss": train_step(images)}, len(images))
    ...         # what is to be done after each epoch

    folder          where it writes; made if it does not exist, locked while the run is open
    settings        a dict that JSON can hold, saved with the run
    checkpoint      a Checkpoint to resume from: `epochs` restores the state of what is registered,
                    and both loops begin where it was saved
    every           how often a checkpoint is written, besides those at the beginning and the end
    command         the command that resumes the run, for messages
    script          the name of the script, saved with the run
    detect_anomaly  whether it runs inside `minigan.detect_anomaly`
    log_scale       whether losses.png has a logarithmic axis

    `step`, `epoch` and `batch` are the numbers of finished steps, of finished epochs, and of
    finished batches in this epoch; `seconds` is the time that all epochs took. On the CPU a run
    that was interrupted and resumed ends with the same bits as one that was not. On a GPU its
    random numbers differ.

    Of several processes (minigan.distributed) each makes a Run, and takes its part of every batch.
    `register` gives all networks process 0's weights, and lets every step of an optimiser begin
    with the mean of the gradients; to clip that, call distributed.average_gradients first. Process
    0 alone writes the folder; that of the others is a temporary one, which is deleted. What is
    logged are means over all processes. A run may be resumed by another number of processes, from
    the same item of the data on.

    Ctrl-C and SIGTERM end it with a checkpoint after the current step: RunEnded says how to resume
    it. A second signal stops it at once. A loss that is nan or infinite raises RunEnded too; on
    the CPU every loss is checked, on a GPU those that are logged, once a second, all together.

    Raises ValueError for a folder that holds a run already, unless a checkpoint is given, or in
    which another process is running; OSError if the folder cannot be written.
    """

    def __init__(self, folder, settings=None, checkpoint=None, every=Every(seconds=60.0),
                 command="", script="", detect_anomaly=False, log_scale=False):
        self.every = check_type("Run", "every", every, Every)
        self.command = check_type("Run", "command", command, str)
        self.script = check_type("Run", "script", script, str)
        self.settings = {} if settings is None else check_type("Run", "settings", settings, dict)
        if checkpoint is not None:
            check_type("Run", "checkpoint", checkpoint, Checkpoint)
        self.log_scale = log_scale
        if not str(folder):  # it would be the current one
            raise ValueError("Run: folder must have a name, got ''")
        self._around = contextlib.ExitStack()
        self._stream = None  # of the progress line: stderr
        self._checkpoint = checkpoint
        try:
            distributed.in_all(lambda: self._open(folder))
        except BaseException:
            self._around.close()
            raise
        self._detect_anomaly = detect_anomaly
        for written in (self.folder, self.folder / "samples", self.folder / "generators"):
            remove_partial(written)
        # Whether the next checkpoint may make this file the previous one: not if it is damaged.
        self._is_good = checkpoint is None or is_undamaged(self.folder / CHECKPOINT)
        self.loader, self.parts = None, {}
        self.step = self.epoch = self.batch = 0
        self.last_step = self.last_epoch = None
        self.seconds = 0.0
        self.history = History(self.folder / "losses.csv")
        self.metrics = {}
        self.warnings = []
        self.state = "running"
        self._saved_step = None
        self._divergence = ""  # seen in this process's part of the step
        self._captured = None
        self._signal = 0
        self._handlers = {}  # of signals, as they were before the run
        self._progress = None
        self._next_flush = self._next_report = 0.0

    def _open(self, folder):
        """Make and lock the folder."""
        if distributed.rank():
            folder = self._around.enter_context(tempfile.TemporaryDirectory(prefix="minigan-"))
            self._stream = self._around.enter_context(open(os.devnull, "w"))
        self.folder = output_folder(folder)
        self._around.enter_context(lock(self.folder))
        if self._checkpoint is None and has_checkpoint(self.folder):
            raise ValueError(f"{self.folder}: holds a run already; --resume continues it, "
                             f"another --out starts a new one")

    def __enter__(self):
        if self._detect_anomaly:
            self._around.enter_context(minigan.detect_anomaly())
        return self

    def __exit__(self, kind, error, trace):
        self._restore_handlers()
        self.state = "finished" if error is None else "stopped"
        ended = None
        if isinstance(error, (AnomalyError, NotFiniteError)):
            ended = self._diverged(f"in step {self.step + 1}: {error}")
        if self._saved_step is not None:
            self._try("the report", self._report)
        if self._captured is not None:
            self._try("the step", lambda: write_atomically(
                self.folder / "step.txt", f"{self._captured}\n".encode()))
        self._around.close()
        if ended is not None:
            raise ended from error
        if error is None and (self.folder / "report.html").exists():
            print(self.folder / "report.html")

    def register(self, loader, **parts):
        """What checkpoints hold: the DataLoader's order, and Modules and Optimizers by name."""
        if not hasattr(loader, "order_state"):
            raise TypeError(f"register: loader must be a DataLoader, got {describe(loader)}")
        for name, part in parts.items():
            if not isinstance(part, (Module, Optimizer)):
                raise TypeError(f"register: {name} must be a Module or an Optimizer, "
                                f"got {describe(part)}")
        self.loader, self.parts = loader, parts
        self._data = fingerprint(loader.dataset)
        if distributed.size() > 1:
            loader.divide()
            for part in parts.values():
                if isinstance(part, Module):
                    distributed.broadcast(part)
                else:
                    part.register_step_pre_hook(average_first)

    # The two loops

    def epochs(self, count, steps=None):
        """The numbers of the remaining epochs, up to `count`; at most `steps` steps in all."""
        if self.loader is None:
            raise RuntimeError("epochs: call register(loader, ...) first")
        check_int("epochs", "count", count, least=0)
        if steps is not None:
            check_int("epochs", "steps", steps, least=0)
        self.last_epoch = count
        self.last_step = min(count * len(self.loader), math.inf if steps is None else steps)
        self._install_handlers()
        self._restore_or_save()
        self._started = time.monotonic() - self.seconds
        while self.step < self.last_step:
            yield self.epoch + 1
            if self.batch == len(self.loader):
                self.epoch, self.batch = self.epoch + 1, 0
            self._do_due_work()
        if self._saved_step != self.step:
            self._try("the checkpoint", self.save)
        self._restore_handlers()

    def batches(self, through=lambda loader: loader):
        """The remaining batches of this epoch; `through` may be ReadAhead."""
        size = self.loader.batch_size * self.loader.processes
        items = len(self.loader.dataset)
        length = len(self.loader)
        batches = min(length, self.batch + self.last_step - self.step)
        later = size * (self.last_step - self.step + self.batch - batches)
        with Progress(min(items, size * batches), f"epoch {self.epoch + 1}/{self.last_epoch}",
                      stream=self._stream, done=self.batch * size, later=later) as self._progress:
            for batch in through(self.loader).batches(self.batch):
                yield batch
                self.batch += 1
                self.step += 1
                if self.step == self.last_step:
                    return
                if self.batch < length:  # otherwise after the epoch's end
                    self._do_due_work()

    def capture(self, step):
        """The training step, captured by `minigan.capture` for batches of the loader's size.

        A captured step has fixed shapes: a smaller last batch of an epoch goes through `step`
        itself. At the end of the run, `step.txt` shows what was recorded.
        """
        check_callable("capture", "step", step)
        self._captured = StepForBatches(step, self.loader.batch_size)
        return self._captured

    @explain_errors
    def log(self, losses, count):
        """Log a step: its losses, {name: Tensor of one element}, of the same names in every step; and
        the number of its items."""
        check_number("log", "count", count, 0)
        figures = {}
        is_logged = self.step % STEPS_BETWEEN_LOGS == 0
        for name, loss in losses.items():
            array = loss.array
            on_cpu = isinstance(array, numpy.ndarray)
            if on_cpu and not math.isfinite(array.item()):
                what = f"loss {name!r} is {array.item()} in step {self.step + 1}"
                if distributed.size() == 1:
                    raise self._diverged(what)
                # All end together, after the step.
                self._divergence = f"{what} of process {distributed.rank()}"
            if is_logged:
                figures[name] = (array.item() if on_cpu and distributed.size() == 1 else
                                 mean_of_processes(array))
        if is_logged:
            self.history.add(self.step + 1, figures)
        self._progress._add(count * distributed.size(), figures)

    @explain_errors
    def log_metrics(self, figures):
        """Log what was measured after an epoch, say, {name: number}, for the report. A number that
        is not finite is logged as None."""
        for name, value in figures.items():
            value = float(value)
            self.metrics.setdefault(name, []).append(value if math.isfinite(value) else None)

    def warn(self, text):
        """Print a warning, and again in the report. An empty text is ignored, and so is one whose
        part before the colon was printed before."""
        kind = check_type("warn", "text", text, str).partition(":")[0]
        if text and not any(kind in before for before in self.warnings):
            self.warnings.append(f"after step {self.step}: {text}")
            report_once(f"warning: {self.warnings[-1]}")

    # Saving and resuming

    def save(self):
        """Write a checkpoint now. RunEnded if anything in it is not finite, OSError if it cannot be
        written; the one before stays then."""
        self._read_losses()
        wrong = distributed.on_every(self._not_finite())
        if wrong:
            raise self._diverged(f"after step {self.step} these are not finite: {wrong}")
        self._check_equal_weights()
        self._try("the losses", self.history.write)
        facts = {"script": self.script, "step": self.step, "epoch": self.epoch, "batch": self.batch,
                 "batches": len(self.loader), "data": self._data, "seconds": self.seconds,
                 "order": self.loader.order_state(begun=self.batch > 0),
                 "processes": distributed.gather(random_state()),
                 "metrics": self.metrics, "warnings": self.warnings, "settings": self.settings}
        distributed.in_all(lambda: distributed.rank() or write_checkpoint(
            self.folder / CHECKPOINT, facts, self.parts, self.history.arrays(),
            self.folder / PREVIOUS if self._is_good else None))
        self._is_good = True
        self._saved_step = self.step
        self._saved_at = time.monotonic()

    def _check_equal_weights(self):
        """RunEnded if the processes' weights are not the same bits any more."""
        checksums = distributed.gather([
            zlib.crc32(as_numpy(p).tobytes()) for module in self.parts.values()
            if isinstance(module, Module) for p in module.parameters()])
        if any(its != checksums[0] for its in checksums):
            raise RunEnded(f"error: after step {self.step} the weights are not the same in all "
                           f"processes: something changes them in one of them alone; "
                           f"{self._last_good()}", 1)

    def _restore_or_save(self):
        """Restore the state from the checkpoint, or write the first one."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None:
            self.save()
        else:
            facts = checkpoint.facts
            randoms = facts.get("processes", [facts["random"]])
            batches = self.loader.batches_for(len(randoms))
            if facts["batches"] != batches:
                raise RunEnded(f"error: {checkpoint.path}: the run's data had {facts['batches']} "
                               f"batches, now there are {batches}", 2)
            try:
                checkpoint.restore(self.parts)
                self.loader.set_order_state(facts["order"])
            except (TypeError, ValueError) as error:
                raise RunEnded(f"error: {checkpoint.path}: does not match: {error}", 2) from error
            self.step, self.epoch, self.batch = facts["step"], facts["epoch"], facts["batch"]
            if len(randoms) == distributed.size():
                set_random_state(randoms[distributed.rank()])
            else:  # from the same item on, with batches of another size
                self.batch = self.batch * len(randoms) // distributed.size()
                self.step = self.epoch * len(self.loader) + self.batch
                if distributed.rank():
                    minigan.manual_seed(distributed.own_seed(self.step))
                report_once(f"the number of processes was {len(randoms)}, and is "
                            f"{distributed.size()} now")
            self.seconds = facts["seconds"]
            self.metrics, self.warnings = facts["metrics"], facts["warnings"]
            self._saved_step = self.step
            self.history.restore(checkpoint.arrays(), len(randoms), distributed.size())
            self._try("the losses", self.history.write)
            self._saved_at = time.monotonic()
            report_once(f"resuming {self.folder} after step {self.step} of {self.last_step}")
            if facts["data"] != self._data:
                report_once("warning: the data is not that which the run was started with")
            for name, version in versions().items():
                if facts["versions"].get(name) != version:
                    report_once(f"warning: saved with {name} {facts['versions'].get(name)}, this "
                                f"is {version}: last digits may differ")
        write_atomically(self.folder / SETTINGS, json.dumps(
            {"script": self.script, "command": self.command, "settings": self.settings,
             "versions": versions()}, indent=1).encode())
        self._try("the report", self._report)

    def _do_due_work(self):
        """Between two steps: log, checkpoint and report if their time has come."""
        now = time.monotonic()
        self.seconds = now - self._started
        due = (self.step - self._saved_step >= self.every.steps
               or now - self._saved_at >= self.every.seconds)
        # Process 0 has the clock; a signal or a divergence in one process is for all.
        first = distributed.rank() == 0
        self._signal, due, flush, diverged = distributed.largest(
            self._signal, int(first and due), int(first and now >= self._next_flush),
            int(self._divergence != ""))
        if diverged:
            raise self._diverged(distributed.on_every(self._divergence))
        if flush:
            self._read_losses()
            self._try("the losses", self.history.write)
            self._next_flush = now + SECONDS_BETWEEN_FLUSHES
        if self._signal:
            self._stop()
        if due:
            self._try("the checkpoint", self.save)
            self._saved_at = time.monotonic()  # also if it failed: not again in every step
        if now >= self._next_report:
            self._try("the report", self._report)

    def _stop(self):
        name = signal.Signals(self._signal).name
        stopped = f"stopped by {'Ctrl-C' if name == 'SIGINT' else name} after step {self.step}"
        try:
            self.save()
        except OSError as error:
            raise RunEnded(f"{stopped}, but the checkpoint could not be written: {error}; "
                           f"{self._last_good()}", 1) from error
        raise RunEnded(f"{stopped} of {self.last_step}, saved in {self.folder / CHECKPOINT}; "
                       f"resume by: {self.command}", 128 + self._signal)

    def _diverged(self, what):
        """The RunEnded for losses or weights that are not finite."""
        hint = "" if self._detect_anomaly else (
            f"; to find the first operation that went wrong: {self.command} "
            f"--detect-anomaly")
        wrong = self._not_finite()
        also = f"; no longer finite: {wrong}" if wrong and wrong not in what else ""
        return RunEnded(f"training diverged: {what}{also}; {self._last_good()}{hint}", 1)

    def _last_good(self):
        if self._saved_step is None or not (self.folder / CHECKPOINT).exists():
            return "there is no checkpoint"
        return f"the last good checkpoint is {self.folder / CHECKPOINT}, of step {self._saved_step}"

    def _not_finite(self):
        """The names of parameters and buffers with a nan or infinity, as a text; or ""."""
        names = []
        for part, module in self.parts.items():
            if isinstance(module, Module):
                names += [f"{part}.{name}" for name, value in module.state_dict().items()
                          if not numpy.isfinite(as_numpy(value)).all()]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def _read_losses(self):
        wrong = self.history.read()
        if wrong:
            step, name, value = wrong
            raise self._diverged(f"loss {name!r} is {value} in step {step}")

    def _try(self, what, function):
        """Call a function that writes; a full disk, say, is reported and does not end the run."""
        try:
            function()
        except OSError as error:
            report_once(f"warning: {what} could not be written: {error}; the training continues, "
                        f"{self._last_good()}")

    def _report(self):
        self._next_report = time.monotonic() + SECONDS_BETWEEN_REPORTS  # also if it fails
        if distributed.rank() == 0:
            write_report(self)
            write_state(self)
            update_index(self.folder)

    # Signals

    def _install_handlers(self):
        """From now on Ctrl-C and SIGTERM take effect at the end of a step."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # An ignored signal stays ignored, such as Ctrl-C by a command in the background.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._handle_signal)

    def _handle_signal(self, number, frame):
        self._signal = number
        self._restore_handlers()  # so that a second one stops at once
        report_once("\nfinishing this step and saving; a second signal stops at once")

    def _restore_handlers(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}


def fingerprint(dataset):
    """A checksum of a data set's first and last items, by which most others are noticed."""
    items = dataset[0], dataset[len(dataset) - 1]
    parts = [part for item in items
             for part in (item if isinstance(item, (tuple, list)) else [item])]
    return zlib.crc32(b"".join(as_numpy(part).tobytes() for part in parts))


def is_undamaged(path):
    try:
        Checkpoint(path)
        return True
    except (OSError, DamagedFileError):
        return False


def find_checkpoint(place):
    """The Checkpoint in a run's folder, or in a file. OSError and DamagedFileError as Checkpoint;
    the latter says whether the one before is undamaged."""
    place = Path(place)
    path = place / CHECKPOINT if place.is_dir() else place
    if not path.exists() and not path.with_name(PREVIOUS).exists():
        raise FileNotFoundError(f"{place}: holds no run to resume")
    try:
        if not path.exists():
            raise DamagedFileError(f"{path}: is missing")
        checkpoint = Checkpoint(path)
        for name, kind in FACTS.items():
            if not isinstance(checkpoint.facts.get(name), kind):
                raise DamagedFileError(f"{path}: expected a run's checkpoint with the fact "
                                       f"{name!r} as {kind.__name__}, found "
                                       f"{short_repr(checkpoint.facts.get(name))}")
        return checkpoint
    except (OSError, DamagedFileError) as error:
        other = path.with_name(PREVIOUS)
        if path == other:
            raise
        try:
            step = Checkpoint(other).facts["step"]
        except (OSError, DamagedFileError):
            raise error from None
        raise DamagedFileError(f"{error}; the checkpoint before it, of step {step}, is "
                               f"undamaged: {shell_option('--resume', other)} continues from "
                               f"there") from error


def shell_option(option, value):
    """An option and its value, quoted for a shell."""
    value = str(value)
    # In "--out -x" argparse would take -x for another option.
    return (shlex.quote(f"{option}={value}") if value.startswith("-")
            else f"{option} {shlex.quote(value)}")
