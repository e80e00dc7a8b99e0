"""What holds on a GPU: the same numbers as on the CPU, the examples, and nobody waiting."""

import importlib
import sys

import numpy
import pytest

import cgan
import dcgan
import evaluate
import minigan
import mnist_cnn
import standin
from conftest import needs_kernels
from crosscheck import cross_check
from minigan import data, nn, optim
from minigan.data import DataLoader, MnistDataset
from minigan.device import is_on_gpu, to_device
from minigan.functional.convolution import col2im, conv2d_geometry
from minigan.kernels import convolution_gpu
from minigan.training import Progress, Run, runs
from standin.memory import memory
from standin.streams import counts, no_host_reads
from test_capture import MAKES
from test_gan_examples import pictures  # noqa: F401, a fixture

cases = importlib.import_module("minigan.gradcheck.cases")  # `minigan.gradcheck` is the function


@pytest.fixture
def imitated():
    """The stand-in, which can forbid the host to wait."""
    if not standin.has_compiler():
        pytest.skip("the stand-in for a GPU needs g++")
    with standin.in_place_of_cupy() as cupy:
        minigan.set_device("cuda")
        yield cupy
        minigan.set_device("cpu")


def test_every_operation_gives_the_numbers_of_the_cpu(gpu):
    allowed = {"float32": 1e-5, "float64": 1e-13}
    rows = list(cross_check("cuda"))
    assert [row for row in rows if not row[3] <= allowed[row[1]]] == []
    assert len(rows) > 600


@needs_kernels
def test_the_cross_check_sees_an_operation_that_differs(gpu, monkeypatch):
    from minigan.kernels import activation
    right = activation.launch_each

    def a_little_wrong(name, n, *arrays):
        right(name, n, *arrays)
        if name == "sigmoid_backward" and is_on_gpu(arrays[0]):
            arrays[-1][...] *= 1.0001

    monkeypatch.setattr(activation, "launch_each", a_little_wrong)
    wrong = {name for name, _, what, error in cross_check("cuda") if error > 1e-5}
    assert {"sigmoid", "nn.Sigmoid"} <= wrong and "tanh" not in wrong


# They generate random numbers, or wait for how many elements there are.
NOT_CAPTURED = {"dropout p 0.4", "dropout2d p 0.4", "index boolean"}


@needs_kernels
def test_every_operation_can_be_captured(gpu, monkeypatch):
    constants = {}
    make = cases.tensor

    def made_once(values, *args, **options):  # a case's function makes them in each call
        key = repr((values, args, options))
        if key not in constants:
            constants[key] = make(values, *args, **options)
        return constants[key]

    refused = set()
    for case in cases.all_cases():
        function, inputs = cases.prepare(case, "cuda", "float32")

        def step():
            for x in inputs:
                x.grad = None
            outputs = function(*inputs)
            outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            for y in outputs:
                if y.requires_grad:
                    y.backward(minigan.ones_like(y.detach()), retain_graph=True)
            return [*outputs, *[x.grad for x in inputs if x.grad is not None]]

        with monkeypatch.context() as patch:
            patch.setattr(cases, "tensor", made_once)
            expected = [x.detach().cpu().numpy() for _ in range(4) for x in step()]
            try:
                captured = minigan.capture(step)
                found = [x.cpu().numpy() for _ in range(4) for x in captured()]
            except RuntimeError:
                refused.add(f"{case.operation} {case.configuration}")
                continue
        for ours, theirs in zip(found, expected, strict=True):
            numpy.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=str(case))
        constants.clear()
    assert refused <= NOT_CAPTURED


def dcgan_step():
    gan = dcgan.DCGAN(2, "gelu", 1e-3)
    return (gan.train_step, None, None,
            lambda: (minigan.rand(2, 3, 128, 128), minigan.randn(2, 100), minigan.randn(2, 100)))


STEPS = {**MAKES, "DCGAN": dcgan_step}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("captured", [False, pytest.param(True, marks=needs_kernels)])
def test_a_training_step_makes_nobody_wait(name, captured, imitated):
    step, _, _, inputs = STEPS[name]()
    step = minigan.capture(step) if captured else step
    with no_host_reads():
        for _ in range(4):
            result = step(*inputs())
    losses = result.values() if isinstance(result, dict) else [result]
    assert all(numpy.isfinite(loss.item()) for loss in losses)


