"""One good call of everything public, and what each argument takes: test_bad_arguments spoils them.

A call is made anew each time, since what it is given may be changed by it. All arguments are given,
by position where a function takes any number of them.
"""

import io
import itertools
from numbers import Integral, Real
from pathlib import Path

import numpy

import minigan
from minigan import (
    Tensor, autograd, creation, cuda, data, functional, inspect, nn, ones, optim, training, utils,
    zeros)
from minigan.nn import init
from minigan.optim import lr_scheduler

ARRAY = numpy.linspace(0.1, 0.9, 6, dtype="float32").reshape(2, 3)
PIXELS = numpy.linspace(0, 1, 64, dtype="float32").reshape(4, 4, 4)


def x(*shape):
    """Numbers between 0 and 1, (2,3) or of another shape."""
    return minigan.tensor(numpy.resize(ARRAY, shape) if shape else ARRAY)


def labels(*values):
    return minigan.tensor(list(values))


def doubles():
    return minigan.tensor([0.5, 1.5], dtype="float64", requires_grad=True)


def network():
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def trained(kind, **options):
    """An optimiser that has made a step, and whose parameters have gradients."""
    weight = nn.Parameter(x())
    optimiser = kind([weight], **options)
    (weight * weight).sum().backward()
    optimiser.step()
    return optimiser


def schedule():
    return lr_scheduler.StepLR(trained(optim.SGD), 2)


def matrix():
    return numpy.array([[3, 1], [0, 2]])


def idx():
    data.write_idx("array-idx2", matrix().astype("uint8"))
    return "array-idx2"


def folder():
    """A folder with one image that is large enough to be packed."""
    from matplotlib.image import imsave

    path = Path("photos/0.png")
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        imsave(path, numpy.zeros((128, 128, 3), "uint8"))
    return str(path.parent)


def saved():
    return str(minigan.save(network(), "network.npz"))


def save(state, path):
    """minigan.save to the other kind of file."""
    return minigan.save(state, path)


def tracked():
    return x().requires_grad_()


def loss():
    return (x().requires_grad_() * 2).sum()


def loader():
    return data.DataLoader([1, 2, 3], shuffle=True, seed=0)


def batches(self, first):
    """DataLoader.batches to their end."""
    return list(self.batches(first))


NUMBERS = itertools.count()


def new_folder():
    """One that no run has been in."""
    return f"run-{next(NUMBERS)}"


def run():
    """A run that is under way."""
    made = training.Run(new_folder())
    made.register(loader(), model=network())
    made._progress = progress()
    return made


def epochs(self, count, steps):
    """Run.epochs as far as the first one."""
    try:
        return next(self.epochs(count, steps), None)
    finally:
        self._restore_handlers()


def checkpoint():
    path = Path("run/checkpoint.h5")
    if not path.exists():
        made = training.Run("run")
        made.register(loader(), model=network())
        made.save()
    return path


def progress():
    return training.Progress(10, stream=io.StringIO()).__enter__()


def to(self, device, dtype, non_blocking):
    """Tensor.to and Module.to by keyword."""
    return self.to(device=device, dtype=dtype, non_blocking=non_blocking)


def module_to(self, device, dtype, non_blocking):
    return self.to(device=device, dtype=dtype, non_blocking=non_blocking)


PLACE = dict(device="cpu", dtype=minigan.float32)
FORMER = dict(size_average=None, reduce=None)  # options of losses that PyTorch had
SIZES = dict(PLACE, requires_grad=False)

