"""Whether a GAN's training has gone wrong in one of its two usual ways.

I. Goodfellow et al., Generative adversarial nets, 2014, sections 3 and 6: a discriminator that is
never wrong gives the generator no gradient to learn from, and a generator may map every seed to
the same picture.
"""

import math

from minigan.checks import explain_errors

RECORDS = 100        # of the discriminator's loss that are looked at
NEVER_WRONG = 0.01   # mean loss: it says 0.99 where 1 is right
ALWAYS_WRONG = 5.0   # mean loss: it says 0.007
COLLAPSED = 0.1      # of the spread of real pictures


@explain_errors
def discriminator_warning(losses):
    """A line if the discriminator is dying, otherwise "".

    losses  {name: list of floats}, of its two parts: on real and on drawn pictures
    """
    recent = {name: values[-RECORDS:] for name, values in losses.items()}
    if min(map(len, recent.values()), default=0) < RECORDS:
        return ""
    means = {name: math.fsum(values) / RECORDS for name, values in recent.items()}
    told = ", ".join(f"{name} {mean:.2g}" for name, mean in means.items())
    if max(means.values()) < NEVER_WRONG:
        return (f"the discriminator is hardly ever wrong, so the generator hardly learns: mean "
                f"loss of the last {RECORDS} records {told} (below {NEVER_WRONG})")
    if min(means.values()) > ALWAYS_WRONG:
        return (f"the discriminator is nearly always wrong: mean loss of the last {RECORDS} "
                f"records {told} (above {ALWAYS_WRONG:g})")
    return ""


@explain_errors
def generator_warning(spread):
    """A line if the generator has collapsed, otherwise "".

    spread  how far its pictures are from each other, over the same of real ones, see `spread_ratio`
    """
    if spread < COLLAPSED:
        return (f"the generator draws nearly the same picture from every seed: its pictures are "
                f"{spread:.2g} times as far from each other as real ones (below {COLLAPSED})")
    return ""
