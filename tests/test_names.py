"""The names of PyTorch that teaching code uses most: which are here stands in the README.

`python tests/test_names.py` prints that table.
"""

import importlib
import operator
from pathlib import Path

import pytest

import minigan
import minigan.utils.data

README = Path(__file__).resolve().parent.parent / "README.md"
NAMES = {
    "torch": """Tensor FloatTensor LongTensor tensor as_tensor from_numpy zeros ones empty full eye
        arange linspace zeros_like ones_like full_like rand randn randint rand_like randn_like
        randperm normal bernoulli multinomial cat stack chunk split where gather masked_select
        reshape flatten squeeze unsqueeze transpose permute sum mean std var norm prod cumsum max
        min argmax argmin sort topk abs exp log sqrt pow sin cos round sign clamp maximum minimum
        sigmoid tanh relu softmax matmul mm bmm einsum equal allclose isnan is_tensor save load
        manual_seed no_grad device cuda.is_available accelerator.is_available autograd.Variable
        autograd.grad utils.data.DataLoader utils.data.Dataset utils.data.TensorDataset
        utils.data.random_split""",
    "torch.nn": """Module Parameter Sequential ModuleList ModuleDict Linear Conv1d Conv2d
        ConvTranspose2d Embedding BatchNorm1d BatchNorm2d InstanceNorm2d LayerNorm GroupNorm Dropout
        Dropout2d ReLU LeakyReLU PReLU ELU SELU GELU SiLU Sigmoid Tanh Softplus Softmax LogSoftmax
        MaxPool2d AvgPool2d AdaptiveAvgPool2d Flatten Unflatten Identity Upsample PixelShuffle
        ZeroPad2d ReflectionPad2d MSELoss L1Loss SmoothL1Loss BCELoss BCEWithLogitsLoss
        CrossEntropyLoss NLLLoss KLDivLoss RNN LSTM GRU MultiheadAttention DataParallel
        parallel.data_parallel init.normal_ init.constant_ init.uniform_ init.kaiming_uniform_
        init.kaiming_normal_ init.xavier_uniform_ init.xavier_normal_ utils.clip_grad_norm_
        utils.spectral_norm""",
    "torch.nn.functional": """linear conv2d conv_transpose2d embedding batch_norm instance_norm
        layer_norm relu leaky_relu prelu elu gelu silu sigmoid tanh softplus softmax log_softmax
        logsigmoid dropout dropout2d max_pool2d avg_pool2d adaptive_avg_pool2d interpolate pad
        pixel_shuffle one_hot normalize mse_loss l1_loss smooth_l1_loss binary_cross_entropy
        binary_cross_entropy_with_logits cross_entropy nll_loss kl_div""",
    "torch.optim": """SGD Adam AdamW RMSprop Adagrad Adadelta Adamax LBFGS lr_scheduler.StepLR
        lr_scheduler.MultiStepLR lr_scheduler.LambdaLR lr_scheduler.ExponentialLR
        lr_scheduler.CosineAnnealingLR lr_scheduler.ReduceLROnPlateau""",
}


def has(package, name):
    try:
        operator.attrgetter(name)(package)
    except AttributeError:
        return False
    return True


def table():
    lines = ["| | here | not here |", "|---|---|---|"]
    for package, text in NAMES.items():
        ours = importlib.import_module(package.replace("torch", "minigan"))
        cells = [[], []]
        for name in text.split():
            cells[not has(ours, name)].append(name)
        lines.append(f"| `{package}` | {' '.join(cells[0])} | {' '.join(cells[1])} |")
    return "\n".join(lines)


def test_the_readme_says_which_names_are_here():
    assert table() in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", NAMES)
def test_the_names_are_pytorchs(package):
    pytest.importorskip("torch")
    theirs = importlib.import_module(package)
    assert [name for name in NAMES[package].split() if not has(theirs, name)] == []


if __name__ == "__main__":
    print(table())