GOOD = {
    # minigan
    minigan.tensor: lambda: dict(data=[1.0, 2.0], **SIZES),
    minigan.FloatTensor: lambda: ([1.0, 2.0],),
    minigan.LongTensor: lambda: ([1, 2],),
    minigan.DoubleTensor: lambda: ([1.0, 2.0],),
    minigan.IntTensor: lambda: ([1, 2],),
    minigan.ByteTensor: lambda: ([1, 2],),
    minigan.BoolTensor: lambda: ([True, False],),
    minigan.as_tensor: lambda: dict(data=[1.0, 2.0], **PLACE),
    minigan.from_numpy: lambda: dict(ndarray=numpy.ones(3)),
    minigan.from_dlpack: lambda: dict(ext_tensor=numpy.ones(3)),
    minigan.is_tensor: lambda: dict(obj=x()),
    minigan.zeros: lambda: ((2, 3), SIZES),
    minigan.ones: lambda: ((2, 3), SIZES),
    minigan.rand: lambda: ((2, 3), SIZES),
    minigan.randn: lambda: ((2, 3), SIZES),
    minigan.full: lambda: dict(size=(2, 3), fill_value=1.5, **SIZES),
    minigan.empty: lambda: ((2, 3), SIZES),
    minigan.zeros_like: lambda: dict(input=x(), **SIZES),
    minigan.ones_like: lambda: dict(input=x(), **SIZES),
    minigan.full_like: lambda: dict(input=x(), fill_value=1.5, **SIZES),
    minigan.rand_like: lambda: dict(input=x(), **SIZES),
    minigan.randn_like: lambda: dict(input=x(), **SIZES),
    creation.new: lambda: (x(), [1.0, 2.0]),
    creation.new_tensor: lambda: dict(input=x(), data=[1.0, 2.0], **SIZES),
    creation.new_zeros: lambda: ((x(), 2, 3), SIZES),
    creation.new_ones: lambda: ((x(), 2, 3), SIZES),
    creation.new_empty: lambda: ((x(), 2, 3), SIZES),
    creation.new_full: lambda: dict(input=x(), size=(2, 3), fill_value=1.5, **SIZES),
    minigan.randint: lambda: dict(low=0, high=3, size=(2, 3), dtype=minigan.int64, device="cpu"),
    minigan.randperm: lambda: dict(n=5, dtype=minigan.int64, device="cpu"),
    minigan.eye: lambda: dict(n=3, m=4, **PLACE),
    # So large that no bad one asks for gigabytes.
    minigan.arange: lambda: dict(start=0, end=3 * 10**4, step=10**4, **PLACE),
    minigan.linspace: lambda: dict(start=0, end=1, steps=3, **PLACE),
    minigan.Tensor: lambda: ([1.0, 2.0],),
    minigan.device: lambda: dict(name="cpu"),
    minigan.set_device: lambda: dict(name="cpu"),
    minigan.set_default_device: lambda: dict(device="cpu"),
    minigan.set_default_tensor_type: lambda: dict(t=minigan.FloatTensor),
    minigan.manual_seed: lambda: dict(seed=0),
    minigan.no_grad: lambda: dict(function=network),
    minigan.enable_grad: lambda: dict(function=network),
    minigan.capture: lambda: dict(step=network, profile=True),
    minigan.gradcheck: lambda: dict(function=functional.exp, inputs=(doubles(),), eps=1e-6,
                                    tolerance=1e-6, direction=False, seed=0),
    minigan.profile: lambda: dict(steps=1),
    minigan.summary: lambda: dict(model=network(), input_shape=(2, 3), dtype=minigan.float32),
    minigan.draw: lambda: dict(loss=loss(), path="graph.png", names={}),
    inspect.dot: lambda: dict(loss=loss(), names={}),
    minigan.save: lambda: dict(state={"a": x()}, path="saved.npz"),
    save: lambda: dict(state={"a": x()}, path="saved.h5"),
    minigan.load: lambda: dict(path=saved(), map_location="cpu", weights_only=True),
    autograd.grad: lambda: dict(
        outputs=loss(), inputs=(tracked(),), grad_outputs=None, retain_graph=False,
        create_graph=False, only_inputs=True, allow_unused=True),

    cuda.manual_seed: lambda: dict(seed=0),
    cuda.memory_allocated: lambda: dict(device=None),
    cuda.memory_reserved: lambda: dict(device=None),
    cuda.synchronize: lambda: dict(device=None),

    # minigan.functional
    functional.abs: lambda: dict(input=x()),
    functional.adaptive_avg_pool2d: lambda: dict(input=x(1, 2, 4, 4), output_size=(2, 1)),
    functional.add: lambda: dict(input=x(), other=x(), alpha=2),
    functional.argmax: lambda: dict(input=x(), dim=1, keepdim=False),
    functional.argmin: lambda: dict(input=x(), dim=1, keepdim=False),
    functional.bmm: lambda: dict(input=x(1, 2, 3), mat2=x(1, 3, 2)),
    functional.maximum: lambda: dict(input=x(), other=x()),
    functional.minimum: lambda: dict(input=x(), other=x()),
    functional.mm: lambda: dict(input=x(), mat2=x(3, 2)),
    functional.avg_pool2d: lambda: dict(input=x(1, 2, 4, 4), kernel_size=2, stride=1, padding=1,
                                        ceil_mode=False, count_include_pad=True),
    functional.batch_norm: lambda: dict(
        input=x(), running_mean=zeros(3), running_var=ones(3), weight=ones(3), bias=zeros(3),
        training=True, momentum=0.1, eps=1e-5),
    functional.binary_cross_entropy: lambda: dict(
        input=x(), target=x(), weight=ones(3), size_average=None, reduce=None,
        reduction="mean"),
    functional.binary_cross_entropy_with_logits: lambda: dict(
        input=x(), target=x(), weight=ones(3), size_average=None, reduce=None,
        reduction="mean", pos_weight=ones(3)),
    functional.cat: lambda: dict(tensors=[x(), x()], dim=0),
    functional.chunk: lambda: dict(input=x(), chunks=2, dim=1),
    functional.clamp: lambda: dict(input=x(), min=0.2, max=0.8),
    functional.conv2d: lambda: dict(
        input=x(1, 2, 4, 4), weight=x(3, 2, 2, 2), bias=x(3), stride=1, padding=0, dilation=1,
        groups=1),
    functional.conv_transpose2d: lambda: dict(
        input=x(1, 3, 4, 4), weight=x(3, 2, 2, 2), bias=x(2), stride=2, padding=0,
        output_padding=1, groups=1, dilation=1),
    functional.cross_entropy: lambda: dict(
        input=x(), target=labels(0, 2), weight=ones(3), ignore_index=-100, size_average=None, reduce=None,
        reduction="mean",
        label_smoothing=0.1),
    functional.div: lambda: dict(input=x(), other=x()),
    functional.dropout: lambda: dict(input=x(), p=0.5, training=True, inplace=False),
    functional.dropout2d: lambda: dict(input=x(1, 2, 2, 2), p=0.5, training=True, inplace=False),
    functional.embedding: lambda: dict(input=labels(0, 1), weight=x(), padding_idx=0),
    functional.exp: lambda: dict(input=x()),
    functional.expand: lambda: (x(), 2, 3),
    functional.flatten: lambda: dict(input=x(), start_dim=0, end_dim=1),
    functional.gather: lambda: dict(input=x(), dim=1, index=minigan.tensor([[0], [2]])),
    functional.gelu: lambda: dict(input=x(), approximate="none"),
    functional.index: lambda: dict(input=x(), index=0),
    functional.instance_norm: lambda: dict(
        input=x(2, 3, 2, 2), running_mean=None, running_var=None, weight=ones(3), bias=zeros(3),
        use_input_stats=True, momentum=0.1, eps=1e-5),
    functional.interpolate: lambda: dict(input=x(1, 1, 1, 1), size=None, scale_factor=2,
                                         mode="bilinear", align_corners=True),
    functional.l1_loss: lambda: dict(input=x(), target=x(), size_average=None, reduce=None,
        reduction="mean"),
    functional.layer_norm: lambda: dict(input=x(), normalized_shape=(3,), weight=ones(3),
                                        bias=zeros(3), eps=1e-5),
    functional.leaky_relu: lambda: dict(input=x(), negative_slope=0.2, inplace=False),
    functional.linear: lambda: dict(input=x(), weight=x(4, 3), bias=x(4)),
    functional.log: lambda: dict(input=x()),
    functional.log_softmax: lambda: dict(input=x(), dim=1),
    functional.masked_fill: lambda: dict(input=x(), mask=x() > 0.5, value=1.5),
    functional.matmul: lambda: dict(input=x(), other=x(3, 2)),
    functional.max: lambda: dict(input=x(), dim=1, keepdim=False),
    functional.max_pool2d: lambda: dict(input=x(1, 2, 4, 4), kernel_size=2, stride=1, padding=1,
                                        dilation=1, ceil_mode=False, return_indices=False),
    functional.mean: lambda: dict(input=x(), dim=1, keepdim=False),
    functional.min: lambda: dict(input=x(), dim=1, keepdim=False),
    functional.mse_loss: lambda: dict(input=x(), target=x(), size_average=None, reduce=None,
        reduction="mean"),
    functional.mul: lambda: dict(input=x(), other=x()),
    functional.neg: lambda: dict(input=x()),
    functional.nll_loss: lambda: dict(input=x(), target=labels(0, 2), weight=ones(3),
                                      ignore_index=-100, size_average=None, reduce=None,
        reduction="mean"),
    functional.norm: lambda: dict(input=x(), p=2, dim=1, keepdim=False),
    functional.one_hot: lambda: dict(input=labels(0, 2), num_classes=3),
    functional.pad: lambda: dict(input=x(), pad=(1, 1), mode="constant", value=0.5),
    functional.permute: lambda: (x(), 1, 0),
    functional.pow: lambda: dict(input=x(), exponent=x()),
    functional.pixel_shuffle: lambda: dict(input=x(1, 4, 2, 2), upscale_factor=2),
    functional.prelu: lambda: dict(input=x(), weight=x(3)),
    functional.relu: lambda: dict(input=x(), inplace=False),
    functional.repeat: lambda: (x(), 2, 1),
    functional.reshape: lambda: (x(), 3, 2),
    functional.sigmoid: lambda: dict(input=x()),
    functional.smooth_l1_loss: lambda: dict(input=x(), target=x(), size_average=None, reduce=None,
                                            reduction="mean", beta=0.5),
    functional.softmax: lambda: dict(input=x(), dim=1),
    functional.softplus: lambda: dict(input=x(), beta=1.0, threshold=20.0),
    functional.split: lambda: dict(tensor=x(), split_size_or_sections=[1, 2], dim=1),
    functional.sqrt: lambda: dict(input=x()),
    functional.squeeze: lambda: dict(input=x(), dim=1),
    functional.stack: lambda: dict(tensors=[x(), x()], dim=0),
    functional.std: lambda: dict(input=x(), dim=1, unbiased=True, keepdim=False, correction=0),
    functional.sub: lambda: dict(input=x(), other=x(), alpha=2),
    functional.sum: lambda: dict(input=x(), dim=1, keepdim=False),
    functional.t: lambda: dict(input=x()),
    functional.tanh: lambda: dict(input=x()),
    functional.transpose: lambda: dict(input=x(), dim0=0, dim1=1),
    functional.unsqueeze: lambda: dict(input=x(), dim=1),
    functional.var: lambda: dict(input=x(), dim=1, unbiased=True, keepdim=False, correction=0),
    functional.where: lambda: dict(condition=x() > 0.5, input=x(), other=x()),
    functional.view: lambda: (x(), 3, 2),

    # Tensor's methods; the others are functions above
    Tensor.size: lambda: dict(self=x(), dim=1),
    Tensor.to: lambda: (x(), "cpu", minigan.float64),
    to: lambda: dict(self=x(), device="cpu", dtype=minigan.float64, non_blocking=False),
    Tensor.requires_grad_: lambda: dict(self=x(), requires_grad=True),
    Tensor.backward: lambda: dict(self=x().requires_grad_() * 2, gradient=x(),
                                  retain_graph=False, create_graph=False),
    Tensor.copy_: lambda: dict(self=x(), src=x(), non_blocking=False),
    Tensor.fill_: lambda: dict(self=x(), value=1),
    Tensor.clamp_: lambda: dict(self=x(), min=0.2, max=0.8),
    Tensor.uniform_: lambda: dict(self=x(), a=0.0, b=1.0),
    Tensor.masked_fill_: lambda: dict(self=x(), mask=x() > 0.5, value=1.5),
    Tensor.scatter_: lambda: dict(self=x(), dim=1, index=minigan.tensor([[0], [2]]), src=x(),
                                  value=None),
    Tensor.type: lambda: dict(self=x(), dtype="torch.DoubleTensor"),
    Tensor.view_as: lambda: dict(self=x(), other=x(3, 2)),
    Tensor.expand_as: lambda: dict(self=x(), other=x(2, 2, 3)),
    Tensor.where: lambda: dict(self=x(), condition=x() > 0.5, other=x()),
    Tensor.split: lambda: dict(self=x(), split_size=2, dim=1),
    Tensor.normal_: lambda: dict(self=x(), mean=0.0, std=1.0),
    Tensor.add_: lambda: dict(self=x(), other=x(), alpha=2),
    Tensor.sub_: lambda: dict(self=x(), other=x(), alpha=2),
    Tensor.mul_: lambda: dict(self=x(), other=x()),
    Tensor.div_: lambda: dict(self=x(), other=x()),
    Tensor.eq: lambda: dict(self=x(), other=x()),
    Tensor.ne: lambda: dict(self=x(), other=x()),
    Tensor.lt: lambda: dict(self=x(), other=x()),
    Tensor.le: lambda: dict(self=x(), other=x()),
    Tensor.gt: lambda: dict(self=x(), other=x()),
    Tensor.ge: lambda: dict(self=x(), other=x()),
    Tensor.__and__: lambda: dict(self=x() > 0.5, other=x() > 0.5),
    Tensor.__setitem__: lambda: dict(self=x(), index=0, value=1),
    Tensor.data.fset: lambda: dict(self=x(), value=x()),
    Tensor.grad.fset: lambda: dict(self=x(), value=x()),

    # minigan.nn
    nn.ReLU: lambda: dict(inplace=False),
    nn.LeakyReLU: lambda: dict(negative_slope=0.2, inplace=False),
    nn.PReLU: lambda: dict(num_parameters=3, init=0.25),
    nn.GELU: lambda: dict(approximate="none"),
    nn.Softplus: lambda: dict(beta=1.0, threshold=20.0),
    nn.Softmax: lambda: dict(dim=1),
    nn.LogSoftmax: lambda: dict(dim=1),
    nn.Dropout: lambda: dict(p=0.5, inplace=False),
    nn.Dropout2d: lambda: dict(p=0.5, inplace=False),
    nn.Sequential: lambda: (nn.Linear(3, 2), nn.ReLU()),
    nn.ModuleList: lambda: dict(modules=[nn.ReLU()]),
    nn.Linear: lambda: dict(in_features=3, out_features=2, bias=True),
    nn.Conv2d: lambda: dict(in_channels=2, out_channels=3, kernel_size=2, stride=1, padding=0,
                            dilation=1, groups=1, bias=True, padding_mode="zeros"),
    nn.ConvTranspose2d: lambda: dict(
        in_channels=2, out_channels=3, kernel_size=2, stride=1, padding=0, output_padding=0,
        groups=1, bias=True, dilation=1, padding_mode="zeros"),
    nn.Embedding: lambda: dict(
        num_embeddings=3, embedding_dim=2, padding_idx=0, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, sparse=False),
    nn.MSELoss: lambda: dict(reduction="mean", **FORMER),
    nn.L1Loss: lambda: dict(reduction="mean", **FORMER),
    nn.SmoothL1Loss: lambda: dict(reduction="mean", beta=0.5, **FORMER),
    nn.NLLLoss: lambda: dict(weight=ones(3), ignore_index=-100, reduction="mean", **FORMER),
    nn.BCELoss: lambda: dict(weight=ones(3), reduction="mean", **FORMER),
    nn.BCEWithLogitsLoss: lambda: dict(weight=ones(3), reduction="mean", pos_weight=ones(3),
                                       **FORMER),
    nn.CrossEntropyLoss: lambda: dict(weight=ones(3), ignore_index=-100, reduction="mean",
                                      label_smoothing=0.1, **FORMER),
    nn.BatchNorm1d: lambda: dict(num_features=3, eps=1e-5, momentum=0.1, affine=True,
                                 track_running_stats=True, **PLACE),
    nn.BatchNorm2d: lambda: dict(num_features=3, eps=1e-5, momentum=0.1, affine=True,
                                 track_running_stats=True, **PLACE),
    nn.SyncBatchNorm: lambda: dict(num_features=3, eps=1e-5, momentum=0.1, affine=True,
                                   track_running_stats=True, process_group=None, **PLACE),
    nn.InstanceNorm2d: lambda: dict(num_features=3, eps=1e-5, momentum=0.1, affine=True,
                                    track_running_stats=False, **PLACE),
    nn.LayerNorm: lambda: dict(normalized_shape=(3,), eps=1e-5, elementwise_affine=True,
                               bias=True, **PLACE),
    nn.MaxPool2d: lambda: dict(kernel_size=2, stride=1, padding=0, dilation=1,
                               return_indices=False, ceil_mode=False),
    nn.AvgPool2d: lambda: dict(kernel_size=2, stride=1, padding=0, ceil_mode=False,
                               count_include_pad=True, divisor_override=None),
    nn.AdaptiveAvgPool2d: lambda: dict(output_size=(2, 1)),
    nn.ZeroPad2d: lambda: dict(padding=1),
    nn.ReflectionPad2d: lambda: dict(padding=1),
    nn.ReplicationPad2d: lambda: dict(padding=1),
    nn.PixelShuffle: lambda: dict(upscale_factor=2),
    nn.DataParallel: lambda: dict(module=network(), device_ids=None, output_device=None, dim=0),
    nn.parallel.data_parallel: lambda: dict(module=network(), inputs=x(), device_ids=None,
                                            output_device=None, dim=0, module_kwargs=None),
    nn.Flatten: lambda: dict(start_dim=1, end_dim=-1),
    nn.Unflatten: lambda: dict(dim=1, unflattened_size=(3, 1)),
    nn.View: lambda: (3, 1),
    nn.Upsample: lambda: dict(size=None, scale_factor=2, mode="nearest", align_corners=None,
                              recompute_scale_factor=None),
    nn.Parameter: lambda: dict(data=x(), requires_grad=True),
    nn.Module.add_module: lambda: dict(self=nn.Module(), name="part", module=nn.ReLU()),
    nn.Module.register_parameter: lambda: dict(self=nn.Module(), name="scale",
                                               param=nn.Parameter(x())),
    nn.Module.register_buffer: lambda: dict(self=nn.Module(), name="count", tensor=x()),
    nn.Module.apply: lambda: dict(self=network(), fn=print),
    nn.Module.train: lambda: dict(self=network(), mode=True),
    nn.Module.requires_grad_: lambda: dict(self=network(), requires_grad=True),
    nn.Module.zero_grad: lambda: dict(self=network(), set_to_none=True),
    nn.Module.to: lambda: (network(), "cpu", minigan.float64),
    module_to: lambda: dict(self=network(), device="cpu", dtype=minigan.float64,
                            non_blocking=False),
    nn.Module.load_state_dict: lambda: dict(
        self=network(), state_dict=network().state_dict(), strict=True),
    nn.Sequential.append: lambda: dict(self=network(), module=nn.ReLU()),
    nn.Sequential.__getitem__: lambda: dict(self=network(), index=0),

    # minigan.nn.init
    init.uniform_: lambda: dict(tensor=x(), a=0.0, b=1.0),
    init.normal_: lambda: dict(tensor=x(), mean=0.0, std=1.0),
    init.constant_: lambda: dict(tensor=x(), val=1.0),
    init.zeros_: lambda: dict(tensor=x()),
    init.ones_: lambda: dict(tensor=x()),
    init.kaiming_uniform_: lambda: dict(tensor=x(), a=0, mode="fan_in",
                                        nonlinearity="leaky_relu"),

    init.kaiming_normal_: lambda: dict(tensor=x(), a=0, mode="fan_in",
                                       nonlinearity="leaky_relu"),
    init.xavier_uniform_: lambda: dict(tensor=x(), gain=1.0),
    init.xavier_normal_: lambda: dict(tensor=x(), gain=1.0),
    nn.utils.clip_grad_norm_: lambda: dict(parameters=[tracked()], max_norm=1.0, norm_type=2.0),
    nn.utils.clip_grad_value_: lambda: dict(parameters=[tracked()], clip_value=1.0),

    # minigan.optim
    optim.SGD: lambda: dict(params=[nn.Parameter(x())], lr=0.1, momentum=0.9, weight_decay=0.1,
                            nesterov=True, dampening=0),
    optim.Adam: lambda: dict(params=[nn.Parameter(x())], lr=0.1, betas=(0.9, 0.99), eps=1e-8,
                             weight_decay=0.1, amsgrad=False),
    optim.AdamW: lambda: dict(params=[nn.Parameter(x())], lr=0.1, betas=(0.9, 0.99), eps=1e-8,
                              weight_decay=0.1, amsgrad=False),
    optim.RMSprop: lambda: dict(params=[nn.Parameter(x())], lr=0.1, alpha=0.9, eps=1e-8,
                                weight_decay=0.1, momentum=0.9, centered=True),
    optim.Adagrad: lambda: dict(params=[nn.Parameter(x())], lr=0.1, lr_decay=0.1, weight_decay=0.1,
                                initial_accumulator_value=0, eps=1e-8),
    optim.Adadelta: lambda: dict(params=[nn.Parameter(x())], lr=0.1, rho=0.9, eps=1e-8,
                                 weight_decay=0.1),
    lr_scheduler.StepLR: lambda: dict(optimizer=trained(optim.SGD), step_size=2, gamma=0.1,
                                      last_epoch=-1),
    lr_scheduler.MultiStepLR: lambda: dict(optimizer=trained(optim.SGD), milestones=[2, 4],
                                           gamma=0.1, last_epoch=-1),
    lr_scheduler.LambdaLR: lambda: dict(optimizer=trained(optim.SGD), lr_lambda=float,
                                        last_epoch=-1),
    lr_scheduler.ExponentialLR: lambda: dict(optimizer=trained(optim.SGD), gamma=0.1,
                                             last_epoch=-1),
    lr_scheduler.CosineAnnealingLR: lambda: dict(optimizer=trained(optim.SGD), T_max=4, eta_min=0.1,
                                                 last_epoch=-1),
    lr_scheduler.LRScheduler.load_state_dict: lambda: dict(
        self=schedule(), state_dict=schedule().state_dict()),
    utils.make_grid: lambda: dict(
        tensor=x(3, 1, 2, 2), nrow=2, padding=1, normalize=True, value_range=(0, 1),
        scale_each=True, pad_value=0.5),
    utils.save_image: lambda: dict(tensor=x(3, 1, 2, 2), fp="grid.png", format="png"),
    optim.Optimizer.add_param_group: lambda: dict(
        self=trained(optim.Adam), param_group={"params": [nn.Parameter(x())]}),
    optim.Optimizer.register_step_pre_hook: lambda: dict(
        self=trained(optim.SGD), hook=lambda optimizer, args, kwargs: None),
    optim.Optimizer.zero_grad: lambda: dict(self=trained(optim.SGD), set_to_none=True),
    optim.Optimizer.load_state_dict: lambda: dict(
        self=trained(optim.Adam), state_dict=trained(optim.Adam).state_dict()),

    # minigan.data
    data.DataLoader: lambda: dict(dataset=[1, 2, 3], batch_size=2, shuffle=True, drop_last=True,
                                  seed=0, num_workers=0, pin_memory=False, sampler=None),
    batches: lambda: dict(self=loader(), first=1),
    data.DataLoader.order_state: lambda: dict(self=loader(), begun=False),
    data.DataLoader.set_order_state: lambda: dict(
        self=loader(), state=loader().order_state(begun=False)),
    data.TensorDataset: lambda: (x(), x()),
    data.ReadAhead: lambda: dict(iterable=[1, 2, 3], ahead=2),
    data.SampleAhead: lambda: dict(sample=lambda count: minigan.randn(count, 2), batch_size=3,
                                   times=2, seed=0),
    data.collate: lambda: dict(items=[1, 2]),
    data.one_hot: lambda: dict(labels=[0, 2], num_classes=3),
    data.draw_digits: lambda: dict(count=1, seed=0),
    data.load_digits: lambda: dict(count=1, seed=0),
    data.draw_faces: lambda: dict(count=1, seed=0),
    data.download_mnist: lambda: dict(folder="mnist", mirrors=(), files={}, timeout=1),
    data.generate_random_image: lambda: dict(size=3),
    data.generate_random_one_hot: lambda: dict(size=3),
    data.generate_random_seed: lambda: dict(size=3),
    data.read_idx: lambda: dict(path=idx()),
    data.read_image: lambda: dict(path=f"{folder()}/0.png"),
    data.pack_images: lambda: dict(folder=folder(), out="packed.h5", group="images", force=True),

    # minigan.training
    training.LabelShare: lambda: dict(overall=0.5, per_class=numpy.ones(2)),
    training.Progress: lambda: dict(total=10, name="a", unit="images", stream=io.StringIO(),
                                    clock=lambda: 0.0, done=0, later=0),
    training.Progress.advance: lambda: ((progress(), 1), dict(loss=0.5)),
    training.confusion_matrix: lambda: dict(labels=[0, 1], predictions=[1, 1], classes=2),
    training.format_confusion: lambda: dict(matrix=matrix()),
    training.features_of: lambda: dict(function=functional.exp, images=x(), batch_size=2),
    training.label_share: lambda: dict(classifier=functional.exp, images=x(), labels=[0, 2],
                                       classes=3),
    training.frechet_distance: lambda: dict(a=x(4, 3), b=x(5, 3)),
    training.mean_distance: lambda: dict(samples=x(), pairs=2, seed=0),
    training.spread_ratio: lambda: dict(generated=x(), real=x(), pairs=2, seed=0),
    training.checkerboard_ratio: lambda: dict(generated=x(2, 8, 8), real=x(3, 8, 8)),
    training.spread_within_labels: lambda: dict(
        generated=[x(), x()], real=x(4, 3), labels=[0, 0, 1, 1], pairs=2, seed=0),
    training.plot_losses: lambda: dict(losses=[3.0, 1.0], path="losses.png", every=1, title="a",
                                       log=False),
    training.plot_history: lambda: dict(series={"a": [1.0]}, path="history.png",
                                        references={"a": 1.0}, title="a", at=[100], unit="step"),
    training.plot_predictions: lambda: dict(
        images=PIXELS, labels=[0, 1, 2, 0], predictions=[0, 1, 2, 1], probabilities=x(4, 3),
        path="predictions.png", title="a"),
    training.plot_feature_maps: lambda: dict(image=PIXELS[0], maps=[("a", PIXELS)],
                                             path="maps.png", title="a"),
    training.plot_sample_grid: lambda: dict(images=PIXELS, path="grid.png", rows=2,
                                            row_labels=["a", "b"], title="a"),
    training.save_animation: lambda: dict(pictures=[f"{folder()}/0.png"], path="animation.gif",
                                          seconds=0.5),
    training.discriminator_warning: lambda: dict(losses={"real": [0.5] * 100}),
    training.generator_warning: lambda: dict(spread=0.5),
    training.check_gan: lambda: dict(run=run(), spread=0.5),
    training.Every: lambda: dict(steps=10, seconds=1.0),
    training.Checkpoint: lambda: dict(path=checkpoint()),
    training.Checkpoint.restore: lambda: dict(
        self=training.Checkpoint(checkpoint()), parts={"model": network()}),
    training.Run: lambda: dict(
        folder=new_folder(), settings={"a": 1}, checkpoint=None, every=training.Every(steps=1),
        command="python train.py", script="train.py",
        detect_anomaly=False, log_scale=False),
    training.Run.register: lambda: dict(self=run(), loader=loader(), model=network()),
    epochs: lambda: dict(self=run(), count=1, steps=2),
    training.Run.log: lambda: dict(self=run(), losses={"a": loss()}, count=1),
    training.Run.log_metrics: lambda: dict(self=run(), figures={"a": 0.5}),
    training.Run.capture: lambda: dict(self=run(), step=functional.exp),
    training.Run.warn: lambda: dict(self=run(), text="a"),
}

