"""The two GAN scripts, run as a reader runs them, in a tiny setting on the built-in data."""

import json
import re

import h5py
import numpy
import pytest

import cgan
import dcgan
import minigan
from checkerboard import balance_kernels, blur_kernels
from engines.layers import in_torch
from minigan import nn
from minigan.data import crop_center
from minigan.training import Checkpoint
from test_examples import run


OF_EVERY_RUN = {"checkpoint.h5", "checkpoint.previous.h5", "losses.csv", "losses.png",
                "report.html", "settings.json", "state.json", "step.txt", ".lock"}


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def cgan_run(tmp_path_factory):
    """A short run on the built-in digits: (the process, its working folder)."""
    cwd = tmp_path_factory.mktemp("cgan")
    return run("--epochs", 2, "--batch-size", 400, "--device", "cpu", cwd=cwd,
               script="cgan.py"), cwd


def test_cgan_runs_to_the_end(cgan_run):
    result, cwd = cgan_run
    assert result.returncode == 0, result.stderr
    out = cwd / "runs" / "cgan" / "1"
    assert files_of(out) == OF_EVERY_RUN | {
        "samples.gif", "samples/epoch_001.png", "samples/epoch_002.png", "generators/epoch_001.npz",
        "generators/epoch_002.npz"}
    assert "D on real" in result.stderr and "epoch 2/2  100% 12000/12000" in result.stderr


