"""Goals of a season of football, attack and defence of each team, on data made by a seed."""

import numpy as np
import pymc as pm

TEAMS, SEED = 20, 20261128


def build() -> pm.Model:
    """Build the model of PyMC's rugby example with a league of 20: 44 parameters, 380 games with two scores each."""
    home, away, home_goals, away_goals = arrays().values()
    with pm.Model(coords={"team": np.arange(TEAMS)}) as model:
        advantage = pm.Normal("advantage", 0.0, 0.5)
        level = pm.Normal("level", 0.0, 1.0)
        attack_sd = pm.HalfStudentT("attack_sd", 3, 2.5)
        defence_sd = pm.HalfStudentT("defence_sd", 3, 2.5)
        attack = pm.ZeroSumNormal("attack", attack_sd, dims="team")
        defence = pm.ZeroSumNormal("defence", defence_sd, dims="team")
        home_rate = pm.math.exp(level + advantage + attack[home] - defence[away])
        away_rate = pm.math.exp(level + attack[away] - defence[home])
        pm.Poisson("home_goals", home_rate, observed=home_goals)
        pm.Poisson("away_goals", away_rate, observed=away_goals)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each game the teams and their goals."""
    rng = np.random.default_rng(SEED)
    home, away = np.nonzero(~np.eye(TEAMS, dtype=bool))
    attacks, defences = 0.3 * rng.normal(size=TEAMS), 0.3 * rng.normal(size=TEAMS)
    home_goals = rng.poisson(np.exp(0.2 + 0.3 + attacks[home] - defences[away]))
    away_goals = rng.poisson(np.exp(0.2 + attacks[away] - defences[home]))
    return {"home": home, "away": away, "home_goals": home_goals, "away_goals": away_goals}
