"""A drug that is swallowed: its concentration in the blood of 20 people, whose bodies differ in three ways."""

import numpy as np
import pymc as pm

PEOPLE, DOSE, SEED = 20, 320.0, 20261208
HOURS = np.array([0.5, 1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 24.0])
USUAL = np.log([1.5, 2.8, 32.0])  # absorption per hour, clearance in litres an hour, volume in litres


def build() -> pm.Model:
    """Build the model: one compartment with absorption of first order, 67 parameters, 180 concentrations."""
    log_concentration = arrays()["log_concentration"]
    with pm.Model(coords={"person": np.arange(PEOPLE), "way": ["absorption", "clearance", "volume"]}) as model:
        typical = pm.Normal("typical", USUAL, 0.5, dims="way")
        sd = pm.HalfNormal("sd", 0.5, dims="way")
        body = pm.Normal("body", typical, sd, dims=("person", "way"))
        noise = pm.HalfNormal("noise", 0.5)
        absorption, clearance, volume = (pm.math.exp(body[:, way])[:, None] for way in range(3))
        rate = clearance / volume
        factor = DOSE * absorption / (volume * (absorption - rate))
        mean = factor * (pm.math.exp(-rate * HOURS) - pm.math.exp(-absorption * HOURS))
        pm.Normal("log_concentration", pm.math.log(mean), noise, observed=log_concentration)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: log concentrations of each person at nine times."""
    rng = np.random.default_rng(SEED)
    absorption, clearance, volume = np.exp(USUAL + 0.25 * rng.normal(size=(PEOPLE, 3))).T[:, :, None]
    rate = clearance / volume
    mean = DOSE * absorption / (volume * (absorption - rate)) * (np.exp(-rate * HOURS) - np.exp(-absorption * HOURS))
    return {"log_concentration": np.log(mean) + 0.15 * rng.normal(size=mean.shape)}
