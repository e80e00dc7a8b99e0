"""Captured training steps: the same as the plain loop, bit for bit, on every device."""

import threading

import numpy
import pytest

import cgan
import minigan
import mnist_cnn
from conftest import needs_kernels
from minigan import nn, optim


def classifier_step(optimiser_of):
    """(step, networks, optimisers, inputs of a call)"""
    model = mnist_cnn.make_model()
    optimiser = optimiser_of(model.parameters())
    loss_function = nn.BCELoss()

    def step(images, targets):
        loss = loss_function(model(images), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def inputs():
        return minigan.rand(4, 1, 28, 28), minigan.rand(4, 10)

    return step, [model], [optimiser], inputs


def game_step():
    gan = cgan.ConditionalGAN(1e-3)

    def inputs():
        labels, _ = cgan.sample_inputs(3)
        return minigan.rand(3, 784), labels, *cgan.sample_inputs(3), *cgan.sample_inputs(3)

    return (gan.train_step, [gan.discriminator, gan.generator],
            [gan.discriminator_optimiser, gan.generator_optimiser], inputs)


MAKES = {
    "cnn, Adam": lambda: classifier_step(lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1)),
    "cnn, SGD": lambda: classifier_step(lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
    "conditional GAN": game_step,
}


def trained(make, steps, captured, between=lambda optimisers, i: None):
    """Everything that training leaves behind, as NumPy arrays, and the losses of each step."""
    minigan.manual_seed(3)
    step, networks, optimisers, inputs = make()
    step = minigan.capture(step) if captured else step
    losses = []
    for i in range(steps):
        between(optimisers, i)
        result = step(*inputs())
        losses.append([loss.item() for loss in (
            result.values() if isinstance(result, dict) else [result])])
    state = [value for network in networks for value in network.state_dict().values()]
    for optimiser in optimisers:
        for moments in optimiser.state_dict()["state"].values():
            state += [moments[name] for name in sorted(moments)]
    return [v.cpu().numpy() if isinstance(v, minigan.Tensor) else numpy.array(v) for v in state], losses


def assert_equal(ours, theirs):
    (state, losses), (other_state, other_losses) = ours, theirs
    assert losses == other_losses
    assert len(state) == len(other_state)
    for a, b in zip(state, other_state):
        numpy.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_captured_steps_are_the_plain_ones_bit_for_bit(name, steps, device):
    assert_equal(trained(MAKES[name], steps, True), trained(MAKES[name], steps, False))


def steps_of(optimiser):
    return {int(state["step"]) for state in optimiser.state_dict()["state"].values()}


def test_every_call_is_one_step(device):
    counted = []
    step, _, (optimiser,), inputs = MAKES["cnn, Adam"]()
    captured = minigan.capture(step)
    for _ in range(6):
        captured(*inputs())
        counted.append(steps_of(optimiser))
    assert counted == [{1}, {2}, {3}, {4}, {5}, {6}]


def lower_the_rate(optimisers, i):
    for optimiser in optimisers:
        optimiser.param_groups[0]["lr"] = 0.01 / (1 + i)


@pytest.mark.parametrize("name", ["cnn, Adam", "cnn, SGD"])
def test_options_may_change_between_the_calls(name, device):
    plain, captured = (trained(MAKES[name], 6, c, lower_the_rate) for c in (False, True))
    assert_equal(captured, plain)
    constant = trained(MAKES[name], 6, True)
    assert captured[1][:1] == constant[1][:1] and captured[1][-1] != constant[1][-1]


# What is changed between the calls

class Sign(optim.Optimizer):
    """A user's own optimiser: its formula has the options' numbers, not their addresses."""

    numbers = ("lr",)

    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))

    def update(self, group, params, grads, steps):
        for p, g in zip(params, grads):
            p -= group["lr"] * (g / (g * g + 1))


