"""Summer temperature at Kilpisjarvi against the raw year: posteriordb's `kilpisjarvi_mod-kilpisjarvi`."""

import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `kilpisjarvi.stan`: 3 parameters, 62 observations, correlation near one."""
    data = load_data("kilpisjarvi_mod")
    with pm.Model() as model:
        alpha = pm.Normal("alpha", float(data["pmualpha"]), float(data["psalpha"]))
        beta = pm.Normal("beta", float(data["pmubeta"]), float(data["psbeta"]))
        sigma = pm.HalfFlat("sigma")
        pm.Normal("y", alpha + beta * data["x"], sigma, observed=data["y"])
    return model
