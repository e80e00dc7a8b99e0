"""Every public function with arguments that are wrong: the answer is one error that tells what.

good_calls.py has a good call of each. Here every argument in turn is replaced by everything in
HOSTILE. That must give a result, where the argument takes such a value, or one of ALLOWED with a
message that begins with the function's name; and a call that fails must leave no trace.
"""

import ast
import functools
import importlib
import inspect
import re
from math import inf, nan  # as ones, tensor and zeros for HOSTILE
from pathlib import Path

import numpy
import pytest
from matplotlib.figure import Figure

import good_calls
import minigan
from good_calls import GOOD, LAYERS, TAKES, anything, flag
from minigan import (
    Tensor, cuda, data, inspect as looking, nn, ones, optim, tensor, training, utils, zeros)
from minigan.grad_mode import grad_mode
from minigan.data import digits
from minigan.hooks import hooks

devices = importlib.import_module("minigan.device")  # `minigan.device` is the class

HOSTILE = """
    None 'text' '' b'' [] {} () object() len True -1 0 10**30 2**63 -10**9 1.5 nan inf -inf 1j
    ['text'] [1,'a'] [[1],[1,2]] [None] (1,2,3,4,5,6,7) (10**10,10**10) (10**7,10**7)
    {'a':1} range(3) slice(2) numpy.array(['a']) numpy.array([None]) numpy.array([1j])
    numpy.array(1.5) numpy.ones((2,3)) numpy.float32(nan) numpy.bool_(True)
    zeros(0) zeros(2,0,3) zeros(0,3) tensor(True) tensor(3) tensor([nan,inf,1])
    ones(2,3).double() ones(2,3).long() ones(2,3).to(dtype='float16') (ones(2,3)>0)
    ones(()) ones(2) ones(2,2) ones(2,2,2) ones(1,2,4,4) ones(1,2,2,2,2) ones(1,1,1,1,1,1) ones(7,5)
""".split()
HOSTILE = {text: compile(text, text, "eval") for text in HOSTILE}
ALLOWED = (TypeError, ValueError, NotImplementedError, RuntimeError, OSError, IndexError,
           BufferError)
NOT_ALLOWED = (UnicodeError, RecursionError, numpy.linalg.LinAlgError)  # though of those kinds
LONGEST = 300
# What tells as well: a device's name is checked in one place, an assignment has no name, and a
# module's `to` is that of its Tensors. Python's own words about what is no path are clear, and
# so are DLPack's.
ALSO = ("device", "item assignment", "to", "_SetGradMode", "--group",
        "bitwise_and", "expected str, bytes or os.PathLike",
        "argument should be a str", "DLPack")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def nothing_slow(monkeypatch):
    """Pictures are not drawn in the end, and the digits' outlines are read only once."""
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).touch())
    monkeypatch.setattr(digits, "_outlines", functools.cache(digits._outlines))


def good_call(function):
    """(args, kwargs), made anew."""
    given = GOOD[function]()
    if isinstance(given, dict):
        return (), given
    if len(given) == 2 and isinstance(given[0], tuple) and isinstance(given[1], dict):
        return given[0], dict(given[1])
    return given, {}


def name_of(function):
    name = function.__qualname__
    return function.__name__ if "<locals>" in name else name


def spoiled(function):
    """(what was done, argument's name or None, its value, args, kwargs) of each bad call."""
    args, kwargs = good_call(function)
    parameters = inspect.signature(function).parameters
    names = arguments_of(function, args, kwargs)
    for place, name in [*enumerate(names), *((key, key) for key in kwargs)]:
        if name == "self" or taken(function, name) is anything:
            continue
        for text, code in HOSTILE.items():
            args, kwargs = good_call(function)
            args = list(args)
            value = eval(code)
            (kwargs if isinstance(place, str) else args)[place] = value
            yield f"{name}={text}", name, value, args, kwargs
        required = name in parameters and parameters[name].default is inspect.Parameter.empty
        if required and parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL:
            args, kwargs = good_call(function)
            kwargs.pop(name, None)
            yield f"without {name}", None, None, (), kwargs
    if not any(p.kind is p.VAR_KEYWORD and p.name != "options" for p in parameters.values()):
        args, kwargs = good_call(function)
        yield "with mystery", None, None, args, {**kwargs, "mystery": 1}


def arguments_of(function, args, kwargs):
    """The name of each positional argument."""
    names = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            return names + [p.name] * (len(args) - len(names))
        names.append(p.name)
    return names[:len(args)]


def arrays_of(value):
    """What a failed call must not have changed: arrays, and what optimisers and networks keep."""
    if isinstance(value, Tensor):
        return [value.array.tobytes(), value.shape, value.dtype, value.requires_grad,
                value._grad is None]
    if isinstance(value, numpy.ndarray):
        return [value.tobytes()]
    if isinstance(value, nn.Module):
        return [repr(value), value._buffers,
                *(arrays_of(part) for part in value.state_dict().values())]
    if isinstance(value, optim.Optimizer):
        return [repr(value), [arrays_of(p) for g in value.param_groups for p in g["params"]],
                [[(name, arrays_of(part) or part) for name, part in state.items()]
                 for state in value.state_dict()["state"].values()]]
    return []


