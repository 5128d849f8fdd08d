"""A GARCH(1, 1) volatility model, the suite's one sequential recursion: posteriordb's `garch-garch11`."""

import pymc as pm
import pytensor
import pytensor.tensor as pt

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `garch11.stan`: 4 parameters, 200 observations."""
    data = load_data("garch")
    y = data["y"]
    with pm.Model() as model:
        mu = pm.Flat("mu")
        alpha0 = pm.HalfFlat("alpha0")
        alpha1 = pm.Uniform("alpha1", 0.0, 1.0)
        beta1 = pm.Uniform("beta1", 0.0, 1.0 - alpha1)
        # Stan's prior is flat over the triangle; the uniform above has density 1 / (1 - alpha1).
        pm.Potential("flat_triangle", pt.log1p(-alpha1))
        variance = _variances(y, float(data["sigma1"]) ** 2, (mu, alpha0, alpha1, beta1))
        pm.Normal("y", mu, pt.sqrt(variance), observed=y)
    return model


def _variances(y, first, parameters):
    """Conditional variances of all steps, shape (T,): each follows from the step before it."""

    def step(before, variance, mu, alpha0, alpha1, beta1):
        return alpha0 + alpha1 * (before - mu) ** 2 + beta1 * variance

    later = pytensor.scan(
        step,
        sequences=[pt.as_tensor(y[:-1])],
        outputs_info=[pt.constant(first, dtype="float64")],
        non_sequences=list(parameters),
        return_updates=False,
    )
    return pt.concatenate([[first], later])