# Layers with their input: what a call of the layer is given is swept as well.
LAYERS = {
    nn.ReLU: lambda: (nn.ReLU(), x()),
    nn.LeakyReLU: lambda: (nn.LeakyReLU(), x()),
    nn.PReLU: lambda: (nn.PReLU(3), x()),
    nn.GELU: lambda: (nn.GELU(), x()),
    nn.Softplus: lambda: (nn.Softplus(), x()),
    nn.Softmax: lambda: (nn.Softmax(1), x()),
    nn.LogSoftmax: lambda: (nn.LogSoftmax(1), x()),
    nn.Sigmoid: lambda: (nn.Sigmoid(), x()),
    nn.Tanh: lambda: (nn.Tanh(), x()),
    nn.Dropout: lambda: (nn.Dropout(), x()),
    nn.Dropout2d: lambda: (nn.Dropout2d(), x(1, 2, 2, 2)),
    nn.Linear: lambda: (nn.Linear(3, 2), x()),
    nn.Conv2d: lambda: (nn.Conv2d(2, 3, 2), x(1, 2, 4, 4)),
    nn.ConvTranspose2d: lambda: (nn.ConvTranspose2d(2, 3, 2), x(1, 2, 4, 4)),
    nn.Embedding: lambda: (nn.Embedding(3, 2), labels(0, 1)),
    nn.MSELoss: lambda: (nn.MSELoss(), x(), x()),
    nn.L1Loss: lambda: (nn.L1Loss(), x(), x()),
    nn.SmoothL1Loss: lambda: (nn.SmoothL1Loss(), x(), x()),
    nn.NLLLoss: lambda: (nn.NLLLoss(), x(), labels(0, 2)),
    nn.BCELoss: lambda: (nn.BCELoss(), x(), x()),
    nn.BCEWithLogitsLoss: lambda: (nn.BCEWithLogitsLoss(), x(), x()),
    nn.CrossEntropyLoss: lambda: (nn.CrossEntropyLoss(), x(), labels(0, 2)),
    nn.BatchNorm1d: lambda: (nn.BatchNorm1d(3), x()),
    nn.BatchNorm2d: lambda: (nn.BatchNorm2d(2), x(2, 2, 3, 3)),
    nn.SyncBatchNorm: lambda: (nn.SyncBatchNorm(2), x(2, 2, 3, 3)),
    nn.InstanceNorm2d: lambda: (nn.InstanceNorm2d(2), x(2, 2, 3, 3)),
    nn.LayerNorm: lambda: (nn.LayerNorm(3), x()),
    nn.MaxPool2d: lambda: (nn.MaxPool2d(2), x(1, 2, 4, 4)),
    nn.AvgPool2d: lambda: (nn.AvgPool2d(2), x(1, 2, 4, 4)),
    nn.AdaptiveAvgPool2d: lambda: (nn.AdaptiveAvgPool2d(2), x(1, 2, 4, 4)),
    nn.ZeroPad2d: lambda: (nn.ZeroPad2d(1), x(1, 2, 4, 4)),
    nn.ReflectionPad2d: lambda: (nn.ReflectionPad2d(1), x(1, 2, 4, 4)),
    nn.ReplicationPad2d: lambda: (nn.ReplicationPad2d(1), x(1, 2, 4, 4)),
    nn.PixelShuffle: lambda: (nn.PixelShuffle(2), x(1, 4, 2, 2)),
    nn.DataParallel: lambda: (nn.DataParallel(nn.Linear(3, 2)), x()),
    nn.Flatten: lambda: (nn.Flatten(), x()),
    nn.Unflatten: lambda: (nn.Unflatten(1, (3, 1)), x()),
    nn.View: lambda: (nn.View(3, 1), x()),
    nn.Upsample: lambda: (nn.Upsample(scale_factor=2), x(1, 2, 3, 3)),
    nn.Sequential: lambda: (network(), x()),
}


