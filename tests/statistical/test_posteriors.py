"""The ten posteriors of posteriordb: moments against reference draws, in standard errors."""

import functools

import numpy as np
import pytest
from assertions import MAX_Z, effective_sample_size
from statistical.posteriors import NAMES, posterior

from nutmill import compile_model, sample_numba
from nutmill.results.trace import group

MIN_ESS = 400.0

# Moments are what this is about. At the default of 0.8 one run of eight schools in a hundred has a chain that sits in
# the neck, and at once a tenth of the usual effective draws.
TARGET_ACCEPT = 0.95

# Compiled by every run of the suite; the others cost more and run with the slow tests.
QUICK = ("eight_schools", "kidiq", "gauss_mix", "garch")
CASES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


def scalars(result) -> dict[str, np.ndarray]:
    """Draws (chains, draws) of each scalar, called as in posteriordb: `mu`, `theta[1]`."""
    found = {}
    for name, values in group(result, "posterior").data_vars.items():
        if values.ndim == 2:
            found[name] = values.values
        for index in np.ndindex(values.shape[2:]) if values.ndim > 2 else ():
            found[f"{name}[{','.join(str(i + 1) for i in index)}]"] = values.values[(..., *index)]
    return found


def z_scores(draws: np.ndarray, reference) -> tuple[float, float]:
    """Distances of mean and standard deviation from the reference's, in units of both standard errors together.

    They add up, not their squares: the reference's error is the same for every seed. Ours are the reference's for as
    many effective draws as we have: an error estimated from draws that miss a tail is short just when it matters.
    """
    n_reference = (reference.sd / reference.mcse_mean) ** 2
    ess, ess_squares = (effective_sample_size(values) for values in (draws, (draws - draws.mean()) ** 2))
    assert ess >= MIN_ESS, f"effective sample size {ess:.0f} is too small to say anything"
    assert ess_squares >= MIN_ESS / 2, f"effective sample size {ess_squares:.0f} of squares is too small"
    z_mean = (draws.mean() - reference.mean) / (reference.mcse_mean * (1.0 + np.sqrt(n_reference / ess)))
    return z_mean, (draws.std() - reference.sd) / (reference.mcse_sd * (1.0 + np.sqrt(n_reference / ess_squares)))


@functools.cache
def compiled(name: str):
    """Compile a posterior, once a session; give its references with it."""
    model, references = posterior(name)
    return compile_model(model), references


@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_of_the_reference(name, seed):
    model, references = compiled(name)
    options = {"draws": 1500, "chains": 4, "target_accept": TARGET_ACCEPT, "progressbar": False}
    result = sample_numba(model, random_seed=20261122 + seed, **options)
    drawn = scalars(result)
    assert references.keys() <= drawn.keys()
    for scalar, reference in references.items():
        for moment, z in zip(("mean", "sd"), z_scores(drawn[scalar], reference), strict=True):
            assert abs(z) < MAX_Z, f"the {moment} of {scalar} is {z:.1f} standard errors from the reference"