def test_cgan_samples_from_what_was_learned(cgan_run):
    _, cwd = cgan_run
    picture = cwd / "runs" / "cgan" / "1" / "label_3.png"
    result = run("--label", 3, "--device", "cpu", cwd=cwd, script="cgan.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "runs/cgan/1/label_3.png" and picture.stat().st_size > 1000


def test_samples_of_a_cgan_are_evaluated(cgan_run):
    _, cwd = cgan_run
    result = run("--device", "cpu", cwd=cwd, script="evaluate.py")
    assert result.returncode == 0, result.stderr
    assert "Fréchet distance" in (cwd / "runs" / "index.html").read_text(encoding="utf-8")
    text = result.stdout
    shares = re.findall(r"epoch [12]: label share ([\d.]+) %", text)
    assert len(shares) == 2 and all(0 <= float(share) <= 100 for share in shares)
    recognised = float(re.search(r"recognises ([\d.]+) % of the test images", text).group(1))
    assert recognised > 97
    assert "classifier  100% 36000/36000" in result.stderr
    saved = json.loads((cwd / "runs" / "cgan" / "1" / "evaluation.json").read_text())
    assert [len(values) for values in saved["figures"].values()] == [2, 2, 2]
    assert (cwd / "runs" / "cgan" / "1" / "evaluation.png").exists()


def test_samples_of_a_dcgan_are_evaluated(tmp_path, pictures):
    run("--data", pictures, "--channels", 2, "--recipe", "batch1", "--epochs", 1, "--show-every", 2,
        "--device", "cpu", "--out", "out", cwd=tmp_path, script="dcgan.py")
    result = run("out", "--device", "cpu", cwd=tmp_path, script="evaluate.py")
    assert result.returncode == 0, result.stderr
    saved = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert saved["step"] == [0, 2, 3] and (tmp_path / "out" / "evaluation.png").exists()
    assert list(saved["figures"]) == ["Fréchet distance", "spread", "checkerboard"]
    for name, values in saved["figures"].items():
        printed = re.findall(rf"step \d: .*{name} ([\d.e+-]+)", result.stdout)
        assert [float(value) for value in printed] == pytest.approx(values, rel=1e-3)
    # The pictures are noise, of which all detail is fine; the generator's is coarser at first.
    assert saved["real images"]["checkerboard"] == pytest.approx(1, abs=0.1)
    assert saved["real images"]["spread"] == pytest.approx(1, abs=0.1)
    assert 0 < saved["figures"]["checkerboard"][0] < 0.7


def test_what_cannot_be_evaluated_is_refused(cgan_run, tmp_path):
    whole = (cgan_run[1] / "runs" / "cgan" / "1" / "generators" / "epoch_002.npz").read_bytes()
    cases = {"nowhere": "found no settings.json", "classifier": "got one of mnist_cnn.py",
             "no generators": "holds no generators", "no steps": "holds no generators",
             "damaged": "epoch_002.npz", "no JSON": ""}
    for name, script in (("classifier", "mnist_cnn.py"), ("no generators", "cgan.py"),
                         ("no steps", "dcgan.py"),
                         ("damaged", "cgan.py"), ("no JSON", None)):
        (tmp_path / name / "generators").mkdir(parents=True)
        (tmp_path / name / "settings.json").write_text(
            json.dumps({"script": script, "settings": {"data": "digits"}}) if script else "{")
    (tmp_path / "damaged" / "generators" / "epoch_002.npz").write_bytes(whole[:len(whole) // 2])
    for name, message in cases.items():
        result = run(name, cwd=tmp_path, script="evaluate.py")
        assert result.returncode == 2 and message in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1 and not result.stdout


@pytest.mark.parametrize("arguments, message", [
    (("--label", 3), "runs/cgan"), (("--label", 11, "--out", "x"), "--label"),
    (("--label", 3, "--out", "nowhere"), "nowhere: holds no generators"),
    (("--epochs", 0), "--epochs"),
    (("--device", "tpu"), "tpu"), (("--data", "nowhere"), "nowhere"), (("--lr", "x"), "--lr")])
def test_cgan_refuses_bad_arguments(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path, script="cgan.py")
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_cgan_refuses_a_damaged_generator(cgan_run, tmp_path):
    _, cwd = cgan_run
    whole = (cwd / "runs" / "cgan" / "1" / "generators" / "epoch_002.npz").read_bytes()
    (tmp_path / "generators").mkdir()
    (tmp_path / "generators" / "epoch_002.npz").write_bytes(whole[:len(whole) // 2])
    result = run("--label", 3, "--out", tmp_path, cwd=tmp_path, script="cgan.py")
    assert result.returncode == 2 and "epoch_002.npz" in result.stderr
    assert "Traceback" not in result.stderr


def test_dcgan_runs_to_the_end_on_the_built_in_faces(tmp_path):
    result = run("--channels", 2, "--batch-size", 2, "--steps", 3, "--show-every", 2, "--device",
                 "cpu", cwd=tmp_path, script="dcgan.py")
    assert result.returncode == 0, result.stderr
    out = tmp_path / "runs" / "dcgan" / "1"
    assert files_of(out) == OF_EVERY_RUN | {
        "samples.gif", *(f"samples/step_00000{step}.png" for step in (0, 2, 3)),
        *(f"generators/step_00000{step}.npz" for step in (0, 2, 3))}
    assert "100% 6/6" in result.stderr and "spread: " in result.stdout


@pytest.fixture
def pictures(tmp_path):
    path = tmp_path / "pictures.h5"
    with h5py.File(path, "w") as file:
        for i in range(3):
            image = numpy.random.default_rng(i).integers(0, 256, (150, 130 + i, 3))
            file[f"clothes/{i}.png"] = image.astype("uint8")
    return path


@pytest.mark.parametrize("activation", ["gelu", "leaky_relu"])
def test_dcgan_runs_on_a_file_of_pictures(tmp_path, pictures, activation):
    result = run("--data", pictures, "--channels", 2, "--recipe", "batch1", "--epochs", 1,
                 "--activation", activation, "--device", "cpu", "--out", tmp_path / "out",
                 cwd=tmp_path, script="dcgan.py")
    assert result.returncode == 0, result.stderr
    assert "3 steps of 1" in result.stdout


@pytest.mark.parametrize("arguments, message", [
    (("--data", "nowhere.h5"), "nowhere.h5"), (("--channels", 0), "--channels"),
    (("--activation", "relu"), "--activation"), (("--steps", -1), "--steps")])
def test_dcgan_refuses_bad_arguments(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path, script="dcgan.py")
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_dcgan_names_a_picture_that_is_too_small(tmp_path, pictures):
    with h5py.File(pictures, "a") as file:
        file["clothes/7.png"] = numpy.zeros((150, 90, 3), "uint8")
    result = run("--data", pictures, "--channels", 2, cwd=tmp_path, script="dcgan.py")
    assert result.returncode == 2 and "7.png" in result.stderr


def test_more_pictures_in_a_batch_than_there_are(tmp_path, pictures):
    result = run("--data", pictures, "--batch-size", 4, cwd=tmp_path, script="dcgan.py")
    assert result.returncode == 2 and "--batch-size 4" in result.stderr


@pytest.mark.parametrize("count, message", [(1, "only 1 pictures"), (3, "all the same")])
def test_pictures_that_nothing_can_be_learned_from(tmp_path, count, message):
    with h5py.File(tmp_path / "same.h5", "w") as file:
        for i in range(count):
            file[f"a/{i}.png"] = numpy.full((130, 130, 3), 7, "uint8")
    result = run("--data", "same.h5", "--channels", 2, "--batch-size", 2, cwd=tmp_path,
                 script="dcgan.py")
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["mnist_cnn.py", "cgan.py"])
def test_one_table_is_not_taken_for_two(tmp_path, name):
    (tmp_path / "table.csv").write_text("\n".join("7," + ",".join(["0"] * 784) for _ in range(3)))
    result = run("--data", "table.csv", cwd=tmp_path, script=name)
    assert result.returncode == 2 and "expected a folder" in result.stderr


def test_the_networks_are_of_the_stated_size():
    size = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert size(dcgan.make_discriminator(256, "gelu")) == 4_294_448
    assert size(dcgan.make_generator(256, "gelu")) == 4_330_816
    assert size(cgan.make_discriminator()) == 159_601
    assert size(cgan.make_generator()) == 180_184


def test_generators_make_what_discriminators_take():
    images = dcgan.make_generator(2, "leaky_relu")(minigan.randn(2, 100))
    assert images.shape == (2, 3, 128, 128)
    assert dcgan.make_discriminator(2, "gelu")(images).shape == (2, 1)
    assert isinstance(dcgan.make_discriminator(2, "leaky_relu")[2], nn.LeakyReLU)
    assert crop_center(numpy.zeros((140, 131, 3)), 128, 128).shape == (128, 128, 3)


# The same training in PyTorch: from the same weights and random numbers, the same losses

def learn(loss, optimiser):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def step_in_torch(torch, networks, optimisers, real, fakes):
    """The three parts: `real` and the two `fakes` are (input of D or G, labels or None)."""
    discriminator, generator = networks
    loss_function = torch.nn.BCELoss()

    def discriminate(images, labels):
        return discriminator(images if labels is None else torch.cat((images, labels), -1))

    def generate(noise, labels):
        return generator(noise if labels is None else torch.cat((noise, labels), -1))

    losses = []
    for number, (given, labels) in enumerate((real, *fakes)):
        images = given if number == 0 else generate(given, labels)
        answer = discriminate(images.detach() if number == 1 else images, labels)
        target = torch.zeros_like(answer) if number == 1 else torch.ones_like(answer)
        loss = loss_function(answer, target)
        losses.append(learn(loss, optimisers[1 if number == 2 else 0]))
    return losses


def deviations(gan, torch, steps, batches):
    """|a - b| / (1e-3 + |b|) of all losses of all steps: (steps, 3)."""
    networks = [in_torch(m, torch) for m in (gan.discriminator, gan.generator)]
    optimisers = [torch.optim.Adam(m.parameters(), lr=1e-4) for m in networks]
    result = []
    for _ in range(steps):
        real, labels, fakes = batches()
        if labels is None:
            ours = gan.train_step(real, *[noise for noise, _ in fakes])
        else:
            ours = gan.train_step(real, labels, *[
                x for noise, asked in fakes for x in (asked, noise)])
        both = [None if x is None else torch.tensor(x.numpy()) for x in (real, labels)]
        others = [[None if x is None else torch.tensor(x.numpy()) for x in pair]
                  for pair in fakes]
        theirs = step_in_torch(torch, networks, optimisers, both, others)
        result.append([abs(a.item() - b) / (1e-3 + abs(b))
                       for a, b in zip(ours.values(), theirs)])
    return numpy.array(result)


def test_cgan_losses_follow_pytorch():
    torch = pytest.importorskip("torch")
    N = 16
    first, worst = [], []
    for seed in range(5):
        minigan.manual_seed(seed)
        labels = lambda: minigan.eye(10)[minigan.randint(0, 10, (N,))]  # noqa: E731

        def batches():
            images = minigan.rand(N, 784) * (minigan.rand(N, 784) > 0.8)
            return images, labels(), [(minigan.randn(N, 100), labels()) for _ in range(2)]

        apart = deviations(cgan.ConditionalGAN(1e-4), torch, 100, batches)
        first.append(apart[0].max())
        worst.append(apart.max())
    assert max(first) <= 1e-4
    assert numpy.median(worst) <= 1e-2


def unbatched_step(m, networks, optimisers, loss_function, rounds):
    """One step on single vectors, written once: `m` is minigan or torch."""
    discriminator, generator = networks
    losses = []
    for number, (given, label) in enumerate(rounds):
        image = given if number == 0 else generator(m.cat((given, label)))
        answer = discriminator(m.cat((image.detach() if number == 1 else image, label)))
        loss = loss_function(answer, m.zeros(1) if number == 1 else m.ones(1))
        losses.append(learn(loss, optimisers[1 if number == 2 else 0]))
    return losses


def test_cgan_on_single_vectors_follows_pytorch():
    torch = pytest.importorskip("torch")
    first, worst = [], []
    for seed in range(5):
        minigan.manual_seed(seed)
        networks = cgan.make_discriminator(), cgan.make_generator()
        theirs = [in_torch(m, torch) for m in networks]
        optimisers = [minigan.optim.Adam(m.parameters(), lr=1e-4) for m in networks]
        other_optimisers = [torch.optim.Adam(m.parameters(), lr=1e-4) for m in theirs]
        random = numpy.random.default_rng(seed)
        apart = []
        for _ in range(100):
            label = numpy.eye(10, dtype="float32")
            rounds = [(random.random(784) * (random.random(784) > 0.8), label[3]),
                      (random.standard_normal(100), label[random.integers(10)]),
                      (random.standard_normal(100), label[random.integers(10)])]
            rounds = [(a.astype("float32"), b) for a, b in rounds]
            ours = unbatched_step(minigan, networks, optimisers, nn.BCELoss(), [
                (minigan.tensor(a), minigan.tensor(b)) for a, b in rounds])
            others = unbatched_step(torch, theirs, other_optimisers, torch.nn.BCELoss(), [
                (torch.tensor(a), torch.tensor(b)) for a, b in rounds])
            apart.append([abs(a - b) / (1e-3 + abs(b)) for a, b in zip(ours, others)])
        first.append(max(apart[0]))
        worst.append(numpy.max(apart))
    assert max(first) <= 1e-4
    assert numpy.median(worst) <= 1e-2


def test_dcgan_losses_follow_pytorch():
    torch = pytest.importorskip("torch")
    minigan.manual_seed(0)

    def batches():
        noise = [(minigan.randn(2, 100), None) for _ in range(2)]
        return minigan.rand(2, 3, 128, 128), None, noise

    apart = deviations(dcgan.DCGAN(8, "gelu", 1e-4), torch, 6, batches)
    assert apart[0].max() <= 1e-4
    assert apart.max() <= 1e-2


def test_dcgan_losses_follow_pytorch_with_noise_over_the_pictures():
    """With the parts of the recipe for batches of 16: the same noise over all that D sees."""
    torch = pytest.importorskip("torch")
    minigan.manual_seed(0)
    recipe = dcgan.RECIPES["batch16"]
    gan = dcgan.DCGAN(4, "gelu", 1e-4, recipe)
    noise, pixel_noise = minigan.randn(2, 2, 100), 0.2 * minigan.randn(2, 3, 128, 128)
    images = minigan.rand(2, 3, 128, 128)
    discriminator, generator = (in_torch(m, torch) for m in (gan.discriminator, gan.generator))
    theirs = [torch.tensor(x.numpy()) for x in (images, *noise, pixel_noise)]
    ours = gan.train_step(images, *noise, pixel_noise)
    answers = [discriminator(theirs[0] + theirs[3])]
    expected = torch.nn.BCELoss()(answers[0], torch.ones(2, 1))
    assert ours["D on real"].item() == pytest.approx(expected.item(), rel=1e-4)
    # The first step of Adam is as long as its learning rate, wherever there is a gradient.
    before = dict(generator.named_parameters())["3.weight"].detach().numpy()
    steps = numpy.abs(gan.generator[3].weight.array - before)
    assert numpy.median(steps) == pytest.approx(1e-4 * recipe.faster, rel=0.01)


@pytest.mark.parametrize("size", [1, 4])
def test_blurred_kernels_draw_no_checkerboard(size):
    minigan.manual_seed(0)
    generator = dcgan.make_generator(16, "gelu")
    before = {name: value.numpy().copy() for name, value in generator.state_dict().items()}
    blur_kernels(generator, size)
    for name, value in generator.state_dict().items():
        value = value.numpy()
        if value.ndim < 4:
            assert numpy.array_equal(value, before[name])
            continue
        assert value.std() == pytest.approx(before[name].std(), rel=1e-3)
        for axis in (2, 3):
            even, odd = (value.take(range(first, 8, 2), axis).sum(axis) for first in (0, 1))
            assert even == pytest.approx(odd, abs=1e-5)
            assert numpy.abs(even).max() > 0.1


def test_balanced_kernels_leave_an_even_ground_even():
    minigan.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 4, 8, stride=2, bias=False)
    before = layer.weight.array.copy()
    ground = minigan.ones(1, 3, 9, 9)

    def variation():  # where all taps of a kernel meet the ground
        inner = layer(ground).array[:, :, 6:-6, 6:-6]
        return abs(inner - inner.mean((2, 3), keepdims=True)).max()

    assert variation() > 0.1
    balance_kernels(nn.Sequential(nn.Identity(), layer))
    assert variation() < 1e-6
    # The smallest change: each of a kernel's four parts, by parity of row and column, by one number.
    change = (layer.weight.array - before).reshape(3, 4, 4, 2, 4, 2)
    assert abs(change - change.mean((2, 4), keepdims=True)).max() < 1e-7
    assert abs(change.sum((2, 3, 4, 5))).max() < 1e-5
    balanced = layer.weight.array.copy()
    balance_kernels(layer)
    numpy.testing.assert_allclose(layer.weight.array, balanced, atol=1e-8)


def test_the_averaged_generator_remembers():
    minigan.manual_seed(0)
    for recipe in dcgan.RECIPES.values():
        gan = dcgan.DCGAN(2, "gelu", 1e-3, recipe)
        memory = recipe.memory
        expected = [p.array.copy() for p in gan.averaged.parameters()]
        first = [p.array for p in gan.generator.parameters()]
        assert all(map(numpy.array_equal, expected, first))
        for _ in range(3):
            gan.train_step(minigan.rand(2, 3, 128, 128), *minigan.randn(2, 2, 100))
            gan.update_average(memory)
            expected = [memory * e + (1 - memory) * p.array
                        for e, p in zip(expected, gan.generator.parameters())]
        for p, e in zip(gan.averaged.parameters(), expected):
            assert p.array == pytest.approx(e, abs=1e-6)


def test_a_recipe_gives_way_to_options(tmp_path, pictures):
    run("--data", pictures, "--channels", 2, "--batch-size", 2, "--epochs", 1, "--device", "cpu",
        "--out", "out", cwd=tmp_path, script="dcgan.py")
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]
    recipe = dcgan.RECIPES[settings["recipe"]]
    assert (settings["batch_size"], settings["epochs"], settings["lr"]) == (2, 1, recipe.lr)
    result = run("--resume", "--recipe", "batch1", "--out", "out", cwd=tmp_path, script="dcgan.py")
    assert result.returncode == 2 and "--recipe: the run was started with batch16" in result.stderr


def test_learning_rates_of_a_cgan_decay_after_each_epoch(tmp_path):
    result = run("--epochs", 2, "--batch-size", 400, "--lr", 0.001, "--generator-lr", 0.002,
                 "--lr-decay", 0.5, "--beta1", 0.5, "--device", "cpu", "--out", "out", cwd=tmp_path,
                 script="cgan.py")
    assert result.returncode == 0, result.stderr
    gan = cgan.ConditionalGAN(0.001, 0.002, 0.5)
    parts = {name: part for name, part in vars(gan).items() if name != "label_smoothing"}
    Checkpoint(tmp_path / "out" / "checkpoint.h5").restore(parts)
    for optimiser, lr in ((gan.discriminator_optimiser, 0.001), (gan.generator_optimiser, 0.002)):
        group, = optimiser.param_groups
        assert group["lr"] == pytest.approx(lr / 4) and tuple(group["betas"]) == (0.5, 0.999)
