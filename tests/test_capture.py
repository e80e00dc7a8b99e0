"""Captured training steps: the same as the plain loop, bit for bit, on every device."""

import threading

import numpy
import pytest

import cgan
import minigan
import mnist_cnn
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
        return (minigan.rand(3, 784), cgan.sample_labels(3), cgan.sample_labels(3),
                cgan.sample_noise(3), cgan.sample_labels(3), cgan.sample_noise(3))

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


def test_every_call_is_one_step(device):
    counted = []
    step, _, (optimiser,), inputs = MAKES["cnn, Adam"]()
    captured = minigan.capture(step)
    for _ in range(6):
        captured(*inputs())
        steps = {state["step"] for state in optimiser.state_dict()["state"].values()}
        counted.append(steps)
        if device == "cuda":
            for _, block in optimiser.blocks:
                assert set(block.counters.tolist()) == steps
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


def load_again(optimisers, i):
    """As when a run is resumed: the parameters' moments are at other addresses afterwards."""
    if i == 4:
        for optimiser in optimisers:
            optimiser.load_state_dict(optimiser.state_dict())


def test_a_loaded_optimiser_is_captured_anew(device):
    make = MAKES["conditional GAN"]
    assert_equal(trained(make, 9, True, load_again), trained(make, 9, False, load_again))


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


def test_results_have_no_history_and_keep_their_form(device):
    weight = minigan.ones(3, requires_grad=True)
    step = minigan.capture(lambda x: {"a": (weight * x, [x.sum()]), "b": None})
    for _ in range(4):
        result = step(minigan.ones(3))
        assert result["a"][0].tolist() == [1, 1, 1] and result["a"][1][0].item() == 3
        assert result["b"] is None
        assert device == "cpu" or not result["a"][0].requires_grad


def test_on_the_cpu_the_function_is_simply_called():
    result = object()
    assert minigan.capture(lambda *inputs: (result, *inputs))(1, "x") == (result, 1, "x")


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


def test_a_dropped_step_gives_its_memory_back(gpu):
    freed = []

    class Pool:
        def free_all_blocks(self):
            freed.append(True)

    step = minigan.capture(lambda x: x * 2)
    for _ in range(4):
        step(minigan.ones(2))
    step.pool = Pool()
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
    assert {s["step"] for s in optimiser.state_dict()["state"].values()} == {2}
    step(*inputs())
    assert {s["step"] for s in optimiser.state_dict()["state"].values()} == {3}


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


def test_arguments_that_are_no_tensors(gpu):
    with pytest.raises(TypeError, match="argument 1 .* must be a Tensor, got int 3"):
        minigan.capture(lambda x, n: x)(minigan.ones(2), 3)


def test_what_is_no_function():
    with pytest.raises(TypeError, match="capture: expected a function, got int 5"):
        minigan.capture(5)