# What the arguments take

def anything(value):
    return True


def flag(value):
    """Anything that Python can ask for its truth."""
    return True


def tensor(value):
    return isinstance(value, Tensor)


def whole(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def finite(value):
    return number(value) and abs(value) < float("inf")


def scalar(value):
    """What an operation takes as a number without a closer look: also True, nan, ones(1)."""
    return isinstance(value, Real) or hasattr(value, "ndim") and numbers(value) and value.shape in (
        (), (1,) * value.ndim)


def at_least(least, kind):
    return lambda value: kind(value) and value >= least


def share(value):
    return number(value) and 0 <= value <= 1


def only(wanted):
    """What is as good as one value."""
    return lambda value: value is wanted or value == wanted


def optional(kind):
    return lambda value: value is None or kind(value)


def several(kind):
    return lambda value: isinstance(value, (tuple, list)) and all(map(kind, value))


def either(*kinds):
    return lambda value: any(kind(value) for kind in kinds)


def numbers(value):
    """A number, or an array of numbers of any kind, or lists of them."""
    if isinstance(value, (tuple, list)):
        return all(map(numbers, value))
    return isinstance(value, (Real, range)) or (
        hasattr(value, "dtype") and value.dtype.kind in "biuf")


def text(value):
    return isinstance(value, str)


def one_of(*values):
    return lambda value: type(value) in map(type, values) and value in values


def path(value):
    return isinstance(value, (str, Path))


def mask(value):
    return isinstance(value, Tensor) and value.dtype == "bool"


def array(value):
    return isinstance(value, numpy.ndarray) and value.dtype.kind in "biuf"


def mapping(value):
    return isinstance(value, dict)


def module(value):
    return isinstance(value, nn.Module)


def iterable(value):
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__")


def place(value):
    """What may stand in the brackets of x[...]."""
    parts = value if isinstance(value, tuple) else (value,)
    return all(part is None or isinstance(part, (int, slice, range)) or numbers(part)
               for part in parts)


def dtype(value):
    try:
        return value is not None and numpy.dtype(value).kind in "biuf"
    except TypeError:
        return False


size = at_least(0, whole)
count = at_least(1, whole)
dims = either(whole, several(whole))

# By the argument's name, and by the function where they differ.
TAKES = {
    "a": number, "affine": flag, "ahead": count, "align_corners": optional(flag),
    "allow_unused": flag, "alpha": numbers,
    "amsgrad": only(False), "approximate": one_of("none", "tanh"), "b": number,
    "batch_size": count, "begun": flag, "beta": scalar, "bias": optional(tensor),
    "ceil_mode": only(False), "checkpoint": only(None), "classes": count, "classifier": callable,
    "clock": callable, "command": text, "count": count, "create_graph": flag,
    "correction": optional(number), "dampening": only(0),
    "chunks": count, "condition": mask, "count_include_pad": flag, "device_ids": anything,
    "dataset": iterable, "device": optional(one_of("cpu")),
    "dilation": either(count, several(count)), "dim": whole, "dim0": whole, "dim1": whole,
    "dims": dims, "direction": flag, "done": at_least(0, finite), "drop_last": flag,
    "dtype": optional(dtype), "elementwise_affine": flag, "embedding_dim": count,
    "end": optional(finite), "end_dim": whole, "eps": scalar, "exponent": numbers,
    "ext_tensor": numbers, "figures": mapping, "fill_value": numbers, "first": size,
    "clip_value": at_least(0, finite), "gain": at_least(0, finite), "mat2": tensor,
    "max_norm": at_least(0, finite), "norm_type": anything, "parameters": iterable,
    "eta_min": number, "format": optional(text), "fp": path, "gamma": finite,
    "at": optional(several(number)), "hook": callable,
    "grad_outputs": optional(either(numbers, several(optional(numbers)))),
    "inputs": several(tensor), "last_epoch": only(-1),
    "lr_decay": at_least(0, finite), "lr_lambda": either(callable, several(callable)),
    "map_location": optional(either(one_of("cpu"), callable, mapping)), "mask": mask,
    "milestones": several(size),
    "module_kwargs": optional(mapping), "nrow": count, "num_parameters": count, "only_inputs": flag,
    "optimizer": lambda value: isinstance(value, optim.Optimizer), "output_device": anything,
    "output_size": optional(either(count, several(optional(count)))), "outputs": tensor,
    "pad": several(whole), "pad_value": numbers, "repeats": dims, "rho": share,
    "scale_each": flag, "sizes": dims, "split_size": either(count, several(size)),
    "split_size_or_sections": either(count, several(size)), "src": optional(numbers),
    "step_size": count, "T_max": count, "unbiased": flag, "upscale_factor": count,
    "use_input_stats": flag, "value": optional(numbers), "value_range": optional(several(number)),
    "weights_only": flag, "centered": flag, "initial_accumulator_value": only(0), "normalize": flag,
    "folder": path, "force": flag, "function": callable, "generated": numbers, "group": text,
    "groups": lambda value: value == 1, "high": whole, "ignore_index": scalar, "image": numbers,
    "images": numbers, "in_channels": count, "in_features": count, "index": place, "inplace": flag,
    "input": tensor, "input_shape": several(count), "items": iterable, "iterable": iterable,
    "keepdim": flag, "kernel_size": either(count, several(count)), "label_smoothing": scalar,
    "labels": numbers, "later": at_least(0, finite),
    "loader": lambda value: isinstance(value, data.DataLoader), "log": flag,
    "log_scale": flag, "detect_anomaly": flag,
    "loss": tensor, "losses": mapping, "low": whole, "lr": at_least(0, finite), "maps": iterable,
    "matrix": numbers, "max": optional(scalar), "mean": number, "min": optional(scalar),
    "mode": one_of("nearest", "fan_in", "fan_out"), "model": module, "module": module,
    "momentum": scalar, "n": size, "name": text, "names": optional(either(module, mapping)),
    "ndarray": array, "negative_slope": scalar, "nesterov": flag, "non_blocking": flag,
    "nonlinearity": one_of("leaky_relu", "relu", "tanh", "sigmoid", "linear"),
    "normalized_shape": either(count, several(count)), "num_classes": count,
    "num_embeddings": count, "num_features": count, "num_workers": size, "obj": anything,
    "other": numbers, "out": path, "out_channels": count, "out_features": count,
    "output_padding": either(size, several(size)), "overall": anything, "p": scalar,
    "padding": either(size, several(size)), "padding_idx": optional(scalar),
    "padding_mode": only("zeros"), "pairs": count, "params": several(tensor), "parts": mapping,
    "path": path, "per_class": anything, "pictures": iterable, "pin_memory": flag,
    "profile": flag,
    "pos_weight": optional(tensor), "predictions": numbers, "probabilities": numbers,
    "real": numbers, "reduce": only(None), "reduction": one_of("mean", "sum", "none"),
    "process_group": only(None),
    "references": optional(mapping), "requires_grad": flag, "retain_graph": flag,
    "row_labels": optional(iterable), "rows": optional(count),
    "run": lambda value: isinstance(value, training.Run), "running_mean": optional(tensor),
    "running_var": optional(tensor), "sampler": only(None), "samples": numbers,
    "scale_factor": scalar, "script": text, "seconds": finite, "seed": size, "series": mapping,
    "set_to_none": flag, "settings": optional(mapping), "shape": dims, "shuffle": flag,
    "size": either(size, several(size)), "size_average": only(None),
    "sparse": only(False), "spread": scalar, "start": finite,
    "start_dim": whole, "state": either(module, mapping), "state_dict": mapping,
    "std": at_least(0, number), "step": callable, "steps": count,
    "stream": optional(lambda value: hasattr(value, "write")), "strict": flag,
    "stride": either(count, several(count)), "t": callable, "target": tensor, "tensor": tensor,
    "tensors": several(tensor), "text": text, "threshold": scalar, "timeout": anything,
    "title": anything, "tolerance": at_least(0, number), "total": count,
    "track_running_stats": flag, "training": flag, "unit": text, "val": numbers,
    "weight": optional(tensor), "weight_decay": at_least(0, finite), "what": anything,
    (data.DataLoader, "seed"): optional(size),
    (data.SampleAhead, "sample"): callable, (data.SampleAhead, "times"): count,
    (data.download_mnist, "files"): either(iterable, mapping),
    (data.download_mnist, "mirrors"): anything,
    (data.generate_random_image, "size"): either(count, several(count)),
    (data.generate_random_one_hot, "size"): count,
    (data.generate_random_seed, "size"): either(count, several(count)),
    **{(function, "input"): numbers for function in (
        functional.add, functional.sub, functional.mul, functional.div, functional.pow,
        functional.matmul, functional.maximum, functional.minimum)},
    (functional.argmax, "dim"): optional(whole),
    (functional.argmin, "dim"): optional(whole),
    (functional.norm, "dim"): optional(dims),
    # std(False) is PyTorch's too, for unbiased=False.
    **{(function, "dim"): optional(either(dims, lambda value: isinstance(value, bool)))
       for function in (functional.std, functional.var)},
    **{(function, "dim"): optional(whole) for function in (
        functional.softmax, functional.log_softmax, nn.Softmax, nn.LogSoftmax)},
    (functional.instance_norm, "momentum"): anything,
    (nn.InstanceNorm2d, "momentum"): anything,
    (functional.one_hot, "num_classes"): either(count, only(-1)),
    (functional.where, "input"): numbers,
    (nn.DataParallel, "dim"): anything,
    (nn.parallel.data_parallel, "dim"): anything,
    (nn.parallel.data_parallel, "inputs"): anything,
    (functional.interpolate, "size"): one_of(None),
    (functional.linear, "weight"): tensor,
    (functional.max, "dim"): optional(dims),
    (functional.mean, "dim"): optional(dims),
    (functional.min, "dim"): optional(dims),
    (functional.squeeze, "dim"): optional(dims),
    (functional.sum, "dim"): optional(dims),
    (minigan.FloatTensor, "data"): numbers,
    (minigan.Tensor, "data"): numbers,
    (creation.new, "data"): numbers,
    (creation.new_tensor, "data"): numbers,
    **{(kind, "data"): numbers for kind in (
        minigan.LongTensor, minigan.DoubleTensor, minigan.IntTensor, minigan.ByteTensor,
        minigan.BoolTensor)},
    (nn.PReLU, "init"): finite,
    **{(layer, "padding"): either(whole, lambda value: several(whole)(value) and len(value) == 4)
       for layer in (nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d)},
    (minigan.as_tensor, "data"): numbers,
    (minigan.arange, "step"): finite,
    (minigan.linspace, "end"): finite,
    (minigan.linspace, "steps"): size,
    (cuda.memory_allocated, "device"): anything,
    (cuda.memory_reserved, "device"): anything,
    (cuda.synchronize, "device"): anything,
    (minigan.device, "name"): one_of("cpu"),
    (minigan.gradcheck, "inputs"): either(tensor, several(tensor)),
    (minigan.gradcheck, "eps"): at_least(0, number),
    (minigan.no_grad, "function"): optional(callable),
    (minigan.enable_grad, "function"): optional(callable),
    (minigan.set_device, "name"): one_of("cpu"),
    (minigan.set_default_device, "device"): one_of("cpu"),
    (minigan.tensor, "data"): numbers,
    **{(layer, "eps"): at_least(0, number)
       for layer in (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.LayerNorm)},
    **{(layer, "momentum"): optional(share)
       for layer in (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)},
    (nn.CrossEntropyLoss, "ignore_index"): whole,
    (nn.CrossEntropyLoss, "label_smoothing"): share,
    (nn.Dropout, "p"): share,
    (nn.Embedding, "padding_idx"): optional(scalar),
    (nn.LeakyReLU, "negative_slope"): number,
    **{(pooling, "stride"): optional(either(count, several(count))) for pooling in (
        functional.max_pool2d, functional.avg_pool2d, nn.MaxPool2d, nn.AvgPool2d)},
    (nn.Upsample, "scale_factor"): either(finite, several(finite)),
    (optim.Adam, "eps"): at_least(0, finite),
    (nn.Conv2d, "bias"): flag,
    (nn.Conv2d, "padding"): either(size, several(size), one_of("same", "valid")),
    (functional.conv2d, "padding"): either(size, several(size), one_of("same", "valid")),
    (nn.ConvTranspose2d, "bias"): flag,
    (nn.LayerNorm, "bias"): flag,
    (nn.Linear, "bias"): flag,
    (nn.Module.apply, "fn"): callable,
    (minigan.eye, "m"): optional(size),
    (nn.AvgPool2d, "count_include_pad"): flag,
    (nn.AvgPool2d, "divisor_override"): only(None),
    (nn.Embedding, "max_norm"): only(None),
    (nn.Embedding, "norm_type"): only(2),
    (nn.Embedding, "scale_grad_by_freq"): only(False),
    **{(function, "dilation"): either(only(1), only((1, 1))) for function in (
        nn.MaxPool2d, functional.max_pool2d)},
    **{(function, "return_indices"): only(False) for function in (
        nn.MaxPool2d, functional.max_pool2d)},
    (nn.Upsample, "recompute_scale_factor"): either(only(None), only(False)),
    (nn.Module.add_module, "module"): optional(module),
    (nn.Module.register_buffer, "tensor"): optional(tensor),
    (nn.Module.register_parameter, "param"): optional(
        lambda value: isinstance(value, nn.Parameter)),
    (nn.Module.to, "targets"): optional(either(one_of("cpu"), dtype)),
    (nn.Module.train, "mode"): anything,
    (nn.ModuleList, "modules"): iterable,
    (nn.Parameter, "data"): tensor,
    (nn.Sequential, "modules"): either(module, mapping),
    (nn.Sequential.__getitem__, "index"): either(
        scalar, lambda value: isinstance(value, slice)),
    (nn.Unflatten, "unflattened_size"): several(whole),
    (nn.Upsample, "size"): one_of(None),
    (nn.init.kaiming_normal_, "mode"): one_of("fan_in", "fan_out"),
    (nn.init.kaiming_uniform_, "mode"): one_of("fan_in", "fan_out"),
    (optim.Adam, "betas"): several(share),
    (optim.AdamW, "betas"): several(share),
    **{(optimiser, "eps"): at_least(0, finite) for optimiser in (
        optim.AdamW, optim.RMSprop, optim.Adagrad, optim.Adadelta)},
    (optim.RMSprop, "alpha"): at_least(0, finite),
    (optim.RMSprop, "momentum"): at_least(0, finite),
    (optim.Optimizer.add_param_group, "param_group"): mapping,
    (optim.SGD, "momentum"): at_least(0, finite),
    (training.Progress.advance, "count"): at_least(0, finite),
    (training.Progress.advance, "loss"): anything,
    (training.Every, "steps"): at_least(0, number),
    (training.Every, "seconds"): at_least(0, number),
    (training.Run, "every"): lambda value: isinstance(value, training.Every),
    (training.Run.log, "count"): at_least(0, finite),
    (epochs, "count"): size,
    (epochs, "steps"): optional(size),
    (data.TensorDataset, "tensors"): tensor,
    (data.DataLoader.set_order_state, "state"): only(None),
    (training.frechet_distance, "a"): numbers,
    (training.frechet_distance, "b"): numbers,
    (training.plot_losses, "losses"): either(numbers, mapping),
    (training.plot_losses, "every"): at_least(0, finite),
    **{(drawing, "path"): optional(path) for drawing in (
        minigan.draw, training.plot_losses, training.plot_history, training.plot_predictions,
        training.plot_feature_maps, training.plot_sample_grid)},
    (Tensor.__setitem__, "value"): numbers,
    (Tensor.backward, "gradient"): optional(numbers),
    (Tensor.copy_, "src"): numbers,
    (Tensor.data.fset, "value"): tensor,
    (Tensor.fill_, "value"): numbers,
    (Tensor.grad.fset, "value"): optional(tensor),
    (Tensor.size, "dim"): optional(whole),
    (Tensor.to, "targets"): optional(either(tensor, one_of("cpu"), dtype)),
}
