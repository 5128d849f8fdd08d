"""How many animals there are: two kinds, shy and bold, seen on ten nights; which kind an animal is, is summed out."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

NIGHTS, TOTAL, ROWS, SEED = 10, 300, 600, 20261207


def build() -> pm.Model:
    """Build the model: 600 rows of data augmentation (those never seen may be no animals); 4 parameters."""
    times = arrays()["times"]
    with pm.Model() as model:
        exists = pm.Beta("exists", 1.0, 1.0)
        bold = pm.Beta("bold", 2.0, 2.0)
        seen = pm.Normal("seen", [-2.0, 0.0], 1.0, transform=pm.distributions.transforms.ordered, shape=2)
        kinds = pm.logp(pm.Binomial.dist(NIGHTS, logit_p=seen), times[:, None])
        alive = pt.log(exists) + pt.logsumexp(kinds + pt.log(pt.stack([1.0 - bold, bold])), axis=1)
        never = pt.switch(pt.eq(times, 0), pt.logaddexp(alive, pt.log1p(-exists)), alive)
        pm.Potential("times", never.sum())
        pm.Deterministic("expected_total", exists * ROWS)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: on how many nights each animal was seen, and rows of zeros."""
    rng = np.random.default_rng(SEED)
    p = np.where(rng.uniform(size=TOTAL) < 0.4, 0.4, 0.08)
    times = rng.binomial(NIGHTS, p)
    times = times[times > 0]
    return {"times": np.r_[times, np.zeros(ROWS - len(times), int)]}
