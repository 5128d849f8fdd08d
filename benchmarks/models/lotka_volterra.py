"""Hares and lynxes by the equations of Lotka and Volterra: posteriordb's `hudson_lynx_hare-lotka_volterra`."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from benchmarks.models.posteriordb import load_data

# A year; so many keep the logarithm of a population within 1e-5 of the solution where the posterior lies.
STEPS = 10


def build() -> pm.Model:
    """Build the model of `lotka_volterra.stan`: 8 parameters, two populations in 21 years."""
    data = load_data("hudson_lynx_hare")
    centres, spreads = np.array([1.0, 0.05, 1.0, 0.05]), np.array([0.5, 0.05, 0.5, 0.05])
    with pm.Model() as model:
        # PyMC would start at 1, which for two of the rates is 19 prior standard deviations away.
        theta = pm.TruncatedNormal("theta", centres, spreads, lower=0.0, initval=centres)
        z_init = pm.LogNormal("z_init", np.log(10.0), 1.0, shape=2)
        sigma = pm.LogNormal("sigma", -1.0, 1.0, shape=2)
        later = log_populations(pt.log(z_init), theta, int(data["N"]))
        seen = np.log(np.vstack([data["y_init"], data["y"]]))
        pm.Normal("log_y", pt.concatenate([pt.log(z_init)[None], later]), sigma, observed=seen)
    return model


def log_populations(start, theta, years: int) -> pt.TensorVariable:
    """Integrate by the classical Runge-Kutta method from the logarithms at year 0, (2,): those after each year.

    In logarithms no population can become negative, whatever is tried. Returns (years, 2).
    """
    h = 1.0 / STEPS

    def slope(prey, hunter, theta):
        return theta[0] - theta[1] * pt.exp(hunter), theta[3] * pt.exp(prey) - theta[2]

    def step(prey, hunter, theta):
        first = slope(prey, hunter, theta)
        second = slope(prey + h / 2 * first[0], hunter + h / 2 * first[1], theta)
        third = slope(prey + h / 2 * second[0], hunter + h / 2 * second[1], theta)
        fourth = slope(prey + h * third[0], hunter + h * third[1], theta)
        together = [h / 6 * (a + 2 * b + 2 * c + d) for a, b, c, d in zip(first, second, third, fourth, strict=True)]
        return prey + together[0], hunter + together[1]

    both = pytensor.scan(
        step,
        outputs_info=[start[0], start[1]],
        non_sequences=[theta],
        n_steps=years * STEPS,
        return_updates=False,
    )
    return pt.stack([each[STEPS - 1 :: STEPS] for each in both], axis=1)
