"""Models of packages that stand on PyMC: nutmill samples them, by the one word that their users change."""

import numpy as np
import pymc as pm
import pytest

import nutmill
import nutmill.pymc
from nutmill.results.trace import group

pytestmark = [
    pytest.mark.extras,
    # Others' own business, in packages that are not pinned for what they say.
    pytest.mark.filterwarnings("ignore"),
]

RUN = {"draws": 250, "chains": 4, "random_seed": 1, "progressbar": False, "nuts_sampler": "nutmill"}


def posterior(result):
    """Draws of a run that was nutmill's, and whose chains agree."""
    assert group(result, "posterior").attrs["inference_library"] == "nutmill"  # pymc-marketing drops others
    verdict = nutmill.diagnose(result)
    assert verdict.rhat is not None and verdict.rhat[0] < 1.1, verdict
    return group(result, "posterior")


def test_a_marginalised_mixture():
    """The discrete variable is summed out by pymc-extras; the weights are what the data were made with."""
    import pymc_extras

    rng = np.random.default_rng(1)
    component = rng.random(150) < 0.3
    with pm.Model() as model:
        weight = pm.Beta("weight", 1.0, 1.0)
        of = pm.Bernoulli("of", weight, shape=150)
        pm.Normal(
            "y", pm.math.switch(of, 3.0, -3.0), 1.0, observed=np.where(component, 3.0, -3.0) + rng.normal(size=150)
        )
    with pymc_extras.marginalize(model, ["of"]):
        drawn = posterior(pm.sample(**RUN))
    # Components do not overlap: the posterior is that of the count, Beta(1 + k, 1 + n - k).
    expected, n = (1 + component.sum()) / 152, 152
    sd = np.sqrt(expected * (1 - expected) / (n + 1))
    assert abs(drawn["weight"].mean() - expected) < 0.3 * sd
    assert abs(drawn["weight"].std() / sd - 1.0) < 0.2


def test_a_hilbert_space_gaussian_process():
    rng = np.random.default_rng(2)
    x = np.linspace(0.0, 10.0, 60)
    with pm.Model():
        scale, length = pm.HalfNormal("scale", 1.0), pm.InverseGamma("length", 5.0, 5.0)
        process = pm.gp.HSGP(m=[20], c=1.5, cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length))
        f = process.prior("f", X=x[:, None])
        pm.Normal("y", f, 0.2, observed=np.sin(x) + rng.normal(scale=0.2, size=60))
        drawn = posterior(pm.sample(target_accept=0.9, **RUN))
    assert np.sqrt(np.mean((drawn["f"].mean(("chain", "draw")).values - np.sin(x)) ** 2)) < 0.15


def test_a_formula_of_bambi():
    import bambi
    import pandas as pd

    import nutmill.bambi

    nutmill.bambi.plug_in()
    rng = np.random.default_rng(3)
    x = rng.normal(size=80)
    data = pd.DataFrame({"x": x, "y": rng.poisson(np.exp(0.5 + 0.7 * x))})
    options = {name: value for name, value in RUN.items() if name != "nuts_sampler"}
    fitted = bambi.Model("y ~ x", data, family="poisson")
    drawn = posterior(fitted.fit(inference_method="nutmill", **options))
    assert abs(drawn["x"].mean() - 0.7) < 0.25


def test_a_media_mix_of_pymc_marketing():
    """Its variables have named dimensions, and their labels come back."""
    import pandas as pd
    from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

    rng = np.random.default_rng(4)
    weeks = pd.date_range("2024-01-01", periods=60, freq="W-MON")
    spent = pd.DataFrame({"date": weeks, "radio": rng.uniform(size=60), "print": rng.uniform(size=60)})
    sold = pd.Series(1.0 + spent["radio"] + 0.5 * spent["print"] + rng.normal(scale=0.1, size=60), name="sold")
    model = MMM(
        date_column="date",
        target_column="sold",
        channel_columns=["radio", "print"],
        adstock=GeometricAdstock(l_max=4),
        saturation=LogisticSaturation(),
    )
    drawn = posterior(model.fit(X=spent, y=sold, target_accept=0.9, **RUN))
    assert drawn["adstock_alpha"].dims == ("chain", "draw", "channel")
    assert drawn["channel"].values.tolist() == ["radio", "print"]
    model.sample_posterior_predictive(spent, progressbar=False)


def test_customers_of_pymc_marketing():
    import pandas as pd
    from pymc_marketing.clv import BetaGeoModel

    rng = np.random.default_rng(5)
    seen = rng.uniform(20.0, 40.0, 80)
    bought = rng.poisson(2.0, 80).astype(float)
    last = np.where(bought > 0, rng.uniform(0.3, 1.0, 80) * seen, 0.0)
    model = BetaGeoModel()
    model.build_model(pd.DataFrame({"customer_id": range(80), "frequency": bought, "recency": last, "T": seen}))
    drawn = posterior(model.fit(method="mcmc", **RUN))
    assert {"r", "alpha"} <= set(drawn.data_vars)
