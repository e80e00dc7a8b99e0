"""Whether a GAN's training has failed in one of its two usual ways.

I. Goodfellow et al., Generative adversarial nets, 2014, sections 3 and 6: a discriminator that is
never wrong gives the generator no gradient to learn from, and a generator may map all noise to
the same sample (mode collapse).
"""

import math

from minigan.checks import explain_errors

RECENT = 100         # logged losses of the discriminator that are averaged
NEVER_WRONG = 0.01   # mean loss: it answers 0.99 where 1 is right
ALWAYS_WRONG = 5.0   # mean loss: it answers 0.007
COLLAPSED = 0.1      # of the spread of real samples


@explain_errors
def check_gan(run, spread):
    """Log the spread of a GAN's samples, see `spread_ratio`, and warn if its training has failed.

    run  a Run; losses whose names begin with "D" are taken for its discriminator's
    """
    run.log_metrics({"spread": spread})
    run.warn(generator_warning(spread))
    run.warn(discriminator_warning({name: values for name, values in run.history.losses.items()
                                    if name.startswith("D")}))


@explain_errors
def discriminator_warning(losses):
    """A warning if the discriminator is hardly ever or nearly always wrong, otherwise "".

    losses  {name: list of floats} of its two parts: on real and on generated samples
    """
    recent = {name: values[-RECENT:] for name, values in losses.items()}
    if min(map(len, recent.values()), default=0) < RECENT:
        return ""
    means = {name: math.fsum(values) / RECENT for name, values in recent.items()}
    listed = ", ".join(f"{name} {mean:.2g}" for name, mean in means.items())
    if max(means.values()) < NEVER_WRONG:
        return (f"the discriminator is hardly ever wrong, so the generator hardly learns: mean "
                f"loss of the last {RECENT} logged steps {listed} (below {NEVER_WRONG})")
    if min(means.values()) > ALWAYS_WRONG:
        return (f"the discriminator is nearly always wrong: mean loss of the last {RECENT} "
                f"logged steps {listed} (above {ALWAYS_WRONG:g})")
    return ""


@explain_errors
def generator_warning(spread):
    """A warning if the generator has collapsed, otherwise "".

    spread  the mean distance between its samples over that between real ones, see `spread_ratio`
    """
    if spread < COLLAPSED:
        return (f"the generator has collapsed, it makes nearly the same sample of all noise: its "
                f"samples are {spread:.2g} times as far from each other as real ones (below "
                f"{COLLAPSED})")
    return ""
