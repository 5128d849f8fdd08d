"""Simulation-based calibration: ranks of true parameters are uniform at defaults, adaptation and centring included."""

import numpy as np
import pytest
from assertions import MIN_P

from benchmarks.calibration import experiments
from benchmarks.calibration.ranks import N_RANKS, calibrate
from nutmill.many.rank_bands import p_value

pytestmark = pytest.mark.slow


def least_p_value(experiment: experiments.Experiment, n_data_sets: int) -> float:
    found = calibrate(experiment, 20261122, n_data_sets).ranks
    return min(p_value(np.bincount(ranks, minlength=N_RANKS + 1)) for ranks in found.values())


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_ranks_are_uniform(name):
    assert least_p_value(experiments.EXPERIMENTS[name], 200) > MIN_P


def test_a_prior_that_is_not_that_of_nature_is_seen():
    def simulate(rng):
        truth, _ = right.simulate(rng)
        beta = 1.4 * truth["beta"]
        return {"beta": beta}, {"y": rng.binomial(1, 1.0 / (1.0 + np.exp(-experiments.DESIGN @ beta)))}

    right = experiments.EXPERIMENTS["logistic"]
    assert least_p_value(right._replace(simulate=simulate), 300) < MIN_P
