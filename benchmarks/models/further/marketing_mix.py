"""Sales of three years by week and what was spent on six channels: advertising lasts, and more of it gains less."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

WEEKS, CHANNELS, LAGS, SEED = 156, 6, 8, 20261206


def build() -> pm.Model:
    """Build the model: geometric adstock over 8 weeks, logistic saturation, trend and season; 25 parameters."""
    spent, season, sales = arrays().values()
    lagged = np.stack([np.pad(spent, ((lag, 0), (0, 0)))[:WEEKS] for lag in range(LAGS)])
    with pm.Model(coords={"channel": np.arange(CHANNELS), "wave": np.arange(season.shape[1])}) as model:
        lasts = pm.Beta("lasts", 1.0, 3.0, dims="channel")
        bends = pm.Gamma("bends", 3.0, 1.0, dims="channel")
        gain = pm.HalfNormal("gain", 2.0, dims="channel")
        weights = lasts ** np.arange(LAGS)[:, None]
        adstock = (lagged * (weights / weights.sum(0))[:, None, :]).sum(0)
        slowed = (1.0 - pt.exp(-bends * adstock)) / (1.0 + pt.exp(-bends * adstock))
        level, trend = pm.Normal("level", 5.0, 2.0), pm.Normal("trend", 0.0, 1.0)
        waves = pm.Laplace("waves", 0.0, 0.5, dims="wave")
        mean = level + trend * np.linspace(0.0, 1.0, WEEKS) + pt.dot(season, waves) + (slowed * gain).sum(1)
        pm.Normal("sales", mean, pm.HalfNormal("noise", 1.0), observed=sales)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each week what was spent (in its maximum), the season's waves, the sales."""
    rng = np.random.default_rng(SEED)
    spent = rng.gamma(1.0, 1.0, (WEEKS, CHANNELS)) * (rng.uniform(size=(WEEKS, CHANNELS)) < 0.7)
    spent /= spent.max(0)
    angle = 2.0 * np.pi * np.arange(WEEKS) / 52.0
    season = np.stack([wave(k * angle) for k in (1, 2) for wave in (np.sin, np.cos)], axis=1)
    sales = 5.0 + 0.5 * season[:, 0] + spent @ rng.gamma(2.0, 0.5, CHANNELS) + 0.3 * rng.normal(size=WEEKS)
    return {"spent": spent, "season": season, "sales": sales}
