"""Answers on a scale of five, as an ordered logistic regression, on data made by a seed."""

import numpy as np
import pymc as pm

PERSONS, COVARIATES, ANSWERS, SEED = 2500, 6, 5, 20261128


def build(persons: int = PERSONS) -> pm.Model:
    """Build the model: four ordered cutpoints and six effects."""
    x, answers = arrays(persons).values()
    with pm.Model(coords={"covariate": np.arange(COVARIATES)}) as model:
        effect = pm.Normal("effect", 0.0, 1.0, dims="covariate")
        cutpoints = pm.Normal(
            "cutpoints",
            0.0,
            2.0,
            shape=ANSWERS - 1,
            transform=pm.distributions.transforms.ordered,
            initval=np.linspace(-1.0, 1.0, ANSWERS - 1),
        )
        pm.OrderedLogistic("answers", eta=x @ effect, cutpoints=cutpoints, compute_p=False, observed=answers)
    return model


def arrays(persons: int = PERSONS) -> dict[str, np.ndarray]:
    """Make the data by their names: covariates and answers from 0."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(persons, COVARIATES))
    latent = x @ np.linspace(-0.8, 0.8, COVARIATES) + rng.logistic(size=persons)
    return {"x": x, "answers": np.digitize(latent, [-2.0, -0.5, 0.5, 2.0])}
