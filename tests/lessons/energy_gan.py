"""An energy-based GAN: the discriminator is an autoencoder, and its codes are pulled apart."""

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable

latent_dim, img_size, batch_size = 12, 16, 8
lambda_pt, margin = 0.1, 0.5
cuda = torch.cuda.is_available()
Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor


def weights_init_normal(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        torch.nn.init.normal_(m.weight.data, 0.0, 0.1)
    elif classname.find("BatchNorm2d") != -1:
        torch.nn.init.normal_(m.weight.data, 1.0, 0.02)
        torch.nn.init.constant_(m.bias.data, 0.0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.init_size = img_size // 4
        self.l1 = nn.Sequential(nn.Linear(latent_dim, 8 * self.init_size ** 2))
        self.conv_blocks = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(8, 8, 3, stride=1, padding=1, bias=False),
            nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 4, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Tanh(),
        )

    def forward(self, noise):
        out = self.l1(noise)
        out = out.view(out.shape[0], 8, self.init_size, self.init_size)
        return self.conv_blocks(out)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(1, 6, 3, 2), nn.PReLU(6))
        self.down_size = img_size // 2
        down_dim = 6 * self.down_size ** 2
        self.embedding = nn.Linear(down_dim, 16, bias=False)
        self.fc = nn.Sequential(
            nn.BatchNorm1d(16, 0.8), nn.ReLU(inplace=True), nn.Linear(16, down_dim))
        self.up = nn.Sequential(nn.InstanceNorm2d(6), nn.Upsample(scale_factor=2),
                                nn.Conv2d(6, 1, 3, 1, 1))

    def forward(self, img):
        out = self.down(img)
        embedding = self.embedding(out.view(out.size(0), -1))
        out = self.fc(embedding)
        out = self.up(out.view(out.size(0), 6, self.down_size, self.down_size))
        return out, embedding


def pullaway_loss(embeddings):
    norm = torch.sqrt(torch.sum(embeddings ** 2, -1, keepdim=True))
    normalized_emb = embeddings / norm
    similarity = torch.matmul(normalized_emb, normalized_emb.transpose(1, 0))
    batch_size = embeddings.size(0)
    return (torch.sum(similarity) - batch_size) / (batch_size * (batch_size - 1))


np.random.seed(2)
torch.manual_seed(2)
rows = np.random.RandomState(0).uniform(-1, 1, (batch_size * 2, img_size)).round()
images = np.stack([np.outer(row, row) for row in rows]).astype("float32")[:, None]
pixelwise_loss = nn.MSELoss()
generator, discriminator = Generator(), Discriminator()
if cuda:
    generator.cuda()
    discriminator.cuda()
    pixelwise_loss.cuda()
generator.apply(weights_init_normal)
discriminator.apply(weights_init_normal)
optimizer_G = torch.optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=0.004, betas=(0.5, 0.999))
progress = []

# Training

for step in range(24):
    real_imgs = Variable(Tensor(images[step % 2 * batch_size:][:batch_size]))

    optimizer_G.zero_grad()
    z = Variable(Tensor(np.random.normal(0, 1, (batch_size, latent_dim))))
    gen_imgs = generator(z)
    recon_imgs, img_embeddings = discriminator(gen_imgs)
    g_loss = pixelwise_loss(recon_imgs, gen_imgs.detach()) + (
        lambda_pt * pullaway_loss(img_embeddings))
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    real_recon, _ = discriminator(real_imgs)
    fake_recon, _ = discriminator(gen_imgs.detach())
    d_loss_real = pixelwise_loss(real_recon, real_imgs)
    d_loss_fake = pixelwise_loss(fake_recon, gen_imgs.detach())
    d_loss = d_loss_real
    if (margin - d_loss_fake.data).item() > 0:
        d_loss += margin - d_loss_fake
    d_loss.backward()
    optimizer_D.step()
    progress.append(d_loss.item())
