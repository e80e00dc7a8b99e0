"""Positional calls mean here what they mean in PyTorch: the same names in the same places.

minigan may have fewer positional arguments, and demand one that PyTorch has a default for: such a
call is refused. What it may not do is take another argument in the place of PyTorch's.
"""

import ast
import inspect

import pytest

import minigan

SIGNATURES = """
nn.Linear(in_features, out_features, bias=True, device=None, dtype=None)
nn.Conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
    bias=True, padding_mode='zeros', device=None, dtype=None)
nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0,
    groups=1, bias=True, dilation=1, padding_mode='zeros', device=None, dtype=None)
nn.Embedding(num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0,
    scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None)
nn.BatchNorm1d(num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
    device=None, dtype=None, *, bias=True)
nn.BatchNorm2d(num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
    device=None, dtype=None, *, bias=True)
nn.SyncBatchNorm(num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
    process_group=None, device=None, dtype=None)
nn.LayerNorm(normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
    dtype=None)
nn.MaxPool2d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
    ceil_mode=False)
nn.AvgPool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None)
nn.AdaptiveAvgPool2d(output_size)
nn.DataParallel(module, device_ids=None, output_device=None, dim=0)
nn.InstanceNorm2d(num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False,
    device=None, dtype=None, *, bias=True)
nn.PReLU(num_parameters=1, init=0.25, device=None, dtype=None)
nn.PixelShuffle(upscale_factor)
nn.ReflectionPad2d(padding)
nn.ReplicationPad2d(padding)
nn.ZeroPad2d(padding)
nn.ReLU(inplace=False)
nn.LeakyReLU(negative_slope=0.01, inplace=False)
nn.GELU(approximate='none')
nn.Softplus(beta=1.0, threshold=20.0)
nn.Softmax(dim=None)
nn.LogSoftmax(dim=None)
nn.Dropout(p=0.5, inplace=False)
nn.Dropout2d(p=0.5, inplace=False)
nn.Flatten(start_dim=1, end_dim=-1)
nn.Unflatten(dim, unflattened_size)
nn.Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None,
    recompute_scale_factor=None)
nn.ModuleList(modules=None)
nn.Parameter(data=None, requires_grad=True)
nn.MSELoss(size_average=None, reduce=None, reduction='mean')
nn.L1Loss(size_average=None, reduce=None, reduction='mean')
nn.SmoothL1Loss(size_average=None, reduce=None, reduction='mean', beta=1.0)
nn.BCELoss(weight=None, size_average=None, reduce=None, reduction='mean')
nn.BCEWithLogitsLoss(weight=None, size_average=None, reduce=None, reduction='mean',
    pos_weight=None)
nn.CrossEntropyLoss(weight=None, size_average=None, ignore_index=-100, reduce=None,
    reduction='mean', label_smoothing=0.0)
nn.NLLLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')
nn.Module.add_module(self, name, module)
nn.Module.apply(self, fn)
nn.Module.cuda(self, device=None)
nn.Module.load_state_dict(self, state_dict, strict=True, assign=False)
nn.Module.register_buffer(self, name, tensor, persistent=True)
nn.Module.requires_grad_(self, requires_grad=True)
nn.Module.train(self, mode=True)
nn.Module.zero_grad(self, set_to_none=True)
nn.Module.named_parameters(self, prefix='', recurse=True, remove_duplicate=True)
nn.Module.parameters(self, recurse=True)
nn.Module.named_modules(self, memo=None, prefix='', remove_duplicate=True)
nn.Module.named_buffers(self, prefix='', recurse=True, remove_duplicate=True)
nn.Module.buffers(self, recurse=True)
nn.ModuleList.append(self, module)
nn.Sequential.append(self, module)
nn.init.uniform_(tensor, a=0.0, b=1.0, generator=None)
nn.init.normal_(tensor, mean=0.0, std=1.0, generator=None)
nn.init.constant_(tensor, val)
nn.init.zeros_(tensor)
nn.init.ones_(tensor)
nn.init.kaiming_normal_(tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=None)
nn.init.xavier_uniform_(tensor, gain=1.0, generator=None)
nn.init.xavier_normal_(tensor, gain=1.0, generator=None)
nn.utils.clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False,
    foreach=None)
nn.utils.clip_grad_value_(parameters, clip_value, foreach=None)
nn.init.kaiming_uniform_(tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=None)
nn.functional.relu(input, inplace=False)
nn.functional.leaky_relu(input, negative_slope=0.01, inplace=False)
nn.functional.prelu(input, weight)
nn.functional.one_hot(input, num_classes=-1)
nn.functional.pad(input, pad, mode='constant', value=None)
nn.functional.pixel_shuffle(input, upscale_factor)
nn.functional.adaptive_avg_pool2d(input, output_size)
nn.functional.instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None,
    use_input_stats=True, momentum=0.1, eps=1e-5)
nn.functional.smooth_l1_loss(input, target, size_average=None, reduce=None, reduction='mean',
    beta=1.0)
nn.parallel.data_parallel(module, inputs, device_ids=None, output_device=None, dim=0,
    module_kwargs=None)
nn.functional.gelu(input, approximate='none')
nn.functional.softplus(input, beta=1, threshold=20)
nn.functional.sigmoid(input)
nn.functional.tanh(input)
nn.functional.softmax(input, dim=None, _stacklevel=3, dtype=None)
nn.functional.log_softmax(input, dim=None, _stacklevel=3, dtype=None)
nn.functional.dropout(input, p=0.5, training=True, inplace=False)
nn.functional.dropout2d(input, p=0.5, training=True, inplace=False)
nn.functional.linear(input, weight, bias=None)
nn.functional.embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
    scale_grad_by_freq=False, sparse=False)
nn.functional.conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)
nn.functional.conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0,
    groups=1, dilation=1)
nn.functional.max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False)
nn.functional.avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
    count_include_pad=True, divisor_override=None)
nn.functional.interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None,
    recompute_scale_factor=None, antialias=False)
nn.functional.batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False,
    momentum=0.1, eps=1e-5)
nn.functional.layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5)
nn.functional.mse_loss(input, target, size_average=None, reduce=None, reduction='mean',
    weight=None)
nn.functional.l1_loss(input, target, size_average=None, reduce=None, reduction='mean',
    weight=None)
nn.functional.binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None,
    reduction='mean')
nn.functional.binary_cross_entropy_with_logits(input, target, weight=None, size_average=None,
    reduce=None, reduction='mean', pos_weight=None)
nn.functional.cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100,
    reduce=None, reduction='mean', label_smoothing=0.0)
nn.functional.nll_loss(input, target, weight=None, size_average=None, ignore_index=-100,
    reduce=None, reduction='mean')
optim.SGD(params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
    maximize=False, foreach=None, differentiable=False, fused=None)
optim.Adam(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *,
    foreach=None, maximize=False, capturable=False, differentiable=False, fused=None,
    decoupled_weight_decay=False)
optim.AdamW(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *,
    maximize=False, foreach=None, capturable=False, differentiable=False, fused=None)
optim.RMSprop(params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
    capturable=False, foreach=None, maximize=False, differentiable=False)
optim.Adagrad(params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10,
    foreach=None, *, maximize=False, differentiable=False, fused=None)
optim.Adadelta(params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *,
    capturable=False, maximize=False, differentiable=False)
optim.lr_scheduler.StepLR(optimizer, step_size, gamma=0.1, last_epoch=-1)
optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1, last_epoch=-1)
optim.lr_scheduler.LambdaLR(optimizer, lr_lambda, last_epoch=-1)
optim.lr_scheduler.ExponentialLR(optimizer, gamma, last_epoch=-1)
optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max, eta_min=0.0, last_epoch=-1)
autograd.grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
    only_inputs=True, allow_unused=None, is_grads_batched=False, materialize_grads=False)
optim.SGD.step(self, closure=None)
optim.Adam.step(self, closure=None)
optim.SGD.zero_grad(self, set_to_none=True)
optim.SGD.add_param_group(self, param_group)
optim.SGD.load_state_dict(self, state_dict)
utils.data.DataLoader(dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None,
    num_workers=0, collate_fn=None, pin_memory=False, drop_last=False, timeout=0,
    worker_init_fn=None, multiprocessing_context=None, generator=None, *, prefetch_factor=None,
    persistent_workers=False, pin_memory_device='', in_order=True)
manual_seed(seed)
set_default_device(device)
set_default_tensor_type(t)
is_tensor(obj)
tensor(data, *, dtype=None, device=None, requires_grad=False)
as_tensor(data, dtype=None, device=None)
from_numpy(ndarray)
zeros(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False)
ones(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False)
empty(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False)
rand(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False)
randn(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False)
full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)
zeros_like(input, *, dtype=None, layout=None, device=None, requires_grad=False)
ones_like(input, *, dtype=None, layout=None, device=None, requires_grad=False)
full_like(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False)
rand_like(input, *, dtype=None, layout=None, device=None, requires_grad=False)
randn_like(input, *, dtype=None, layout=None, device=None, requires_grad=False)
eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)
linspace(start, end, steps, *, out=None, dtype=None, layout=None, device=None,
    requires_grad=False)
abs(input, *, out=None)
add(input, other, *, alpha=1, out=None)
sub(input, other, *, alpha=1, out=None)
mul(input, other, *, out=None)
div(input, other, *, rounding_mode=None, out=None)
pow(input, exponent, *, out=None)
matmul(input, other, *, out=None)
mm(input, mat2, *, out=None)
bmm(input, mat2, *, out=None)
maximum(input, other, *, out=None)
minimum(input, other, *, out=None)
argmin(input, dim=None, keepdim=False)
randperm(n, *, generator=None, out=None, dtype=None, layout=None, device=None,
    requires_grad=False)
exp(input, *, out=None)
log(input, *, out=None)
neg(input, *, out=None)
sqrt(input, *, out=None)
sum(input, dim=None, keepdim=False, *, dtype=None)
mean(input, dim=None, keepdim=False, *, dtype=None)
max(input, dim=None, keepdim=False, *, out=None)
min(input, dim=None, keepdim=False, *, out=None)
argmax(input, dim=None, keepdim=False)
clamp(input, min=None, max=None, *, out=None)
cat(tensors, dim=0, *, out=None)
chunk(input, chunks, dim=0)
split(tensor, split_size_or_sections, dim=0)
where(condition, input, other, *, out=None)
masked_fill(input, mask, value)
gather(input, dim, index, *, sparse_grad=False, out=None)
std(input, dim=None, unbiased=True, keepdim=False, *, correction=None)
var(input, dim=None, unbiased=True, keepdim=False, *, correction=None)
norm(input, p='fro', dim=None, keepdim=False, out=None, dtype=None)
stack(tensors, dim=0, *, out=None)
flatten(input, start_dim=0, end_dim=-1)
reshape(input, *shape)
squeeze(input, dim=None)
unsqueeze(input, dim)
permute(input, *dims)
transpose(input, dim0, dim1)
t(input)
Tensor.backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None)
Tensor.cuda(self, device=None, non_blocking=False)
Tensor.size(self, dim=None)
Tensor.requires_grad_(self, requires_grad=True)
Tensor.copy_(self, src, non_blocking=False)
Tensor.fill_(self, value)
Tensor.add_(self, other, *, alpha=1)
Tensor.sub_(self, other, *, alpha=1)
Tensor.mul_(self, other)
Tensor.div_(self, other)
Tensor.clamp_(self, min=None, max=None)
Tensor.normal_(self, mean=0, std=1, *, generator=None)
Tensor.sum(self, dim=None, keepdim=False, *, dtype=None)
Tensor.mean(self, dim=None, keepdim=False, *, dtype=None)
Tensor.max(self, dim=None, keepdim=False)
Tensor.min(self, dim=None, keepdim=False)
Tensor.argmin(self, dim=None, keepdim=False)
Tensor.mm(self, mat2)
Tensor.bmm(self, mat2)
Tensor.argmax(self, dim=None, keepdim=False)
Tensor.clamp(self, min=None, max=None)
Tensor.softmax(self, dim, dtype=None)
Tensor.log_softmax(self, dim, dtype=None)
Tensor.flatten(self, start_dim=0, end_dim=-1)
Tensor.squeeze(self, dim=None)
Tensor.unsqueeze(self, dim)
Tensor.transpose(self, dim0, dim1)
Tensor.add(self, other, *, alpha=1)
Tensor.sub(self, other, *, alpha=1)
Tensor.mul(self, other)
Tensor.div(self, other, *, rounding_mode=None)
Tensor.pow(self, exponent)
Tensor.matmul(self, other)
Tensor.view(self, *shape)
Tensor.reshape(self, *shape)
Tensor.permute(self, *dims)
Tensor.type(self, dtype=None, non_blocking=False)
Tensor.type_as(self, other)
Tensor.where(self, condition, other)
Tensor.masked_fill(self, mask, value)
Tensor.masked_fill_(self, mask, value)
Tensor.gather(self, dim, index)
Tensor.scatter_(self, dim, index, src=None, *, value=None)
Tensor.chunk(self, chunks, dim=0)
Tensor.split(self, split_size, dim=0)
Tensor.std(self, dim=None, unbiased=True, keepdim=False, *, correction=None)
Tensor.var(self, dim=None, unbiased=True, keepdim=False, *, correction=None)
Tensor.norm(self, p='fro', dim=None, keepdim=False, dtype=None)
Tensor.expand(self, *sizes)
Tensor.repeat(self, *repeats)
""".replace("\n    ", " ").strip().splitlines()

