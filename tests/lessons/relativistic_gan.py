"""A relativistic average GAN with one-hot labels, AdamW, a schedule and checkpoints."""

import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR

os.makedirs("saved_models", exist_ok=True)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
n_classes, latent_dim, batch_size, n_epochs, decay_epoch = 3, 5, 12, 6, 3


def one_hot(labels):
    encoded = torch.zeros(labels.size(0), n_classes, device=labels.device)
    return encoded.scatter_(1, labels.view(-1, 1), 1)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent_dim + n_classes, 24), nn.ReLU(True),
                                 nn.Linear(24, 10))

    def forward(self, z, labels):
        return self.net(torch.cat([z, one_hot(labels)], dim=1))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(10 + n_classes, 24), nn.LeakyReLU(0.2))
        self.score = nn.Linear(24, 1)

    def forward(self, x, labels):
        inputs = torch.cat([x, F.one_hot(labels, n_classes).float()], dim=1)
        return self.score(self.features(inputs))


np.random.seed(8)
torch.manual_seed(8)
G, D = Generator().to(device), Discriminator().to(device)
criterion = nn.BCEWithLogitsLoss().to(device)
opt_G = torch.optim.AdamW(G.parameters(), lr=0.001, betas=(0.5, 0.999))
opt_D = torch.optim.AdamW(D.parameters(), lr=0.01, betas=(0.5, 0.999))
decay = [LambdaLR(opt, lambda epoch: 1.0 - max(0, epoch - decay_epoch) / n_epochs)
         for opt in (opt_G, opt_D)]
means = np.linspace(-2, 2, n_classes * 10).reshape(n_classes, 10)
progress = []

# Training

for epoch in range(n_epochs):
    for i in range(6):
        numbers = np.random.randint(0, n_classes, batch_size)
        labels = torch.from_numpy(numbers).long().to(device)
        real = means[numbers] + np.random.normal(0, 0.2, (batch_size, 10))
        real = torch.tensor(real, dtype=torch.float32, device=device)
        z = torch.tensor(np.random.normal(0, 1, (batch_size, latent_dim)), device=device).float()
        valid, fake = torch.ones(batch_size, 1).to(device), torch.zeros(batch_size, 1).to(device)

        opt_G.zero_grad()
        gen = G(z, labels)
        real_pred = D(real, labels).detach()
        fake_pred = D(gen, labels)
        g_loss = criterion(fake_pred - real_pred.mean(0, keepdim=True), valid)
        g_loss += 0.1 * F.smooth_l1_loss(gen.mean(0), real.mean(0))
        g_loss.backward()
        opt_G.step()

        opt_D.zero_grad()
        real_pred = D(real, labels)
        fake_pred = D(gen.detach(), labels)
        real_loss = criterion(real_pred - fake_pred.mean(0, keepdim=True), valid)
        fake_loss = criterion(fake_pred - real_pred.mean(0, keepdim=True), fake)
        d_loss = (real_loss + fake_loss) / 2
        d_loss.backward()
        opt_D.step()
        progress.append(d_loss.item())
    for scheduler in decay:
        scheduler.step()
    torch.save({"epoch": epoch, "G": G.state_dict(), "opt_G": opt_G.state_dict(),
                "losses": progress}, "saved_models/last.pt")

checkpoint = torch.load("saved_models/last.pt")
restored = Generator().to(device)
restored.load_state_dict(checkpoint["G"])
opt_G.load_state_dict(checkpoint["opt_G"])
assert checkpoint["epoch"] == n_epochs - 1 and checkpoint["losses"] == progress
assert torch.where(restored(z, labels) == G(z, labels), 1.0, 0.0).mean().item() == 1
