"""A semi-supervised GAN: the classifier has one class more, for what is generated."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable

latent_dim, num_classes, batch_size = 6, 3, 9
cuda = torch.cuda.is_available()
FloatTensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
LongTensor = torch.cuda.LongTensor if cuda else torch.LongTensor


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()
        self.model = nn.Sequential(
            nn.Linear(latent_dim, 16), nn.BatchNorm1d(16, 0.8), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(16, 16), nn.Tanh())

    def forward(self, noise):
        return self.model(noise)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.hidden = nn.Linear(16, 24)
        self.adv_layer = nn.Sequential(nn.Linear(24, 1), nn.Sigmoid())
        self.aux_layer = nn.Sequential(nn.Linear(24, num_classes + 1), nn.Softmax())

    def forward(self, img):
        out = F.leaky_relu(self.hidden(img), 0.2, inplace=True)
        return self.adv_layer(out), self.aux_layer(out)


np.random.seed(6)
torch.manual_seed(6)
centres = np.random.RandomState(0).uniform(-1, 1, (num_classes, 16))
adversarial_loss = torch.nn.BCELoss()
auxiliary_loss = torch.nn.CrossEntropyLoss()
generator, discriminator = Generator(), Discriminator()
if cuda:
    generator.cuda()
    discriminator.cuda()
optimizer_G = torch.optim.Adam(generator.parameters(), lr=0.001, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=0.02, betas=(0.5, 0.999),
                               weight_decay=1e-4)
scheduler_D = torch.optim.lr_scheduler.ExponentialLR(optimizer_D, gamma=0.98)
progress, right, seen = [], 0, 0

# Training

for step in range(40):
    # One-sided label smoothing
    valid = Variable(FloatTensor(batch_size, 1).fill_(0.9), requires_grad=False)
    fake = Variable(FloatTensor(batch_size, 1).fill_(0.0), requires_grad=False)
    fake_aux_gt = Variable(LongTensor(batch_size).fill_(num_classes), requires_grad=False)
    numbers = np.random.randint(0, num_classes, batch_size)
    real = Variable(FloatTensor(centres[numbers] + np.random.normal(0, 0.1, (batch_size, 16))))
    labels = Variable(LongTensor(numbers))

    optimizer_G.zero_grad()
    z = Variable(FloatTensor(np.random.normal(0, 1, (batch_size, latent_dim))))
    gen = generator(z)
    validity, _ = discriminator(gen)
    g_loss = adversarial_loss(validity, valid)
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    real_pred, real_aux = discriminator(real)
    d_real_loss = (adversarial_loss(real_pred, valid) + auxiliary_loss(real_aux, labels)) / 2
    fake_pred, fake_aux = discriminator(gen.detach())
    d_fake_loss = (adversarial_loss(fake_pred, fake) + auxiliary_loss(fake_aux, fake_aux_gt)) / 2
    d_loss = (d_real_loss + d_fake_loss) / 2
    d_loss.backward()
    optimizer_D.step()
    scheduler_D.step()
    progress.append(d_loss.item())
    if step >= 20:
        right += (real_aux.argmax(1) == labels).sum().item()
        seen += labels.size(0)

accuracy = right / seen
