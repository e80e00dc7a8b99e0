"""Steps recorded on the CPU: what is repeated, what runs as usual, and that numbers are never wrong."""

import itertools
import mmap
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import cgan
import dcgan
import minigan
import mnist_cnn
from minigan import kernels, nn, optim
from minigan.gradcheck import cases
from minigan.kernels import launch
from minigan.tensor import from_array
from test_capture import assert_equal, trained


@pytest.fixture(autouse=True, params=["kernels", "textbook"])
def form(request):
    if request.param == "textbook":
        with kernels.disabled():
            yield request.param
    elif launch.load("f"):
        yield request.param
    else:
        pytest.skip(kernels.status())


class Steps:
    """A small training step of a layer with an optimiser; subclasses do something else in it."""

    def __init__(self):
        minigan.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.optimiser = optim.Adam(self.layer.parameters(), lr=0.1)
        self._counter = itertools.count()  # of calls of Python's part, unseen by the capture

    @property
    def calls(self):
        return int(repr(self._counter)[6:-1])

    def step(self, x, t):
        next(self._counter)
        loss = nn.functional.mse_loss(self.layer(x), t)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss

    def between(self, call):
        """What happens before a call."""

    def numbers(self):
        states = [value for state in self.optimiser.state.values() for value in state.values()]
        grads = [p.grad for p in self.layer.parameters() if p.grad is not None]
        return [x.numpy().tobytes() for x in (
            *(p.detach() for p in self.layer.parameters()), *self.layer.buffers(), *states, *grads)]


def compare(kind, calls=14):
    """The captured step of a Steps, after as many calls as a plain one, which it must equal in every
    number after every call."""
    plain, captured = kind(), kind()
    call = minigan.capture(captured.step)
    random = numpy.random.default_rng(0)
    for i in range(calls):
        x, t = (random.standard_normal(shape).astype("float32") for shape in ((5, 3), (5, 2)))
        results = []
        for steps, function in ((plain, plain.step), (captured, call)):
            steps.between(i)
            minigan.manual_seed(i)
            results.append(function(minigan.tensor(x), minigan.tensor(t)).detach().numpy().tobytes())
        assert results[0] == results[1], i
        assert plain.numbers() == captured.numbers(), i
    return captured, call


def said(capsys):
    """The lines about captures on stderr."""
    return [line for line in capsys.readouterr().err.splitlines() if "capture:" in line]


def test_a_step_is_recorded_once(capsys):
    steps, _ = compare(Steps)
    assert steps.calls == 4  # as usual, recorded, proven, and proven again after ten
    assert said(capsys) == []


class Counts(Steps):
    """A number of Python's own, which a replay does not see."""

    def step(self, x, t):
        return super().step(x * (self.calls + 1), t)


class Sometimes(Steps):
    def step(self, x, t):
        if self.calls % 2:
            x = x * 2
        return super().step(x, t)


class WritesToNumPy(Steps):
    """Numbers that leave minigan, and come back."""

    def step(self, x, t):
        copy = numpy.empty(x.shape, "float32")
        copy[...] = x.array
        return super().step(from_array(copy), t)


class Reads(Steps):
    def step(self, x, t):
        return super().step(x * (2 if x.sum() > 0 else 1), t)


class ReadsItem(Steps):
    def step(self, x, t):
        return super().step(x * x.sum().item(), t)


class Samples(Steps):
    def step(self, x, t):
        return super().step(x + minigan.randn(5, 3), t)


class DropsOut(Steps):
    def step(self, x, t):
        return super().step(nn.functional.dropout(x), t)


class Selects(Steps):
    """A result whose shape depends on numbers."""

    def step(self, x, t):
        return super().step(x, t) + (x[x > 0] * 2).sum()


class Keeps(Steps):
    """An average that is replaced in each step."""

    average = minigan.zeros(())

    def step(self, x, t):
        loss = super().step(x + self.average, t)
        self.average = self.average * 0.5 + loss.detach() * 0.5
        return loss


class Sorts(Steps):
    def step(self, x, t):
        return super().step(from_array(numpy.sort(x.array, axis=0)), t)


