"""A conditional GAN whose labels are embedded, in batches."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

n_classes = 10
latent_dim = 16
img_shape = (1, 16, 16)
batch_size = 20

cuda = True if torch.cuda.is_available() else False
FloatTensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
LongTensor = torch.cuda.LongTensor if cuda else torch.LongTensor


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.label_emb = nn.Embedding(n_classes, n_classes)

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent_dim + n_classes, 32, normalize=False),
            *block(32, 64),
            nn.Linear(64, int(np.prod(img_shape))),
            nn.Tanh()
        )

    def forward(self, noise, labels):
        gen_input = torch.cat((self.label_emb(labels), noise), -1)
        img = self.model(gen_input)
        img = img.view(img.size(0), *img_shape)
        return img


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.label_embedding = nn.Embedding(n_classes, n_classes)
        self.first = nn.Linear(n_classes + int(np.prod(img_shape)), 64)
        self.model = nn.Sequential(
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(64, 64),
            nn.Dropout(0.0),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(64, 1),
        )

    def forward(self, img, labels):
        d_in = torch.cat((img.view(img.size(0), -1), self.label_embedding(labels)), -1)
        return torch.sigmoid(self.model(self.first(d_in)))


np.random.seed(4)
torch.manual_seed(4)
labels = np.random.randint(0, n_classes, 100)
pictures = np.full((100, *img_shape), -0.9, dtype="float32")
for picture, label in zip(pictures, labels):
    picture[0, label + 2:label + 5] = 0.9

dataloader = DataLoader(TensorDataset(torch.as_tensor(pictures), torch.from_numpy(labels)),
                        batch_size=batch_size, shuffle=False, pin_memory=cuda)
adversarial_loss = torch.nn.MSELoss()
generator = Generator()
discriminator = Discriminator()
if cuda:
    generator.cuda()
    discriminator.cuda()
    adversarial_loss.cuda()

optimizer_G = torch.optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=0.002, betas=(0.5, 0.999))

# Training

progress = []
for epoch in range(3):
    for i, (imgs, labels) in enumerate(dataloader):
        batch = imgs.shape[0]
        valid = FloatTensor(batch, 1).fill_(1.0)
        fake = FloatTensor(batch, 1).fill_(0.0)
        real_imgs = imgs.cuda() if cuda else imgs.float()
        labels = labels.cuda() if cuda else labels.long()

        optimizer_G.zero_grad()
        z = FloatTensor(np.random.normal(0, 1, (batch, latent_dim)))
        gen_labels = LongTensor(np.random.randint(0, n_classes, batch))
        gen_imgs = generator(z, gen_labels)
        g_loss = adversarial_loss(discriminator(gen_imgs, gen_labels), valid)
        g_loss.backward()
        optimizer_G.step()

        optimizer_D.zero_grad()
        d_real_loss = adversarial_loss(discriminator(real_imgs, labels), valid)
        d_fake_loss = F.mse_loss(discriminator(gen_imgs.detach(), gen_labels), fake)
        d_loss = (d_real_loss + d_fake_loss) / 2
        d_loss.backward()
        optimizer_D.step()
        progress.append(d_loss.item())


@torch.no_grad()
def sample_image(n_row):
    z = FloatTensor(np.random.normal(0, 1, (n_row ** 2, latent_dim)))
    labels = LongTensor(np.array([num for _ in range(n_row) for num in range(n_row)]))
    return generator(z, labels)


picture = sample_image(3)
