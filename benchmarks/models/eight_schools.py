"""Eight schools, non-centred: posteriordb's `eight_schools-eight_schools_noncentered` (Rubin 1981)."""

import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `eight_schools_noncentered.stan`: 10 parameters, 8 observations."""
    data = load_data("eight_schools")
    with pm.Model() as model:
        theta_trans = pm.Normal("theta_trans", 0.0, 1.0, shape=int(data["J"]))
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfCauchy("tau", 5.0)
        theta = pm.Deterministic("theta", mu + tau * theta_trans)
        pm.Normal("y", theta, data["sigma"], observed=data["y"])
    return model
