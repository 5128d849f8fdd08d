"""Which of four brands people buy: a multinomial logit of prices and of what each buyer is like."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

BUYERS, BRANDS, TRAITS, SEED = 3000, 4, 5, 20261205


def build() -> pm.Model:
    """Build the model: 19 parameters, 3000 choices."""
    price, traits, choice = arrays().values()
    with pm.Model(coords={"brand": np.arange(1, BRANDS), "trait": np.arange(TRAITS)}) as model:
        level = pm.Normal("level", 0.0, 2.0, dims="brand")
        slope = pm.Normal("slope", 0.0, 1.0, dims=("trait", "brand"))
        per_price = pm.Normal("per_price", 0.0, 1.0)
        others = level + pt.dot(traits, slope)
        utility = pt.concatenate([pt.zeros((BUYERS, 1)), others], axis=1) + per_price * price
        pm.Categorical("choice", logit_p=utility, observed=choice)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each buyer the prices that day, five traits, and the brand."""
    rng = np.random.default_rng(SEED)
    price, traits = rng.normal(size=(BUYERS, BRANDS)), rng.normal(size=(BUYERS, TRAITS))
    slopes = np.c_[np.zeros(TRAITS), 0.5 * rng.normal(size=(TRAITS, BRANDS - 1))]
    utility = traits @ slopes - 0.8 * price + rng.gumbel(size=(BUYERS, BRANDS))
    return {"price": price, "traits": traits, "choice": utility.argmax(1)}
