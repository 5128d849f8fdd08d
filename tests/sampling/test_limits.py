"""Runs that end early and runs that begin warm, and arguments that are refused."""

import re

import arviz
import numpy as np
import pytest
import xarray as xr
from run_folders import OPTIONS, QUIET, compiled
from same_results import FROM_DRAWS, assert_same

import nutmill
from nutmill import ArgumentError, ModelError, adaptation_of, sample_numba
from nutmill.results.trace import group
from nutmill.run.ending import counts_to_judge


@pytest.mark.parametrize("tune", [0, 30])
def test_a_warm_start_goes_on_from_what_was_learned(reference, tmp_path, tune):
    state = adaptation_of(reference)
    state.save(tmp_path / "state.npz")
    state = nutmill.AdaptationState.load(tmp_path / "state.npz")
    options = {"draws": 50, "tune": tune, "chains": 4, "random_seed": 8, **QUIET}
    warm = sample_numba(compiled(), **options, adaptation_state=state)
    learned = group(warm, "adaptation")
    if tune == 0:
        np.testing.assert_array_equal(learned["step_size"].values, state.step_size[:4])
        np.testing.assert_array_equal(learned["variance"].values, state.variance[:4])
        assert group(warm, "sample_stats")["acceptance_rate"].mean() > 0.6
    again = sample_numba(compiled(), **options, adaptation_state=state, checkpoint=tmp_path / "run")
    assert_same(again, warm, FROM_DRAWS[:2] + FROM_DRAWS[-1:])


