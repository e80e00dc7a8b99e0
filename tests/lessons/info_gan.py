"""An information-maximizing GAN: codes that the discriminator finds again in the pictures."""

import itertools

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable

latent_dim, n_classes, code_dim, img_size, batch_size = 6, 4, 2, 8, 12
lambda_cat, lambda_con = 1, 0.1
cuda = torch.cuda.is_available()
FloatTensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
LongTensor = torch.cuda.LongTensor if cuda else torch.LongTensor


def to_categorical(y, num_columns):
    """One-hot rows of integers."""
    y_cat = np.zeros((y.shape[0], num_columns))
    y_cat[range(y.shape[0]), y] = 1.0
    return Variable(FloatTensor(y_cat))


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()
        self.init_size = img_size // 2
        self.l1 = nn.Sequential(
            nn.Linear(latent_dim + n_classes + code_dim, 8 * self.init_size ** 2))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(8),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 8, 3, stride=1, padding=1, bias=False),
            nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 1, 3, stride=1, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise, labels, code):
        gen_input = torch.cat((noise, labels, code), -1)
        out = self.l1(gen_input)
        out = out.view(out.shape[0], 8, self.init_size, self.init_size)
        return self.conv_blocks(out)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.conv_blocks = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 8, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True))
        ds_size = img_size // 4
        self.adv_layer = nn.Sequential(nn.Linear(8 * ds_size ** 2, 1))
        self.aux_layer = nn.Sequential(nn.Linear(8 * ds_size ** 2, n_classes), nn.Softmax())
        self.latent_layer = nn.Sequential(nn.Linear(8 * ds_size ** 2, code_dim))

    def forward(self, img):
        out = self.conv_blocks(img)
        out = out.view(out.shape[0], -1)
        return self.adv_layer(out), self.aux_layer(out), self.latent_layer(out)


np.random.seed(4)
torch.manual_seed(4)
adversarial_loss = torch.nn.MSELoss()
categorical_loss = torch.nn.CrossEntropyLoss()
continuous_loss = torch.nn.MSELoss()
generator, discriminator = Generator(), Discriminator()
if cuda:
    generator.cuda()
    discriminator.cuda()
optimizer_G = torch.optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=0.004, betas=(0.5, 0.999))
optimizer_info = torch.optim.Adam(
    itertools.chain(generator.parameters(), discriminator.parameters()), lr=0.004,
    betas=(0.5, 0.999))
corners = np.full((n_classes, 1, img_size, img_size), -0.9, dtype="float32")
for n in range(n_classes):
    corners[n, 0, n // 2 * 4:][:4, n % 2 * 4:n % 2 * 4 + 4] = 0.9
progress = []

# Training

for step in range(30):
    valid = Variable(FloatTensor(batch_size, 1).fill_(1.0), requires_grad=False)
    fake = Variable(FloatTensor(batch_size, 1).fill_(0.0), requires_grad=False)
    labels = np.random.randint(0, n_classes, batch_size)
    real_imgs = Variable(FloatTensor(corners[labels]))

    optimizer_G.zero_grad()
    z = Variable(FloatTensor(np.random.normal(0, 1, (batch_size, latent_dim))))
    label_input = to_categorical(np.random.randint(0, n_classes, batch_size), n_classes)
    code_input = Variable(FloatTensor(np.random.uniform(-1, 1, (batch_size, code_dim))))
    gen_imgs = generator(z, label_input, code_input)
    validity, _, _ = discriminator(gen_imgs)
    g_loss = adversarial_loss(validity, valid)
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    real_pred, _, _ = discriminator(real_imgs)
    fake_pred, _, _ = discriminator(gen_imgs.detach())
    d_loss = (adversarial_loss(real_pred, valid) + adversarial_loss(fake_pred, fake)) / 2
    d_loss.backward()
    optimizer_D.step()

    optimizer_info.zero_grad()
    sampled_labels = np.random.randint(0, n_classes, batch_size)
    gt_labels = Variable(LongTensor(sampled_labels), requires_grad=False)
    label_input = to_categorical(sampled_labels, num_columns=n_classes)
    gen_imgs = generator(z, label_input, code_input)
    _, pred_label, pred_code = discriminator(gen_imgs)
    info_loss = (lambda_cat * categorical_loss(pred_label, gt_labels)
                 + lambda_con * continuous_loss(pred_code, code_input))
    info_loss.backward()
    optimizer_info.step()
    progress.append(d_loss.item() + info_loss.item())