def holds_no_number(value):
    array = getattr(value, "array", value)
    return getattr(array, "dtype", None) in ("float32", "float64") and (
        not numpy.isfinite(array).all())


def surroundings():
    return (devices.default_device(), grad_mode.enabled, hooks.observer,
            hooks.capture, str(devices.generator("cpu").bit_generator.state))


def check(function, names, argument, value, args, kwargs, takes):
    """What is wrong with the outcome of one call, in words; or None."""
    before = surroundings()
    state = [arrays_of(x) for x in (*args, *kwargs.values())]
    try:
        function(*args, **kwargs)
    except Warning as warning:
        # Where nan or an infinity goes in, NumPy says so: that is no error.
        # A complex number comes with a warning of NumPy's as well, and a dim that is left to be
        # picked with one of its own.
        told = holds_no_number(value) or isinstance(warning, numpy.exceptions.ComplexWarning) or (
            "no dim is given" in str(warning))
        return None if told else f"{type(warning).__name__}: {warning}"
    except Exception as error:
        message = str(error)
        kind = type(error)
        if takes is flag and isinstance(error, ALLOWED):
            return None  # asked for its truth where it is needed, it says itself that it has none
        if not isinstance(error, ALLOWED) or isinstance(error, NOT_ALLOWED):
            return f"{kind.__name__}: {message}"
        if isinstance(error, minigan.GradcheckError) or value is len:  # its own error then
            return None
        is_file = isinstance(error, OSError) and getattr(error, "filename", None) is not None
        if not is_file and not begins_with(message, names, args, kwargs):
            return f"does not begin with its name: {kind.__name__}: {message}"
        # A file's path can be long, and download_mnist gives a line to each mirror.
        too_long = len(message) > LONGEST or "\n" in message
        if too_long and not is_file and not isinstance(error, ConnectionError):
            return f"too long ({len(message)}): {message}"
        if state != [arrays_of(x) for x in (*args, *kwargs.values())]:
            return f"changed its arguments, then: {message}"
        if before != surroundings():
            return f"changed its surroundings, then: {message}"
        return None
    if argument is None or not takes(value):
        return "passed in silence"
    return None


def begins_with(message, names, args, kwargs):
    paths = [x for x in (*args, *kwargs.values()) if isinstance(x, str)]
    paths += [str(Path(path)) for path in paths]
    return any(re.match(re.escape(start) + r"(?!\w)", message)
               for start in filter(None, (*names, *ALSO, *paths)))


def taken(function, argument):
    return TAKES.get((function, argument)) or TAKES.get(argument)


@pytest.mark.parametrize("function", GOOD, ids=name_of)
def test_every_argument(function):
    args, kwargs = good_call(function)
    function(*args, **kwargs)
    name = name_of(function)
    # Of a method also the class's; what changes in place may tell the name of what does not.
    names = {name, *name.split("."), name.rstrip("_"), type(kwargs.get("self")).__name__}
    wrong = {what: problem for what, argument, value, args, kwargs in spoiled(function)
             if (problem := check(function, names, argument, value, args, kwargs,
                                  taken(function, argument)))}
    assert not wrong, "\n" + "\n".join(f"{name}({what}): {problem}"
                                       for what, problem in wrong.items())


@pytest.mark.parametrize("layer", LAYERS, ids=name_of)
def test_every_input_of_a_layer(layer):
    module, *inputs = LAYERS[layer]()
    module(*inputs)
    wrong = []
    # Most of a layer's errors are those of its operation.
    names = [layer.__name__, "unflatten", "BatchNorm1d", *minigan.functional.__all__]
    for place in range(len(inputs)):
        for text, code in HOSTILE.items():
            module, *inputs = LAYERS[layer]()
            inputs[place] = value = eval(code)
            problem = check(layer.__call__, names, "input", value, [module, *inputs], {},
                            good_calls.tensor)
            if problem:
                wrong.append(f"{layer.__name__}: input {place} {text}: {problem}")
    assert not wrong, "\n" + "\n".join(wrong)


def places(state):
    """(container, key) of every value in a state, however deep."""
    for key, value in list(state.items()) if isinstance(state, dict) else enumerate(state):
        yield state, key
        if isinstance(value, (dict, list)):
            yield from places(value)


@pytest.mark.parametrize("make", [
    good_calls.network, lambda: good_calls.trained(optim.Adam),
    lambda: good_calls.trained(optim.SGD, momentum=0.9)], ids=["Module", "Adam", "SGD"])