@pytest.mark.parametrize("kind, reason", [
    (Counts, "differs when it is replayed"), (Sometimes, "differs when it is replayed"),
    (WritesToNumPy, "differs when it is replayed"), (Reads, "item"), (ReadsItem, "item"),
    (Samples, "random numbers"), (DropsOut, "random numbers"), (Selects, "booleans"),
    (Keeps, r"keeps a tensor of shape \(\)")])
def test_what_cannot_be_repeated_is_reported_once_and_runs_as_usual(kind, reason, capsys):
    steps, call = compare(kind)
    line, = said(capsys)
    assert line.startswith("minigan: capture: the step cannot be repeated and runs as usual: ")
    assert re.search(reason, line)
    assert steps.calls == 14
    assert "as usual" in str(call)


def test_numpys_own_functions_are_recorded(capsys):
    steps, _ = compare(Sorts)
    assert steps.calls == 4 and said(capsys) == []


class ChangesRate(Steps):
    def between(self, call):
        self.optimiser.param_groups[0]["lr"] = 0.1 / (call + 1)


class LoadsState(Steps):
    def between(self, call):
        if call % 5 == 4:
            self.layer.load_state_dict({name: x * 0.5 if "num" not in name else x
                                        for name, x in self.layer.state_dict().items()})
        if call == 7:
            self.optimiser.load_state_dict(self.optimiser.state_dict())


class ReplacesWeight(Steps):
    def between(self, call):
        if call == 5:
            self.layer[0].weight = nn.Parameter(minigan.ones(4, 3))
        if call == 9:
            self.layer[2].bias.data = minigan.ones(2)


class Switches(Steps):
    def between(self, call):
        self.layer.train(call % 3 != 2)


class ChangesLayer(Steps):
    def between(self, call):
        self.layer[1].eps = 1e-5 if call < 6 else 0.1


class Freezes(Steps):
    def between(self, call):
        self.layer[0].requires_grad_(call % 4 < 2)


class Accumulates(Steps):
    """Gradients of two calls before a step outside."""

    def step(self, x, t):
        next(self._counter)
        loss = nn.functional.mse_loss(self.layer(x), t)
        loss.backward()
        return loss

    def between(self, call):
        if call % 2 == 0:
            if call:
                self.optimiser.step()
            self.optimiser.zero_grad()


class TwoOptimisers(Steps):
    def __init__(self):
        super().__init__()
        self.optimiser = optim.Adam(self.layer[0].parameters(), lr=0.1)
        self.other = optim.SGD([*self.layer[1].parameters(), *self.layer[2].parameters()], 0.1,
                               momentum=0.9)

    def step(self, x, t):
        self.other.zero_grad()
        loss = super().step(x, t)
        self.other.step()
        return loss


class SharesWeight(Steps):
    def step(self, x, t):
        next(self._counter)
        first = self.layer[0]
        loss = nn.functional.mse_loss((first(first(x) @ first.weight)), x @ first.weight.t())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss


class ChangesInPlace(Steps):
    """Clipped weights, and a sum that lives outside."""

    def __init__(self):
        super().__init__()
        self.total = minigan.zeros(())

    def step(self, x, t):
        loss = super().step(x, t)
        for p in self.layer.parameters():
            p.data.clamp_(-0.3, 0.3)
        self.total += loss.detach()
        return self.total.clone()


class Penalty(Steps):
    def step(self, x, t):
        next(self._counter)
        loss = nn.functional.mse_loss(self.layer(x), t)
        loss = loss + 0.01 * sum((p * p).sum() for p in self.layer.parameters())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss


class RunsAlone(Steps):
    """Some steps go past the captured one, as a smaller last batch does."""

    def between(self, call):
        if call in (5, 8):
            before = self.calls
            self.step(minigan.ones(2, 3), minigan.ones(2, 2))
            self._counter = itertools.count(before)


@pytest.mark.parametrize("kind, most", [
    (LoadsState, 6), (ReplacesWeight, 10), (Switches, 6), (ChangesLayer, 6),
    (Freezes, 8), (Accumulates, 6), (TwoOptimisers, 4), (SharesWeight, 4), (ChangesInPlace, 4),
    (Penalty, 4), (RunsAlone, 4)])
