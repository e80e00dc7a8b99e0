"""A classifier as frameworks ship it: train and test functions, Adadelta, StepLR, nll_loss."""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, 1)
        self.dropout1 = nn.Dropout(0.1)
        self.fc1 = nn.Linear(8 * 16, 16)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        progress.append(loss.item())


def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction='sum').item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return correct / len(test_loader.dataset)


def pictures(count):
    """Noisy squares in one of four corners, 12 x 12 pixels."""
    draw = np.random.RandomState(count)
    labels = draw.randint(0, 4, count)
    images = draw.uniform(0, 0.3, (count, 1, 12, 12))
    for image, label in zip(images, labels):
        image[0, label // 2 * 6:][:6, label % 2 * 6:label % 2 * 6 + 6] += 0.6
    return torch.utils.data.TensorDataset(torch.tensor(images, dtype=torch.float32),
                                          torch.tensor(labels))


parser = argparse.ArgumentParser()
parser.add_argument('--epochs', type=int, default=4)
parser.add_argument('--gamma', type=float, default=0.7)
parser.add_argument('--no-accel', action='store_true', default=False)
args = parser.parse_args([])
use_accel = not args.no_accel and torch.accelerator.is_available()
torch.manual_seed(1)
device = torch.accelerator.current_accelerator() if use_accel else torch.device("cpu")
model = Net().to(device)
optimizer = optim.Adadelta(model.parameters(), lr=1.0)
progress = []

# Training

train_loader = torch.utils.data.DataLoader(pictures(96), batch_size=12, shuffle=True)
test_loader = torch.utils.data.DataLoader(pictures(40), batch_size=20)
scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
for epoch in range(1, args.epochs + 1):
    train(args, model, device, train_loader, optimizer, epoch)
    accuracy = test(model, device, test_loader)
    scheduler.step()
torch.save(model.state_dict(), "classifier.pt")
model.load_state_dict(torch.load("classifier.pt"))
