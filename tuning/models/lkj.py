"""A hierarchy whose 20 effects a group are correlated, with an LKJ prior: a solve of 20 x 400, and small products."""

import numpy as np
import pymc as pm

GROUPS, EFFECTS, ROWS, SEED = 400, 20, 8000, 1


def build() -> pm.Model:
    """Build the model: EFFECTS correlated slopes for each of GROUPS groups, ROWS observations."""
    rng = np.random.default_rng(SEED)
    group = rng.integers(GROUPS, size=ROWS)
    x = rng.normal(size=(ROWS, EFFECTS))
    slopes = rng.normal(size=(GROUPS, EFFECTS))
    y = (x * slopes[group]).sum(axis=1) + rng.normal(size=ROWS)
    with pm.Model() as model:
        spread = pm.HalfNormal.dist(1.0, shape=EFFECTS)
        factor, *_ = pm.LKJCholeskyCov("factor", n=EFFECTS, eta=2.0, sd_dist=spread)
        effects = pm.MvNormal("effects", 0.0, chol=factor, shape=(GROUPS, EFFECTS))
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", (x * effects[group]).sum(axis=1), sigma, observed=y)
    return model


model = build()
