"""The ten posteriors of posteriordb: moments against reference draws, in standard errors."""

import numpy as np
import pytest
from assertions import MAX_Z, effective_sample_size
from posteriors import NAMES, posterior

from nutmill import sample_numba
from nutmill.trace import group

MIN_ESS = 400.0

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
    """Distances of mean and standard deviation from the reference's, in joint standard errors."""
    ess = effective_sample_size(draws)
    assert ess >= MIN_ESS, f"effective sample size {ess:.0f} is too small to say anything"
    z_mean = (draws.mean() - reference.mean) / np.hypot(draws.std() / np.sqrt(ess), reference.mcse_mean)
    squares = (draws - draws.mean()) ** 2
    ess_squares = effective_sample_size(squares)
    assert ess_squares >= MIN_ESS / 2, f"effective sample size {ess_squares:.0f} of squares is too small"
    mcse_sd = squares.std() / np.sqrt(ess_squares) / (2.0 * draws.std())
    return z_mean, (draws.std() - reference.sd) / np.hypot(mcse_sd, reference.mcse_sd)


@pytest.mark.parametrize("name", CASES)
def test_moments(name):
    model, references = posterior(name)
    result = sample_numba(model, draws=1500, chains=4, random_seed=20261122, progressbar=False)
    drawn = scalars(result)
    assert references.keys() <= drawn.keys()
    for scalar, reference in references.items():
        for moment, z in zip(("mean", "sd"), z_scores(drawn[scalar], reference), strict=True):
            assert abs(z) < MAX_Z, f"the {moment} of {scalar} is {z:.1f} standard errors from the reference"
