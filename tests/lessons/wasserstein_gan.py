"""A Wasserstein GAN whose critic's weights are clipped, with RMSprop and a grid of samples."""

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable
from torchvision.utils import make_grid

latent_dim, clip_value, n_critic, img_shape = 8, 0.05, 2, (1, 8, 8)
Tensor = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent_dim, 16, normalize=False),
            *block(16, 32),
            nn.Linear(32, int(np.prod(img_shape))),
            nn.Tanh()
        )

    def forward(self, z):
        img = self.model(z)
        return img.view(img.shape[0], *img_shape)


class Critic(nn.Module):
    def __init__(self):
        super(Critic, self).__init__()
        self.model = nn.Sequential(
            nn.Linear(int(np.prod(img_shape)), 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 1),
        )

    def forward(self, img):
        return self.model(img.view(img.shape[0], -1))


np.random.seed(1)
torch.manual_seed(1)
y, x = np.mgrid[:8, :8]
stripes = np.stack([np.where((x + n) // 2 % 2 == 0, 0.8, -0.8) for n in range(16)])
stripes = stripes.astype("float32").reshape(16, *img_shape)
generator, critic = Generator(), Critic()
if torch.cuda.is_available():
    generator.cuda()
    critic.cuda()
optimizer_G = torch.optim.RMSprop(generator.parameters(), lr=0.0005)
optimizer_D = torch.optim.RMSprop(critic.parameters(), lr=0.002)
progress, grids = [], []

# Training

for step in range(40):
    real_imgs = Variable(Tensor(stripes[np.random.randint(0, 16, 8)]))

    optimizer_D.zero_grad()
    z = Variable(Tensor(np.random.normal(0, 1, (8, latent_dim))))
    fake_imgs = generator(z).detach()
    loss_D = -torch.mean(critic(real_imgs)) + torch.mean(critic(fake_imgs))
    loss_D.backward()
    optimizer_D.step()
    for p in critic.parameters():
        p.data.clamp_(-clip_value, clip_value)
    progress.append(loss_D.item())

    if step % n_critic == 0:
        optimizer_G.zero_grad()
        gen_imgs = generator(z)
        loss_G = -torch.mean(critic(gen_imgs))
        loss_G.backward()
        optimizer_G.step()

    if step % 20 == 0:
        grids.append(make_grid(gen_imgs.data, nrow=4, padding=1, normalize=True,
                               value_range=(-1, 1)))

assert max(p.data.abs().max().item() for p in critic.parameters()) <= clip_value * 1.000001
assert tuple(grids[0].shape) == (3, 2 * 9 + 1, 4 * 9 + 1)
