"""A local level with a season of twelve months, the states integrated out by a Kalman filter written as a recursion."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

MONTHS, SEASON, SEED = 144, 12, 20261202


def build() -> pm.Model:
    """Build the model: 3 standard deviations; each of 144 steps has matrices of 12 states."""
    values = arrays()["values"]
    with pm.Model() as model:
        sds = [pm.HalfNormal(name, scale) for name, scale in (("noise", 1.0), ("level_sd", 0.5), ("season_sd", 0.3))]
        move, seen = _moves(), _seen()
        noise, *changes = [sd**2 for sd in sds]
        added = pt.zeros((SEASON, SEASON))
        added = pt.set_subtensor(pt.set_subtensor(added[0, 0], changes[0])[1, 1], changes[1])

        def step(value, mean, spread, noise, added):
            mean, spread = move @ mean, move @ spread @ move.T + added
            error, variance = value - seen @ mean, seen @ spread @ seen + noise
            gain = spread @ seen / variance
            logp = -0.5 * (pt.log(2.0 * np.pi * variance) + error**2 / variance)
            return mean + gain * error, spread - pt.outer(gain, seen @ spread), logp

        *_, logp = pytensor.scan(
            step,
            sequences=[pt.as_tensor(values)],
            outputs_info=[pt.zeros(SEASON), 10.0 * pt.eye(SEASON), None],
            non_sequences=[noise, added],
            return_updates=False,
        )
        pm.Potential("values", logp.sum())
    return model


def _moves() -> np.ndarray:
    """From the states of one month to those of the next: the level stays, a year's season sums to zero."""
    move = np.zeros((SEASON, SEASON))
    move[0, 0], move[1, 1:] = 1.0, -1.0
    move[2:, 1:-1] += np.eye(SEASON - 2)
    return move


def _seen() -> np.ndarray:
    """What a month shows of its states: the level and the newest season."""
    return np.r_[1.0, 1.0, np.zeros(SEASON - 2)]


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: a value for each month."""
    rng = np.random.default_rng(SEED)
    level = np.cumsum(0.2 * rng.normal(size=MONTHS))
    season = np.sin(2.0 * np.pi * np.arange(MONTHS) / SEASON)
    return {"values": level + season + 0.4 * rng.normal(size=MONTHS)}
