"""Runs: checkpoints, resuming, and what is reported when something goes wrong."""

import contextlib
import csv
import json
import math
import os
import re
import signal

import numpy
import pytest

import minigan
from minigan import DamagedFileError, kernels, nn, optim
from minigan.data import DataLoader, Dataset, ReadAhead
from minigan.training import (
    Every, Run, RunEnded, check_gan, discriminator_warning, generator_warning, runs)
from minigan.training.history import History

ITEMS, BATCH = 20, 3  # seven batches, the last one smaller


class Points(Dataset):
    def __len__(self):
        return ITEMS

    def __getitem__(self, index):
        return minigan.tensor([float(index), 1.0])


class Stop(Exception):
    """Stands for whatever ends a process in the middle."""


def train(folder, epochs=3, stop_after=None, resume=False, seed=5, wrong=None, **options):
    """A little training with noise and a shuffled order: (the Run, the model)."""
    minigan.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimiser = optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(Points(), batch_size=BATCH, shuffle=True, seed=seed)
    checkpoint = runs.find_checkpoint(folder) if resume else None
    options.setdefault("every", Every(steps=1))
    with Run(folder, {"lr": 0.01}, checkpoint, **options) as run:
        run.register(loader, model=model, optimiser=optimiser)
        for epoch in run.epochs(epochs):
            for points in run.batches(ReadAhead if epoch % 2 else lambda loader: loader):
                if run.step == stop_after:
                    raise Stop
                output = model(points + 0.1 * minigan.randn(*points.shape))
                loss = (output ** 2).mean() if run.step != wrong else output.mean() * math.nan
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                run.log({"loss": loss}, len(points))
            run.log_metrics({"mean": output.mean().item(), "epoch": epoch})
    return run, model


def weights(model):
    return {name: value.cpu().numpy() for name, value in model.state_dict().items()}


def assert_same(ours, theirs):
    (run, model), (other_run, other_model) = ours, theirs
    for name, value in weights(model).items():
        numpy.testing.assert_array_equal(value, weights(other_model)[name])
    assert run.history.steps == other_run.history.steps
    assert run.history.losses == other_run.history.losses
    assert run.metrics == other_run.metrics
    names = "losses.csv", "losses.png"
    assert all((run.folder / n).read_bytes() == (other_run.folder / n).read_bytes() for n in names)


@pytest.mark.parametrize("seed", [5, None])
@pytest.mark.parametrize("stop_after", [0, 1, 6, 7, 8, 13, 14, 20])
def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path, stop_after, seed):
    # Without a seed of the loader's own the order comes from the stream of all: not ahead of time.
    whole = train(tmp_path / "a", seed=seed)
    with pytest.raises(Stop):
        train(tmp_path / "b", stop_after=stop_after, seed=seed)
    assert_same(train(tmp_path / "b", resume=True, seed=seed), whole)


def test_it_may_be_interrupted_many_times_and_saved_now_and_then(tmp_path):
    whole = train(tmp_path / "a")
    every = Every(steps=4)
    with pytest.raises(Stop):
        train(tmp_path / "b", stop_after=5, every=every)
    for stop_after in (6, 11, 11, 17, 20):
        with pytest.raises(Stop):
            train(tmp_path / "b", stop_after=stop_after, every=every, resume=True)
    assert_same(train(tmp_path / "b", every=every, resume=True), whole)


def test_the_time_of_checkpoints(tmp_path, monkeypatch):
    saved = []
    save = Run.save
    monkeypatch.setattr(Run, "save", lambda run: (saved.append(run.step), save(run)))
    train(tmp_path / "a", every=Every())
    assert saved == [0, 21]
    saved.clear()
    train(tmp_path / "b", every=Every(steps=10))
    assert saved == [0, 10, 20, 21]
    saved.clear()
    train(tmp_path / "c", every=Every(seconds=1e-9))
    assert saved == list(range(22))