REQUIRED = object()
OFF = (None, False, ())


def same_default(ours, theirs):
    return ours == theirs or ours in OFF and theirs in OFF


def parsed(line):
    """The name, the positional arguments as (name, default), the name after * and all keywords."""
    function = ast.parse(f"def f({line.partition('(')[2].rpartition(')')[0]}): ...").body[0].args
    positional = [a.arg for a in function.args]
    defaults = [ast.literal_eval(d) for d in function.defaults]
    defaults = [REQUIRED] * (len(positional) - len(defaults)) + defaults
    return (line.partition("(")[0], list(zip(positional, defaults)), function.vararg is not None,
            {a.arg for a in function.kwonlyargs})


def found(package, name):
    for part in name.split("."):
        package = getattr(package, part)
    return package


def arguments(function):
    """The same of something that can be called, with defaults for the keywords too."""
    positional, keywords, variable = [], {}, False
    for p in inspect.signature(function).parameters.values():
        default = REQUIRED if p.default is p.empty else p.default
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            positional.append((p.name, default))
        elif p.kind is p.KEYWORD_ONLY:
            keywords[p.name] = default
        elif p.kind is p.VAR_POSITIONAL:
            variable = True
    return positional, variable, keywords


def first_is_self(name):
    return name.count(".") and name.split(".")[-2][0].isupper()


