"""The training step as the examples write it; m is minigan or torch, which share their names."""

from engines.layers import built


def unchanged(function):
    return function


def make_run(m, task, adam, compiled=unchanged, captured=unchanged):
    """The function run(steps).

    compiled  what makes of a forward pass a function that computes the same, faster
    captured  what makes of the whole step a function that does the same, such as a CUDA graph
    """
    networks = [built(m, *network).to(task.device) for network in task.networks]
    optimisers = [adam(network.parameters(), lr=task.lr) for network in networks]
    inputs = [[None if array is None else m.tensor(array).to(task.device) for array in part]
              for part in task.inputs]
    step = captured(make_step(m, networks, optimisers, inputs, compiled))

    def run(steps):
        for _ in range(steps - 1):
            step()
        return [loss.item() for loss in step()]

    return run


def make_step(m, networks, optimisers, inputs, compiled):
    """A step of a classifier or, given two networks, of a GAN; it returns the losses of its parts.
    """
    loss_function = m.nn.BCELoss()
    discriminator = networks[0]  # or the classifier, which has only the first part of the step
    generator = networks[-1]

    def with_labels(x, labels):
        return x if labels is None else m.cat((x, labels), -1)

    @compiled
    def judge(images, labels, target):
        return loss_function(discriminator(with_labels(images, labels)), target)

    @compiled
    def generate(latents, labels):
        return generator(with_labels(latents, labels))

    def learn(loss, optimiser):
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def step():
        (images, labels, target), *generated = inputs
        losses = [learn(judge(images, labels, target), optimisers[0])]
        if generated:
            (latents, labels, target), (new_latents, new_labels, new_target) = generated
            images = generate(latents, labels).detach()
            losses.append(learn(judge(images, labels, target), optimisers[0]))

            discriminator.requires_grad_(False)
            images = generate(new_latents, new_labels)
            losses.append(learn(judge(images, new_labels, new_target), optimisers[1]))
            discriminator.requires_grad_(True)
        return losses

    return step