def test_a_finished_run_goes_on_for_more_epochs(tmp_path):
    whole = train(tmp_path / "a", epochs=3)
    train(tmp_path / "b", epochs=2)
    assert_same(train(tmp_path / "b", epochs=3, resume=True), whole)


def test_a_captured_step_takes_a_smaller_last_batch(tmp_path, gpu):
    with Run(tmp_path) as run:
        run.register(DataLoader(Points(), BATCH))
        double = run.capture(lambda points: points * 2)
        for size in (3, 3, 3, 3, 2, 3):  # the third of the whole ones is captured
            points = minigan.randn(size, 2)
            numpy.testing.assert_array_equal(double(points).cpu().numpy(),
                                             2 * points.cpu().numpy())


def test_a_run_on_a_gpu_is_resumed_too(tmp_path, gpu):
    with pytest.raises(Stop):
        train(tmp_path, stop_after=8)
    run, model = train(tmp_path, resume=True)
    assert run.step == 21 and len(run.history.steps) == 3
    assert all(numpy.isfinite(value).all() for value in weights(model).values())


def test_losses_are_a_table_that_can_be_read_while_it_runs(tmp_path):
    run, _ = train(tmp_path)
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "11", "21"]
    assert [numpy.float32(row["loss"]) for row in rows] == run.history.losses["loss"]


def test_the_history_reads_a_gpu_once(tmp_path, gpu):
    history = History(tmp_path / "losses.csv")
    for step in (1, 11):
        history.add(step, {"G": minigan.full((), step / 2).array})
    assert not (tmp_path / "losses.csv").exists()
    assert history.read() is None
    history.add(21, {"G": minigan.full((), math.inf).array})
    assert history.read() == (21, "G", math.inf)
    history.write()
    assert (tmp_path / "losses.csv").read_text() == "step,G\n1,0.5\n11,5.5\n21,inf\n"


def test_settings_are_kept(tmp_path):
    train(tmp_path, command="python x.py --resume")
    kept = json.loads((tmp_path / "settings.json").read_text())
    assert kept["settings"] == {"lr": 0.01} and kept["command"] == "python x.py --resume"
    assert kept["versions"]["numpy"] == numpy.__version__
    assert kept["versions"]["kernels"] == kernels.form()


@pytest.mark.parametrize("before, after", [(False, True), (True, False), (True, True)])
def test_resuming_by_another_form_is_reported(tmp_path, capsys, before, after):
    """Whether the kernels are disabled before and after."""
    if kernels.form() == "textbook":
        pytest.skip("there are no kernels")

    def form(disabled):
        return kernels.disabled() if disabled else contextlib.nullcontext()

    with form(before), pytest.raises(Stop):
        train(tmp_path, stop_after=4)
    with form(after):
        train(tmp_path, resume=True)
    assert ("warning: saved with kernels" in capsys.readouterr().err) == (before != after)