@pytest.mark.parametrize("line", SIGNATURES, ids=[line.partition("(")[0] for line in SIGNATURES])
def test_positional_arguments_are_pytorchs(line):
    name, theirs, their_variable, their_keywords = parsed(line)
    ours, variable, keywords = arguments(found(minigan, name))
    if first_is_self(name):  # a method may be a function, whose first argument is the input
        ours, theirs = ours[1:], theirs[1:]
    for (argument, default), (expected, their_default) in zip(ours, theirs):
        assert argument == expected, f"{argument} stands in the place of {expected}"
        # A default of PyTorch's may be missing here; one that PyTorch does not have may not be.
        assert default is REQUIRED or same_default(default, their_default), argument
    if len(ours) < len(theirs):
        assert not variable, "more would be taken"
        for argument, their_default in theirs[len(ours):]:  # the rest, by keyword if at all
            if argument in keywords:
                assert keywords[argument] is REQUIRED or (
                    same_default(keywords[argument], their_default)), argument
    for argument, _ in ours[len(theirs):]:  # further ones are refused by position in PyTorch
        assert argument in their_keywords, f"{argument} is none of PyTorch's"


def test_every_public_name_stands_in_the_table():
    named = {line.partition("(")[0] for line in SIGNATURES}
    elsewhere = {  # without arguments of their own, checked by calls below, or minigan's own
        "nn": {"BCELoss", "Identity", "Module", "Sequential", "Sigmoid", "Tanh", "View"},
        "optim": {"Optimizer"}, "nn.functional": {"expand", "index", "repeat", "view"},
        "": {"AnomalyError", "BoolTensor", "ByteTensor", "DamagedFileError", "DoubleTensor",
             "FloatTensor", "GradcheckError", "IntTensor", "LongTensor", "Size", "Tensor",
             "arange", "capture", "detect_anomaly", "device", "draw", "enable_grad",
             "from_dlpack", "gradcheck", "is_grad_enabled", "keep_freed_memory", "load",
             "no_grad", "profile", "randint", "save", "set_device", "summary",
             "view"}}
    for prefix, others in elsewhere.items():
        package = found(minigan, prefix) if prefix else minigan
        public = {name for name in getattr(package, "__all__", vars(package))
                  if not name.startswith("_") and callable(getattr(package, name))}
        for name in sorted(public - others):
            short = name if not prefix else f"{prefix}.{name}"
            assert {short, name, f"nn.functional.{name}"} & named, short


@pytest.mark.parametrize("line", SIGNATURES, ids=[line.partition("(")[0] for line in SIGNATURES])
def test_the_table_is_pytorchs(line):
    torch = pytest.importorskip("torch")
    name, theirs, variable, keywords = parsed(line)
    try:
        positional, their_variable, their_keywords = arguments(found(torch, name))
    except ValueError:
        pytest.skip("a builtin function without a signature")
    if their_variable and not positional and not variable:
        pytest.skip("it hands its arguments on")
    assert [(argument, default) for argument, default in theirs] == positional
    assert keywords <= set(their_keywords)


# Calls with all arguments by position, which show more than signatures

