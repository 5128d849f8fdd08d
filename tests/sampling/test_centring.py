"""Automatic centring through all that a run goes through: results, files, resuming, executors, adaptation states."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from coordinates import At

import nutmill
from nutmill import ArgumentError, ModelError, adaptation_of, compile_model, load, resume, sample_numba
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.model.anatomy import operations
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.nuts.state import MOVE
from nutmill.results.trace import group
from nutmill.run.checkpoints import Starts
from nutmill.run.driver import drive
from nutmill.run.groups import new_groups
from nutmill.run.run import Settings
from nutmill.run.whole_runs import WholeRuns

Y, SIGMA = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


@numba.njit
def normal(q, gradient, _data):
    """A standard normal."""
    for i in range(len(q)):
        gradient[i] = -q[i]
    return -0.5 * (q**2).sum()


QUIET = {"progressbar": False, "compute_convergence_checks": False}
LONG_ENOUGH = {"draws": 60, "tune": 150, "random_seed": 3, "cores": 2, **QUIET}


def schools(y=Y, sigma=SIGMA) -> pm.Model:
    """Write the eight schools centred, with names for the schools."""
    with pm.Model(coords={"school": [f"school {i}" for i in range(len(y))]}) as model:
        errors, scores = pm.Data("errors", sigma, dims="school"), pm.Data("scores", y, dims="school")
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
        theta = pm.Normal("theta", mu, tau, dims="school")
        pm.Normal("y", theta, errors, observed=scores, dims="school")
    return model


@pytest.fixture(scope="module")
def compiled():
    return compile_model(schools())


@pytest.fixture(scope="module")
def whole(compiled):
    return sample_numba(compiled, **LONG_ENOUGH)


def draws_of(result, name="posterior") -> dict[str, np.ndarray]:
    return {name: values.values for name, values in group(result, name).data_vars.items()}


def assert_same_draws(one, other) -> None:
    for name in ("posterior", "sample_stats"):
        for variable, values in draws_of(one, name).items():
            np.testing.assert_array_equal(values, draws_of(other, name)[variable])


def unconstrained(result) -> np.ndarray:
    """Positions (chains, draws, n_dim) in the coordinates of the model as it is written."""
    draws = draws_of(result, "posterior")
    return np.concatenate([draws["mu"][..., None], np.log(draws["tau"])[..., None], draws["theta"]], axis=-1)


def test_draws_and_log_densities_are_those_of_the_model_as_written(compiled):
    options = LONG_ENOUGH | {"draws": 40, "discard_tuned_samples": False}
    result = sample_numba(compiled, **options, idata_kwargs={"include_transformed": True})
    for kind in ("", "warmup_"):
        lp = draws_of(result, f"{kind}sample_stats")["lp"]
        pieces = draws_of(result, f"{kind}unconstrained_posterior")
        for chain, draw in ((0, 0), (1, 20), (3, 39)):
            q = np.concatenate([np.ravel(pieces[name][chain, draw]) for name in ("mu", "tau_log__", "theta")])
            assert lp[chain, draw] == pytest.approx(compiled.logp_dlogp(q)[0], rel=1e-9)


def test_divergences_lie_where_the_model_as_written_has_them(compiled):
    """With steps that are far too long; and so does the gradient."""
    state = adaptation_of(sample_numba(compiled, **LONG_ENOUGH | {"draws": 1}))
    options = LONG_ENOUGH | {"draws": 200, "tune": 0, "adaptation_state": state._replace(step_size=state.step_size * 6)}
    found = group(sample_numba(compiled, **options, idata_kwargs={"divergences": True}), "divergences")
    assert found.sizes["divergence"] > 3
    for start, gradient in zip(found["start"].values, found["gradient"].values, strict=True):
        np.testing.assert_allclose(compiled.logp_dlogp(start)[1], gradient, rtol=1e-9, atol=1e-9)


def test_what_was_learned_is_in_the_result(whole, compiled, caplog):
    with caplog.at_level(logging.INFO, "nutmill"):
        sample_numba(compiled, **LONG_ENOUGH | {"draws": 1})
    assert any("centredness" in record.getMessage() and "theta" in record.getMessage() for record in caplog.records)
    found = group(whole, "adaptation")
    assert found["centredness_theta"].dims == ("chain", "school")
    np.testing.assert_array_equal(found["centredness"].values[:, 2:], found["centredness_theta"].values)
    assert (found["centredness_theta"] < 0.5).all()
    assert (found["centredness"].values[:, :2] == 0.0).all()


def test_off_is_the_model_as_it_is_written(compiled, whole):
    result = sample_numba(compiled, **LONG_ENOUGH, centring="off")
    assert "centredness" not in group(result, "adaptation")
    assert not np.array_equal(unconstrained(result), unconstrained(whole))


def test_a_centred_hierarchy_mixes(compiled):
    """Three runs, each of which would be lost as it is written."""
    for seed in range(3):
        result = sample_numba(compiled, draws=500, random_seed=seed, cores=2, **QUIET)
        found = scalar_facts(group(result, "posterior")).mixed
        assert found.rhat.max() < 1.02
        assert found.ess_bulk.min() > 400


def test_a_run_goes_on_to_the_same_draws(compiled, whole, tmp_path):
    part = sample_numba(compiled, **LONG_ENOUGH | {"draws": 20}, checkpoint=tmp_path / "run")
    assert group(part, "posterior").sizes["draw"] == 20
    assert_same_draws(resume(tmp_path / "run", draws=60, cores=2, **QUIET), whole)
    assert adaptation_of(tmp_path / "run").centredness.shape == (4, 10)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["settings"]["centring"] == manifest["request"]["centring"] == "auto"


def test_a_run_that_is_stopped_again_and_again_ends_with_the_same_draws(compiled, whole, tmp_path):
    """Stops fall anywhere, also between a move and the first draw after it."""
    sample_numba(compiled, **LONG_ENOUGH, checkpoint=tmp_path / "run", max_time=0.001, every=0.01)
    for _ in range(200):
        result = resume(tmp_path / "run", max_time=0.004, cores=2, every=0.01, **QUIET)
        if not result.attrs["interrupted"]:
            break
    assert_same_draws(result, whole)


def test_draws_that_are_kept_come_along(compiled):
    """Their gradients are those of the place where they are now, and so is what was learned from them."""
    settings = Settings(draws=1, tune=150, centring="auto")
    (group_,) = new_groups([compiled.binding], compiled.starts(None, 4, 3, jitter=True), settings, 3, [0, 1, 2, 3])
    group_.state.proposed[:] = compiled.binding.written  # so that there is a way to go
    for chain in range(4):
        assert group_.start(chain) == 0
    group_.pool()
    while group_.phase != MOVE:
        for chain in range(4):
            assert group_.advance(chain, group_.n_missing(chain)) == 0
        group_.pool()
    where = np.exp(group_.state.location + 1j * group_.state.log_scale)
    before = group_.position_as_written()
    for chain in range(4):
        assert group_.advance(chain, 0) == 0
    state = group_.state
    np.testing.assert_allclose(group_.position_as_written(), before, rtol=1e-9)
    np.testing.assert_array_equal(np.exp(state.location + 1j * state.log_scale), where)
    assert (state.centredness == state.proposed).all()
    assert (state.centredness[:, 2:] < 1.0).any()
    at = [At(compiled, centredness) for centredness in state.centredness]
    for chain, block in np.ndindex(4, 4):
        n_rows, rows = state.blocks[chain, block]["n_rows"], state.rows[chain, block]
        for row in rows[:n_rows]:
            np.testing.assert_array_equal(at[chain].density(row[0].copy())[1], row[1])
        assert state.blocks[chain, block]["n_good"] == n_rows
        if n_rows:
            np.testing.assert_allclose(state.moments[chain, block, 0], rows[:n_rows, 0].mean(axis=0), atol=1e-9)
            squares = ((rows[:n_rows, 1] - rows[:n_rows, 1].mean(axis=0)) ** 2).sum(axis=0)
            np.testing.assert_allclose(state.moments[chain, block, 3], squares, rtol=1e-7, atol=1e-9)
    for chain in range(4):
        np.testing.assert_array_equal(at[chain].density(state.position[chain].copy())[1], state.gradient[chain])


def test_a_start_that_is_not_finite_elsewhere_is_left_as_it_is_written(compiled):
    """All chains of a group have the same coordinates, so they all stay."""
    settings, points = Settings(draws=5, tune=0, centring="auto"), compiled.starts(None, 4, 3, jitter=True)
    points[2, 1:] = [-299.0, *np.full(8, points[2, 0] + 1e60)]
    (group_,) = new_groups([compiled.binding], points, settings, 3, [0, 1, 2, 3])
    for chain in range(4):
        group_.start(chain)
    group_.pool()
    assert group_.phase == MOVE
    for chain in range(4):
        assert group_.advance(chain, 0) == 0
    np.testing.assert_array_equal(group_.state.centredness, np.tile(compiled.binding.written, (4, 1)))


def test_files_pickles_and_executors_give_the_same_draws(compiled, whole, tmp_path):
    compiled.save(tmp_path / "model.nut")
    assert_same_draws(sample_numba(load(tmp_path / "model.nut"), **LONG_ENOUGH), whole)
    with ThreadPoolExecutor(1) as executor:
        assert_same_draws(sample_numba(compiled, **LONG_ENOUGH, executor=executor), whole)


def test_a_process_of_its_own_compiles_the_same(whole):
    apart = compile_model(schools(), isolate=True)
    assert apart.code.sites
    assert_same_draws(sample_numba(apart, **LONG_ENOUGH), whole)


def test_groups_choose_for_themselves(compiled, whole):
    both = sample_numba(compiled, **LONG_ENOUGH, chains=8)
    first, whole_draws = draws_of(both), draws_of(whole)
    assert all(np.array_equal(first[name][:4], whole_draws[name]) for name in whole_draws)
    assert group(both, "adaptation")["centredness_theta"].shape == (8, 8)


def test_other_data_of_another_length(compiled):
    other = compiled.with_data(scores=Y[:5], errors=SIGMA[:5], coords={"school": [f"school {i}" for i in range(5)]})
    result = sample_numba(other, **LONG_ENOUGH)
    assert group(result, "adaptation")["centredness_theta"].shape == (4, 5)
    fresh = sample_numba(compile_model(schools(Y[:5], SIGMA[:5])), **LONG_ENOUGH)
    assert_same_draws(result, fresh)


def test_an_adaptation_state_brings_its_coordinates(compiled, whole, tmp_path):
    state = adaptation_of(whole)
    np.testing.assert_allclose(state.position, unconstrained(whole)[:, -1], rtol=1e-13, atol=1e-15)
    chosen = state._replace(centredness=np.where(compiled.binding.sites >= 0, 0.35, 0.0) * np.ones((4, 1)))
    chosen.save(tmp_path / "state.npz")
    read = nutmill.AdaptationState.load(tmp_path / "state.npz")
    result = sample_numba(compiled, **LONG_ENOUGH | {"tune": 0, "adaptation_state": read})
    assert (group(result, "adaptation")["centredness_theta"] == 0.35).all()
    off = adaptation_of(sample_numba(compiled, **LONG_ENOUGH, centring="off"))
    assert off.centredness.shape == (4, 0)
    as_written = sample_numba(compiled, **LONG_ENOUGH | {"tune": 0, "adaptation_state": off})
    assert (group(as_written, "adaptation")["centredness_theta"] == 1.0).all()
    with pytest.raises(ModelError, match="coordinates that the chains chose"):
        sample_numba(compiled, **LONG_ENOUGH, centring="off", adaptation_state=read)


def test_initial_values_are_those_of_the_model_as_written(compiled):
    start = {"mu": 3.0, "tau": 2.0, "theta": np.linspace(-5.0, 5.0, 8)}
    options = LONG_ENOUGH | {"draws": 1, "tune": 0, "adaptation_state": None, "initvals": start}
    for centring in ("auto", "off"):
        state = adaptation_of(sample_numba(compiled, **options | {"draws": 1}, centring=centring))
        assert np.abs(state.position[:, 2:] - start["theta"]).max() < 60.0
    q = compiled.starts(start, 4, 0, jitter=False)
    np.testing.assert_allclose(q[0], [3.0, np.log(2.0), *start["theta"]])


def test_single_precision(whole):
    result = sample_numba(compile_model(schools(), dtype="float32"), **LONG_ENOUGH)
    assert group(result, "adaptation")["centredness_theta"].shape == (4, 8)
    assert np.abs(draws_of(result)["mu"].mean() - draws_of(whole)["mu"].mean()) < 4.0


def test_models_without_sites_take_it_without_a_word():
    x = pt.vector("x", shape=(3,))
    for model in (compile_model(normal, n_dim=3), compile_model(-0.5 * (x**2).sum())):
        one, other = (
            sample_numba(model, draws=20, tune=50, random_seed=1, centring=c, **QUIET) for c in ("auto", "off")
        )
        assert_same_draws(one, other)
        assert "centredness" not in group(one, "adaptation")


def test_groups_made_by_hand_for_a_model_without_sites_choose_no_coordinates():
    """Its code could not read them: such a process ended with SIGSEGV."""
    native = compile_model(normal, n_dim=3).binding
    settings, points = Settings(draws=20, tune=50, centring="auto"), np.arange(12.0).reshape(4, 3)
    driven = drive([native], Starts(points, 5), settings, threads=1)
    whole_run = WholeRuns(settings, range(4), native).run(native, points, 5)
    off = drive([native], Starts(points, 5), settings._replace(centring="off"), threads=1)
    np.testing.assert_array_equal(driven.draws, off.draws)
    np.testing.assert_array_equal(whole_run.draws, off.draws)


def test_an_unknown_value_is_one_sentence(compiled):
    with pytest.raises(ArgumentError, match=r"centring must be .*auto.* or .*off.*, not 'yes'\."):
        sample_numba(compiled, centring="yes")


def test_its_operations_are_counted():
    assert operations(from_pymc(schools(), None)).computing > 0


def counties(county) -> pm.Model:
    with pm.Model() as model:
        index = pm.Data("county", county)
        level = pm.Normal("level", pm.Normal("mean"), pm.HalfNormal("spread"), shape=4)
        pm.Normal("y", level[index], 1.0, observed=pm.Data("scores", np.arange(6.0)))
    return model


def test_indices_are_looked_at_in_files_and_with_other_data(tmp_path):
    compiled = compile_model(counties([0, 1, 2, 3, 3, 0]))
    assert compiled.code.sites
    compiled.save(tmp_path / "model.nut")
    for model in (compiled, load(tmp_path / "model.nut")):
        other = model.with_data(county=[3, 2, 1], scores=[0.0, 1.0, 2.0])
        assert np.isfinite(other.logp_dlogp(np.zeros(6))[0])
        with pytest.raises(ModelError, match="county"):
            model.with_data(county=[3, 2, 4], scores=[0.0, 1.0, 2.0])
