"""Models and optimisers that are pickled, tied, viewed and edited behind each other's back.

Each program runs in minigan and, where it is installed, unchanged in PyTorch, whose numbers stand
beside it for SGD with momentum and for Adam. An optimiser leaves its parameters where they are,
and whatever holds their memory, or the optimiser's own, goes on holding it.
"""

import copy
import multiprocessing
import pickle

import numpy
import pytest

import minigan

PROGRAMS = []


def program(**expected):
    """What f(torch, make), where make(params) makes an optimiser, returns for each kind."""
    def keep(function):
        PROGRAMS.extend(
            pytest.param(function, kind, result, id=f"{function.__name__}-{kind}")
            for kind, result in expected.items())
        return function
    return keep


def maker(torch, kind):
    if kind == "SGD":
        return lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9)
    return lambda params: torch.optim.Adam(params, lr=0.1)


def plain(value):
    """Tensors and arrays as nested lists, in whatever holds them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    return value


def assert_same(actual, expected):
    if isinstance(expected, (tuple, list)):
        assert isinstance(actual, (tuple, list)) and len(actual) == len(expected)
        for a, e in zip(actual, expected):
            assert_same(a, e)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-6)
    else:
        assert actual == expected and type(actual) is type(expected)


def entries(state):
    """The state of one parameter, sorted; of SGD its moments, whose steps minigan counts too."""
    return [[name, float(value) if name == "step" else plain(value)]
            for name, value in sorted(state.items()) if name != "step" or "exp_avg" in state]


def linear(torch, columns=2, rows=1, value=0.5):
    m = torch.nn.Linear(columns, rows)
    torch.nn.init.constant_(m.weight, value)
    torch.nn.init.zeros_(m.bias)
    return m


def vector(torch, *values):
    return torch.nn.Parameter(torch.tensor(values))


def train(m, o, inputs, steps=1):
    for _ in range(steps):
        o.zero_grad()
        (m(inputs) ** 2).sum().backward()
        o.step()


def descend(o, *params, steps=1):
    """Steps on the sum of squares, each parameter weighted by its place."""
    for _ in range(steps):
        o.zero_grad()
        for i, p in enumerate(params):
            ((i + 1.0) * p * p).sum().backward()
        o.step()


# Copies: a model and its optimiser that are copied together belong together

@program(
    SGD=[[[0.46996993, 0.43993992]], [-0.030030085]],
    Adam=[[[0.05137535, 0.05137535]], [-0.44862467]])
def pickled_before_the_first_step(torch, make):
    m = linear(torch)
    m, o = pickle.loads(pickle.dumps((m, make(m.parameters()))))
    train(m, o, torch.tensor([[1.0, 2.0]]), 5)
    return [m.weight, m.bias]


@program(
    SGD=[[[-0.009999982, -0.5199999]], [[0.46996993, 0.43993992]], [[0.46996993, 0.43993992]],
         [-0.030030085]],
    Adam=[[[0.30195576, 0.30195576]], [[0.05137535, 0.05137535]], [[0.05137535, 0.05137535]],
         [-0.44862467]])
def pickled_between_steps(torch, make):
    m = linear(torch)
    o = make(m.parameters())
    x = torch.tensor([[1.0, 2.0]])
    train(m, o, x, 2)
    m2, o2 = pickle.loads(pickle.dumps((m, o)))
    train(m2, o2, x, 3)
    kept = m.weight.tolist()
    train(m, o, x, 3)
    return [kept, m.weight, m2.weight, m2.bias]


@program(SGD=[None, [[0.4, 0.3]]], Adam=[None, [[0.4, 0.4]]])
def pickled_with_a_gradient(torch, make):
    m = linear(torch)
    o = make(m.parameters())
    m(torch.tensor([[1.0, 2.0]])).sum().backward()
    m, o = pickle.loads(pickle.dumps((m, o)))
    first = m.weight.grad
    m(torch.tensor([[1.0, 2.0]])).sum().backward()
    o.step()
    return [first, m.weight]


@program(
    SGD=[[[-0.009999982, -0.5199999]], [[-0.30999994]]],
    Adam=[[[0.30195576, 0.30195576]], [[0.30195576]]])
def pickled_in_a_dict_of_more(torch, make):
    models = [linear(torch), linear(torch, 1)]
    run = {"models": models, "optimisers": [make(m.parameters()) for m in models], "step": 3}
    run = pickle.loads(pickle.dumps(run))
    for m, o, x in zip(run["models"], run["optimisers"], ([[1.0, 2.0]], [[3.0]])):
        train(m, o, torch.tensor(x), 2)
    return [m.weight for m in run["models"]]


@program(
    SGD=[[[-0.009999982, -0.5199999]], [[0.46996993, 0.43993992]]],
    Adam=[[[0.30195576, 0.30195576]], [[0.05137535, 0.05137535]]])
def copied_deeply_between_steps(torch, make):
    m = linear(torch)
    o = make(m.parameters())
    x = torch.tensor([[1.0, 2.0]])
    train(m, o, x, 2)
    m2, o2 = copy.deepcopy((m, o))
    train(m2, o2, x, 3)
    return [m.weight, m2.weight]


@program(SGD=[[0.46, 0.92], [2.6568]], Adam=[[0.80041224, 1.8001665], [2.980001]])
def groups_pickled(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([{"params": [p]}, {"params": [q], "lr": 0.01}])
    descend(o, p, q)
    p, q, o = pickle.loads(pickle.dumps((p, q, o)))
    descend(o, p, q)
    return [p, q]


@program(SGD=[252.65002, 252.65002, 252.64001], Adam=[-0.02339156, -0.02339156, -0.033391558])
def a_wide_layer_pickled(torch, make):
    m = linear(torch, 200, 200, 0.01)
    m, o = pickle.loads(pickle.dumps((m, make(m.parameters()))))
    train(m, o, torch.ones(4, 200), 2)
    return [m.weight[0, 0], m.weight[199, 199], m.bias[7]]


@program(
    SGD=[[[-0.009999982, -0.5199999]], [[0.5, 0.5]]],
    Adam=[[[0.30195576, 0.30195576]], [[0.5, 0.5]]])
def the_model_pickled_alone(torch, make):
    m = linear(torch)
    o = make(m.parameters())
    m2 = pickle.loads(pickle.dumps(m))
    train(m, o, torch.tensor([[1.0, 2.0]]), 2)
    return [m.weight, m2.weight]


@program(
    SGD=[[[-0.0634, -0.6268], [-0.0634, -0.6268]], [[-0.37479997, -0.37479997], [-0.37479997,
         -0.37479997]]],
    Adam=[[[0.3095446, 0.3095446], [0.3095446, 0.3095446]], [[0.31087017, 0.31087017],
         [0.31087017, 0.31087017]]])
def ties_of_parameters_are_cut_by_deep_copies(torch, make):
    a, b = linear(torch, 2, 2), linear(torch, 2, 2)
    b.weight.data = a.weight.data
    a, b, o = copy.deepcopy((a, b, make([*a.parameters(), *b.parameters()])))
    train(Tied(a, b), o, torch.tensor([[1.0, 2.0]]), 2)
    return [a.weight, b.weight]


# Ties and views: the memory of a parameter is whoever's it was

class Tied:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __call__(self, x):
        return self.b(self.a(x))


@program(
    SGD=[[[1.2058827, 0.5847201], [1.3103646, 1.4208072]], [[1.2058827, 0.5847201],
         [1.3103646, 1.4208072]]],
    Adam=[[[0.029427763, 0.029427763], [0.029427763, 0.029427763]], [[0.029427763,
         0.029427763], [0.029427763, 0.029427763]]])
def weights_tied_by_data(torch, make):
    a, b = linear(torch, 2, 2), linear(torch, 2, 2)
    b.weight.data = a.weight.data
    o = make([*a.parameters(), *b.parameters()])
    train(Tied(a, b), o, torch.tensor([[1.0, 2.0]]), 3)
    return [a.weight, b.weight]


@program(
    SGD=[[[2.363845, 2.6668346], [3.5167837, 4.760317]], [[2.363845, 2.6668346], [3.5167837,
         4.760317]]],
    Adam=[[[0.08118511, 0.08118511], [0.08118511, 0.08118511]], [[0.08118511, 0.08118511],
         [0.08118511, 0.08118511]]])
def weights_tied_by_data_after_the_optimiser(torch, make):
    a, b = linear(torch, 2, 2), linear(torch, 2, 2)
    o = make([*a.parameters(), *b.parameters()])
    train(Tied(a, b), o, torch.tensor([[1.0, 2.0]]), 1)
    b.weight.data = a.weight.data
    train(Tied(a, b), o, torch.tensor([[1.0, 2.0]]), 2)
    return [a.weight, b.weight]


@program(
    SGD=[[[-0.067600004, -0.63519996], [-0.071200006, -0.64239997]], [[-0.067600004,
         -0.63519996], [-0.071200006, -0.64239997]]],
    Adam=[[[0.3077192, 0.3077192], [0.3077192, 0.3077192]], [[0.3077192, 0.3077192],
         [0.3077192, 0.3077192]]])
def weights_tied_where_one_is_trained(torch, make):
    a, b = linear(torch, 2, 2), linear(torch, 2, 2)
    b.weight.data = a.weight.data
    o = make(a.parameters())
    train(Tied(a, b), o, torch.tensor([[1.0, 2.0]]), 2)
    return [a.weight, b.weight]


@program(
    SGD=[[[-0.4863999, -0.9543999], [-0.36399984, -0.7095998]], True],
    Adam=[[[0.3103265, 0.31009898], [0.3103265, 0.31009898]], True])
def weights_tied_as_one_parameter(torch, make):
    a, b = linear(torch, 2, 2), linear(torch, 2, 2)
    b.weight = a.weight
    o = make([a.weight, a.bias, b.bias])
    train(Tied(a, b), o, torch.tensor([[1.0, 2.0]]), 2)
    return [a.weight, b.weight is a.weight]


@program(
    SGD=[[[-0.009999982, -0.5199999]], [[-0.009999982, -0.5199999]], [[-0.009999982,
         -0.5199999]]],
    Adam=[[[0.30195576, 0.30195576]], [[0.30195576, 0.30195576]], [[0.30195576, 0.30195576]]])
def data_taken_before(torch, make):
    m = linear(torch)
    data, detached = m.weight.data, m.weight.detach()
    o = make(m.parameters())
    train(m, o, torch.tensor([[1.0, 2.0]]), 2)
    return [m.weight, data, detached]


@program(SGD=[[[5.0, 7.0]], [[1.1999999, -0.60000014]]], Adam=[[[5.0, 7.0]], [[4.9, 6.9]]])
def data_taken_before_and_written(torch, make):
    m = linear(torch)
    data, detached = m.weight.data, m.weight.detach()
    o = make(m.parameters())
    data[0, 0] = 5.0
    detached[0, 1] = 7.0
    first = m.weight.tolist()
    train(m, o, torch.tensor([[1.0, 2.0]]))
    return [first, m.weight]


@program(
    SGD=[[[-0.009999982, -0.5199999]], [[-0.009999982, -0.5199999]], [-0.51]],
    Adam=[[[0.30195576, 0.30195576]], [[0.30195576, 0.30195576]], [-0.19804426]])
def state_dict_of_the_model_taken_before(torch, make):
    m = linear(torch)
    state = m.state_dict()
    o = make(m.parameters())
    train(m, o, torch.tensor([[1.0, 2.0]]), 2)
    return [m.weight, state["weight"], state["bias"]]


@program(
    SGD=[[0.46, 0.92], [[0.46, 0.92], [3.0, 4.0]]],
    Adam=[[0.80041224, 1.8001665], [[0.80041224, 1.8001665], [3.0, 4.0]]])
def a_parameter_that_is_a_view(torch, make):
    base = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    p = torch.nn.Parameter(base[0])
    o = make([p])
    descend(o, p, steps=2)
    return [p, base]


@program(
    SGD=[[0.92, 1.84], [[1.0, 0.92], [3.0, 1.84]]],
    Adam=[[1.8001665, 3.800074], [[1.0, 1.8001665], [3.0, 3.800074]]])
def a_parameter_that_is_a_column(torch, make):
    base = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    p = torch.nn.Parameter(base[:, 1])
    o = make([p])
    descend(o, p, steps=2)
    return [p, base]


@program(
    SGD=[0.46, 0.92, -7.4505806e-08, 5.9604645e-08],
    Adam=[0.80041224, 1.8001665, 2.8001027, 3.800074])
def parameters_that_are_views_of_one_tensor(torch, make):
    base = torch.tensor([1.0, 2.0, 3.0, 4.0])
    p, q = torch.nn.Parameter(base[:2]), torch.nn.Parameter(base[2:])
    o = make([p, q])
    descend(o, p, q, steps=2)
    return base


@program(
    SGD=[[[0.46, 1.84], [0.92, 2.3], [1.3800001, 2.7600002]], [[0.46, 0.92, 1.3800001], [1.84,
         2.3, 2.7600002]]],
    Adam=[[[0.80041224, 3.800074], [1.8001665, 4.800058], [2.8001027, 5.8000474]],
         [[0.80041224, 1.8001665, 2.8001027], [3.800074, 4.800058, 5.8000474]]])
def a_parameter_that_is_transposed(torch, make):
    base = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    p = torch.nn.Parameter(base.t())
    o = make([p])
    descend(o, p, steps=2)
    return [p, base]


@program(SGD=[[[4.0, 0.4]], [[4.0, 0.4]]], Adam=[[[4.9, 0.4]], [[4.9, 0.4]]])
def a_parameter_under_an_array(torch, make):
    m = linear(torch).cpu()
    array = m.weight.detach().numpy()
    o = make(m.parameters())
    array[0, 0] = 5.0
    descend(o, m.weight)
    return [m.weight, array]


@program(SGD=[0.46, 0.92], Adam=[0.80041224, 1.8001665])
def a_parameter_on_an_array(torch, make):
    array = numpy.array([1.0, 2.0], "float32")
    p = torch.nn.Parameter(torch.from_numpy(array))
    o = make([p])
    descend(o, p, steps=2)
    return array


@program(SGD=[[0.8, 1.6], [7.82, 15.64]], Adam=[[0.90000004, 1.9], [9.9192915, 19.91929]])
def data_replaced_after_the_optimiser(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p)
    before = p.data
    p.data = torch.tensor([10.0, 20.0])
    descend(o, p)
    return [before, p]


@program(SGD=[[0.1216, 0.2432], [-7.4505806e-08]], Adam=[[0.60259205, 1.600854], [2.8001027]])
def a_parameter_in_two_optimisers(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o, o2 = make([p, q]), make([p])
    descend(o, p, q)
    descend(o2, p)
    descend(o, p, q)
    descend(o2, p)
    return [p, q]


@program(SGD=[[[0.5203999, 0.5407999]]], Adam=[[[0.110824816, 0.110824816]]])
def a_second_optimiser_takes_over(torch, make):
    m = linear(torch)
    x = torch.tensor([[1.0, 2.0]])
    train(m, make(m.parameters()), x, 2)
    train(m, make(m.parameters()), x, 2)
    return [m.weight]


# Groups: they are lists and dicts, and edits count

def two_groups(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([{"params": [p]}, {"params": [q]}])
    descend(o, p, q)
    return p, q, o


@program(SGD=[[0.46, 0.92], [1.8]], Adam=[[0.80041224, 1.8001665], [2.9]])
def a_group_deleted(torch, make):
    p, q, o = two_groups(torch, make)
    del o.param_groups[1]
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.8, 1.6], [-7.4505806e-08]], Adam=[[0.90000004, 1.9], [2.8001027]])
def the_first_group_deleted(torch, make):
    p, q, o = two_groups(torch, make)
    del o.param_groups[0]
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.062, 0.124], [-7.4505806e-08]], Adam=[[0.7015863, 1.7006234], [2.8001027]])
def a_parameter_appended(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p])
    descend(o, p)
    o.param_groups[0]["params"].append(q)
    descend(o, p, q, steps=2)
    return [p, q]


@program(SGD=[[0.8, 1.6], [-7.4505806e-08]], Adam=[[0.90000004, 1.9], [2.8001027]])
def a_parameter_taken_out(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    del o.param_groups[0]["params"][0]
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.46, 0.92], [-1.62]], Adam=[[0.80041224, 1.8001665], [2.7003815]])
def a_parameter_taken_out_and_put_back(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    taken = o.param_groups[0]["params"].pop(0)
    descend(o, p, q)
    o.param_groups[0]["params"].append(taken)
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.8, 1.6], [1.8]], Adam=[[0.90000004, 1.9], [2.9]])
def params_replaced(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p])
    descend(o, p)
    o.param_groups[0]["params"] = [q]
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.46, 0.92], [-7.4505806e-08]], Adam=[[0.80041224, 1.8001665], [2.8001027]])
def params_reversed(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    o.param_groups[0]["params"].reverse()
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.8, 1.6], [1.8, 2.4]], Adam=[[0.90000004, 1.9], [2.9, 3.9]])
def a_parameter_exchanged(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0, 4.0)
    o = make([p])
    descend(o, p)
    o.param_groups[0]["params"][0] = q
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.062, 0.124], [-4.0499997]], Adam=[[0.7015863, 1.7006234], [2.1535242]])
def a_group_replaced_by_another_dict(torch, make):
    p, q, o = two_groups(torch, make)
    o.param_groups[1] = {**o.param_groups[1], "lr": 0.5}
    descend(o, p, q)
    o.param_groups[1]["lr"] = 0.25
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.8, 1.6], [-7.4505806e-08]], Adam=[[0.90000004, 1.9], [2.8001027]])
def a_group_moved_to_another_list(torch, make):
    p, q, o = two_groups(torch, make)
    o.param_groups = [o.param_groups[1]]
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.46, 0.92], [-3.0]], Adam=[[0.80041224, 1.8001665], [2.5]])
def a_group_appended(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p])
    descend(o, p)
    o.param_groups.append({**o.param_groups[0], "params": [q], "lr": 0.5})
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.8, 1.6], [1.8]], Adam=[[0.90000004, 1.9], [2.9]])
def groups_cleared(torch, make):
    p, q, o = two_groups(torch, make)
    o.param_groups.clear()
    descend(o, p, q)
    return [p, q]


@program(
    SGD=[[-0.90000004, -1.8000001], [-7.4505806e-08]],
    Adam=[[0.4020612, 1.4008324], [2.8001027]])
def groups_exchanged(torch, make):
    p, q, o = two_groups(torch, make)
    o.param_groups[0]["lr"] = 0.5
    o.param_groups.reverse()
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.63, 1.26], [0.89100003]], Adam=[[0.85020614, 1.8500832], [2.8500125]])
def the_learning_rate_of_a_group(torch, make):
    p, q, o = two_groups(torch, make)
    for group in o.param_groups:
        group["lr"] *= 0.5
    o.param_groups[1]["weight_decay"] = 0.1
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.062, 0.124], [-3.0]], Adam=[[0.7015863, 1.7006234], [2.5]])
def a_group_added(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p])
    descend(o, p, steps=2)
    o.add_param_group({"params": [q], "lr": 0.5})
    descend(o, p, q)
    return [p, q]


@program(SGD=[True, True], Adam=[True, True])
def zero_grad_follows_edits(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p])
    descend(o, p, q)
    o.param_groups[0]["params"].append(q)
    o.zero_grad()
    return [p.grad is None, q.grad is None]


@program(SGD=[[0.062, 0.124], [-7.4505806e-08]], Adam=[[0.7015863, 1.7006234], [2.8001027]])
def a_parameter_without_a_gradient_waits(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    descend(o, p)
    descend(o, p, q)
    return [p, q]


@program(SGD=[[0.062, 0.124], [-7.4505806e-08]], Adam=[[0.7015863, 1.7006234], [2.8001027]])
def a_frozen_parameter_waits(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    q.requires_grad_(False)
    descend(o, p)
    q.requires_grad_(True)
    descend(o, p, q)
    return [p, q]


# State: `state` and `state_dict()` show the optimiser's memory

@program(SGD=[[], [0, 1], 0], Adam=[[], [0, 1], 0])
def state_dict_before_the_first_step(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    state = o.state_dict()
    return [list(state["state"]), state["param_groups"][0]["params"], len(o.state)]


@program(
    SGD=[[0, [["momentum_buffer", [3.98, 7.96]]]], [1, [["momentum_buffer", [16.199999]]]]],
    Adam=[[0, [["exp_avg", [0.48408246, 1.0260333]], ["exp_avg_sq", [0.009791404,
         0.043355975]], ["step", 3.0]]], [1, [["exp_avg", [3.1360412]], ["exp_avg_sq",
         [0.4035868]], ["step", 3.0]]]])
def state_dict_goes_along(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    state = o.state_dict()
    descend(o, p, q, steps=2)
    return [[i, entries(of_one)] for i, of_one in sorted(state["state"].items())]


@program(SGD=[-0.58042, -1.16084], Adam=[0.5079637, 1.5029558])
def state_dict_goes_along_whole(torch, make):
    """Loaded elsewhere, it is the state of now, not a mixture."""
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p)
    state = o.state_dict()
    descend(o, p, steps=3)
    q = torch.nn.Parameter(p.detach().clone())
    o2 = make([q])
    o2.load_state_dict(state)
    descend(o2, q)
    return q


@program(
    SGD=[[-0.58042, -1.16084], [-0.58042, -1.16084]],
    Adam=[[0.5079637, 1.5029558], [0.5079637, 1.5029558]])
def state_dict_copied_stays(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p, steps=2)
    values, state = p.detach().clone(), copy.deepcopy(o.state_dict())
    descend(o, p, steps=3)
    q = torch.nn.Parameter(values)
    o2 = make([q])
    o2.load_state_dict(state)
    descend(o2, q, steps=3)
    return [p, q]


@program(
    SGD=[[-0.58042, -1.16084], [-0.58042, -1.16084]],
    Adam=[[0.5079637, 1.5029558], [0.5079637, 1.5029558]])
def state_dict_pickled(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p, steps=2)
    values, state = p.detach().clone(), pickle.loads(pickle.dumps(o.state_dict()))
    descend(o, p, steps=3)
    q = torch.nn.Parameter(values)
    o2 = make([q])
    o2.load_state_dict(state)
    descend(o2, q, steps=3)
    return [p, q]


@program(SGD=[-0.58042, -1.16084], Adam=[0.5079637, 1.5029558])
def loaded_back_to_an_earlier_state(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p, steps=2)
    values, state = p.detach().clone(), copy.deepcopy(o.state_dict())
    descend(o, p, steps=3)
    with torch.no_grad():
        p.copy_(values)
    o.load_state_dict(state)
    descend(o, p, steps=3)
    return p


@program(SGD=[0.1, 0], Adam=[0.1, 0])
def groups_of_a_state_dict_are_copies(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    state = o.state_dict()
    o.param_groups[0]["lr"] = 0.5
    state["param_groups"][0]["weight_decay"] = 3.0
    return [state["param_groups"][0]["lr"], o.param_groups[0]["weight_decay"]]


@program(
    SGD=[1, True, True, True, ["momentum_buffer"]],
    Adam=[1, True, True, True, ["exp_avg", "exp_avg_sq", "step"]])
def state_is_a_dict_by_parameter(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p)
    return [len(o.state), p in o.state, next(iter(o.state)) is p,
            isinstance(o.state, dict), [name for name, _ in entries(o.state[p])]]


@program(
    SGD=[["momentum_buffer", [5.0, 5.0]]],
    Adam=[["exp_avg", [5.0, 5.0]], ["exp_avg_sq", [5.0, 5.0]], ["step", 5.0]])
def state_is_the_memory_of_state_dict(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p)
    state = o.state_dict()["state"][0]
    for value in o.state[p].values():
        value.fill_(5.0)
    return entries(state)


@program(SGD=[[0.368, 0.736], [-1.62]], Adam=[[0.7004123, 1.7001665], [2.7003815]])
def state_edited(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q, steps=2)
    for value in o.state[p].values():
        value.zero_()
    descend(o, p, q)
    return [p, q]


@program(
    SGD=[[0.27800003, 0.646], [-1.62], [["momentum_buffer", [1.8199999, 2.74]]]],
    Adam=[[0.7754862, 1.7706915], [2.7003815], [["exp_avg", [1.0600824, 1.2600332]],
         ["exp_avg_sq", [1.0015626, 1.0119624]], ["step", 2.0]]])
def state_replaced(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q, steps=2)
    o.state[p] = {name: torch.ones_like(value) for name, value in o.state[p].items()}
    descend(o, p, q)
    return [p, q, entries(o.state[p])]


@program(SGD=[[0.368, 0.736], [-1.62]], Adam=[[0.7004123, 1.7001665], [2.7003815]])
def state_forgotten_for_one(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q, steps=2)
    del o.state[p]
    descend(o, p, q)
    return [p, q]


@program(
    SGD=[[], [0.368, 0.736], [-4.4703484e-08]],
    Adam=[[], [0.7004123, 1.7001665], [2.7001028]])
def state_cleared(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q, steps=2)
    o.state.clear()
    empty = o.state_dict()["state"]
    descend(o, p, q)
    return [list(empty), p, q]


@program(SGD=[True, True, [0.46, 0.92]], Adam=[True, True, [0.80041224, 1.8001665]])
def state_survives_edited_groups(torch, make):
    p, q, o = two_groups(torch, make)
    moments = o.state[p]
    del o.param_groups[1]
    descend(o, p, q)
    return [moments is o.state[p], q in o.state, p]


@program(SGD=[[0, 1], [1, 2]], Adam=[[0, 1], [1, 2]])
def state_dict_after_edited_groups(torch, make):
    p, q = vector(torch, 1.0, 2.0), vector(torch, 3.0)
    o = make([p, q])
    descend(o, p, q)
    o.param_groups[0]["params"].reverse()
    descend(o, p, q)
    state = o.state_dict()
    return [state["param_groups"][0]["params"],
            [len(next(v for v in state["state"][i].values() if v.ndim)) for i in (0, 1)]]


@program(
    SGD=[["momentum_buffer", [2, 3], "float32"]],
    Adam=[["exp_avg", [2, 3], "float32"], ["exp_avg_sq", [2, 3], "float32"]])
def moments_are_of_the_parameters_shape(torch, make):
    p = torch.nn.Parameter(torch.ones(2, 3))
    o = make([p])
    descend(o, p)
    return [[name, list(value.shape), str(value.dtype).replace("torch.", "")]
            for name, value in sorted(o.state[p].items()) if name != "step"]


@program(
    SGD=[["momentum_buffer", [3.4, 6.8]]],
    Adam=[["exp_avg", [0.36, 0.74]], ["exp_avg_sq", [0.0072360006, 0.030424]], ["step", 2.0]])
def a_kept_moment_goes_along(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p)
    kept = dict(o.state[p])
    descend(o, p)
    return entries(kept)


@program(SGD=[0.43199998, 0.86399996], Adam=[0.43199998, 0.86399996])
def momentum_switched_on_later(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = torch.optim.SGD([p], lr=0.1)
    descend(o, p)
    o.param_groups[0]["momentum"] = 0.5
    descend(o, p, steps=2)
    return p


@program(SGD=[0.20625001, 0.41250002], Adam=[0.72496665, 1.7206838])
def options_changed_between_steps(torch, make):
    p = vector(torch, 1.0, 2.0)
    o = make([p])
    descend(o, p)
    group = o.param_groups[0]
    group.update({"momentum": 0.5, "nesterov": True} if "momentum" in group else
                 {"betas": (0.5, 0.5), "eps": 0.1})
    group["weight_decay"] = 0.5
    descend(o, p, steps=2)
    return p


def run(function, torch, kind):
    return plain(function(torch, maker(torch, kind)))


@pytest.mark.parametrize("function, kind, expected", PROGRAMS)
def test_programs(function, kind, expected, device):
    assert_same(run(function, minigan, kind), expected)


@pytest.mark.parametrize("function, kind, expected", PROGRAMS)
def test_programs_in_pytorch(function, kind, expected):
    assert_same(run(function, pytest.importorskip("torch"), kind), expected)


# Processes

def trained(pair):
    m, o = pair
    train(m, o, minigan.tensor([[1.0, 2.0]]), 3)
    return m.weight.tolist(), pair


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("steps", [0, 2])
def test_models_and_optimisers_go_to_other_processes_and_back(kind, steps):
    m = linear(minigan)
    o = maker(minigan, kind)(m.parameters())
    x = minigan.tensor([[1.0, 2.0]])
    train(m, o, x, steps)
    before = m.weight.tolist()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (there, (m2, o2)), = pool.map(trained, [(m, o)])
    assert m.weight.tolist() == before  # pickled, not shared
    train(m, o, x, 3)
    assert m.weight.tolist() == there == m2.weight.tolist()
    train(m, o, x, 2)
    train(m2, o2, x, 2)
    assert m.weight.tolist() == m2.weight.tolist() != there