class Small:
    """A captured or plain step of a few parameters, for a test to change."""

    def __init__(self, optimiser_of, captured):
        minigan.manual_seed(0)
        self.params = [minigan.randn(n + 2, requires_grad=True) for n in range(3)]
        self.optimiser = optimiser_of(self.params[:2])
        self.clears = "all"
        self.call = minigan.capture(self.step) if captured else self.step

    def step(self, x):
        if self.clears == "all":
            for p in self.params:
                p.grad = None
        loss = sum((p * p * x).sum() for p in self.params)
        loss.backward()
        self.optimiser.step()
        return loss

    def numbers(self):
        states = [value for state in self.optimiser.state.values() for value in state.values()]
        grads = [p.grad for p in self.params if p.grad is not None]
        return [x.tolist() for x in (*self.params, *states, *grads)]


def set_option(name, value):
    def change(small):
        small.optimiser.param_groups[0][name] = value

    return change


def move_a_parameter(small):
    small.params[0].data = small.params[0].data * 2


def replace_a_state(small):
    state = small.optimiser.state.get(small.params[0])
    if state is not None:
        name = small.optimiser.state_names[-1]
        state[name] = state[name] + 1


def add_a_group(small):
    if len(small.optimiser.param_groups) == 1:
        small.optimiser.add_param_group({"params": small.params[2:], "lr": 0.2})


def lay_out_anew(small):
    """The same parameters given to another optimiser, where their gradients go from then on."""
    small.other = optim.SGD(small.params, 0.1)


CHANGES = {
    "nothing": lambda small: None,
    "lr": set_option("lr", 0.3),
    "weight_decay": set_option("weight_decay", 0.5),
    "momentum": set_option("momentum", 0.9),
    "load_state_dict": lambda small: small.optimiser.load_state_dict(small.optimiser.state_dict()),
    "a parameter replaced": move_a_parameter,
    "a state replaced": replace_a_state,
    "a group added": add_a_group,
    "a parameter more": lambda small: small.optimiser.param_groups[0]["params"].append(
        small.params[2]),
    "a parameter less": lambda small: small.optimiser.param_groups[0].update(
        params=small.params[1:2]),
    "other groups": lambda small: small.optimiser.param_groups.__setitem__(
        0, dict(small.optimiser.param_groups[0], lr=0.2)),
    "gradients of another optimiser": lay_out_anew,
    "gradients forgotten": lambda small: small.optimiser.zero_grad(),
    "gradients zeroed": lambda small: small.optimiser.zero_grad(set_to_none=False),
    "a gradient set": lambda small: setattr(small.params[1], "grad", minigan.ones(3)),
}
SMALL = {
    "SGD": lambda params: optim.SGD(params, 0.1),
    "momentum": lambda params: optim.SGD(params, 0.1, momentum=0.5),
    "Adam": lambda params: optim.Adam(params, 0.1),
    "Sign": lambda params: Sign(params, 0.1),
}


@pytest.mark.parametrize("kept", [False, True], ids=["cleared", "kept"])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_between_the_calls_are_followed(change, name, kept, device):
    if change in ("weight_decay", "momentum") and change not in SMALL[name](
            [minigan.ones(1, requires_grad=True)]).param_groups[0]:
        return
    for when in (1, 2, 4):  # before the first steps end, before the capture, after it
        plain, captured = (Small(SMALL[name], c) for c in (False, True))
        for small in (plain, captured):
            small.clears = "none" if kept else "all"
        for call in range(8):
            for small in (plain, captured):
                if call == when:
                    CHANGES[change](small)
                small.result = small.call(minigan.full((), 0.1 * call))
            assert plain.result.tolist() == captured.result.tolist(), (when, call)
            assert plain.numbers() == captured.numbers(), (when, call)


@needs_kernels
def test_what_does_not_change_is_captured_once(gpu):
    """Python's part of the step runs three times, and again only after changes that need it."""
    calls = []
    small = Small(SMALL["Adam"], False)
    captured = minigan.capture(lambda x: (calls.append(1), small.step(x))[1])
    for call in range(8):
        CHANGES["lr"](small)
        small.optimiser.param_groups[0]["lr"] /= call + 1
        captured(minigan.ones(()))
    assert len(calls) == 3
    CHANGES["load_state_dict"](small)
    for _ in range(8):
        captured(minigan.ones(()))
    assert len(calls) == 6


