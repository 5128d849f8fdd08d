"""A model of many small pieces, made by a loop and a seed: its density and gradient have about 2000 graph nodes."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

BLOCKS, ROWS, GROUPS, COLUMNS, SEED = 4, 60, 8, 3, 20261125


def build(blocks: int = BLOCKS) -> pm.Model:
    """Build the model: each block is a small hierarchical regression of one of four kinds, on data of its own."""
    rng = np.random.default_rng(SEED)
    with pm.Model(coords={"group": np.arange(GROUPS), "column": np.arange(COLUMNS)}) as model:
        centre = pm.Normal("centre", 0.0, 1.0)
        spread = pm.HalfNormal("spread", 1.0)
        for number in range(blocks):
            _block(rng, number, centre, spread)
    return model


def _block(rng: np.random.Generator, number: int, centre, spread) -> None:
    group = rng.integers(0, GROUPS, ROWS)
    design = rng.normal(size=(ROWS, COLUMNS))
    predictor = 0.5 * rng.normal(size=GROUPS)[group] + design @ (0.3 * rng.normal(size=COLUMNS))
    mean = pm.Normal(f"mean_{number}", centre, spread)
    scale = pm.HalfNormal(f"scale_{number}", 1.0)
    offset = pm.Normal(f"offset_{number}", 0.0, 1.0, dims="group")
    level = pm.Deterministic(f"level_{number}", mean + scale * offset, dims="group")
    slope = pm.Normal(f"slope_{number}", 0.0, 1.0, dims="column")
    linear = level[group] + pt.dot(design, slope)
    _OUTCOMES[number % len(_OUTCOMES)](rng, number, predictor, linear)


def _normal(rng: np.random.Generator, number: int, predictor: np.ndarray, linear) -> None:
    noise = pm.Exponential(f"noise_{number}", 1.0)
    pm.Normal(f"y_{number}", linear, noise, observed=predictor + 0.7 * rng.normal(size=ROWS))


def _robust(rng: np.random.Generator, number: int, predictor: np.ndarray, linear) -> None:
    noise = pm.HalfCauchy(f"noise_{number}", 1.0)
    freedom = pm.Gamma(f"freedom_{number}", 2.0, 0.1)
    pm.StudentT(
        f"y_{number}", nu=freedom, mu=linear, sigma=noise, observed=predictor + 0.5 * rng.standard_t(5.0, size=ROWS)
    )


def _yes_or_no(rng: np.random.Generator, number: int, predictor: np.ndarray, linear) -> None:
    guess = pm.Beta(f"guess_{number}", 2.0, 20.0)
    outcome = (rng.uniform(size=ROWS) < 1.0 / (1.0 + np.exp(-predictor))).astype(int)
    pm.Bernoulli(f"y_{number}", p=guess + (1.0 - guess) * pm.math.invlogit(linear), observed=outcome)


def _counts(rng: np.random.Generator, number: int, predictor: np.ndarray, linear) -> None:
    inflation = pm.LogNormal(f"inflation_{number}", 0.0, 1.0)
    pm.NegativeBinomial(
        f"y_{number}", mu=pt.exp(linear), alpha=inflation, observed=rng.poisson(np.exp(predictor), size=ROWS)
    )


_OUTCOMES = (_normal, _robust, _yes_or_no, _counts)