def test_a_step_that_waits_fails_such_a_test(imitated):
    step, _, _, inputs = STEPS["cnn, Adam"]()
    with no_host_reads(), pytest.raises(AssertionError, match="wait for the device"):
        print(step(*inputs()))


LOSSES = {
    "cross_entropy": lambda x, t: nn.functional.cross_entropy(x, t),
    "cross_entropy, weight": lambda x, t: nn.functional.cross_entropy(
        x, t, minigan.ones(4), label_smoothing=0.1, ignore_index=2),
    "embedding": lambda x, t: nn.functional.embedding(t, x.t()).sum(),
    "indexing": lambda x, t: x[t, 1:].sum(),
    "one hot": lambda x, t: (minigan.eye(4)[t] * x).sum(),
    "bce with logits": lambda x, t: nn.functional.binary_cross_entropy_with_logits(
        x, minigan.ones_like(x), pos_weight=minigan.full((4,), 2.0)),
    "dropout": lambda x, t: nn.functional.dropout(x).sum(),
    "extremes": lambda x, t: x.max() + x.min(0).values.sum() + (x.argmax(1) * 1.0).sum(),
    "numbers": lambda x, t: ((2 - x) / 3 + 0.5 * x ** 2).clamp(-1, 1).mean(),
    "comparisons": lambda x, t: (x * (x > 0.5)).sum(),
    "layers": lambda x, t: nn.functional.layer_norm(x, 4).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_operation_makes_anybody_wait(name, imitated):
    x = minigan.randn(4, 4, requires_grad=True)
    t = minigan.tensor([0, 3, 2, 1])
    optimiser = optim.SGD([x], lr=0.1, momentum=0.9)
    with no_host_reads():
        for _ in range(2):
            loss = LOSSES[name](x, t)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


# The examples' own loops, with a last batch that is smaller

@pytest.fixture
def digits(tmp_path):
    """A folder with 50 images to train and 40 to test, in MNIST's form."""
    images, labels = data.load_digits(50, seed=0)
    for part, count in (("train", 50), ("t10k", 40)):
        data.write_idx(tmp_path / f"{part}-images-idx3-ubyte", images[:count])
        data.write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels[:count])
    return tmp_path


def test_the_classifier_learns_as_on_the_cpu(digits, gpu, tmp_path):
    states, losses = [], []
    for place in ("cpu", "cuda"):
        minigan.set_device("cpu")
        minigan.manual_seed(1)
        model = mnist_cnn.make_model().to(place)
        minigan.set_device(place)
        loader = DataLoader(MnistDataset(digits), batch_size=8)
        with Run(tmp_path / place) as training:
            mnist_cnn.train(model, loader, training, 3, lr=0.01)
        losses.append(training.history.losses["loss"])
        states.append({k: v.cpu().numpy() for k, v in model.state_dict().items()})
    numpy.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert states[1]["2.num_batches_tracked"] == states[0]["2.num_batches_tracked"] == 21
    for key, value in states[0].items():
        numpy.testing.assert_allclose(states[1][key], value, rtol=1e-2, atol=1e-3, err_msg=key)


@needs_kernels
def test_the_classifiers_loop_waits_for_no_single_step(digits, imitated, tmp_path, monkeypatch):
    model = mnist_cnn.make_model()
    loader = DataLoader(MnistDataset(digits), batch_size=8)
    # What is done once a second or once a minute, and waits.
    monkeypatch.setattr(Progress, "_write", lambda self: None)
    monkeypatch.setattr(Run, "_report", lambda self: None)
    monkeypatch.setattr(Run, "_read_losses", lambda self: None)
    monkeypatch.setattr(runs, "fingerprint", lambda dataset: 0)
    monkeypatch.setattr(Run, "save", lambda self: vars(self).update(_saved_step=0, _saved_at=1e99))
    with no_host_reads(), Run(tmp_path / "out") as training:
        mnist_cnn.train(model, loader, training, 3, lr=0.01)
    training.history.read()
    assert len(set(training.history.losses["loss"])) == 3  # each a copy of its own


