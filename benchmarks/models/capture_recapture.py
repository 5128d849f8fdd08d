"""Capture and recapture as people write it: a loop over animals, each a `pm.Potential` of some 50 operations."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

ANIMALS, OCCASIONS, SEED = 400, 7, 20261129


def build(animals: int = ANIMALS) -> pm.Model:
    """Build the model of Cormack, Jolly and Seber: survival depends on size, being seen on the occasion."""
    seen, size = arrays(animals).values()
    with pm.Model() as model:
        level = pm.Normal("level", 1.0, 1.0)
        slope = pm.Normal("slope", 0.0, 1.0)
        p = pm.Beta("p", 2.0, 2.0, shape=OCCASIONS - 1)
        for animal in range(animals):
            phi = pm.math.invlogit(level + slope * size[animal])
            pm.Potential(f"ch_{animal}", _log_probability(seen[animal], phi, p))
    return model


def _log_probability(seen: np.ndarray, phi, p):
    """Of what was seen of an animal after the first time: `phi` and `p` are of the steps between occasions."""
    last = np.flatnonzero(seen)[-1]
    result = pt.constant(0.0)
    for step in range(last):
        result += pt.log(phi[step])
        result += pt.log(p[step]) if seen[step + 1] else pt.log1p(-p[step])
    unseen = pt.constant(1.0)
    for step in reversed(range(last, OCCASIONS - 1)):
        unseen = 1.0 - phi[step] + phi[step] * (1.0 - p[step]) * unseen
    return result + pt.log(unseen)


def arrays(animals: int = ANIMALS) -> dict[str, np.ndarray]:
    """Make the data by their names: on which occasions each animal was seen, and its size at each but the last."""
    rng = np.random.default_rng(SEED)
    size = rng.normal(size=(animals, OCCASIONS - 1))
    alive = rng.uniform(size=size.shape) < 1.0 / (1.0 + np.exp(-(1.5 + 0.5 * size)))
    seen = rng.uniform(size=(animals, OCCASIONS)) < 0.5
    seen[:, 0] = True
    seen[:, 1:] &= np.cumprod(alive, axis=1, dtype=bool)
    return {"seen": seen, "size": size}
