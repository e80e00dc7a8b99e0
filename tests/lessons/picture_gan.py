"""A GAN of colour pictures on the GPU if there is one, with a View of its own, one at a time."""

import random

import numpy
import torch
import torch.nn as nn
from torch.utils.data import Dataset

if torch.cuda.is_available():
    torch.set_default_tensor_type(torch.cuda.FloatTensor)
    print("using cuda:", torch.cuda.get_device_name(0))

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def float_tensor(values):
    if torch.cuda.is_available():
        return torch.cuda.FloatTensor(values)
    return torch.FloatTensor(values)


class View(nn.Module):

    def __init__(self, shape):
        super().__init__()
        self.shape = shape,

    def forward(self, x):
        return x.view(*self.shape)


class PictureDataset(Dataset):
    """Pictures (32, 32, 3) of bytes: a disc on a background of one colour."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError()
        draw = numpy.random.RandomState(index)
        y, x = numpy.mgrid[:32, :32] - draw.randint(12, 20, (2, 1, 1))
        inside = (y * y + x * x < draw.randint(40, 110))[:, :, None]
        img = numpy.where(inside, (230, 180, 150), draw.randint(0, 120, 3)).astype("uint8")
        return float_tensor(img).permute(2, 0, 1).contiguous().view(1, 3, 32, 32) / 255.0


class Discriminator(nn.Module):

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(3, 16, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(16, 16, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.GELU(),
            View(16 * 8 * 8),
            nn.Linear(16 * 8 * 8, 1),
            nn.Sigmoid()
        )
        self.loss_function = nn.BCELoss()
        self.optimiser = torch.optim.Adam(self.parameters(), lr=0.0005)
        self.counter = 0
        self.progress = []

    def forward(self, inputs):
        return self.model(inputs)

    def train(self, inputs, targets):
        outputs = self.forward(inputs)
        loss = self.loss_function(outputs, targets)
        self.counter += 1
        self.progress.append(loss.item())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class Generator(nn.Module):

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(30, 16 * 8 * 8),
            nn.LeakyReLU(0.2),
            View((1, 16, 8, 8)),
            nn.ConvTranspose2d(16, 16, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(16, 3, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid()
        )
        self.optimiser = torch.optim.Adam(self.parameters(), lr=0.0005)
        self.progress = []

    def forward(self, inputs):
        return self.model(inputs)

    def train(self, D, inputs, targets):
        d_output = D.forward(self.forward(inputs))
        loss = D.loss_function(d_output, targets)
        self.progress.append(loss.item())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def generate_random_seed(size):
    return float_tensor([random.gauss(0, 1) for _ in range(size)])


random.seed(3)
torch.manual_seed(3)
dataset = PictureDataset()
D = Discriminator()
D.to(device)
G = Generator()
G.to(device)

# Training

for image_data_tensor in dataset:
    D.train(image_data_tensor, float_tensor([1.0]))
    D.train(G.forward(generate_random_seed(30)).detach(), float_tensor([0.0]))
    G.train(D, generate_random_seed(30), float_tensor([1.0]))

output = G.forward(generate_random_seed(30))
picture = output.detach().permute(0, 2, 3, 1).contiguous().view(32, 32, 3).cpu().numpy()
progress = D.progress