def test_the_data_set_is_copied_to_the_gpu_once(digits, imitated):
    dataset = MnistDataset(digits)
    dataset.batch(slice(0, 4))
    before = counts.uploads
    with no_host_reads():
        for start in range(0, 40, 8):
            labels, images, targets = dataset.batch(slice(start, start + 8))
    assert counts.uploads == before
    for x in (labels, images, targets):  # not the set's own memory
        x.fill_(0)
    assert dataset.batch(slice(32, 40))[2].sum().item() == 8
    inputs = data.SampleAhead(cgan.sample_inputs, batch_size=8, times=2)
    inputs(0)
    with no_host_reads():
        before = counts.uploads
        assert [x.shape for x in inputs(1)] == 2 * [(8, 10), (8, 100)]
    assert counts.uploads == before


def run_in_process(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
    module.main()


def test_the_classifiers_script(digits, gpu, tmp_path, monkeypatch, capsys):
    run_in_process(monkeypatch, mnist_cnn, "--device", "cuda", "--data", digits, "--out",
                   tmp_path / "out", "--batch-size", 8, "--epochs", 1)
    assert "test accuracy as trained" in capsys.readouterr().out
    assert (tmp_path / "out" / "feature_maps.png").exists()


def test_the_conditional_gans_script(digits, gpu, tmp_path, monkeypatch, capsys):
    run_in_process(monkeypatch, cgan, "--device", "cuda", "--data", digits, "--out",
                   tmp_path / "out", "--batch-size", 16, "--epochs", 2)
    run_in_process(monkeypatch, evaluate, "--device", "cuda", tmp_path / "out")
    assert "label share" in capsys.readouterr().out
    run_in_process(monkeypatch, cgan, "--device", "cuda", "--label", 7, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "label_7.png").exists()


def test_the_dcgans_script(pictures, gpu, tmp_path, monkeypatch, capsys):  # noqa: F811
    run_in_process(monkeypatch, dcgan, "--device", "cuda", "--data", pictures, "--channels", 2,
                   "--batch-size", 2, "--steps", 5, "--show-every", 4, "--out", tmp_path / "out")
    assert "5 steps of 2" in capsys.readouterr().out
    assert (tmp_path / "out" / "samples.gif").exists()


def test_files_hold_numbers_of_the_host_and_go_to_either_device(gpu, tmp_path):
    model = mnist_cnn.make_model()
    path = minigan.save(model, tmp_path / "model.npz")
    state = minigan.load(path)
    assert all(type(value) is numpy.ndarray for value in state.values())
    for place in ("cuda", "cpu"):
        other = mnist_cnn.make_model().to(place)
        other.load_state_dict(state)
        other.load_state_dict({k: v.cpu() for k, v in model.state_dict().items()})
        for key, value in other.state_dict().items():
            assert value.device == place
            numpy.testing.assert_array_equal(value.cpu().numpy(), state[key])


def test_one_seed_decides_the_random_numbers_of_both_devices(gpu):
    drawn = []
    for seed in (5, 5, 6):
        minigan.manual_seed(seed)
        drawn.append((minigan.randn(3).tolist(), minigan.randn(3, device="cpu").tolist()))
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[2][0] and drawn[0][1] != drawn[2][1]


def test_tensors_go_there_and_back_with_their_gradients(gpu):
    x = minigan.tensor([1.0, 2.0], device="cpu", requires_grad=True)
    (x.cuda() * 3).cpu().sum().backward()
    assert x.grad.tolist() == [3, 3] and x.grad.device == "cpu"
    assert x.to("cuda").is_cuda and x.to("cuda").to("cpu").device == "cpu"
    with pytest.raises(ValueError, match="cpu\\(\\).numpy"):
        x.detach().cuda().numpy()


# Convolutions in a form that a small test does not reach by itself

def test_columns_are_made_a_part_at_a_time(gpu, monkeypatch):
    results = []
    for part in (1, 1 << 26):
        monkeypatch.setattr(convolution_gpu, "PART", part)
        minigan.manual_seed(0)
        for layer in (nn.Conv2d(5, 4, 3, 2, 1), nn.ConvTranspose2d(5, 4, 3, 2, 1)):
            x = minigan.randn(2, 5, 6, 7, requires_grad=True)
            layer(x).mul(layer(x)).sum().backward()
            results.append([g.cpu().numpy() for g in (x.grad, layer.weight.grad, layer.bias.grad)])
    for in_parts, whole in zip(results[:2], results[2:]):
        for a, b in zip(in_parts, whole):
            numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 6])
