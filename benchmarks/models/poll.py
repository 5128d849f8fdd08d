"""A poll over states, ages and schooling: logistic regression with crossed effects, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, SEED = 12_000, 20261128
LEVELS = {"state": 51, "age": 6, "schooling": 5, "state_age": 306}


def build(rows: int = ROWS) -> pm.Model:
    """Build the model: 374 parameters, each crossing of state and age with an effect of its own."""
    given = arrays(rows)
    with pm.Model(coords={name: np.arange(count) for name, count in LEVELS.items()}) as model:
        logit = pm.Normal("intercept", 0.0, 2.0) + pm.Normal("woman", 0.0, 1.0) * given["is_woman"]
        for name in LEVELS:
            sd = pm.HalfNormal(f"{name}_sd", 1.0)
            raw = pm.Normal(f"{name}_raw", 0.0, 1.0, dims=name)
            effect = pm.Deterministic(f"{name}_effect", sd * raw, dims=name)
            logit = logit + effect[given[name]]
        pm.Bernoulli("agrees", logit_p=logit, observed=given["agrees"])
    return model


def arrays(rows: int = ROWS) -> dict[str, np.ndarray]:
    """Make the data by their names: for each person the number of each group, the sex, and the answer."""
    rng = np.random.default_rng(SEED)
    index = {name: rng.integers(0, count, rows) for name, count in LEVELS.items() if name != "state_age"}
    index["state_age"] = index["state"] * LEVELS["age"] + index["age"]
    is_woman = rng.integers(0, 2, rows).astype(float)
    sds = {"state": 0.5, "age": 0.3, "schooling": 0.3, "state_age": 0.2}
    logits = 0.2 + 0.3 * is_woman
    for name, count in LEVELS.items():
        logits = logits + (sds[name] * rng.normal(size=count))[index[name]]
    agrees = (rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(-logits))).astype(int)
    return {**index, "is_woman": is_woman, "agrees": agrees}