POSITIONAL = [
    ("F.mse_loss(x, t, None, None, 'sum')", 0.61),
    ("F.l1_loss(x, t, None, None, 'sum')", 1.3),
    ("F.binary_cross_entropy(x, t, w, None, None, 'sum')", 5.222252),
    ("F.binary_cross_entropy_with_logits(x, t, w, None, None, 'sum', w)", 4.9096403),
    ("F.cross_entropy(x, i, w, None, 1, None, 'sum', 0.1)", 0.46125427),
    ("F.nll_loss(x, i, w, None, 1, None, 'sum')", -0.05),
    ("nn.MSELoss(None, None, 'sum')(x, t)", 0.61),
    ("nn.L1Loss(None, None, 'sum')(x, t)", 1.3),
    ("nn.BCELoss(w, None, None, 'sum')(x, t)", 5.222252),
    ("nn.BCEWithLogitsLoss(w, None, None, 'sum', w)(x, t)", 4.9096403),
    ("nn.CrossEntropyLoss(w, None, 1, None, 'sum', 0.1)(x, i)", 0.46125427),
    ("nn.NLLLoss(w, None, 1, None, 'sum')(x, i)", -0.05),
    ("F.batch_norm(x, w, w, w, w, True, 0.5, 0.1)",
     [[0.09820214, 0.76138407], [0.5317978, 0.40861583]]),
    ("F.batch_norm(x, w, w, w, w, False, 0.5, 0.1)",
     [[0.24180111, -0.2082098], [0.6290994, -0.48423603]]),
    ("F.layer_norm(x, (2,), w, w, 0.1)", [[0.28571427, 2.857143], [0.81008685, 0.75965273]]),
    ("F.dropout(x, 0.5, False, False)", [[0.1, 0.4], [0.7, 0.2]]),
    ("F.softmax(x, 0)", [[0.3543437, 0.54983395], [0.6456563, 0.450166]]),
    ("F.log_softmax(x, 1)", [[-0.8543553, -0.55435526], [-0.474077, -0.974077]]),
    ("F.leaky_relu(x - 0.5, 0.5, False)", [[-0.2, -0.049999997], [0.19999999, -0.15]]),
    ("F.softplus(x, 2, 1)", [[0.39906943, 0.5855503], [0.7, 0.45650762]]),
    ("F.linear(x, x, w)", [[0.67, 2.15], [0.65, 2.53]]),
    ("F.embedding(i, x, 1, None, 2.0, False, False)", [[0.1, 0.4], [0.7, 0.2]]),
    ("F.max_pool2d(image, 2, 1, 0, 1, False, False)", [[[[4.0, 5.0], [7.0, 8.0]]]]),
    ("F.avg_pool2d(image, 2, 1, 0, False, True, None)", [[[[2.0, 3.0], [5.0, 6.0]]]]),
    ("F.interpolate(image, None, 2, 'nearest', None, None)",
     [[[[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0, 5.0,
      5.0], [3.0, 3.0, 4.0, 4.0, 5.0, 5.0], [6.0, 6.0, 7.0, 7.0, 8.0, 8.0], [6.0, 6.0, 7.0, 7.0,
      8.0, 8.0]]]]),
    ("F.conv2d(image, kernel, None, 1, 1, 2, 1)",
     [[[[20.0, 34.0, 12.0], [37.0, 62.0, 22.0], [8.0, 13.0, 4.0]]]]),
    ("F.conv_transpose2d(image, kernel, None, 2, 0, 1, 1, 1)",
     [[[[0.0, 0.0, 1.0, 2.0, 2.0, 4.0, 0.0], [0.0, 0.0, 3.0, 5.0, 6.0, 10.0, 0.0], [3.0, 6.0, 4.0,
      8.0, 5.0, 10.0, 0.0], [9.0, 15.0, 12.0, 20.0, 15.0, 25.0, 0.0], [6.0, 12.0, 7.0, 14.0, 8.0,
      16.0, 0.0], [18.0, 30.0, 21.0, 35.0, 24.0, 40.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
      0.0]]]]),
    ("nn.MaxPool2d(2, 1, 0, 1, False, False)(image)", [[[[4.0, 5.0], [7.0, 8.0]]]]),
    ("nn.AvgPool2d(2, 1, 0, False, True, None)(image)", [[[[2.0, 3.0], [5.0, 6.0]]]]),
    ("nn.Upsample(None, 2, 'nearest', None, None)(image)",
     [[[[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0, 5.0,
      5.0], [3.0, 3.0, 4.0, 4.0, 5.0, 5.0], [6.0, 6.0, 7.0, 7.0, 8.0, 8.0], [6.0, 6.0, 7.0, 7.0,
      8.0, 8.0]]]]),
    ("nn.BatchNorm1d(2, 0.1, 0.5, False, False, None, None)(x)",
     [[-0.6882472, 0.30151132], [0.68824714, -0.30151135]]),
    ("nn.LayerNorm(2, 0.1, False, False, None, None)(x)",
     [[-0.42857146, 0.42857146], [0.6201737, -0.62017363]]),
    ("nn.Flatten(0, 1)(x)", [0.1, 0.4, 0.7, 0.2]),
    ("nn.Unflatten(1, (1, 2))(x)", [[[0.1, 0.4]], [[0.7, 0.2]]]),
    ("nn.Softplus(2.0, 1.0)(x)", [[0.39906943, 0.5855503], [0.7, 0.45650762]]),
    ("nn.LeakyReLU(0.5, False)(x - 0.5)", [[-0.2, -0.049999997], [0.19999999, -0.15]]),
    ("nn.Linear(2, 3, False).bias is None", True),
    ("list(nn.Conv2d(1, 2, 3, 1, 0, 1, 1, False).weight.shape)", [2, 1, 3, 3]),
    ("nn.Conv2d(1, 2, 3, 1, 0, 1, 1, False).bias is None", True),
    ("nn.ConvTranspose2d(1, 2, 3, 2, 0, 1, 1, False, 1).bias is None", True),
    ("nn.ConvTranspose2d(1, 2, 3, 2, 0, 1, 1, True, 1).output_padding", [1, 1]),
    ("nn.Embedding(3, 2, 1, None, 2.0, False, False).padding_idx", 1),
    ("x.sum(0, True)", [[0.8, 0.6]]),
    ("x.mean(1, True)", [[0.25], [0.45]]),
    ("x.max(0, True)[0]", [[0.7, 0.4]]),
    ("x.min(1, True)[1]", [[0], [1]]),
    ("x.argmax(1, True)", [[1], [0]]),
    ("x.clamp(0.2, 0.5)", [[0.2, 0.4], [0.5, 0.2]]),
    ("x.flatten(0, 1)", [0.1, 0.4, 0.7, 0.2]),
    ("x.transpose(0, 1)", [[0.1, 0.7], [0.4, 0.2]]),
    ("x.softmax(0)", [[0.3543437, 0.54983395], [0.6456563, 0.450166]]),
    ("torch.sum(x, 0, True)", [[0.8, 0.6]]),
    ("torch.mean(x, 0, True)", [[0.4, 0.3]]),
    ("torch.max(x, 0, True)[0]", [[0.7, 0.4]]),
    ("torch.argmax(x, 0, True)", [[1, 0]]),
    ("torch.clamp(x, 0.2, 0.5)", [[0.2, 0.4], [0.5, 0.2]]),
    ("torch.cat([x, x], 1)", [[0.1, 0.4, 0.1, 0.4], [0.7, 0.2, 0.7, 0.2]]),
    ("torch.stack([x, x], 1)", [[[0.1, 0.4], [0.1, 0.4]], [[0.7, 0.2], [0.7, 0.2]]]),
    ("torch.full((2,), 3.0)", [3.0, 3.0]),
    ("torch.eye(2)", [[1.0, 0.0], [0.0, 1.0]]),
    ("torch.eye(2, 3)", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    ("torch.arange(1, 6, 2)", [1, 3, 5]),
    ("torch.linspace(0, 1, 3)", [0.0, 0.5, 1.0]),
    ("list(torch.randint(3, (2, 2)).shape)", [2, 2]),
    ("list(torch.randint(1, 3, (2, 2)).shape)", [2, 2]),
    ("step(optim.SGD([p], 0.1))", [0.51199996, 1.0239999]),
    ("step(optim.SGD([p], 0.1, 0.9, 0, 0.1, True))", [-0.14046837, -0.28093675]),
    ("step(optim.SGD([p], 0.1, 0.9, 0))", [0.062, 0.124]),
    ("step(optim.SGD([p], 0.1, 0, 0, 0.5))", [0.421875, 0.84375]),
    ("step(optim.Adam([p], 0.1, (0.5, 0.6), 0.1, 0.2, False))", [0.71578664, 1.7077146]),
    ("F.smooth_l1_loss(x, t, None, None, 'sum', 0.2)", 0.9),
    ("nn.SmoothL1Loss(None, None, 'sum', 0.2)(x, t)", 0.9),
    ("F.max_pool2d(image, 3, 2, 1)", [[[[4.0, 5.0], [7.0, 8.0]]]]),
    ("F.avg_pool2d(image, 3, 2, 1)", [[[[0.8888889, 1.333333], [2.222222, 2.666667]]]]),
    ("F.avg_pool2d(image, 3, 2, 1, False, False)", [[[[2.0, 3.0], [5.0, 6.0]]]]),
    ("nn.MaxPool2d(3, 2, 1)(image)", [[[[4.0, 5.0], [7.0, 8.0]]]]),
    ("nn.AvgPool2d(3, 2, 1, False, False)(image)", [[[[2.0, 3.0], [5.0, 6.0]]]]),
    ("F.adaptive_avg_pool2d(image, (2, 1))", [[[[2.5], [5.5]]]]),
    ("nn.AdaptiveAvgPool2d(2)(image)", [[[[2.0, 3.0], [5.0, 6.0]]]]),
    ("F.interpolate(image, None, 1.5, 'bilinear', True)",
     [[[[0.0, 0.6666667, 1.333333, 2.0], [2.0, 2.666667, 3.333333, 4.0], [4.0, 4.666667,
      5.333334, 6.0], [6.0, 6.666667, 7.333333, 8.0]]]]),
    ("F.interpolate(image, (2, 4), None, 'bilinear')",
     [[[[0.75, 1.375, 2.125, 2.75], [5.25, 5.875, 6.625, 7.25]]]]),
    ("F.interpolate(image, (2, 4))", [[[[0.0, 0.0, 1.0, 2.0], [3.0, 3.0, 4.0, 5.0]]]]),
    ("F.interpolate(image, None, 1.7)",
     [[[[0.0, 0.0, 1.0, 1.0, 2.0], [0.0, 0.0, 1.0, 1.0, 2.0], [3.0, 3.0, 4.0, 4.0, 5.0], [3.0,
      3.0, 4.0, 4.0, 5.0], [6.0, 6.0, 7.0, 7.0, 8.0]]]]),
    ("F.interpolate(image, None, 1.7, 'bilinear', False)",
     [[[[0.0, 0.382353, 0.9705883, 1.558824, 2.0], [1.147059, 1.529412, 2.117647, 2.705883,
      3.147059], [2.911765, 3.294118, 3.882353, 4.470589, 4.911765], [4.676471, 5.058824,
      5.647059, 6.235294, 6.676471], [6.0, 6.382353, 6.970588, 7.558824, 8.0]]]]),
    ("nn.Upsample(None, 2, 'bilinear', True)(image)",
     [[[[0.0, 0.4, 0.8, 1.2, 1.6, 2.0], [1.2, 1.6, 2.0, 2.4, 2.8, 3.2], [2.4, 2.8, 3.2, 3.6, 4.0,
      4.4], [3.6, 4.0, 4.4, 4.8, 5.2, 5.6], [4.8, 5.2, 5.6, 6.0, 6.4, 6.8], [6.0, 6.4, 6.8, 7.2,
      7.6, 8.0]]]]),
    ("nn.Upsample((2, 2))(image)", [[[[0.0, 1.0], [3.0, 4.0]]]]),
    ("F.pad(image, (1, 0, 2, 1), 'reflect')",
     [[[[7.0, 6.0, 7.0, 8.0], [4.0, 3.0, 4.0, 5.0], [1.0, 0.0, 1.0, 2.0], [4.0, 3.0, 4.0, 5.0],
      [7.0, 6.0, 7.0, 8.0], [4.0, 3.0, 4.0, 5.0]]]]),
    ("F.pad(image, (1, 0, 0, 1), 'constant', 0.5)",
     [[[[0.5, 0.0, 1.0, 2.0], [0.5, 3.0, 4.0, 5.0], [0.5, 6.0, 7.0, 8.0], [0.5, 0.5, 0.5,
      0.5]]]]),
    ("F.pad(image, (1, 0, 0, 1), 'replicate')",
     [[[[0.0, 0.0, 1.0, 2.0], [3.0, 3.0, 4.0, 5.0], [6.0, 6.0, 7.0, 8.0], [6.0, 6.0, 7.0,
      8.0]]]]),
    ("nn.ZeroPad2d(1)(image)",
     [[[[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0, 0.0], [0.0, 3.0, 4.0, 5.0, 0.0], [0.0,
      6.0, 7.0, 8.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]]]),
    ("nn.ReflectionPad2d((1, 0, 0, 1))(image)",
     [[[[1.0, 0.0, 1.0, 2.0], [4.0, 3.0, 4.0, 5.0], [7.0, 6.0, 7.0, 8.0], [4.0, 3.0, 4.0,
      5.0]]]]),
    ("nn.ReplicationPad2d((0, 1, 0, 0))(image)",
     [[[[0.0, 1.0, 2.0, 2.0], [3.0, 4.0, 5.0, 5.0], [6.0, 7.0, 8.0, 8.0]]]]),
    ("nn.PixelShuffle(2)(image.repeat(1, 4, 1, 1))",
     [[[[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0, 5.0,
      5.0], [3.0, 3.0, 4.0, 4.0, 5.0, 5.0], [6.0, 6.0, 7.0, 7.0, 8.0, 8.0], [6.0, 6.0, 7.0, 7.0,
      8.0, 8.0]]]]),
    ("F.instance_norm(image, None, None, w[:1], w[1:], True, 0.1, 0.1)",
     [[[[1.231148, 1.423361, 1.615574], [1.807787, 2.0, 2.192213], [2.384426, 2.576639,
      2.768852]]]]),
    ("nn.InstanceNorm2d(1, 0.1, 0.1, True)(image)",
     [[[[-1.537704, -1.153278, -0.7688518], [-0.3844259, 0.0, 0.3844259], [0.7688518, 1.153278,
      1.537704]]]]),
    ("F.prelu(x - 0.5, w)", [[-0.2, -0.2], [0.2, -0.6]]),
    ("nn.PReLU(2, 0.5)(x - 0.5)", [[-0.2, -0.05], [0.2, -0.15]]),
    ("F.one_hot(i, 3)", [[1, 0, 0], [0, 1, 0]]),
    ("F.conv2d(image.repeat(1, 2, 1, 1), kernel.repeat(2, 1, 1, 1), w, 1, 0, 1, 2)",
     [[[[31.5, 42.5], [64.5, 75.5]], [[33.0, 44.0], [66.0, 77.0]]]]),
    ("F.conv_transpose2d(image.repeat(1, 2, 1, 1), kernel.repeat(2, 1, 1, 1), w, 2, 0, 0, 2)",
     [[[[0.5, 0.5, 1.5, 2.5, 2.5, 4.5], [0.5, 0.5, 3.5, 5.5, 6.5, 10.5], [3.5, 6.5, 4.5, 8.5,
      5.5, 10.5], [9.5, 15.5, 12.5, 20.5, 15.5, 25.5], [6.5, 12.5, 7.5, 14.5, 8.5, 16.5], [18.5,
      30.5, 21.5, 35.5, 24.5, 40.5]], [[2.0, 2.0, 3.0, 4.0, 4.0, 6.0], [2.0, 2.0, 5.0, 7.0, 8.0,
      12.0], [5.0, 8.0, 6.0, 10.0, 7.0, 12.0], [11.0, 17.0, 14.0, 22.0, 17.0, 27.0], [8.0, 14.0,
      9.0, 16.0, 10.0, 18.0], [20.0, 32.0, 23.0, 37.0, 26.0, 42.0]]]]),
    ("list(nn.Conv2d(4, 6, 3, 1, 0, 1, 2).weight.shape)", [6, 2, 3, 3]),
    ("list(nn.ConvTranspose2d(4, 6, 3, 1, 0, 0, 2).weight.shape)", [4, 3, 3, 3]),
    ("torch.where(x > 0.3, x, t)", [[0.3, 0.4], [0.7, 0.9]]),
    ("torch.where(x > 0.3, 1.0, 0.0)", [[0.0, 1.0], [1.0, 0.0]]),
    ("x.where(x > 0.3, t)", [[0.3, 0.4], [0.7, 0.9]]),
    ("x.masked_fill(x > 0.3, -1)", [[0.1, -1.0], [-1.0, 0.2]]),
    ("torch.gather(x, 1, torch.tensor([[1, 1], [0, 1]]))", [[0.4, 0.4], [0.7, 0.2]]),
    ("torch.zeros(2, 3).scatter_(1, torch.tensor([[2], [0]]), 1.0)",
     [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    ("torch.zeros(2, 3).scatter_(1, torch.tensor([[2, 1], [0, 2]]), x)",
     [[0.0, 0.4, 0.1], [0.7, 0.0, 0.2]]),
    ("torch.ones(3, 2).scatter_(0, i.view(1, 2), t)", [[0.3, 1.0], [1.0, 0.6], [1.0, 1.0]]),
    ("torch.std(x)", 0.2645751),
    ("x.std(0)", [0.4242641, 0.1414214]),
    ("x.std(0, False, True)", [[0.3, 0.1]]),
    ("x.var(1, True, True)", [[0.045], [0.125]]),
    ("torch.var(x, (0, 1), correction=0)", 0.0525),
    ("x.norm()", 0.83666),
    ("x.norm(1)", 1.4),
    ("x.norm(3, 1, True)", [[0.4020726], [0.7054004]]),
    ("x.norm(float('inf'), 0)", [0.7, 0.4]),
    ("torch.maximum(x, t)", [[0.3, 0.6], [0.7, 0.9]]),
    ("torch.minimum(x, w)", [[0.1, 0.4], [0.5, 0.2]]),
    ("torch.mm(x, t)", [[0.23, 0.42], [0.31, 0.6]]),
    ("x[None].bmm(t[None])", [[[0.23, 0.42], [0.31, 0.6]]]),
    ("torch.argmin(x, 1, True)", [[0], [1]]),
    ("x.argmin()", 0),
    ("clipped(nn.utils.clip_grad_norm_, 1.0)", [[0.4472135, 0.894427], 4.472136]),
    ("clipped(nn.utils.clip_grad_norm_, 9.0, float('inf'))", [[2.0, 4.0], 4.0]),
    ("clipped(nn.utils.clip_grad_value_, 3.0)", [[2.0, 3.0], 0.0]),
    ("torch.norm(x, 2, 1)", [0.4123106, 0.728011]),
    ("list(torch.chunk(x, 2, 1)[1].shape)", [2, 1]),
    ("len(torch.arange(7).chunk(4))", 4),
    ("torch.arange(7).chunk(4)[-1]", [6]),
    ("torch.split(x, 1, 1)[1]", [[0.4], [0.2]]),
    ("x.split([2, 0])[0]", [[0.1, 0.4], [0.7, 0.2]]),
    ("x[:, :1].expand(2, 3)", [[0.1, 0.1, 0.1], [0.7, 0.7, 0.7]]),
    ("x.unsqueeze(1).expand(-1, 2, -1)", [[[0.1, 0.4], [0.1, 0.4]], [[0.7, 0.2], [0.7, 0.2]]]),
    ("x.repeat(1, 2)", [[0.1, 0.4, 0.1, 0.4], [0.7, 0.2, 0.7, 0.2]]),
    ("x.view_as(torch.zeros(4))", [0.1, 0.4, 0.7, 0.2]),
    ("x.expand_as(torch.zeros(2, 2, 2))", [[[0.1, 0.4], [0.7, 0.2]], [[0.1, 0.4], [0.7, 0.2]]]),
    ("x.type(torch.LongTensor)", [[0, 0], [0, 0]]),
    ("x.type('torch.DoubleTensor').type()", 'torch.DoubleTensor'),
    ("x.type()", 'torch.FloatTensor'),
    ("torch.autograd.Variable(x)", [[0.1, 0.4], [0.7, 0.2]]),
    ("torch.autograd.grad((p * p).sum(), p)[0]", [2.0, 4.0]),
    ("torch.autograd.grad([p * p, 3 * p], [p], [w, w])[0]", [2.5, 14.0]),
    ("step(optim.AdamW([p], 0.1, (0.5, 0.6), 0.1, 0.2, False))", [0.6646805, 1.597092]),
    ("step(optim.RMSprop([p], 0.1))", [3.033074e-12, 0.3096873]),
    ("step(optim.RMSprop([p], 0.1, 0.5, 0.1, 0.2, 0.9, True))", [0.006999868, 0.8525074]),
    ("step(optim.Adagrad([p], 0.1, 0.5, 0.2, 0, 0.1))", [0.8349208, 1.829487]),
    ("step(optim.Adadelta([p], 0.5, 0.8, 0.1, 0.2))", [0.19733, 1.02009]),
    ("rates(optim.lr_scheduler.StepLR, 2, 0.5)", [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]),
    ("rates(optim.lr_scheduler.MultiStepLR, [1, 3], 0.5)", [0.1, 0.05, 0.05, 0.025, 0.025, 0.025]),
    ("rates(optim.lr_scheduler.LambdaLR, lambda epoch: 0.9 ** epoch)",
     [0.1, 0.09, 0.081, 0.0729, 0.06561, 0.059049]),
    ("rates(optim.lr_scheduler.ExponentialLR, 0.8)", [0.1, 0.08, 0.064, 0.0512, 0.04096, 0.032768]),
    ("rates(optim.lr_scheduler.CosineAnnealingLR, 3, 0.01)",
     [0.1, 0.0775, 0.0325, 0.01, 0.0325, 0.0775]),
]
MAY_END_EARLY = (
    "F.embedding", "F.max_pool2d", "F.avg_pool2d", "F.interpolate", "step(optim.Adam(")
DAMPENED = "step(optim.SGD([p], 0.1, 0.9, 0.5))", [0.25200003, 0.50400007]

REFUSED = [  # calls that would need what minigan does not have, or that mean nothing
    "F.mse_loss(x, t, False)", "F.mse_loss(x, t, None, False)",
    "F.mse_loss(x, t, None, None, 'mean', w)", "F.mse_loss(x, t, 'sum')",
    "F.l1_loss(x, t, True)", "F.binary_cross_entropy(x, t, None, False)",
    "F.cross_entropy(x, i, w, False)", "F.cross_entropy(x, i, w, None, -100, False)",
    "nn.MSELoss(False)", "nn.MSELoss(None, False)", "nn.MSELoss('sum')", "nn.L1Loss(True)",
    "nn.BCELoss(w, False)", "nn.BCELoss('sum')", "nn.CrossEntropyLoss(w, False)",
    "nn.CrossEntropyLoss(w, None, -100, False)", "nn.NLLLoss(w, True)",
    "nn.Embedding(3, 2, None, 1.0)", "nn.Embedding(3, 2, None, None, 2.0, True)",
    "nn.Embedding(3, 2, None, None, 2.0, False, True)",
    "nn.Embedding(3, 2, None, None, 2.0, False, False, x)",
    "F.embedding(i, x, None, 1.0)", "F.embedding(i, x, None, None, 2.0, True)",
    "F.max_pool2d(image, 2, 1, 0, 2)", "F.max_pool2d(image, 2, 1, 0, 1, True)",
    "F.avg_pool2d(image, 2, 1, 0, True)", "nn.MaxPool2d(2, 1, 0, 2)",
    "nn.MaxPool2d(2, 1, 0, 1, True)", "nn.MaxPool2d(2, 1, 0, 1, False, True)",
    "nn.AvgPool2d(2, 1, 0, True)", "F.avg_pool2d(image, 2, 1, 0, False, True, 3)",
    "F.interpolate(image, None, 2, 'bicubic')", "F.interpolate(image, None, 2, 'nearest', True)",
    "F.interpolate(image)", "F.interpolate(image, 2, 2)", "nn.Upsample()",
    "nn.Upsample(None, 2, 'nearest', True)", "nn.Conv2d(3, 2, 1, 1, 0, 1, 2)",
    "nn.Conv2d(1, 2, 1, 1, 0, 1, 1, True, 'reflect')",
    "nn.ConvTranspose2d(2, 3, 1, 1, 0, 0, 2)", "F.conv2d(image, kernel, None, 1, 0, 1, 2)",
    "nn.InstanceNorm2d(1, 1e-5, 0.1, False, True)", "F.instance_norm(image, w)",
    "F.pad(image, (1, 1), 'circular')", "F.pad(image, (3, 0), 'reflect')", "F.pad(image, (1,))",
    "F.one_hot(i, 1)", "F.prelu(x, torch.tensor([1.0, 2.0, 3.0]))", "x.norm('nuc')", "x.norm(0)",
    "torch.where(x, t, t)", "torch.where(x > 0)", "x.expand(3, 2)", "x.repeat(2)",
    "x.split([1, 2])", "x.gather(0, i)", "x.scatter_(0, torch.tensor([[5]]), 1.0)",
    "x.masked_fill(x, 1.0)", "optim.RMSprop([p], -0.1)", "optim.AdamW([p], 0.1, (0.9, 1.5))",
    "optim.Adagrad([p], 0.1, 0, 0, 1.0)", "optim.Adadelta([p], 1.0, 1.5)",
    "optim.lr_scheduler.StepLR(optim.SGD([p], 0.1), 0)",
    "optim.lr_scheduler.StepLR(optim.SGD([p], 0.1), 2, 0.1, 3)",
    "optim.lr_scheduler.LambdaLR(optim.SGD([p], 0.1), 0.5)",
    "torch.autograd.grad(p.sum(), p, None, False, True)",
    "x.type('torch.TextTensor')", "F.softmax(x, 1, 3, 'float64')", "x.sum(0, False, 'float64')",
    "F.batch_norm(x)", "F.batch_norm(x, w)",
    "optim.SGD([p], 0.1, 0.9, 0, 0, True, True)", "optim.SGD([p], 0.1, 0.9, -0.5)",
    "optim.Adam([p], 0.1, (0.9, 0.99), 1e-8, 0, True)",
    "optim.SGD([p], 0.1).step(lambda: 1.0)", "x.sum().backward(None, False, False, [x])",
    "torch.eye(2, torch.float64)", "torch.rand_like(x, 3)", "x.copy_(t, 1, 2)",
    "torch.utils.data.DataLoader([1, 2, 3], 2, False, [0, 1])",
    "torch.utils.data.DataLoader([1, 2, 3], 2, False, True)",
    "nn.Linear(2, 1).load_state_dict({}, True, True)",
    "nn.Linear(2, 1).register_buffer('count', x, False)",
    "nn.Linear(2, 1).cuda('cpu')", "torch.max(x, t)", "x.min(t)",
]


def evaluated(torch, expression):
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))

    def step(optimiser):
        for _ in range(3):
            optimiser.zero_grad()
            (p * p).sum().backward()
            optimiser.step()
        return p.detach()

    def rates(kind, *options):
        """The learning rates of six epochs."""
        optimiser = torch.optim.SGD([p], 0.1)
        scheduler, found = kind(optimiser, *options), []
        for _ in range(6):
            found += scheduler.get_last_lr()
            step(optimiser)
            scheduler.step()
        return found

    def clipped(clip, *limits):
        (p * p).sum().backward()
        before = clip([p], *limits)
        return [p.grad.tolist(), 0.0 if before is None else before.item()]

    result = eval(expression, {
        "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "optim": torch.optim, "p": p,
        "step": step, "rates": rates, "clipped": clipped,
        "x": torch.tensor([[0.1, 0.4], [0.7, 0.2]]),
        "t": torch.tensor([[0.3, 0.6], [0.5, 0.9]]), "w": torch.tensor([0.5, 2.0]),
        "i": torch.tensor([0, 1]), "image": torch.arange(9.0).reshape(1, 1, 3, 3),
        "kernel": torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])})
    if hasattr(result, "detach"):
        result = result.detach()
    return result.tolist() if hasattr(result, "tolist") else result


def flat(value):
    return sum(map(flat, value), []) if isinstance(value, (tuple, list)) else [value]


def assert_same(actual, expected):
    if isinstance(expected, (bool, str, type(None))):
        assert actual == expected and type(actual) is type(expected)
    else:
        assert flat(actual) == pytest.approx(flat(expected), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("expression, expected", POSITIONAL)
def test_positional_calls(expression, expected):
    try:
        result = evaluated(minigan, expression)
    except TypeError as error:  # only where options that minigan does not have end the list
        assert expression.startswith(MAY_END_EARLY) and "positional arguments" in str(error)
    else:
        assert_same(result, expected)


def test_dampening_is_pytorchs_or_refused():
    expression, expected = DAMPENED
    try:
        result = evaluated(minigan, expression)
    except NotImplementedError as error:
        assert "dampening" in str(error)
    else:
        assert_same(result, expected)


@pytest.mark.parametrize("expression", REFUSED)
def test_refused_calls(expression):
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        evaluated(minigan, expression)


@pytest.mark.parametrize("expression, expected", [*POSITIONAL, DAMPENED])
def test_positional_calls_in_pytorch(expression, expected):
    torch = pytest.importorskip("torch")
    assert_same(evaluated(torch, expression), expected)