def test_every_tap_of_a_kernel_reaches_its_pixels(gpu, stride, dilation):
    for kernel, padding in ((1, 0), (2, 1), (5, 0), (5, 7)):
        geometry = conv2d_geometry((1 + 4 * dilation, 29), (kernel, 5), (1, stride), (padding, 2),
                                   dilation)
        C, N, places = 2, 3, geometry.output[0] * geometry.output[1]
        columns = numpy.random.default_rng(0).standard_normal((C * kernel * 5, places * N))
        bias = numpy.array([1.0, 2.0])
        w = numpy.eye(len(columns)).reshape(len(columns), C, kernel, 5)  # each place's taps, as they are
        x = convolution_gpu.scatter(to_device(w, gpu), to_device(
            columns.reshape(len(columns), *geometry.output, N), gpu), to_device(bias, gpu), geometry)
        expected = col2im(columns, N, geometry) + bias[:, None, None, None]
        numpy.testing.assert_allclose(to_device(x, "cpu"), expected, rtol=0, atol=1e-13)


def test_a_bias_gradient_by_several_blocks_a_channel(gpu, monkeypatch):
    g = numpy.random.default_rng(0).standard_normal((3, 5, 4, 7))  # (C,H,W,N)
    found = []
    for long in (1, 1 << 13):
        monkeypatch.setattr(convolution_gpu, "LONG", long)
        out = to_device(numpy.zeros(3), gpu)
        convolution_gpu.sum_of_images(to_device(g, gpu), out)
        found.append(to_device(out, "cpu"))
    for sums in found:
        numpy.testing.assert_allclose(sums, g.sum(axis=(1, 2, 3)), rtol=1e-13)


@pytest.mark.parametrize("size, kernel, N", [
    ((2, 2), (1, 1), 1 << 29), ((2, 1 << 16), (1, 1 << 16), 1 << 15)])
def test_what_is_too_large_to_be_counted_is_refused(size, kernel, N):
    geometry = conv2d_geometry(size, kernel, 1, 0, 1)
    w = numpy.ones((1, 1, *geometry.kernel), "float32")
    x, g = (numpy.broadcast_to(numpy.float32(1), (1, *shape, N))
            for shape in (size, geometry.output))
    for call in (lambda: convolution_gpu.correlate(x, w, None, geometry),
                 lambda: convolution_gpu.scatter(w, g, None, geometry),
                 lambda: convolution_gpu.outer(x, g, geometry, w)):
        with pytest.raises(ValueError, match="too large for a GPU"):
            call()


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_convolution_copies_nothing_from_the_host(layer, imitated):
    layer, x = layer(3, 2, 5, 3, 1), minigan.rand(2, 3, 11, 13)
    before = counts.uploads
    layer(x).sum().backward()
    assert counts.uploads == before


@needs_kernels
def test_columns_are_not_kept_for_the_backward(imitated, monkeypatch):
    layer = nn.Conv2d(8, 4, 8, stride=2)
    x = minigan.rand(2, 8, 64, 64)
    x[0, 0] @ x[0, 0]  # so that cuBLAS has its workspace
    columns = 8 * 64 * 29 * 29 * 2 * 4  # bytes
    monkeypatch.setattr(convolution_gpu, "PART", 1)
    memory.reset_peak()
    before = memory.now
    y = layer(x)
    assert memory.now - before < columns / 10
    y.sum().backward()
    assert memory.peak - before < columns / 2  # a channel's at a time
