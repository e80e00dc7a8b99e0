"""A network that reads digits, one image at a time, as a class that trains itself."""

import random

import numpy
import torch
import torch.nn as nn
from torch.utils.data import Dataset

SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
PLACES = {"a": (slice(4, 7), slice(8, 20)), "b": (slice(4, 15), slice(17, 20)),
          "c": (slice(13, 24), slice(17, 20)), "d": (slice(21, 24), slice(8, 20)),
          "e": (slice(13, 24), slice(8, 11)), "f": (slice(4, 15), slice(8, 11)),
          "g": (slice(13, 15), slice(8, 20))}


def digit_rows(count):
    """Rows as in a table of handwritten digits: the label, then 784 pixels from 0 to 255."""
    rows = numpy.zeros((count, 785), dtype="int64")
    for row in rows:
        label = random.randint(0, 9)
        image = numpy.array([[random.randint(0, 20) for _ in range(28)] for _ in range(28)])
        for segment in SEGMENTS[label]:
            image[PLACES[segment]] = random.randint(180, 255)
        row[0], row[1:] = label, image.reshape(-1)
    return rows


class DigitDataset(Dataset):

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        label = self.rows[index, 0]
        target = torch.zeros((10))
        target[label] = 1.0
        values = torch.FloatTensor(self.rows[index, 1:]) / 255.0
        return label, values, target


class Classifier(nn.Module):

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(784, 40),
            nn.LeakyReLU(0.02),
            nn.LayerNorm(40),
            nn.Linear(40, 10),
            nn.Sigmoid()
        )
        self.loss_function = nn.BCELoss()
        self.optimiser = torch.optim.Adam(self.parameters(), lr=0.005)
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


random.seed(1)
training_set = DigitDataset(digit_rows(200))
test_set = DigitDataset(digit_rows(30))
torch.manual_seed(1)
C = Classifier()

# Training

for epoch in range(3):
    for label, image_data, target in training_set:
        C.train(image_data, target)

score = 0
for label, image_data, target in test_set:
    answer = C.forward(image_data).detach().cpu().numpy()
    if answer.argmax() == label:
        score += 1
accuracy = score / len(test_set)
progress = C.progress