def test_a_table_that_could_not_be_written_is_written_whole_later(tmp_path, monkeypatch):
    history = History(tmp_path / "losses.csv")
    for step in range(5):
        history.add(step, {"G": minigan.full((), 1.0).array})
        history.read()
        if step == 2:  # half of the rows come to the disk, then it is full
            (tmp_path / "losses.csv").write_text("step,G\n0,1\n1,")
            with monkeypatch.context() as patch:
                patch.setattr(history, "_rows", lambda first: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    history.write()
        elif step == 3:
            (tmp_path / "losses.csv").unlink()  # somebody took it away
            history.write()
        else:
            history.write()
    assert (tmp_path / "losses.csv").read_text() == "step,G\n0,1\n1,1\n2,1\n3,1\n4,1\n"


def test_a_table_that_cannot_be_written_does_not_keep_checkpoints_from_it(tmp_path, capsys):
    (tmp_path / "losses.csv").mkdir()
    train(tmp_path, epochs=2)
    train(tmp_path, resume=True)
    assert runs.find_checkpoint(tmp_path).facts["step"] == 21
    assert "the losses could not be written" in capsys.readouterr().err


# Two runs, damaged files

def test_a_second_run_is_refused_unless_it_resumes(tmp_path):
    train(tmp_path, epochs=1)
    before = (tmp_path / "checkpoint.h5").read_bytes()
    with pytest.raises(ValueError, match="holds a run already"):
        train(tmp_path)
    assert (tmp_path / "checkpoint.h5").read_bytes() == before
    train(tmp_path, resume=True)


def test_two_at_once_are_refused(tmp_path):
    with Run(tmp_path):
        with pytest.raises(ValueError, match="another process is running there"):
            Run(tmp_path)
    with Run(tmp_path):
        pass  # nothing was saved, and the folder is free again


def test_a_damaged_checkpoint_is_refused_and_the_one_before_offered(tmp_path):
    with pytest.raises(Stop):
        train(tmp_path / "b", stop_after=9)
    path = tmp_path / "b" / "checkpoint.h5"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match="checkpoint.h5: from byte 512.* of step 8, is "
                                               "undamaged: --resume .*checkpoint.previous.h5"):
        train(tmp_path / "b", resume=True)
    previous = runs.find_checkpoint(tmp_path / "b" / "checkpoint.previous.h5")
    assert previous.facts["step"] == 8
    # Going on from there does not make the damaged file the one before.
    with Run(tmp_path / "b", checkpoint=previous) as run:
        model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        run.register(DataLoader(Points(), BATCH, shuffle=True, seed=5), model=model,
                 optimiser=optim.Adam(model.parameters()))
        for _ in run.epochs(3, steps=8):
            pass
        run.save()
    assert runs.find_checkpoint(tmp_path / "b" / "checkpoint.previous.h5").facts["step"] == 8


def test_both_damaged_and_none_at_all(tmp_path):
    train(tmp_path / "b", epochs=1)
    for name in ("checkpoint.h5", "checkpoint.previous.h5"):
        (tmp_path / "b" / name).write_bytes(b"x")
    with pytest.raises(DamagedFileError, match="b/checkpoint.h5: byte 0"):
        train(tmp_path / "b", resume=True)
    with pytest.raises(FileNotFoundError, match="holds no run to resume"):
        train(tmp_path / "c", resume=True)


def test_a_state_that_is_no_checkpoint(tmp_path):
    minigan.save(nn.Linear(1, 1), tmp_path / "checkpoint.h5")
    with pytest.raises(DamagedFileError, match="expected a checkpoint of format 2, found 'state'"):
        runs.find_checkpoint(tmp_path)


def test_a_checkpoint_that_does_not_match_is_refused(tmp_path):
    train(tmp_path, epochs=1)
    checkpoint = runs.find_checkpoint(tmp_path)
    model = nn.Linear(3, 1)
    with pytest.raises(RunEnded, match="does not match: load_state_dict: Linear") as caught, Run(
            tmp_path, checkpoint=checkpoint) as run:
        run.register(DataLoader(Points(), batch_size=BATCH), model=model)
        list(run.epochs(2))
    assert caught.value.status == 2
    with pytest.raises(RunEnded, match="had 7 batches, now there are 20"), Run(
            tmp_path, checkpoint=checkpoint) as run:
        run.register(DataLoader(Points()), model=model)
        list(run.epochs(2))


def test_what_killed_writers_left_is_removed(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "generators").mkdir()
    left = [".checkpoint.h5.partial-0123abcd", "samples/.step_01.png.partial-0123abcd.png",
            "generators/.epoch_01.npz.partial-0123abcd"]
    others = [".hidden", ".bashrc.20240101", "other/.checkpoint.h5.partial-0123abcd"]
    (tmp_path / "other").mkdir()
    (tmp_path / ".a.partial-01234567").mkdir()
    for name in left + others:
        (tmp_path / name).write_bytes(b"x")
    with Run(tmp_path):
        assert not any((tmp_path / name).exists() for name in left)
        assert all((tmp_path / name).exists() for name in others)


