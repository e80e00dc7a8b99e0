"""A conditional GAN of two classes with a `train` of their own, one image at a time."""

import random

import numpy
import torch
import torch.nn as nn
from torch.utils.data import Dataset


class BarsDataset(Dataset):
    """Images of 784 pixels with a bright bar whose height is the label."""

    def __len__(self):
        return 60

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError
        label = index % 10
        image = numpy.zeros((28, 28), dtype="uint8")
        image[2 * label + 3:2 * label + 6, 5:23] = 220
        target = torch.zeros((10))
        target[label] = 1.0
        return label, torch.FloatTensor(image.reshape(784)) / 255.0, target


def generate_random_image(size):
    return torch.rand(size)


def generate_random_seed(size):
    return torch.randn(size)


def generate_random_one_hot(size):
    label_tensor = torch.zeros((size))
    random_idx = random.randint(0, size - 1)
    label_tensor[random_idx] = 1.0
    return label_tensor


class Discriminator(nn.Module):

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(784 + 10, 60),
            nn.LeakyReLU(0.02),
            nn.LayerNorm(60),
            nn.Linear(60, 1),
            nn.Sigmoid()
        )
        self.loss_function = nn.BCELoss()
        self.optimiser = torch.optim.Adam(self.parameters(), lr=0.001)
        self.counter = 0
        self.progress = []

    def forward(self, image_tensor, label_tensor):
        inputs = torch.cat((image_tensor, label_tensor))
        return self.model(inputs)

    def train(self, inputs, label_tensor, targets):
        outputs = self.forward(inputs, label_tensor)
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
            nn.Linear(100 + 10, 60),
            nn.LeakyReLU(0.02),
            nn.LayerNorm(60),
            nn.Linear(60, 784),
            nn.Sigmoid()
        )
        self.optimiser = torch.optim.Adam(self.parameters(), lr=0.001)
        self.counter = 0
        self.progress = []

    def forward(self, seed_tensor, label_tensor):
        inputs = torch.cat((seed_tensor, label_tensor))
        return self.model(inputs)

    def train(self, D, inputs, label_tensor, targets):
        g_output = self.forward(inputs, label_tensor)
        d_output = D.forward(g_output, label_tensor)
        loss = D.loss_function(d_output, targets)
        self.counter += 1
        if self.counter % 10 == 0:
            self.progress.append(loss.item())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


random.seed(2)
torch.manual_seed(2)
dataset = BarsDataset()
D = Discriminator()
G = Generator()

# Training

for epoch in range(2):
    for label, image_data_tensor, label_tensor in dataset:
        D.train(image_data_tensor, label_tensor, torch.FloatTensor([1.0]))
        random_label = generate_random_one_hot(10)
        D.train(G.forward(generate_random_seed(100), random_label).detach(), random_label,
                torch.FloatTensor([0.0]))
        random_label = generate_random_one_hot(10)
        G.train(D, generate_random_seed(100), random_label, torch.FloatTensor([1.0]))

label_tensor = torch.zeros((10))
label_tensor[3] = 1.0
picture = G.forward(generate_random_seed(100), label_tensor).detach().cpu().numpy()
noise_score = D.forward(generate_random_image(784), label_tensor).item()
progress = D.progress