@needs_kernels
def test_the_page_of_a_captured_graph_has_its_operations(gpu):
    step, _, _, inputs = MAKES["cnn, Adam"]()
    call = minigan.capture(step)
    assert "not captured yet" in str(call) or "not recorded yet" in str(call)
    for _ in range(4):
        call(*inputs())
    text = str(call)
    assert text.startswith("step, captured as a CUDA graph: ")
    assert [line for line in text.splitlines() if line in ("forward", "backward", "update")] == [
        "forward", "backward", "update"]
    for part in ("conv2d", "model.3", "batch_norm", "Adam", "(4,10,12,12)"):
        assert part in text, part


def test_without_kernels_a_step_on_a_gpu_runs_as_usual(gpu, capsys):
    calls = []
    call = minigan.capture(lambda x: (calls.append(1), x * 2)[1])
    with minigan.kernels.disabled():
        for i in range(5):
            assert call(minigan.full((2,), float(i))).tolist() == [2 * i, 2 * i]
    assert len(calls) == 5 and capsys.readouterr().err.count("without kernels a step on a GPU") == 1


@needs_kernels
def test_inputs_may_come_from_the_host(device):
    total = minigan.zeros(2)
    step = minigan.capture(lambda x: total.add_(2 * x))
    for _ in range(5):
        step(minigan.tensor([1, 10], dtype="float32", device="cpu"))
    assert total.tolist() == [10, 100]


def test_inputs_may_lie_anyhow_in_memory(device):
    step = minigan.capture(lambda x: x * 1)
    for i in range(4):
        x = minigan.rand(3, 2)
        result = step(x.t())
        assert result.tolist() == x.t().tolist(), i


@needs_kernels
def test_results_have_no_history_and_keep_their_form(device):
    weight = minigan.ones(3, requires_grad=True)
    step = minigan.capture(lambda x: {"a": (weight * x, [x.sum()]), "b": None})
    for _ in range(4):
        result = step(minigan.ones(3))
        assert result["a"][0].tolist() == [1, 1, 1] and result["a"][1][0].item() == 3
        assert result["b"] is None
        assert device == "cpu" or not result["a"][0].requires_grad


def test_a_captured_step_within_another_is_a_part_of_it(device):
    total = minigan.zeros(())
    inner = minigan.capture(lambda x: total.add_(x))
    outer = minigan.capture(lambda x: inner(x * 2))
    for _ in range(5):
        outer(minigan.ones(()))
    assert total.item() == 10


@pytest.mark.parametrize("where", ["step outside", "zero_grad and step outside"])
def test_the_optimisers_part_may_stay_outside(where, device):
    results = []
    for captured in (False, True):
        minigan.manual_seed(0)
        layer = nn.Linear(3, 2)
        optimiser = optim.SGD(layer.parameters(), lr=0.1)

        def forward_backward(x, t):
            if where == "step outside":
                optimiser.zero_grad()
            loss = nn.functional.mse_loss(layer(x), t)
            loss.backward()
            return loss

        step = minigan.capture(forward_backward) if captured else forward_backward
        losses = []
        for _ in range(8):
            if where != "step outside":
                optimiser.zero_grad()
            losses.append(step(minigan.randn(4, 3), minigan.randn(4, 2)).item())
            losses.append(layer.weight.grad.sum().item())
            optimiser.step()
        results.append((losses, layer.weight.tolist()))
    assert results[0] == results[1]


def test_weights_that_were_moved_are_captured_anew(device):
    weight = minigan.ones(2, requires_grad=True)

    def step(x):
        weight.grad = None
        (weight * x).sum().backward()
        return (weight * x).sum()

    step = minigan.capture(step)
    for _ in range(4):
        assert step(minigan.ones(2)).item() == 2
    weight.data = minigan.full((2,), 5.0)
    for _ in range(4):
        assert step(minigan.ones(2)).item() == 10