def test_a_disk_that_is_full_for_a_while(tmp_path, monkeypatch, capsys):
    from minigan.training import runs as module
    write, failing = module.write_checkpoint, []

    def sometimes(path, facts, *others):
        if 5 <= facts["step"] < 9:
            failing.append(facts["step"])
            raise OSError(28, "No space left on device", str(path))
        write(path, facts, *others)

    monkeypatch.setattr(module, "write_checkpoint", sometimes)
    run, _ = train(tmp_path)
    assert failing == [5, 6, 7, 8] and run.state == "finished"
    error = capsys.readouterr().err
    assert "the checkpoint could not be written: [Errno 28]" in error and "of step 4" in error
    assert runs.find_checkpoint(tmp_path).facts["step"] == 21


def test_other_data_is_reported(tmp_path, monkeypatch, capsys):
    train(tmp_path, epochs=1)
    monkeypatch.setattr(Points, "__getitem__", lambda self, i: minigan.tensor([i + 0.5, 1.0]))
    train(tmp_path, epochs=2, resume=True)
    assert "warning: the data is not that which the run was started with" in capsys.readouterr().err


def test_an_older_checkpoint_does_not_cost_the_newest(tmp_path):
    train(tmp_path, epochs=2)
    newest = runs.find_checkpoint(tmp_path).facts["step"]
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with Run(tmp_path, checkpoint=runs.find_checkpoint(tmp_path / "checkpoint.previous.h5")) as run:
        run.register(DataLoader(Points(), BATCH, shuffle=True, seed=5), model=model,
                 optimiser=optim.Adam(model.parameters()))
        for _ in run.epochs(3, steps=0):
            pass
        run.save()
    assert runs.find_checkpoint(tmp_path / "checkpoint.previous.h5").facts["step"] == newest


# Signals

