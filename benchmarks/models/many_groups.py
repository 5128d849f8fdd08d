"""A hierarchy of many groups with ten rows each, in random order, on data made by a seed."""

import numpy as np
import pymc as pm

GROUPS, ROWS_EACH, SEED = 1000, 10, 20261129


def build(groups: int = GROUPS) -> pm.Model:
    """Build the model: a level for each group, in their non-centred form, and three parameters more."""
    rng = np.random.default_rng(SEED)
    group = rng.permutation(np.repeat(np.arange(groups), ROWS_EACH))
    y = rng.normal(size=groups)[group] + 0.8 * rng.normal(size=group.size)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 5.0)
        group_sd = pm.HalfNormal("group_sd", 2.0)
        raw = pm.Normal("raw", 0.0, 1.0, shape=groups)
        level = pm.Deterministic("level", mean + group_sd * raw)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Normal("y", level[group], sigma, observed=y)
    return model
