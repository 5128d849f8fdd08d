"""Party identification in the election study of a year, a linear regression: posteriordb's `nes1972-nes` and others."""

import numpy as np
import pymc as pm

from benchmarks.models.posteriordb import load_data


def build(year: int = 2000) -> pm.Model:
    """Build the model of `nes.stan`: 10 parameters, 476 to 1350 observations, the nine predictors as one matrix."""
    data = load_data(f"nes{year}")
    age = data["age_discrete"]
    columns = [
        np.ones(age.size),
        data["real_ideo"],
        data["race_adj"],
        age == 2,
        age == 3,
        age == 4,
        data["educ1"],
        data["gender"],
        data["income"],
    ]
    design = np.column_stack(columns).astype(float)
    with pm.Model() as model:
        beta = pm.Flat("beta", shape=9)
        sigma = pm.HalfFlat("sigma")
        pm.Normal("partyid7", design @ beta, sigma, observed=data["partyid7"].astype(float))
    return model