@pytest.mark.parametrize("number, message", [
    (signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_ends_the_run_after_the_step(tmp_path, number, message, monkeypatch):
    whole = train(tmp_path / "a")
    handler = signal.getsignal(number)

    item = Points.__getitem__

    def ringing(self, index):
        if index == 11:
            os.kill(os.getpid(), number)
        return item(self, index)

    monkeypatch.setattr(Points, "__getitem__", ringing)
    with pytest.raises(RunEnded, match=f"stopped by {message} after step .* of 21, saved in "
                                       f".*checkpoint.h5; resume by: again") as caught:
        train(tmp_path / "b", every=Every(), command="again")
    monkeypatch.undo()
    assert caught.value.status == 128 + number
    assert signal.getsignal(number) is handler
    assert runs.find_checkpoint(tmp_path / "b").facts["step"] > 0
    assert_same(train(tmp_path / "b", resume=True), whole)


def test_a_second_signal_stops_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt), Run(tmp_path, every=Every()) as run:
        run.register(DataLoader(Points()), model=nn.Linear(1, 1))
        for _ in run.epochs(1):
            for _ in run.batches():
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
    assert runs.find_checkpoint(tmp_path).facts["step"] == 0


# Training that went wrong

def test_a_loss_that_is_nan_ends_the_run(tmp_path):
    with pytest.raises(RunEnded, match=(
            "training diverged: loss 'loss' is nan in step 10; no longer finite: model.0.weight, .*"
            "the last good checkpoint is .*checkpoint.h5, of step 9; .* again --detect-anomaly")):
        train(tmp_path, wrong=9, command="again")
    assert runs.find_checkpoint(tmp_path).facts["step"] == 9


def test_the_operation_that_made_it_is_named(tmp_path):
    with pytest.raises(RunEnded, match="training diverged: in step 10: detect_anomaly: mul made nan"):
        train(tmp_path, wrong=9, detect_anomaly=True)


def test_weights_that_are_infinite_are_not_saved(tmp_path):
    with pytest.raises(RunEnded, match="after step 0 these are not finite: model.weight"), Run(
            tmp_path) as run:
        model = nn.Linear(2, 2)
        model.weight.data[0, 0] = math.inf
        run.register(DataLoader(Points()), model=model)
        list(run.epochs(1))
    assert not (tmp_path / "checkpoint.h5").exists()


@pytest.mark.parametrize("real, fake, message", [
    (0.001, 0.002, "hardly ever wrong.*on real 0.001, on fake 0.002"),
    (9.0, 8.0, "nearly always wrong"), (0.5, 0.001, ""), (0.69, 0.69, "")])
def test_a_discriminator_that_dies(real, fake, message):
    losses = {"on real": [0.7] * 50 + [real] * 100, "on fake": [fake] * 150}
    warning = discriminator_warning(losses)
    assert re.search(message, warning) if message else not warning
    assert discriminator_warning({name: values[-99:] for name, values in losses.items()}) == ""


def test_a_generator_that_has_collapsed():
    assert "0.03 times" in generator_warning(0.03) and not generator_warning(0.3)


def test_a_warning_is_given_once(tmp_path, capsys):
    with Run(tmp_path) as run:
        for spread in (0.05, 0.5, 0.04):
            run.warn(generator_warning(spread))
        run._report()
    assert capsys.readouterr().err.count("warning: after step 0: the generator has collapsed") == 1
    assert len(run.warnings) == 1
    assert "the generator has collapsed" in (tmp_path / "report.html").read_text()


def test_check_gan_logs_the_spread_and_warns(tmp_path, capsys):
    with Run(tmp_path) as run:
        run.history.losses = {"D on real": [0.001] * 100, "D on fake": [0.002] * 100,
                              "G": [7.0] * 100}
        check_gan(run, 0.5)
        check_gan(run, 0.05)
    assert run.metrics == {"spread": [0.5, 0.05]}
    assert "the discriminator is hardly ever wrong" in run.warnings[0]
    assert "the generator has collapsed" in run.warnings[1] and len(run.warnings) == 2


# The report

def test_the_report_shows_what_is_there(tmp_path):
    run, _ = train(tmp_path, command="python 'a & b.py' --resume")
    (tmp_path / "samples").mkdir()
    for number in range(40):
        (tmp_path / "samples" / f"epoch_{number:02d}.png").write_bytes(b"")
    run._report()
    text = (tmp_path / "report.html").read_text()
    assert "finished: 21 of 21 steps" in text and "http-equiv" not in text
    assert "python &#x27;a &amp; b.py&#x27; --resume" in text and "<td>0.01</td>" in text
    for name in ("losses.png", "losses.csv", "samples/epoch_00.png", "samples/epoch_39.png"):
        assert name in text
    assert text.count("<figure>") == 24 and "http" not in text
    run.state = "running"
    run._report()
    assert 'http-equiv="refresh"' in (tmp_path / "report.html").read_text()


def test_a_run_without_losses_has_a_report(tmp_path):
    with Run(tmp_path) as run:
        run.register(DataLoader(Points(), batch_size=BATCH))
        for _ in run.epochs(1):
            for points in run.batches():
                run.log({}, 0.5)  # any unit may be counted
    text = (tmp_path / "report.html").read_text()
    assert "finished" in text and not (tmp_path / "losses.png").exists()


def test_losses_whose_names_change_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^log: the losses of every step must have the same names; "
                                         r"they were \['a'\], now \['a', 'b'\]"), Run(tmp_path) as run:
        run.register(DataLoader(Points(), batch_size=1))
        for _ in run.epochs(1):
            for _ in run.batches():
                names = "ab" if run.step else "a"
                run.log({name: minigan.tensor(0.5) for name in names}, 1)


def test_wrong_use(tmp_path):
    with Run(tmp_path) as run:
        with pytest.raises(RuntimeError, match="register"):
            list(run.epochs(1))
        with pytest.raises(TypeError, match="register: model must be a Module or an Optimizer, got int 3"):
            run.register(DataLoader(Points()), model=3)