def test_a_spoiled_state_is_refused_or_loaded_as_a_whole(make):
    wrong = []
    for number in range(len(list(places(copied(make().state_dict()))))):
        for text, code in HOSTILE.items():
            owner, state = make(), copied(make().state_dict())
            container, key = list(places(state))[number]
            container[key] = value = eval(code)
            problem = check(owner.load_state_dict.__func__, ["load_state_dict"], None, value,
                            [owner, state], {}, None)
            if problem and problem != "passed in silence":
                wrong.append(f"{key}={text}: {problem}")
    assert not wrong, "\n" + "\n".join(wrong)


def copied(state):
    """The containers copied, so that they can be changed; an optimiser's options are its own."""
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    return [copied(value) for value in state] if isinstance(state, list) else state


# What is not in the table

NOT_IN_THE_TABLE = {
    "takes no arguments": {
        minigan.is_grad_enabled, minigan.keep_freed_memory, minigan.detect_anomaly, nn.Sigmoid,
        nn.Tanh, data.cache_folder, cuda.is_available, cuda.device_count},
    "needs a GPU, see test_creation": {cuda.FloatTensor, cuda.LongTensor, cuda.get_device_name},
    "takes whatever it is given": {nn.Identity},
    "a tuple": {minigan.Size},
    "an exception": {minigan.AnomalyError, minigan.DamagedFileError, minigan.GradcheckError,
                     training.RunEnded},
    "a part of another, given nothing by a user": {
        nn.init.fans, nn.init.uniform_by_fan_in_, nn.init.kaiming_std, nn.init.xavier_std},
    "a base class, see its subclasses": {optim.Optimizer, optim.lr_scheduler.LRScheduler},
    "a base class, without arguments of its own": {nn.Module, data.Dataset},
    "for the command line, which hands on text": {
        training.ArgumentParser, training.folder_or_name, training.positive_int,
        training.positive_float, training.run},
    "draws for as long as it is asked to, and checks as draw_faces does": {data.open_faces},
    "its errors tell the file, see test_data, test_images, test_training and test_run_folders": {
        data.ImageDataset, data.MnistDataset, data.write_idx, data.crop_center,
        training.output_folder, training.new_run_folder, training.run_folder,
        training.update_index},
}
METHODS_NOT_IN_THE_TABLE = {
    Tensor: "dim numel item tolist numpy detach cpu cuda half float double int long bool changed "
            "zero_",
    nn.Module: "forward named_children children named_modules modules named_parameters parameters "
               "named_buffers buffers eval cpu cuda float double state_dict extra_repr",
    nn.Sequential: "forward",
    optim.Optimizer: "check step state_dict",
    training.Progress: "",
    training.Run: "batches epochs save",
    training.Checkpoint: "arrays",
    data.DataLoader: "batches batches_for divide",
    data.ReadAhead: "batches",
}


def public(namespace):
    names = getattr(namespace, "__all__", None) or [
        name for name in vars(namespace) if not name.startswith("_")]
    values = [getattr(namespace, name) for name in names]
    return {value for value in values if callable(value)
            and getattr(value, "__module__", "").startswith(namespace.__name__)}


@pytest.mark.parametrize("namespace", [
    minigan, cuda, looking, minigan.functional, nn, nn.init, nn.parallel, nn.utils, optim,
    optim.lr_scheduler, data, training, utils],
    ids=lambda n: n.__name__)
def test_every_public_function_is_swept(namespace):
    assert not public(namespace) - set(GOOD) - set().union(*NOT_IN_THE_TABLE.values())


def is_delegate(name, method):
    """Whether it only calls the function of its name, which is swept, such as Tensor.sum."""
    return method.__code__.co_names in (("F", name), ("creation", name))


@pytest.mark.parametrize("owner", METHODS_NOT_IN_THE_TABLE, ids=name_of)
def test_every_public_method_is_swept(owner):
    methods = {name for base in owner.__mro__[:-1] for name, value in vars(base).items()
               if not name.startswith("_") and inspect.isfunction(value) and value not in GOOD
               and not is_delegate(name, value)}
    inherited = set() if owner is nn.Module else METHODS_NOT_IN_THE_TABLE[nn.Module].split()
    assert methods - set(inherited) == set(METHODS_NOT_IN_THE_TABLE[owner].split()) - set(inherited)


def test_every_argument_is_in_the_table():
    for function in GOOD:
        args, kwargs = good_call(function)
        bound = inspect.signature(function).bind(*args, **kwargs)
        left_out = inspect.signature(function).parameters.keys() - bound.arguments.keys()
        assert left_out <= {"device", "dtype", "non_blocking", "options"}, (
            f"{name_of(function)}: {left_out}")
        for argument in (*arguments_of(function, args, kwargs), *kwargs):
            assert argument == "self" or taken(function, argument), (
                f"{name_of(function)}: what does {argument} take?")


@pytest.mark.parametrize("folder", ["minigan", "examples"])
def test_no_assertions_in_the_library(folder):
    """They would tell a user nothing, and with `python -O` not even that."""
    for path in (Path(__file__).parents[1] / folder).rglob("*.py"):
        found = [node.lineno for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.Assert)]
        assert not found, f"{path}: assert in lines {found}"
