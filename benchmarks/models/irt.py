"""A two-parameter logistic model of item responses, on data made by a seed."""

import numpy as np
import pymc as pm

PERSONS, ITEMS, SEED = 400, 30, 20261125


def build(persons: int = PERSONS, items: int = ITEMS) -> pm.Model:
    """Build the model: an ability for each person, difficulty and discrimination of each item, all answers given."""
    person, item, is_correct = arrays(persons, items).values()
    with pm.Model(coords={"person": np.arange(persons), "item": np.arange(items)}) as model:
        ability = pm.Normal("ability", 0.0, 1.0, dims="person")
        mean_difficulty = pm.Normal("mean_difficulty", 0.0, 1.0)
        difficulty_sd = pm.HalfNormal("difficulty_sd", 1.0)
        difficulty = pm.Normal("difficulty", mean_difficulty, difficulty_sd, dims="item")
        discrimination_sd = pm.HalfNormal("discrimination_sd", 0.5)
        discrimination = pm.LogNormal("discrimination", 0.0, discrimination_sd, dims="item")
        logit = discrimination[item] * (ability[person] - difficulty[item])
        pm.Bernoulli("is_correct", logit_p=logit, observed=is_correct)
    return model


def arrays(persons: int = PERSONS, items: int = ITEMS) -> dict[str, np.ndarray]:
    """Make the data by their names: for each answer the person, the item, and whether it was correct."""
    rng = np.random.default_rng(SEED)
    person, item = (index.ravel() for index in np.indices((persons, items)))
    discriminations = np.exp(0.3 * rng.normal(size=items))
    logits = discriminations[item] * (rng.normal(size=persons)[person] - rng.normal(size=items)[item])
    is_correct = (rng.uniform(size=logits.size) < 1.0 / (1.0 + np.exp(-logits))).astype(int)
    return {"person": person, "item": item, "is_correct": is_correct}
