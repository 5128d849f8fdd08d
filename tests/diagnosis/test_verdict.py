"""Results of other samplers are read by their own names; what is no result is refused in one sentence."""

import numpy as np
import pytest
import xarray as xr

from nutmill import ArgumentError, diagnose

DRAWS = xr.Dataset({"a": (("chain", "draw"), np.zeros((4, 10)))})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "this int has no posterior."),
        (None, "this NoneType has no posterior."),
        ("draws.nc", "this str has no posterior."),
        (np.zeros((4, 10)), "this ndarray has no posterior."),
        (DRAWS, "this Dataset has no posterior."),
        ({"posterior": DRAWS["a"]}, "this dict has no posterior."),
        (xr.DataTree.from_dict({"posterior": DRAWS}), "this DataTree has no sample_stats."),
    ],
)
def test_what_is_no_result_is_refused(given, said):
    with pytest.raises(ArgumentError) as refused:
        diagnose(given)
    assert str(refused.value) == f"What is diagnosed is a result with groups posterior and sample_stats; {said}"


def of_sampler(stats):
    """Build a result of four chains with statistics that some sampler gives."""
    draws = np.tile(np.random.default_rng(1).normal(size=1000), (4, 1))  # chains that agree to the last digit
    posterior = xr.Dataset({"a": (("chain", "draw"), draws)}, {"chain": range(4)})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": xr.Dataset(stats)})


def test_names_of_nutpie():
    ends, energy = np.zeros((4, 1000), bool), np.random.default_rng(2).normal(size=(4, 1000))
    ends[2] = True  # each trajectory of this chain is cut off
    logp = energy - np.array([0, 0, 0, 90.0])[:, None]
    stats = {"diverging": ends, "maxdepth_reached": ends, "energy": energy, "logp": logp}
    verdict = diagnose(of_sampler({name: (("chain", "draw"), values) for name, values in stats.items()}))
    assert verdict.n_divergences == 1000
    assert [finding.kind for finding in verdict.findings] == ["divergences", "tree_depth", "lp"]
    assert repr(verdict) == str(verdict) == "\n".join(verdict.lines())  # a prompt shows it as print does


@pytest.mark.parametrize(
    "stats",
    [
        {},  # none at all
        {"diverging": (("chain", "draw"), np.zeros((4, 1000), bool))},  # NumPyro's, without the limit of trees
        {"accept": (("chain", "draw", "accept_dim_0"), np.ones((4, 1000, 2)))},  # PyMC's Metropolis
    ],
)
def test_samplers_that_tell_little(stats):
    verdict = diagnose(of_sampler(stats))
    assert verdict.findings == []
    assert verdict.n_divergences == 0