def test_the_state_survives_a_file_and_is_that_of_the_folder(reference, whole, tmp_path):
    reference.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "result.nc", engine="h5netcdf") as stored:
        from_file = adaptation_of(stored)
    for found in (from_file, adaptation_of(whole)):
        for mine, theirs in zip(found, adaptation_of(reference), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    unconstrained = group(reference, "unconstrained_posterior")["level"].values[:, -1]
    np.testing.assert_array_equal(adaptation_of(reference).position[:, :3], unconstrained)


@pytest.fixture(scope="module")
def long_run():
    return sample_numba(compiled(), **{**OPTIONS, "draws": 2000})


@pytest.mark.parametrize("until", [{"ess": 4000}, {"ess_tail": 2200, "rhat": 1.01}, {"mcse": 0.045}], ids=str)
def test_until_is_met_at_two_counts_in_a_row(until, long_run):
    """As the draws of a run to the end say, by ArviZ."""
    n_met = 0
    unconstrained = group(long_run, "unconstrained_posterior")
    for count in counts_to_judge(2000):
        n_met = n_met + 1 if is_met(unconstrained.isel(draw=slice(count)), **until) else 0
        if n_met == 2:
            break
    assert 200 < count < 2000  # at neither end
    found = sample_numba(compiled(), **{**OPTIONS, "draws": 2000}, until=until)
    assert group(found, "posterior").sizes["draw"] == count


def is_met(draws, ess=0, ess_tail=0, rhat=np.inf, mcse=np.inf):
    def values(found):
        return np.concatenate([found[name].values.ravel() for name in found.data_vars])

    sd = values(draws.std(("chain", "draw"), ddof=1))
    errors = [arviz.mcse(draws)] + [arviz.mcse(draws, method="quantile", prob=p) for p in (0.05, 0.95)]
    tail = arviz.ess(draws, method="tail", prob=(0.05, 0.95))
    enough = (values(arviz.ess(draws)) >= ess).all() and (values(tail) >= ess_tail).all()
    return enough and (values(arviz.rhat(draws)) <= rhat).all() and all((values(e) <= mcse * sd).all() for e in errors)


def test_until_keeps_the_draws_of_a_fixed_count(tmp_path, reference):
    options = {**OPTIONS, "draws": 20_000, "until": {"ess": 500, "rhat": 1.05}}
    once = sample_numba(compiled(), **options)
    n_draws = group(once, "posterior").sizes["draw"]
    assert n_draws % 100 == 0 and n_draws < 20_000
    assert once.attrs["stopped_by"] == "until" and once.attrs["interrupted"] == 0
    again = sample_numba(compiled(), **options, cores=1, checkpoint=tmp_path / "run", every=0.01)
    assert_same(again, once)
    assert_same(nutmill.resume(tmp_path / "run", compiled(), **QUIET), once)
    # What looks into the folder, as `nutmill diagnose` does, sees the draws that were kept: chains may have made more.
    for is_partial in (False, True):
        merged = nutmill.merge([tmp_path / "run"], compiled(), partial=is_partial, compute_convergence_checks=False)
        assert merged.attrs["stopped_by"] == "until" and merged.attrs["interrupted"] == 0
        assert np.array_equal(group(merged, "posterior")["mu"], group(once, "posterior")["mu"])
    more = nutmill.resume(tmp_path / "run", compiled(), draws=n_draws + 50, **QUIET)
    assert group(more, "posterior").sizes["draw"] == n_draws + 50


REFUSED = [
    ({"until": {"ess": 1e6}, "draws": 200}, "have an effective sample size of at most"),
    ({"until": {"mcse": 1e-3}, "draws": 200}, "have an effective sample size of at most"),
    ({"until": {"mcse": 0}}, "mcse must be a number above 0, not 0"),
    ({"until": {"ess_tail": -1}}, "ess_tail must be a number above 0"),
    ({"until": {"ess": 400}, "draws": 199}, "can never be met by 199 draws"),
    ({"until": {"rhat": 1.0}, "draws": 200}, "can never be met: R-hat comes near 1 from above"),
    ({"until": {"rhat": 1.01}, "chains": 1, "draws": 200}, "can never be met: one chain has no R-hat"),
    ({"until": {"neff": 400}}, 'until must be a dict with one or more of "ess", "ess_tail", "rhat", "mcse", not'),
    ({"until": {"ess": -1}}, "ess must be a number above 0"),
    ({"until": {"ess": 400}, "chain_ids": range(4)}, "until judges all chains of a run together"),
    ({"max_time": 0}, "max_time must be a number of seconds above 0"),
    ({"every": 0}, "every must be a number of seconds above 0"),
    ({"checkpoint": 3}, "checkpoint must be the path of a folder"),
    ({"chain_ids": [1, 2]}, re.escape("[0, 1, 2, 3] rather than [1, 2] (of 8 chains)")),
    ({"chain_ids": [4, 5, 6, 7, 8]}, "each of chain_ids must be a whole number, between 0 and 7"),
    ({"chain_ids": []}, "chain_ids must name whole groups"),
    ({"adaptation_state": 3}, "adaptation_state must be what nutmill.adaptation_of gives"),
]


@pytest.mark.parametrize("changes, sentence", REFUSED)
def test_arguments_that_are_refused(changes, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        sample_numba(compiled(), **OPTIONS | changes)


def test_adaptation_of_another_model_is_refused(reference):
    state = adaptation_of(reference)
    with pytest.raises(ModelError, match="does not fit this model of 6 unconstrained values"):
        sample_numba(compiled(), **OPTIONS, adaptation_state=state._replace(variance=state.variance[:, 1:]))
    with pytest.raises(ModelError, match="must hold positive step sizes"):
        sample_numba(compiled(), **OPTIONS, adaptation_state=state._replace(step_size=-state.step_size))
    with pytest.raises(ModelError, match="There is no adaptation state in this"):
        adaptation_of(xr.Dataset())


def with_directions(state, rank: int):
    """Give all chains of a state the same directions."""
    units = np.linalg.qr(np.random.default_rng(3).normal(size=(state.variance.shape[1], rank)))[0].T
    n_chains = len(state.step_size)
    return state._replace(
        directions=np.sqrt(state.variance)[:, None] * units, stretch=np.full((n_chains, rank), [4.0, 0.1, 3.0][:rank])
    )


def test_warm_start_takes_directions(reference, tmp_path):
    state = with_directions(adaptation_of(reference), 2)
    state.save(tmp_path / "state.npz")
    warm = sample_numba(
        compiled(), **OPTIONS | {"tune": 0}, adaptation_state=nutmill.AdaptationState.load(tmp_path / "state.npz")
    )
    learned = adaptation_of(warm)
    n_chains = len(learned.step_size)
    np.testing.assert_array_equal(learned.directions, state.directions[:n_chains])
    np.testing.assert_array_equal(learned.stretch, state.stretch[:n_chains])
    plain = sample_numba(compiled(), **OPTIONS | {"tune": 0}, adaptation_state=state.trimmed(), metric="diag")
    assert "stretch" not in group(plain, "adaptation")  # asked for, and so without directions


def test_directions_that_are_not_orthonormal_are_refused(reference):
    state = with_directions(adaptation_of(reference), 2)
    for directions in (2.0 * state.directions, state.directions[:, [0, 0]], state.directions * [[[1.0], [np.nan]]]):
        with pytest.raises(ModelError, match="orthonormal"):
            sample_numba(compiled(), **OPTIONS, adaptation_state=state._replace(directions=directions))


def test_result_of_a_time_without_directions_is_a_diagonal_state(reference):
    stored = xr.DataTree.from_dict(
        {"adaptation": group(reference, "adaptation").drop_vars(["directions", "stretch"], errors="ignore")}
    )
    state = adaptation_of(stored)
    assert state.stretch.shape == (len(state.step_size), 0)
    sample_numba(compiled(), **OPTIONS, adaptation_state=state)
