"""Calibration by simulation: what is right passes, a planted fault in prior or sampler does not."""

import numpy as np
import pymc as pm
import pytest

from nutmill import ArgumentError, ModelError, sbc
from nutmill.many.sbc import N_RANKS, _rank
from nutmill.run.whole_runs import WholeRuns

OPTIONS = {"draws": 100, "random_seed": 5, "progressbar": False}
# Of all p-values of one calibration, times their number.
PASSES, FAILS = 0.02, 1e-4


def hierarchy(scale=2.0):
    """The data are a pm.Data of another name than what is observed."""
    with pm.Model(coords={"group": range(3)}) as model:
        mu = pm.Normal("mu", 0, scale)
        tau = pm.HalfNormal("tau", 1)
        theta = pm.Normal("theta", mu, tau, dims="group")
        pm.Normal("y", theta, 1, observed=pm.Data("measured", np.zeros(3)))
    return model


def simplex():
    with pm.Model() as model:
        p = pm.Dirichlet("p", np.ones(3))
        pm.Multinomial("n", 20, p, observed=[7, 7, 6])
    return model


@pytest.mark.parametrize("build", [hierarchy, simplex])
def test_what_is_right_passes(build):
    result = sbc(build(), n=80, **OPTIONS)
    assert result["p_value"].attrs["least"] > PASSES
    places = np.concatenate([each.values.ravel() for each in result["prior_sbc"].data_vars.values()])
    assert 0.0 < np.min(places) < np.max(places) < 1.0


def test_a_wrong_prior_fails():
    result = sbc(hierarchy(), n=80, simulate_from=hierarchy(12.0), **OPTIONS)
    assert result["p_value"]["mu"] < FAILS
    assert result["p_value"].attrs["least"] < FAILS


def test_a_wrong_sampler_fails(monkeypatch):
    run = WholeRuns.run

    def too_narrow(self, *arguments):
        made = run(self, *arguments)
        return made._replace(draws=made.draws.mean((0, 1)) + 0.4 * (made.draws - made.draws.mean((0, 1))))

    monkeypatch.setattr(WholeRuns, "run", too_narrow)
    assert sbc(hierarchy(), n=80, **OPTIONS)["p_value"].attrs["least"] < FAILS


def test_threads_do_not_matter():
    one, other = (sbc(hierarchy(), n=12, cores=cores, **OPTIONS) for cores in (1, 3))
    assert one["prior_sbc"].to_dataset().identical(other["prior_sbc"].to_dataset())


def test_ranks_are_counted_among_evenly_spaced_draws():
    draws = np.arange(4 * 32, dtype=float).reshape(4, 32)  # each second one is looked at: 1, 3, ..., 127
    assert [int(_rank(draws, np.array(truth))) for truth in (-1.0, 1.0, 1.5, 500.0)] == [0, 0, 1, N_RANKS]


def without_data():
    with pm.Model() as model:
        pm.Normal("x")
    return model


def with_potential():
    with hierarchy() as model:
        pm.Potential("penalty", -model["mu"])
    return model


def flat():
    with pm.Model() as model:
        pm.Normal("y", pm.Flat("x"), 1, observed=[1.0])
    return model


@pytest.mark.parametrize(
    ("build", "said"),
    [(without_data, "observes nothing"), (with_potential, "potential .penalty."), (flat, "flat prior of x")],
)
def test_what_cannot_be_simulated_is_refused(build, said):
    with pytest.raises(ModelError, match=said):
        sbc(build(), n=3, **OPTIONS)


@pytest.mark.parametrize("n", [0, -2, "3"])
def test_a_number_of_data_sets_that_is_none_is_refused(n):
    with pytest.raises(ArgumentError, match="n must be a whole number, at least 1"):
        sbc(None, n=n, **OPTIONS)


def test_too_few_draws_are_refused():
    with pytest.raises(ArgumentError, match="ranked among 64 draws"):
        sbc(hierarchy(), n=3, **{**OPTIONS, "draws": 10})
