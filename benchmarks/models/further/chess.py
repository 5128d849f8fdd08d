"""Games of chess between 40 players: won, drawn or lost by what they can, which sums to zero, and by colour."""

import numpy as np
import pymc as pm

PLAYERS, GAMES, SEED = 40, 1500, 20261211


def build() -> pm.Model:
    """Build the model: an ordered logit of the difference in skill, 44 parameters, 1500 games."""
    white, black, outcome = arrays().values()
    with pm.Model(coords={"player": np.arange(PLAYERS)}) as model:
        skill = pm.ZeroSumNormal("skill", pm.HalfNormal("skill_sd", 1.0), dims="player")
        first_move = pm.Normal("first_move", 0.0, 0.5)
        bounds = pm.Normal(
            "bounds", [-0.5, 0.5], 1.0, transform=pm.distributions.transforms.ordered, shape=2, initval=[-0.5, 0.5]
        )
        pm.OrderedLogistic("outcome", eta=first_move + skill[white] - skill[black], cutpoints=bounds, observed=outcome)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each game who has white and black, and 0, 1 or 2 for white's outcome."""
    rng = np.random.default_rng(SEED)
    white = rng.integers(0, PLAYERS, GAMES)
    black = (white + rng.integers(1, PLAYERS, GAMES)) % PLAYERS
    skills = rng.normal(size=PLAYERS)
    latent = 0.2 + skills[white] - skills[black] + rng.logistic(size=GAMES)
    return {"white": white, "black": black, "outcome": np.digitize(latent, [-0.6, 0.6])}