def test_what_changes_between_the_calls_is_followed(kind, most, capsys):
    """most: how often Python's part runs, of 14 calls."""
    steps, _ = compare(kind)
    assert said(capsys) == []
    assert steps.calls <= most


def test_options_of_optimisers_are_followed(form, capsys):
    steps, _ = compare(ChangesRate)
    if form == "kernels":  # they read the options where they are
        assert said(capsys) == [] and steps.calls == 4
    else:
        assert "something else in every call" in said(capsys)[0] and steps.calls == 14


def test_an_exception_in_the_step_leaves_everything_as_without_a_capture():
    class Fails(Steps):
        fails = False

        def step(self, x, t):
            loss = super().step(x, t)
            if self.fails:
                raise KeyError("mine")
            return loss

    for when in range(5):
        plain, captured = Fails(), Fails()
        call = minigan.capture(captured.step)
        for i in range(5):
            plain.fails = captured.fails = i == when
            for function in (plain.step, call):
                try:
                    function(minigan.full((5, 3), float(i)), minigan.ones(5, 2))
                except KeyError:
                    pass
            # A replay does not run the line that fails.
            assert plain.numbers() == captured.numbers(), (when, i)
        assert all(type(p.array) is numpy.ndarray for p in captured.layer.parameters())


def test_results_are_overwritten_by_the_next_call():
    call = minigan.capture(lambda x: x * 2)
    results = [call(minigan.full((2,), float(i))) for i in range(8)]
    assert results[-1].tolist() == results[-2].tolist() == [14, 14]
    assert results[-1] is results[-2]


def test_what_nobody_reads_is_not_computed():
    def step(x):
        (x * 3).exp()
        return x + 1

    call = minigan.capture(step)
    for _ in range(4):
        assert call(minigan.ones(2)).tolist() == [2, 2]
    assert "add" in str(call) and "exp" not in str(call) and "multiply" not in str(call)


