"""A hierarchical regression of the size of the full radon data set, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, COUNTIES, SEED = 12_000, 386, 20261122


def build(rows: int = ROWS) -> pm.Model:
    """Build the model: 390 parameters, so many rows, county intercepts in their non-centred form."""
    county, floor, log_radon = arrays(rows).values()
    with pm.Model(coords={"county": np.arange(COUNTIES)}) as model:
        intercept = pm.Normal("intercept", 0.0, 10.0)
        floor_effect = pm.Normal("floor_effect", 0.0, 2.0)
        county_sd = pm.HalfNormal("county_sd", 1.0)
        county_raw = pm.Normal("county_raw", 0.0, 1.0, dims="county")
        sigma = pm.HalfNormal("sigma", 1.5)
        level = pm.Deterministic("level", intercept + county_sd * county_raw, dims="county")
        pm.Normal("log_radon", level[county] + floor_effect * floor, sigma, observed=log_radon)
    return model


def arrays(rows: int = ROWS) -> dict[str, np.ndarray]:
    """Make the data by their names: for each row the county, the floor, and the logarithm of radon."""
    rng = np.random.default_rng(SEED)
    county = rng.integers(0, COUNTIES, rows)
    floor = rng.integers(0, 2, rows).astype(float)
    levels = 1.3 + 0.3 * rng.normal(size=COUNTIES)
    log_radon = levels[county] - 0.6 * floor + 0.75 * rng.normal(size=rows)
    return {"county": county, "basement": floor, "log_radon": log_radon}
