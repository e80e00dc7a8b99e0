"""The training step as the examples write it; m is minigan or torch, which share their names."""

import itertools

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
    batches = itertools.cycle([
        [m.tensor(array).to(task.device) for part in batch for array in part if array is not None]
        for batch in task.batches()])
    has_labels = task.inputs[0][1] is not None
    step = captured(make_step(m, networks, optimisers, has_labels, compiled))

    def run(steps):
        for _ in range(steps - 1):
            step(*next(batches))
        return [loss.item() for loss in step(*next(batches))]

    return run


def make_step(m, networks, optimisers, has_labels, compiled):
    """A step of a classifier or, given two networks, of a GAN; it returns the losses of its parts.

    Its arguments are the images or latents, the labels if there are any, and the target of each
    part.
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

    def parts(arguments):
        """(images or latents, labels or None, target) of each part."""
        size = 3 if has_labels else 2
        for start in range(0, len(arguments), size):
            images, *labels, target = arguments[start:start + size]
            yield images, labels[0] if labels else None, target

    def step(*arguments):
        (images, labels, target), *generated = parts(arguments)
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
