"""An auxiliary-classifier GAN: labels are embedded, and the discriminator finds them again."""

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable

latent_dim, n_classes, img_size, batch_size = 8, 3, 8, 12
cuda = torch.cuda.is_available()
FloatTensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
LongTensor = torch.cuda.LongTensor if cuda else torch.LongTensor


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()
        self.label_emb = nn.Embedding(n_classes, latent_dim)
        self.init_size = img_size // 2
        self.l1 = nn.Sequential(nn.Linear(latent_dim, 8 * self.init_size ** 2))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(8),
            nn.Upsample(scale_factor=2),
            nn.ZeroPad2d((1, 1, 1, 1)),
            nn.Conv2d(8, 1, 3),
            nn.Tanh(),
        )

    def forward(self, noise, labels):
        gen_input = torch.mul(self.label_emb(labels), noise)
        out = self.l1(gen_input)
        out = out.view(out.shape[0], 8, self.init_size, self.init_size)
        return self.conv_blocks(out)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.conv_blocks = nn.Sequential(
            nn.Conv2d(1, 8, 3, 1, 1, groups=1), nn.LeakyReLU(0.2, inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(8, 8, 3, 1, 1, groups=4), nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveAvgPool2d((2, 2)))
        self.adv_layer = nn.Sequential(nn.Linear(8 * 4, 1), nn.Sigmoid())
        self.aux_layer = nn.Sequential(nn.Linear(8 * 4, n_classes), nn.Softmax(dim=1))

    def forward(self, img):
        out = self.conv_blocks(img)
        out = out.view(out.shape[0], -1)
        return self.adv_layer(out), self.aux_layer(out)


np.random.seed(5)
torch.manual_seed(5)
adversarial_loss = torch.nn.BCELoss()
auxiliary_loss = torch.nn.CrossEntropyLoss()
generator, discriminator = Generator(), Discriminator()
if cuda:
    generator.cuda()
    discriminator.cuda()
    adversarial_loss.cuda()
    auxiliary_loss.cuda()
optimizer_G = torch.optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=0.02, betas=(0.5, 0.999))
bars = np.full((n_classes, 1, img_size, img_size), -0.7, dtype="float32")
bars[0, 0, 2:4], bars[1, 0, :, 4:7], bars[2, 0, 1:7, 1:7] = 0.8, 0.8, 0.8
progress, accuracies = [], []

# Training

for step in range(40):
    valid = Variable(FloatTensor(batch_size, 1).fill_(1.0), requires_grad=False)
    fake = Variable(FloatTensor(batch_size, 1).fill_(0.0), requires_grad=False)
    numbers = np.random.randint(0, n_classes, batch_size)
    real_imgs = Variable(torch.from_numpy(bars[numbers]).type(FloatTensor))
    labels = Variable(torch.from_numpy(numbers).type(LongTensor))

    optimizer_G.zero_grad()
    z = Variable(FloatTensor(np.random.normal(0, 1, (batch_size, latent_dim))))
    gen_labels = Variable(LongTensor(np.random.randint(0, n_classes, batch_size)))
    gen_imgs = generator(z, gen_labels)
    validity, pred_label = discriminator(gen_imgs)
    g_loss = 0.5 * (adversarial_loss(validity, valid) + auxiliary_loss(pred_label, gen_labels))
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    real_pred, real_aux = discriminator(real_imgs)
    d_real_loss = (adversarial_loss(real_pred, valid) + auxiliary_loss(real_aux, labels)) / 2
    fake_pred, fake_aux = discriminator(gen_imgs.detach())
    d_fake_loss = (adversarial_loss(fake_pred, fake) + auxiliary_loss(fake_aux, gen_labels)) / 2
    d_loss = (d_real_loss + d_fake_loss) / 2

    pred = np.concatenate([real_aux.data.cpu().numpy(), fake_aux.data.cpu().numpy()], axis=0)
    gt = np.concatenate([labels.data.cpu().numpy(), gen_labels.data.cpu().numpy()], axis=0)
    accuracies.append(np.mean(np.argmax(pred, axis=1) == gt))
    d_loss.backward()
    optimizer_D.step()
    progress.append(d_loss.item())

accuracy = np.mean(accuracies[-10:])