@pytest.mark.parametrize("make", [mnist_cnn.make_model, cgan.make_generator])
def test_a_recording_needs_no_more_memory_than_the_step(make):
    minigan.manual_seed(0)
    model = make()
    optimiser = optim.SGD(model.parameters(), 0.1)
    shape = (64, 1, 28, 28) if make is mnist_cnn.make_model else (64, 110)

    def step(x):
        loss = (model(x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    x = minigan.rand(*shape)
    for _ in range(2):
        step(x)
    tracemalloc.start()
    try:
        step(x)
        ordinary = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    call = minigan.capture(step)
    for _ in range(4):
        call(x)
    recorded = call._on["cpu"].recordings[0].plan.arena.nbytes
    assert 0.2 * ordinary < recorded <= 1.1 * ordinary


RESIDENT = '''
import os, sys
import minigan
from minigan import nn, optim

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = resident()
layer = nn.Linear(2000, 2000)
optimiser = optim.Adam(layer.parameters())

def step(x):
    loss = layer(x).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss

if sys.argv[1] == "captured":
    step = minigan.capture(step)
for _ in range(4):
    step(minigan.rand(100, 2000))
print(resident() - before)
'''


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a process's memory")
def test_proving_a_recording_leaves_no_memory_behind(form):
    """The proof needs copies of weights and moments, 48 MB here."""
    environment = os.environ | ({"MINIGAN_KERNELS": "off"} if form == "textbook" else {})
    ordinary, captured = [
        int(subprocess.run([sys.executable, "-c", RESIDENT, how], env=environment, check=True,
                           capture_output=True, text=True).stdout)
        for how in ("ordinary", "captured")]
    assert 60e6 < ordinary
    assert captured <= 1.1 * ordinary


@pytest.mark.parametrize("proof", [2, 12])
def test_a_step_that_there_is_no_memory_to_prove_runs_as_usual(proof, monkeypatch, capsys):
    def refuse(*args):
        raise OSError(12, "Cannot allocate memory")

    class Later(Steps):
        def between(self, call):
            if call == proof:
                monkeypatch.setattr(mmap, "mmap", refuse)

    compare(Later)
    message, = said(capsys)
    assert "runs as usual: there is not enough memory to prove" in message


def test_steps_of_several_threads_do_not_disturb_each_other(capsys):
    """Recording looks at the objects of all threads, and counts references to them."""
    pairs = [(Steps(), Steps()) for _ in range(18)]
    inputs = [(minigan.randn(5, 3), minigan.randn(5, 2)) for _ in range(14)]
    done = threading.Event()

    def train(pairs):
        for plain, captured in pairs:
            call = minigan.capture(captured.step)
            for x, t in inputs:
                assert call(x, t).item() == plain.step(x, t).item()
            assert plain.numbers() == captured.numbers()
            assert captured.calls == 4

    def make_tuples():
        while not done.is_set():
            tuple(i for i in range(3))  # nobody else may refer to it meanwhile

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            maker = pool.submit(make_tuples)
            try:
                list(pool.map(train, [pairs[:6], pairs[6:12], pairs[12:]]))
            finally:
                done.set()
            maker.result()
    finally:
        sys.setswitchinterval(interval)
    assert said(capsys) == []


def test_the_page_shows_the_step_with_the_names_of_its_code():
    model = mnist_cnn.make_model()
    optimiser = optim.Adam(model.parameters())

    def train_step(images, targets):
        loss = nn.functional.binary_cross_entropy(model(images), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    call = minigan.capture(train_step)
    assert "not recorded yet" in str(call)
    for _ in range(3):
        call(minigan.rand(2, 1, 28, 28), minigan.rand(2, 10))
    text = str(call)
    assert text.startswith("train_step, recorded on the CPU: ")
    assert [line for line in text.splitlines() if line in ("forward", "backward", "update")] == [
        "forward", "backward", "update"]
    for part in ("conv2d model.3", "model.7.weight", "images", "targets", "model.0.weight.grad",
                 "model.2.num_batches_tracked"):
        assert part in text
    assert " us " not in text


def test_a_profiled_page_has_the_time_of_each_line():
    call = minigan.capture(lambda x: (x @ x).exp().sum(), profile=True)
    for _ in range(5):
        call(minigan.ones(4, 4))
    lines = [line for line in str(call).splitlines() if line[:2].strip().isdigit()]
    assert len(lines) >= 3 and all(" us " in line for line in lines)


def test_arguments_that_require_gradients_are_refused():
    call = minigan.capture(lambda x: x * 2)
    with pytest.raises(ValueError, match="argument 0 requires a gradient"):
        call(minigan.ones(2, requires_grad=True))


@pytest.mark.parametrize("later, message", [
    ((minigan.ones(3, 2),), r"\(2, 2\) before, now .*\(3, 2\)"),
    ((minigan.ones(2, 2, dtype="float64"),), "float32.*float64"),
    ((), "1 arguments before, now 0"),
    ((1.5,), "float 1.5")])
def test_other_arguments_than_before_are_refused_at_any_time(later, message):
    for calls in range(1, 6):
        call = minigan.capture(lambda *x: x[0] + 1)
        for _ in range(calls):
            call(minigan.ones(2, 2))
        with pytest.raises(ValueError, match=message):
            call(*later)
        assert call(minigan.ones(2, 2)).tolist() == [[2, 2], [2, 2]]


def test_arguments_may_be_views_of_any_layout():
    call = minigan.capture(lambda a, b: (a * 2 + b).sum(dim=0))
    for i in range(6):
        x = minigan.rand(4, 3, 2)
        a, b = x.permute(2, 1, 0)[0, :, ::2], x[::2, :, 1].t()
        assert call(a, b).tolist() == (a * 2 + b).sum(dim=0).tolist(), i


def placed(numbers, how):
    """The numbers as a Tensor whose array lies in memory in some way."""
    if how == "within another":
        memory = numpy.zeros((9, *numbers.shape), numbers.dtype)
        array = memory[4]
    elif how == "strided":
        array = numpy.zeros((*numbers.shape[:-1], 2 * numbers.shape[-1]), numbers.dtype)[..., ::2]
    elif how == "at an odd address":
        array = numpy.zeros(numbers.nbytes + 1, "uint8")[1:].view(numbers.dtype)
        array = array.reshape(numbers.shape)
    else:
        array = numpy.empty(numbers.shape, numbers.dtype)
    array[...] = numbers
    array.flags.writeable = how != "read-only"
    return from_array(array)


def test_arguments_are_read_wherever_they_lie(capsys):
    plain, captured = Steps(), Steps()
    call = minigan.capture(captured.step)
    random = numpy.random.default_rng(0)
    fixed = [placed(random.standard_normal(shape).astype("float32"), "anew")
             for shape in ((5, 3), (5, 2))]
    ways = ["anew", "within another", "strided", "at an odd address", "read-only", "again"]
    for i in range(40):
        x, t = (random.standard_normal(shape).astype("float32") for shape in ((5, 3), (5, 2)))
        how, of_t = ways[i % 6], ways[i // 6 % 6]
        if how == "again":  # the same Tensors, with other numbers
            for tensor, numbers in zip(fixed, (x, t)):
                tensor.array[...] = numbers
            result = call(*fixed)
        else:
            result = call(placed(x, how), placed(t, "anew" if of_t == "again" else of_t))
        assert result.item() == plain.step(minigan.tensor(x), minigan.tensor(t)).item(), (i, how)
        assert plain.numbers() == captured.numbers(), (i, how)
    assert captured.calls == 4 and said(capsys) == []  # as usual, recorded, proven twice


def test_a_step_may_require_gradients_of_its_arguments(capsys):
    """As gradient penalties do: the arguments of later calls are read all the same."""
    def step(x):
        x.requires_grad_(True)
        return x.sigmoid()

    call = minigan.capture(step)
    for i in range(30):
        x = minigan.rand(4, 6) if i % 3 else minigan.rand(6, 4).t()
        assert call(x).tolist() == x.detach().sigmoid().tolist(), i


def test_arguments_in_memory_that_the_step_writes_are_those_of_its_beginning(capsys):
    """A weight, a row of it and the results of the call before."""
    class Mixes(Steps):
        def mix(self, w, row, loss):
            new = self.step(w.sigmoid() + row.sigmoid(), w[:, :2] * loss.sigmoid()).detach()
            # After the weights have changed, and the memory of the results.
            return new, (w.sigmoid() * row.sigmoid()).sum() * loss.sigmoid()

    plain, captured = Mixes(), Mixes()
    call = minigan.capture(captured.mix)
    last = [[minigan.ones(1)] * 2 for _ in range(2)]
    for i in range(30):
        for k, (steps, mix) in enumerate(((plain, plain.mix), (captured, call))):
            w = steps.layer[0].weight.detach()
            arguments = [w, w[i % 4], last[k][i % 2]]
            if k == 0 or i == 0:  # in a step that runs as usual they would change on the way
                arguments = [x.clone() for x in arguments]
            last[k] = [x.reshape(1) for x in mix(*arguments)]
        assert [x.tolist() for x in last[0]] == [x.tolist() for x in last[1]], i
        assert plain.numbers() == captured.numbers(), i
    assert captured.calls == 4 and said(capsys) == []


def test_numbers_that_are_not_finite_come_out_as_without_a_capture():
    """Convolutions with padding have a way of their own for them."""
    weight, image = minigan.rand(2, 1, 3, 3), minigan.rand(1, 1, 6, 6)

    def step(x, w):
        return nn.functional.conv2d(x, w, padding=1, stride=2)

    call = minigan.capture(step)
    for value in (1.0, 1.0, 1.0, 1.0, float("inf"), float("nan"), 2.0, float("inf")):
        image[0, 0, 2, 3], weight[1, 0, 0, 0] = value, value
        numpy.testing.assert_array_equal(call(image, weight).numpy(), step(image, weight).numpy())


def test_grad_mode_is_followed():
    weight = minigan.ones(2, requires_grad=True)

    def step(x):
        loss = (weight * x).sum()
        if loss.requires_grad:
            weight.grad = None
            loss.backward()
        return loss

    call = minigan.capture(step)
    for i in range(9):
        weight.grad = None
        if i % 3 == 2:
            with minigan.no_grad():
                call(minigan.full((2,), float(i)))
            assert weight.grad is None
        else:
            call(minigan.full((2,), float(i)))
            assert weight.grad.tolist() == [i, i]


def test_observers_see_ordinary_steps():
    call = minigan.capture(lambda x: (x * 2).sum())
    for _ in range(5):
        call(minigan.ones(2))
    with minigan.profile() as profile:
        call(minigan.ones(2))
    assert ("mul", "forward") in profile.rows
    with pytest.raises(minigan.AnomalyError), minigan.detect_anomaly():
        minigan.capture(lambda x: x.log())(minigan.full((1,), -1.0))


def test_gradients_that_somebody_keeps_are_known_to_be_overwritten_only_by_replays():
    """A step outside of the capture gives a kept gradient up, and the capture goes on after it."""
    steps = Steps()
    call = minigan.capture(steps.step)
    x, t = minigan.ones(5, 3), minigan.ones(5, 2)
    for _ in range(5):
        call(x, t)
    kept = steps.layer[0].weight.grad
    before = kept.tolist()
    steps.step(minigan.rand(5, 3), t)
    assert kept.tolist() == before
    call(x, t)
    assert kept.tolist() == before


def test_a_captured_step_is_freed_with_its_memory():
    import gc
    import weakref
    steps = Steps()
    call = minigan.capture(steps.step)
    for _ in range(5):
        call(minigan.ones(5, 3), minigan.ones(5, 2))
    arena = weakref.ref(call._on["cpu"].recordings[0].plan)
    del call
    gc.collect()
    assert arena() is None


def test_the_dcgans_step_is_the_plain_one_bit_for_bit(form, capsys):
    def dcgan_step():
        gan = dcgan.DCGAN(2, "gelu", 1e-3)
        return (gan.train_step, [gan.discriminator, gan.generator],
                [gan.discriminator_optimiser, gan.generator_optimiser],
                lambda: (minigan.rand(2, 3, 128, 128), minigan.randn(2, 100), minigan.randn(2, 100)))

    assert_equal(trained(dcgan_step, 6, True), trained(dcgan_step, 6, False))
    assert said(capsys) == []


def test_an_evaluation_in_between_leaves_the_recording_as_it_is():
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Linear(4, 1))
    captured = minigan.capture(lambda x: net(x).sum())
    x = minigan.ones(2, 3)
    for _ in range(6):
        captured(x)
    net.eval()
    net(x)
    net.train()
    recordings = list(captured._on["cpu"].recordings)
    captured(x)
    assert captured._on["cpu"].recordings == recordings and len(recordings) == 1
    net.eval()
    captured(x)
    assert len(captured._on["cpu"].recordings) == 2


# They generate random numbers, or have results whose shape depends on numbers.
NOT_RECORDED = {"dropout p 0.4", "dropout2d p 0.4", "index boolean"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_is_recorded_and_gives_the_same_bits(dtype, form, capsys, monkeypatch):
    constants = {}
    make = cases.tensor

    def made_once(values, *args, **options):  # a case's function makes them in each call
        key = repr((values, args, options))
        if key not in constants:
            constants[key] = make(values, *args, **options)
        return constants[key]

    monkeypatch.setattr(cases, "tensor", made_once)
    ordinary = set()
    for case in cases.all_cases():
        function, inputs = cases.prepare(case, "cpu", dtype)

        def step(*numbers):
            with minigan.no_grad():
                for x, values in zip(inputs, numbers):
                    x.copy_(values)
            for x in inputs:
                x.grad = None
            outputs = function(*inputs)
            outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            for y in outputs:
                if y.requires_grad:
                    y.backward(minigan.ones_like(y.detach()), retain_graph=True)
            return [*outputs, *[x.grad for x in inputs if x.grad is not None]]

        captured = minigan.capture(step)
        first = [x.detach().clone() for x in inputs]
        for call in range(5):
            numbers = [x * (1 - 0.01 * call) if x.dtype.kind == "f" else x for x in first]
            minigan.manual_seed(call)
            found = [x.detach().numpy().tobytes() for x in captured(*numbers)]
            minigan.manual_seed(call)
            assert found == [x.detach().numpy().tobytes() for x in step(*numbers)], str(case)
        if captured._on["cpu"].is_ordinary:
            ordinary.add(f"{case.operation} {case.configuration}")
        constants.clear()
    assert ordinary <= NOT_RECORDED, said(capsys)


# What reaches out of the step, or into it



def test_a_step_may_use_what_it_returned_before(capsys):
    results = []
    for capture in (lambda step: step, minigan.capture):
        state = {"h": minigan.zeros(2)}
        step = capture(lambda x: x + state["h"])
        for i in range(8):
            state["h"] = step(minigan.full((2,), float(i)))
        results.append(state["h"].tolist())
    assert results[0] == results[1] == [28, 28]


def test_results_that_are_arguments_may_be_passed_in_again():
    results = []
    for capture in (lambda step: step, minigan.capture):
        step = capture(lambda a, b: (a + b, a))
        a, b = minigan.ones(1), minigan.ones(1)
        numbers = []
        for _ in range(8):
            a, b = step(a, b)
            numbers.append((a.item(), b.item()))
        results.append(numbers)
    assert results[0] == results[1]


def test_arguments_that_are_kept_or_changed_are_the_callers_own(capsys):
    kept = []

    def keep(x):
        kept.append(x)
        return x * 2

    def keep_a_row(x):
        kept.append(x[0])
        return x * 2

    def change(x):
        x.mul_(2)
        return x + 1

    for step in (keep, keep_a_row):
        kept.clear()
        call = minigan.capture(step)
        for i in range(6):
            call(minigan.full((2, 2), float(i)))
        assert [x.detach().numpy().flat[0] for x in kept] == [0, 1, 2, 3, 4, 5]
    call = minigan.capture(change)
    for i in range(6):
        x = minigan.full((2,), float(i))
        assert call(x).tolist() == [2 * i + 1] * 2 and x.tolist() == [2 * i] * 2
    assert len(said(capsys)) == 3


class StepsRates(Steps):
    def __init__(self):
        super().__init__()
        self.scheduler = optim.lr_scheduler.ExponentialLR(self.optimiser, 0.5)

    def step(self, x, t):
        loss = super().step(x, t)
        self.scheduler.step()
        return loss


class StepsSometimes(Steps):
    count = 0

    def step(self, x, t):
        self.count += 1
        loss = nn.functional.mse_loss(self.layer(x), t)
        self.optimiser.zero_grad()
        loss.backward()
        if self.count % 5 == 0:
            self.optimiser.step()
        return loss


class KeepsItsLoss(Steps):
    def step(self, x, t):
        loss = super().step(x, t)
        self.loss = loss.detach()
        return loss

    def numbers(self):
        return [*super().numbers(), self.loss.numpy().tobytes()]


class TakesAnArray(Steps):
    def __init__(self):
        super().__init__()
        self.array = numpy.ones(3, "float32")

    def step(self, x, t):
        return super().step(x * minigan.tensor(self.array), t)

    def between(self, call):
        self.array[...] = call


@pytest.mark.parametrize("kind, reason", [
    (StepsRates, "scheduler"), (StepsSometimes, "changes count"),
    (KeepsItsLoss, r"keeps a tensor of shape \(\)"), (TakesAnArray, "array from outside")])
def test_what_a_repetition_would_miss_is_reported(kind, reason, capsys):
    compare(kind)
    line, = said(capsys)
    assert re.search(reason, line)


class UsesWeightsDirectly(Steps):
    def step(self, x, t):
        first = self.layer[0]
        return super().step(nn.functional.linear(x, first.weight)[:, :3], t)

    def between(self, call):
        if call == 6:
            self.layer[0].weight = nn.Parameter(minigan.ones(4, 3))


class Scaled(optim.Optimizer):
    numbers = ("lr",)

    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))
        self.scale = 1.0

    def update(self, group, params, grads, steps):
        for p, g in zip(params, grads):
            p -= group["lr"] * self.scale * g


class ScalesItsOptimiser(Steps):
    def __init__(self):
        super().__init__()
        self.optimiser = Scaled(self.layer.parameters(), 0.1)

    def between(self, call):
        self.optimiser.scale = 1.0 if call < 7 else 0.25


class ChangesBetas(Steps):
    def __init__(self):
        super().__init__()
        self.optimiser = optim.Adam(self.layer.parameters(), lr=0.1, betas=[0.9, 0.99])

    def between(self, call):
        if call == 7:
            self.optimiser.param_groups[0]["betas"][0] = 0.5


class DeletesAnAttribute(Steps):
    def __init__(self):
        super().__init__()
        self.layer.scale = 2.0

    def step(self, x, t):
        return super().step(x * getattr(self.layer, "scale", 1.0), t)

    def between(self, call):
        if call == 7:
            del self.layer.scale


@pytest.mark.parametrize("kind", [UsesWeightsDirectly, ScalesItsOptimiser, ChangesBetas,
                                  DeletesAnAttribute])
def test_what_is_replaced_is_followed(kind, capsys):
    steps, _ = compare(kind)
    assert said(capsys) == [] and steps.calls < 14


@pytest.mark.parametrize("step, good, bad", [
    (lambda w, i: nn.functional.embedding(i, w).sum(), [0, 1], [7, -1]),
    (lambda w, i: nn.functional.embedding(i, w).sum(), [0, 1], [2**40, 0]),
    (lambda w, i: nn.functional.cross_entropy(w[:2] * 1, i), [0, 1], [99, 0]),
    (lambda w, i: nn.functional.nll_loss(w[:2] * 1, i), [0, 1], [0, 99]),
    (lambda w, i: w.gather(0, i[:, None]).sum(), [0, 1], [-1, 0])])
def test_an_index_out_of_range_is_an_error_in_a_replay_too(step, good, bad):
    weight = minigan.rand(5, 4, requires_grad=True)

    def both_ways(i):
        weight.grad = None
        loss = step(weight, i)
        loss.backward()
        return loss

    call = minigan.capture(both_ways)
    for _ in range(5):
        call(minigan.tensor(good))
    for _ in range(3):
        with pytest.raises((ValueError, IndexError)) as captured:
            call(minigan.tensor(bad))
        with pytest.raises((ValueError, IndexError)) as plain:
            both_ways(minigan.tensor(bad))
        assert str(captured.value) in str(plain.value)
        assert numpy.isfinite(call(minigan.tensor(good)).detach().numpy())


def test_copies_of_a_captured_step_have_their_own():
    import copy
    import pickle
    steps = Steps()
    steps.call = minigan.capture(steps.step)
    x, t = minigan.ones(5, 3), minigan.ones(5, 2)
    for _ in range(5):
        steps.call(x, t)
    other = copy.deepcopy(steps)
    before = steps.numbers()
    for _ in range(5):
        other.call(x, t)
    assert steps.numbers() == before != other.numbers()
    assert len(pickle.loads(pickle.dumps(minigan.capture(mnist_cnn.make_model()))).step) == 9


def test_observers_inside_a_step_see_it(capsys):
    def step(x):
        with minigan.detect_anomaly():
            return (x * 2).log()

    call = minigan.capture(step)
    for _ in range(5):
        assert call(minigan.ones(2)).shape == (2,)
    with pytest.raises(minigan.AnomalyError):
        call(-minigan.ones(2))
    assert len(said(capsys)) == 1


def test_results_keep_their_types(capsys):
    from collections import OrderedDict
    call = minigan.capture(lambda x: OrderedDict(b=x + 1, a=x))
    for _ in range(5):
        assert type(call(minigan.ones(2))) is OrderedDict
    call = minigan.capture(lambda x: (x + 1, numpy.ones(2)))
    for _ in range(5):
        call(minigan.ones(2))
    assert "array of NumPy" in said(capsys)[0]


def test_leaves_of_the_steps_own_are_no_obstacle(capsys):
    def step(x):
        z = (x * 2).detach().requires_grad_()
        (z * z).sum().backward()
        return z.grad * 1

    call = minigan.capture(step)
    for i in range(6):
        assert call(minigan.full((2,), float(i))).tolist() == [4 * i, 4 * i]
    assert said(capsys) == []


def test_a_first_call_that_fails_fixes_nothing():
    call = minigan.capture(lambda x: x.reshape(4) + 1)
    with pytest.raises(ValueError):
        call(minigan.ones(3))
    for _ in range(5):
        assert call(minigan.ones(2, 2)).tolist() == [2, 2, 2, 2]
