"""An adversarial autoencoder: codes that a discriminator cannot tell from normal numbers."""

import itertools

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable

latent_dim, img_shape, batch_size = 4, (1, 8, 8), 12
cuda = True if torch.cuda.is_available() else False
Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor


def reparameterization(mu, logvar):
    std = torch.exp(logvar / 2)
    sampled_z = Variable(Tensor(np.random.normal(0, 1, (mu.size(0), latent_dim))))
    return sampled_z * std + mu


class Encoder(nn.Module):
    def __init__(self):
        super(Encoder, self).__init__()
        self.model = nn.Sequential(
            nn.Linear(int(np.prod(img_shape)), 32, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 32, bias=False),
            nn.BatchNorm1d(32),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.mu = nn.Linear(32, latent_dim)
        self.logvar = nn.Linear(32, latent_dim)

    def forward(self, img):
        x = self.model(img.view(img.shape[0], -1))
        return reparameterization(self.mu(x), self.logvar(x))


class Decoder(nn.Module):
    def __init__(self):
        super(Decoder, self).__init__()
        self.model = nn.Sequential(
            nn.Linear(latent_dim, 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, int(np.prod(img_shape))),
            nn.Tanh(),
        )

    def forward(self, z):
        img_flat = self.model(z)
        return img_flat.view(img_flat.shape[0], *img_shape)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.model = nn.Sequential(
            nn.Linear(latent_dim, 24), nn.LeakyReLU(0.2, inplace=True), nn.Linear(24, 1),
            nn.Sigmoid())

    def forward(self, z):
        return self.model(z)


np.random.seed(7)
torch.manual_seed(7)
adversarial_loss = torch.nn.BCELoss()
pixelwise_loss = torch.nn.L1Loss()
encoder, decoder, discriminator = Encoder(), Decoder(), Discriminator()
if cuda:
    encoder.cuda()
    decoder.cuda()
    discriminator.cuda()
    adversarial_loss.cuda()
    pixelwise_loss.cuda()
optimizer_G = torch.optim.Adam(
    itertools.chain(encoder.parameters(), decoder.parameters()), lr=0.004, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=0.002, betas=(0.5, 0.999))
y, x = np.mgrid[:8, :8] / 7.0
slopes = np.random.RandomState(1).uniform(-1, 1, (60, 2, 1, 1))
images = (slopes[:, :1] * (x - 0.5) + slopes[:, 1:] * (y - 0.5)).astype("float32")
progress = []

# Training

for step in range(50):
    imgs = torch.from_numpy(images[step % 5 * batch_size:][:batch_size])
    valid = Variable(Tensor(imgs.shape[0], 1).fill_(1.0), requires_grad=False)
    fake = Variable(Tensor(imgs.shape[0], 1).fill_(0.0), requires_grad=False)
    real_imgs = Variable(imgs.type(Tensor))

    optimizer_G.zero_grad()
    encoded_imgs = encoder(real_imgs)
    decoded_imgs = decoder(encoded_imgs)
    pixel_loss = pixelwise_loss(decoded_imgs, real_imgs)
    g_loss = 0.001 * adversarial_loss(discriminator(encoded_imgs), valid) + 0.999 * pixel_loss
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    z = Variable(Tensor(np.random.normal(0, 1, (imgs.shape[0], latent_dim))))
    real_loss = adversarial_loss(discriminator(z), valid)
    fake_loss = adversarial_loss(discriminator(encoded_imgs.detach()), fake)
    d_loss = 0.5 * (real_loss + fake_loss)
    d_loss.backward()
    optimizer_D.step()
    progress.append(g_loss.item())