def test_results_with_names_keep_them(device):
    step = minigan.capture(lambda x: x.max(dim=1))
    for _ in range(4):
        result = step(minigan.tensor([[1.0, 3.0], [5.0, 2.0]]))
        assert result.values.tolist() == [3, 5] and result.indices.tolist() == [1, 0]


@needs_kernels
def test_other_threads_are_not_part_of_a_step(gpu):
    made = []

    def step(x):
        thread = threading.Thread(target=lambda: made.append(minigan.randn(2, device="cpu")))
        thread.start()
        thread.join()
        return x * 2

    step = minigan.capture(step)
    for _ in range(4):
        step(minigan.ones(2))
    assert len(made) == 3  # two warm-ups and the capture


@needs_kernels
def test_a_dropped_step_gives_its_memory_back(gpu):
    freed = []

    class Pool:
        def free_all_blocks(self):
            freed.append(True)

    step = minigan.capture(lambda x: x * 2)
    for _ in range(4):
        step(minigan.ones(2))
    step._on["cuda"].pool = Pool()
    del step
    assert freed == [True]


def test_changes_in_place_are_known_to_graphs_recorded_before(device):
    weight = minigan.ones(2, requires_grad=True)

    def step(x):
        with minigan.no_grad():
            weight.mul_(x)

    step = minigan.capture(step)
    for _ in range(3):
        step(minigan.full((2,), 2.0))
    loss = (weight * weight).sum()
    step(minigan.full((2,), 2.0))
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@needs_kernels
@pytest.mark.parametrize("wrong, said", [
    (lambda x: x.sum().item(), "item"),
    (lambda x: float(x.sum()), "item"),
    (lambda x: print(x), "moving to another device"),
    (lambda x: x if x.sum() > 0 else -x, "item"),
    (lambda x: x.tolist(), "tolist"),
    (lambda x: x.cpu(), "moving to another device"),
    (lambda x: x + minigan.tensor([1.0, 2.0]), "moving to another device"),
    (lambda x: x + minigan.randn(2), "random numbers"),
    (lambda x: nn.functional.dropout(x), "random numbers"),
    (lambda x: x.numpy(), "cpu\\(\\)")])
def test_what_a_captured_step_must_not_do_is_reported_at_once(wrong, said, gpu):
    with pytest.raises((RuntimeError, ValueError), match=said):
        minigan.capture(wrong)(minigan.ones(2))
    assert minigan.randn(2).tolist()  # and outside it works again


@needs_kernels
def test_what_cupy_itself_refuses_is_explained(gpu):
    step, _, (optimiser,), inputs = MAKES["cnn, Adam"]()

    def reads(images, targets):
        loss = step(images, targets)
        loss.array.get()  # past minigan, in CuPy's own terms
        return loss

    captured = minigan.capture(reads)
    for _ in range(2):
        captured(*inputs())
    with pytest.raises(RuntimeError, match="cannot be captured.*item"):
        captured(*inputs())
    # What was not computed is not counted either.
    assert steps_of(optimiser) == {2}
    step(*inputs())
    assert steps_of(optimiser) == {3}


@needs_kernels
@pytest.mark.parametrize("later, said", [
    (lambda: (minigan.ones(3, 2),), r"\(2, 2\) before, now .*\(3, 2\)"),
    (lambda: (minigan.ones(2, 2, dtype="float64"),), "float32.*float64"),
    (lambda: (), "1 arguments before, now 0"),
    (lambda: (1.5,), "float 1.5")])
def test_other_arguments_than_before(later, said, gpu):
    step = minigan.capture(lambda *x: x[0] if x else None)
    step(minigan.ones(2, 2))
    with pytest.raises(ValueError, match=said):
        step(*later())


@needs_kernels
def test_arguments_that_are_no_tensors(gpu):
    with pytest.raises(TypeError, match="argument 1 .* must be a Tensor, got int 3"):
        minigan.capture(lambda x, n: x)(minigan.ones(2), 3)


def test_what_is_no_function():
    with pytest.raises(TypeError, match="capture: step must be a function, got int 5"):
        minigan.capture(5)
