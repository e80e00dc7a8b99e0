"""The training step as the examples write it; m is minigan or torch, which share their names."""

from engines.layers import built


def make_run(m, task, adam, recorded):
    """recorded: what makes of the step another that does the same, such as a CUDA graph."""
    networks = [built(m, *network).to(task.device) for network in task.networks]
    optimisers = [adam(network.parameters(), lr=task.lr) for network in networks]
    inputs = [[None if array is None else m.tensor(array).to(task.device) for array in part]
              for part in task.inputs]
    loss_function = m.nn.BCELoss()

    def learn(answer, target, optimiser):
        loss = loss_function(answer, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def classify():
        (model,), (optimiser,), ((images, _, targets),) = networks, optimisers, inputs
        return [learn(model(images), targets, optimiser)]

    def beside(x, labels):
        return x if labels is None else m.cat((x, labels), -1)

    def play():
        discriminator, generator = networks
        losses = []
        for number, (x, labels, target) in enumerate(inputs):
            images = x if number == 0 else generator(beside(x, labels))
            answer = discriminator(beside(images.detach() if number == 1 else images, labels))
            losses.append(learn(answer, target, optimisers[number == 2]))
        return losses

    step = recorded(classify if len(networks) == 1 else play)

    def run(steps):
        for _ in range(steps - 1):
            step()
        return [loss.item() for loss in step()]

    return run
