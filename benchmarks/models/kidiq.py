"""Children's test scores on the mother's schooling and IQ: posteriordb's `kidiq-kidscore_interaction`."""

import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `kidscore_interaction.stan`: 5 parameters, 434 observations, raw predictors."""
    data = load_data("kidiq")
    mom_hs, mom_iq = data["mom_hs"], data["mom_iq"]
    with pm.Model() as model:
        beta = pm.Flat("beta", shape=4)
        sigma = pm.HalfCauchy("sigma", 2.5)
        mean = beta[0] + beta[1] * mom_hs + beta[2] * mom_iq + beta[3] * (mom_hs * mom_iq)
        pm.Normal("kid_score", mean, sigma, observed=data["kid_score"])
    return model
