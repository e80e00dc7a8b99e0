"""Batches of data sets, one-hot labels, random inputs."""

import subprocess
import sys

import numpy
import pytest

import minigan
from minigan import data
from minigan.distributed.processes import processes

pytestmark = pytest.mark.usefixtures("device")


class Squares(data.Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return index, index / 2, numpy.full((2, 3), index ** 2, "float64")


def orders(loader, epochs):
    return [[number for batch in loader for number in batch[0].tolist()] for _ in range(epochs)]


def test_loader_collates_items():
    batches = list(data.DataLoader(Squares(5), batch_size=2))
    assert [batch[0].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert [part.dtype for part in batches[0]] == ["int64", "float32", "float64"]
    assert batches[1][1].tolist() == [1, 1.5]
    assert batches[2][2].shape == (1, 2, 3) and batches[2][2].tolist()[0][1][2] == 16


def test_loader_asks_the_data_set_for_a_batch(folder):
    dataset = data.MnistDataset(folder)
    loader = data.DataLoader(dataset, batch_size=3, shuffle=True, seed=1)
    seen = []
    for labels, images, targets in loader:
        assert images.shape == (len(labels), 784) and targets.shape == (len(labels), 10)
        for label, image in zip(labels.tolist(), images.cpu().numpy()):
            same = dataset.images.reshape(7, 784) == (image * 255).round()
            index, = same.all(axis=1).nonzero()[0]
            assert dataset.labels[index] == label
            seen.append(index)
    assert sorted(seen) == list(range(7))


@pytest.mark.parametrize("batch_size, shuffle, drop_last, first", [
    (1, False, False, 0), (3, False, False, 2), (3, True, False, 5), (3, True, True, 0),
    (4, False, True, 3), (5, True, False, 1), (6, False, False, 1), (13, True, False, 0)])
@pytest.mark.parametrize("rank, count", [(0, 1), (0, 3), (2, 3)])
def test_loader_makes_several_batches_of_a_larger_one(monkeypatch, rank, count, batch_size, shuffle,
                                                      drop_last, first):
    """The same batches as of a data set that loads them one by one; and nobody else has them."""
    class AtOnce(Squares):
        asked = 0

        def batch(self, indices):
            self.asked += 1
            return data.collate([self[i] for i in numpy.arange(len(self))[indices].tolist()])

    dataset = AtOnce(100)
    dataset.at_once = 10
    loaders = [data.DataLoader(x, batch_size, shuffle, drop_last=drop_last, seed=1)
               for x in (Squares(100), dataset)]
    monkeypatch.setattr(processes, "rank", rank)
    monkeypatch.setattr(processes, "size", count)
    for loader in loaders:
        loader.divide()
    for epoch in range(2):
        dataset.asked = 0
        expected, batches = [], []
        for batch in loaders[0].batches(first):
            expected.append([(x.dtype, x.tolist()) for x in batch])
        for batch in loaders[1].batches(first):
            batches.append([(x.dtype, x.tolist()) for x in batch])
            for x in batch:
                x.fill_(-1)
        assert batches == expected and len(batches) == len(loaders[0]) - first
        assert dataset.asked == -(-len(batches) // max(1, 10 // batch_size))


@pytest.mark.parametrize("made", [
    lambda x: x, lambda x: [x, x], lambda x: (x, (x, x)), lambda x: (x.numpy(), x),
    lambda x: {"x": x}, lambda x: (x, minigan.tensor(1.0)), lambda x: (x[1:],),
    lambda x: (x.requires_grad_(),)])
def test_loader_does_not_divide_what_is_no_tuple_of_rows(made):
    class Own(data.Dataset):
        at_once = 8

        def __len__(self):
            return 10

        def batch(self, indices):
            return made(minigan.arange(10.0, device="cpu")[indices])

    dataset = Own()
    batches = [repr(batch) for batch in data.DataLoader(dataset, 3)]
    dataset.at_once = 0
    assert batches == [repr(batch) for batch in data.DataLoader(dataset, 3)]
    assert len(batches) == 4


@pytest.mark.parametrize("at_once, error", [(None, TypeError), ("10", TypeError), (2.0, TypeError),
                                            (-1, ValueError)])
def test_loader_refuses_a_wrong_number_of_items_at_once(at_once, error):
    dataset = Squares(5)
    dataset.at_once = at_once
    with pytest.raises(error, match="^DataLoader: the data set's at_once must be"):
        data.DataLoader(dataset)


def test_loader_counts_batches():
    for count in (4, 5, 6):
        for drop_last in (False, True):
            loader = data.DataLoader(Squares(count), batch_size=2, drop_last=drop_last)
            assert len(loader) == len(list(loader)) == (count // 2 if drop_last else -(-count // 2))
    assert orders(data.DataLoader(Squares(5), batch_size=2, drop_last=True), 1) == [[0, 1, 2, 3]]


def test_loader_shuffles_by_its_seed():
    first, second = orders(data.DataLoader(Squares(50), 8, shuffle=True, seed=3), 2)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second and first != sorted(first)
    assert orders(data.DataLoader(Squares(50), 8, shuffle=True, seed=3), 2) == [first, second]
    assert orders(data.DataLoader(Squares(50), 8, shuffle=True, seed=4), 1) != [first]


def test_loader_without_a_seed_follows_manual_seed():
    loader = data.DataLoader(Squares(50), shuffle=True)
    minigan.manual_seed(1)
    first = orders(loader, 2)
    minigan.manual_seed(1)
    assert orders(loader, 2) == first and first[0] != first[1]


def test_loader_accepts_pytorchs_options_that_change_nothing():
    options = {"num_workers": 2, "pin_memory": True, "collate_fn": None, "sampler": None}
    plain, same = data.DataLoader(Squares(5), 2), data.DataLoader(Squares(5), 2, **options)
    assert orders(plain, 1) == orders(same, 1)
    with pytest.raises(NotImplementedError, match="^DataLoader: collate_fn=.* is not supported"):
        data.DataLoader(Squares(5), collate_fn=len)
    with pytest.raises(TypeError, match="^DataLoader: unexpected option workers=2"):
        data.DataLoader(Squares(5), workers=2)


def test_tensors_as_a_data_set(device):
    x, y = minigan.rand(5, 3), minigan.arange(5)
    dataset = data.TensorDataset(x, y)
    assert len(dataset) == 5 and dataset[3][0].tolist() == x[3].tolist()
    assert dataset[-1][1].item() == 4 and len(list(dataset)) == 5
    batches = list(data.DataLoader(dataset, batch_size=2, shuffle=True))
    rows = [row for images, _ in batches for row in images.tolist()]
    numbers = [number for _, numbers in batches for number in numbers.tolist()]
    assert sorted(numbers) == [0, 1, 2, 3, 4] and rows == [x[n].tolist() for n in numbers]
    assert {part.device for batch in batches for part in batch} == {device}
    assert list(data.DataLoader(dataset, batch_size=5))[0][1].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"^TensorDataset: .*\[3, 5\]"):
        data.TensorDataset(x, x[:3])
    with pytest.raises(TypeError, match="^TensorDataset: .*ndarray"):
        data.TensorDataset(numpy.zeros(3))


def test_pytorchs_place_for_data():
    assert minigan.data is data and minigan.utils.data.DataLoader is data.DataLoader
    from minigan.utils.data import TensorDataset
    assert TensorDataset is data.TensorDataset


@pytest.mark.parametrize("count, options, reason", [
    (5, {"batch_size": 0}, "batch_size must be .* got 0"),
    (5, {"batch_size": -2}, "batch_size must be .* got -2"),
    (5, {"batch_size": 2.0}, "batch_size must be .* got 2.0"),
    (5, {"batch_size": True}, "batch_size must be .* got True"),
    (5, {"num_workers": -1}, "num_workers must be .* got -1"),
    (5, {"seed": -1}, "seed must be .* got -1"),
    (5, {"seed": "a"}, "seed must be .* got 'a'"),
    (0, {}, "0 items"),
    (5, {"batch_size": 6, "drop_last": True}, "5 items"),
])
def test_loader_refuses_what_gives_no_batches(count, options, reason):
    with pytest.raises(ValueError, match=f"DataLoader: .*{reason}"):
        data.DataLoader(Squares(count), **options)


def test_collate_keeps_kinds_apart():
    images, flags = data.collate([(minigan.tensor([1., 2.]), True),
                                  (minigan.tensor([3., 4.]), False)])
    assert images.tolist() == [[1, 2], [3, 4]] and images.dtype == "float32"
    assert flags.dtype == "bool"
    with pytest.raises(ValueError, match=r"shapes: \[\(2,\), \(3,\)\]"):
        data.collate([numpy.zeros(2), numpy.zeros(3)])
    with pytest.raises(ValueError, match=r"lengths: \[1, 2\]"):
        data.collate([(1, 2), (1,)])
    for items in (["a", "b"], [{}], [1, "a"], [1, None], [numpy.zeros(1), 2]):
        with pytest.raises(TypeError, match="collate: .*got"):
            data.collate(items)


def test_a_data_set_must_say_what_it_holds():
    with pytest.raises(NotImplementedError, match="Dataset does not define __len__"):
        len(data.Dataset())
    with pytest.raises(NotImplementedError, match="Dataset does not define __getitem__"):
        data.Dataset()[0]


def test_one_hot():
    result = data.one_hot([[0, 2], [1, 0]], 3)
    assert result.dtype == "float32"
    assert result.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]]
    assert data.one_hot(7).tolist() == [0] * 7 + [1, 0, 0]
    assert data.one_hot(minigan.tensor([1]), 2).tolist() == [[0, 1]]
    for wrong in (-1, 10):
        with pytest.raises(ValueError, match=f"0 to 9, got {wrong}"):
            data.one_hot([3, wrong])
    for wrong in ([1.0], [True], ["1"]):
        with pytest.raises(TypeError, match="must be integers"):
            data.one_hot(wrong)


# Random inputs

def test_random_inputs():
    minigan.manual_seed(0)
    image, seed = data.generate_random_image(5000), data.generate_random_seed((50, 100))
    assert image.shape == (5000,) and seed.shape == (50, 100)
    assert image.dtype == seed.dtype == "float32"
    pixels, numbers = image.cpu().numpy(), seed.cpu().numpy()
    assert 0 <= pixels.min() and pixels.max() < 1
    assert abs(pixels.mean() - 0.5) < 0.03 and abs(pixels.var() - 1 / 12) < 0.01
    assert abs(numbers.mean()) < 0.06 and abs(numbers.std() - 1) < 0.05
    places = set()
    for _ in range(200):
        hot = data.generate_random_one_hot(10)
        assert hot.dtype == "float32" and sorted(hot.tolist()) == [0] * 9 + [1]
        places.add(int(hot.cpu().numpy().argmax()))
    assert places == set(range(10))
    minigan.manual_seed(0)
    assert numpy.array_equal(data.generate_random_image(5000).cpu().numpy(), pixels)


@pytest.mark.parametrize("make", [data.generate_random_image, data.generate_random_seed,
                                  data.generate_random_one_hot])
def test_random_inputs_need_a_size(make):
    for size, error in ((0, ValueError), (-3, ValueError), (2.5, TypeError), ("4", TypeError)):
        with pytest.raises(error, match=f"{make.__name__}: size must be .* got .*{size!r}"):
            make(size)
    with pytest.raises((TypeError, ValueError), match=f"{make.__name__}: size must be .* got"):
        make((4, 0))


def numbers_and_noise(count):
    return minigan.randint(0, 10, (count,)), minigan.randn(count, 2, 3)


def as_lists(tensors):
    return [x.tolist() for x in tensors]


def test_samples_for_many_steps():
    inputs = data.SampleAhead(numbers_and_noise, batch_size=4, times=2, seed=5)
    steps = [inputs(step) for step in range(3000)]
    assert [(x.shape, x.dtype) for x in steps[7]] == 2 * [((4,), "int64"), ((4, 2, 3), "float32")]
    numbers = minigan.stack([x for step in steps for x in step[::2]]).cpu().numpy()
    noise = minigan.stack([x for step in steps for x in step[1::2]]).cpu().numpy()
    assert len(numpy.unique(noise)) > 0.99 * noise.size  # none is used twice
    assert numpy.bincount(numbers.ravel()).min() > 2200 and numbers.max() == 9
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert as_lists(inputs(2, 3)) == [x[:3].tolist() for x in steps[2]]  # fewer rows, of the same


def test_samples_depend_on_seed_and_step_alone():
    """A run that is resumed at any step goes on with the numbers that it would have had."""
    minigan.manual_seed(1)
    expected = minigan.randn(3).tolist()
    inputs = data.SampleAhead(numbers_and_noise, batch_size=2, seed=3)
    steps = {step: as_lists(inputs(step)) for step in (0, 1, 1023, 1024, 2500)}
    minigan.manual_seed(1)
    resumed = data.SampleAhead(numbers_and_noise, batch_size=2, seed=3)
    for step in (2500, 1, 1024, 0, 1023):
        assert as_lists(resumed(step)) == steps[step]
    assert minigan.randn(3).tolist() == expected  # sampled from other generators
    other = data.SampleAhead(numbers_and_noise, batch_size=2, seed=4)
    assert as_lists(other(0)) != steps[0] != as_lists(other(1))
    assert steps[0] != steps[1024] != steps[1]


def test_large_samples_are_few_at_a_time():
    counts = []

    def images(count):
        counts.append(count)
        return minigan.rand(count, 3, 64, 64)

    inputs = data.SampleAhead(images, batch_size=8)
    assert len({inputs(step)[0].array.sum().item() for step in range(60)}) == 60
    assert max(counts) * 3 * 64 * 64 <= 1 << 22 and len(counts) == 3


def test_samples_of_processes_differ(monkeypatch):
    samples = []
    for rank in range(2):
        monkeypatch.setattr(processes, "rank", rank)
        samples.append(data.SampleAhead(lambda n: minigan.randn(n, 3), 2)(0)[0].tolist())
    assert samples[0] != samples[1]


@pytest.mark.parametrize("wrong", [
    lambda count: minigan.randn(count + 1), lambda count: minigan.tensor(1.0),
    lambda count: (minigan.randn(count), numpy.zeros(count))])
def test_samples_that_have_not_a_row_for_each_item(wrong):
    with pytest.raises(TypeError, match=r"SampleAhead: sample\(2\) must give Tensors of 2 rows"):
        data.SampleAhead(wrong, batch_size=2)(0)


def test_importing_data_is_light():
    code = ("import sys, minigan.data; "
            "print([name for name in ('matplotlib', 'h5py') if name in sys.modules])")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
