"""Overdispersed counts of many shops and days, a hierarchical negative binomial regression, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, SHOPS, COVARIATES, SEED = 15_000, 60, 5, 20261128


def build(rows: int = ROWS) -> pm.Model:
    """Build the model: 68 parameters, shop levels in their centred form, which so many rows a shop call for."""
    shop, x, sold = arrays(rows).values()
    with pm.Model(coords={"shop": np.arange(SHOPS), "covariate": np.arange(COVARIATES)}) as model:
        overall = pm.Normal("overall", 0.0, 2.0)
        shop_sd = pm.HalfNormal("shop_sd", 1.0)
        level = pm.Normal("level", overall, shop_sd, dims="shop")
        effect = pm.Normal("effect", 0.0, 1.0, dims="covariate")
        dispersion = pm.Exponential("dispersion", 0.2)
        pm.NegativeBinomial("sold", mu=pm.math.exp(level[shop] + x @ effect), alpha=dispersion, observed=sold)
    return model


def arrays(rows: int = ROWS) -> dict[str, np.ndarray]:
    """Make the data by their names: for each day of a shop its number, the covariates, and what was sold."""
    rng = np.random.default_rng(SEED)
    shop = rng.integers(0, SHOPS, rows)
    x = rng.normal(size=(rows, COVARIATES))
    levels = 1.5 + 0.5 * rng.normal(size=SHOPS)
    mean = np.exp(levels[shop] + x @ np.linspace(-0.3, 0.3, COVARIATES))
    return {"shop": shop, "x": x, "sold": rng.negative_binomial(3.0, 3.0 / (3.0 + mean))}
