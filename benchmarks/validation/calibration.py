"""Simulation-based calibration: ranks of true parameters among draws are uniform (Talts et al. 2018)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pymc as pm

from nutmill import compile_model
from nutmill.results.trace import group

N_DATA_SETS, N_RANKS, THINNING = 400, 63, 8


class Experiment(NamedTuple):
    """A model with placeholders for data, and how nature draws parameters and data."""

    model: Callable[[], pm.Model]
    simulate: Callable[[np.random.Generator], tuple[dict, dict]]  # -> parameters by name, data by name


X = np.linspace(-1.0, 1.0, 12)
GROUPS = np.repeat(np.arange(4), 3)


def _regression() -> pm.Model:
    with pm.Model() as model:
        slope, intercept = pm.Normal("slope", 0.0, 1.0), pm.Normal("intercept", 0.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", intercept + slope * X, sigma, observed=np.zeros(12))
    return model


def _simulate_regression(rng):
    truth = {"slope": rng.normal(), "intercept": rng.normal(), "sigma": abs(rng.normal())}
    return truth, {"y": truth["intercept"] + truth["slope"] * X + truth["sigma"] * rng.normal(size=12)}


def _hierarchy() -> pm.Model:
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 1.0), pm.HalfNormal("tau", 1.0)
        z = pm.Normal("z", 0.0, 1.0, shape=4)
        pm.Normal("y", (mu + tau * z)[GROUPS], 0.5, observed=np.zeros(12))
    return model


def _simulate_hierarchy(rng):
    truth = {"mu": rng.normal(), "tau": abs(rng.normal()), "z": rng.normal(size=4)}
    return truth, {"y": (truth["mu"] + truth["tau"] * truth["z"])[GROUPS] + 0.5 * rng.normal(size=12)}


def _counts() -> pm.Model:
    with pm.Model() as model:
        rate, share = pm.Gamma("rate", 2.0, 0.5), pm.Beta("share", 2.0, 2.0)
        pm.Poisson("events", rate, observed=np.zeros(6, dtype=int))
        pm.Binomial("hits", 10, share, observed=np.zeros(3, dtype=int))
    return model


def _simulate_counts(rng):
    truth = {"rate": rng.gamma(2.0, 2.0), "share": rng.beta(2.0, 2.0)}
    return truth, {"events": rng.poisson(truth["rate"], 6), "hits": rng.binomial(10, truth["share"], 3)}


EXPERIMENTS = {
    "regression": Experiment(_regression, _simulate_regression),
    "hierarchy": Experiment(_hierarchy, _simulate_hierarchy),
    "counts": Experiment(_counts, _simulate_counts),
}


def ranks(experiment: Experiment, seed: int, n_data_sets: int = N_DATA_SETS) -> dict[str, np.ndarray]:
    """Rank of each true scalar among its thinned draws, (n_data_sets,) from 0 to N_RANKS; compiled once."""
    compiled = compile_model(experiment.model())
    found: dict[str, list[int]] = {}
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(n_data_sets)):
        truth, data = experiment.simulate(np.random.default_rng(stream))
        bound = compiled.with_data(**data)
        assert bound.code is compiled.code
        result = bound.sample(
            draws=N_RANKS * THINNING,
            tune=300,
            chains=1,
            cores=1,
            random_seed=number,
            target_accept=0.9,
            progressbar=False,
            compute_convergence_checks=False,
        )
        posterior = group(result, "posterior")
        for name, value in truth.items():
            below = (posterior[name].values[0, ::THINNING] < value).sum(axis=0)
            for index in np.ndindex(np.shape(value)):
                found.setdefault(f"{name}{list(index) or ''}", []).append(int(below[index]))
    return {name: np.array(values) for name, values in found.items()}
