"""Eight schools (Rubin 1981): a gradient of a tenth of a microsecond and no BLAS, so that few layouts differ."""

import pymc as pm

EFFECT = [28, 8, -3, 7, -1, 1, 18, 12]
ERROR = [15, 10, 16, 11, 9, 11, 10, 18]


def build() -> pm.Model:
    """Build the model: 10 parameters, 8 observations."""
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfCauchy("tau", 5.0)
        z = pm.Normal("z", shape=8)
        pm.Normal("effect", mu + tau * z, ERROR, observed=EFFECT)
    return model


model = build()
