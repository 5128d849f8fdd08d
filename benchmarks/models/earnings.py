"""Log earnings on height and sex with their interaction: posteriordb's `earnings-logearn_interaction`."""

import numpy as np
import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `logearn_interaction.stan`: 5 parameters, 1192 observations, raw predictors."""
    data = load_data("earnings")
    height, male = data["height"], data["male"]
    with pm.Model() as model:
        beta = pm.Flat("beta", shape=4)
        sigma = pm.HalfFlat("sigma")
        mean = beta[0] + beta[1] * height + beta[2] * male + beta[3] * (height * male)
        pm.Normal("log_earn", mean, sigma, observed=np.log(data["earn"]))
    return model
