"""`sample_numba` from end to end: what the result holds, what other tools make of it, starts, and Ctrl-C."""

import json
import signal
import threading
import time
import warnings

import arviz as az
import numpy as np
import pymc as pm
import pytest
import xarray as xr
import zoo

from nutmill import compile_model, sample_numba
from nutmill.results.trace import SAMPLE_STATS, group

ARVIZ_1 = int(az.__version__.split(".")[0]) >= 1
QUIET = {"progressbar": False, "compute_convergence_checks": False}


def group_names(data) -> set[str]:
    return set(data.children) if ARVIZ_1 else set(data.groups())


@pytest.fixture(scope="module")
def result():
    """Draws of the regression with all that may be asked for."""
    extras = {"log_likelihood": True, "include_transformed": True, "divergences": True}
    return sample_numba(
        zoo.compiled("regression"),
        draws=150,
        tune=200,
        chains=2,
        random_seed=3,
        discard_tuned_samples=False,
        idata_kwargs=extras,
        **QUIET,
    )


def test_a_result_has_the_groups_of_the_schema(result):
    sampled = {"posterior", "sample_stats", "unconstrained_posterior"}
    warmup = {f"warmup_{name}" for name in sampled}
    rest = {"observed_data", "constant_data", "log_likelihood", "divergences", "adaptation"}
    assert group_names(result) == sampled | warmup | rest


def test_adaptation_has_the_target_that_warmup_settled_for(result):
    learned = group(result, "adaptation")["target_accept"]
    assert learned.dims == ("chain",)
    assert learned.values.tolist() == [0.8, 0.8]


def test_posterior_has_the_names_dimensions_and_labels_of_the_model(result):
    posterior = group(result, "posterior")
    assert {name: values.shape for name, values in posterior.items()} == {
        "level": (2, 150, 3),
        "beta": (2, 150, 2),
        "sigma": (2, 150),
        "mu": (2, 150, 10),
    }
    assert posterior["level"].dims == ("chain", "draw", "group")
    assert list(posterior["group"].values) == ["a", "b", "c"]
    assert (posterior["sigma"] > 0).all()


def test_statistics_are_those_of_the_draws(result):
    stats = group(result, "sample_stats")
    assert set(stats.data_vars) == set(SAMPLE_STATS)
    assert stats["n_steps"].dtype == np.int64 and stats["diverging"].dtype == bool
    assert (stats["n_steps"] >= 1).all() and (stats["tree_depth"] <= 10).all()
    assert ((stats["acceptance_rate"] > 0) & (stats["acceptance_rate"] <= 1)).all()


def test_lp_is_the_density_of_the_draw(result):
    compiled = zoo.compiled("regression")
    unconstrained = group(result, "unconstrained_posterior")
    names = [p.name for p in compiled.description.parameters]
    for chain, draw in ((0, 0), (1, 149)):
        q = np.concatenate([np.ravel(unconstrained[name].values[chain, draw]) for name in names])
        lp = group(result, "sample_stats")["lp"].values[chain, draw]
        assert compiled.logp_dlogp(q)[0] == pytest.approx(lp, rel=1e-12)


def test_deterministics_belong_to_their_draw(result):
    posterior, data = group(result, "posterior"), group(result, "constant_data")
    level = posterior["level"].values[..., data["group_of_row"].values]
    expected = level + posterior["beta"].values @ data["x"].values.T
    np.testing.assert_allclose(posterior["mu"].values, expected, rtol=1e-12, atol=1e-13)


def test_data_are_in_groups_of_their_own(result):
    assert group(result, "observed_data")["y"].dims == ("row",)
    assert group(result, "constant_data")["x"].dims == ("row", "column")
    model = zoo.compiled("regression").origin.graph.source
    np.testing.assert_array_equal(group(result, "observed_data")["y"].values, model["y_data"].get_value())


def test_attributes_tell_how_the_result_was_made(result):
    assert result.attrs["seed"] == "3" and result.attrs["fused"] == 1 and result.attrs["interrupted"] == 0
    stats = group(result, "sample_stats")
    settings = json.loads(stats.attrs["inference_library_settings"])
    assert settings == {
        "draws": 150,
        "tune": 200,
        "chains": 2,
        "target_accept": 0.8,
        "max_treedepth": 10,
        "metric": "auto",
        "centring": "off",  # a model without sites
    }
    assert group(result, "posterior").attrs["tuning_steps"] == 200
    assert group(result, "warmup_posterior").sizes["draw"] == 200


def test_log_likelihood_is_pymc_s(result):
    posterior, log_likelihood = group(result, "posterior"), group(result, "log_likelihood")["y"]
    y = group(result, "observed_data")["y"].values
    sigma = posterior["sigma"].values[..., None]
    expected = -0.5 * ((y - posterior["mu"].values) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_likelihood.values, expected, rtol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ten observations have high Pareto shapes, and ArviZ says so
        loo = az.loo(result)
    assert np.isfinite(float(loo.elpd if ARVIZ_1 else loo.elpd_loo))


def test_pymc_predicts_from_a_result(result):
    with zoo.regression():  # its own: PyMC 5 gives a model its observed variables once more
        predicted = pm.sample_posterior_predictive(result, random_seed=1, progressbar=False)
    assert group(predicted, "posterior_predictive")["y"].shape == (2, 150, 10)


def test_a_model_from_which_pymc_has_predicted_is_sampled_as_before():
    """PyMC 5.28 leaves its observed variables in it once more, and cannot write its log density any more."""
    options = {"draws": 20, "tune": 30, "random_seed": 1, "progressbar": False, "compute_convergence_checks": False}
    with zoo.regression() as model:
        before = sample_numba(**options)
        pm.sample_posterior_predictive(before, random_seed=1, progressbar=False)
        after = sample_numba(**options, idata_kwargs={"log_likelihood": True})
        pm.compute_log_prior(after, progressbar=False)
    assert np.array_equal(group(before, "posterior")["mu"], group(after, "posterior")["mu"])
    assert [rv.name for rv in model.observed_RVs] == ["y"]


def test_files_give_it_back(result, tmp_path):
    result.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "result.nc", engine="h5netcdf") as stored:
        assert set(stored.children) == group_names(result)
        for name in group_names(result):
            for variable, values in group(result, name).data_vars.items():
                np.testing.assert_array_equal(stored[name][variable].values, values.values)
    tree = result if ARVIZ_1 else result.to_datatree()
    tree.to_zarr(tmp_path / "result.zarr", consolidated=False)
    with xr.open_datatree(tmp_path / "result.zarr", engine="zarr", consolidated=False) as stored:
        np.testing.assert_array_equal(stored["posterior"]["mu"].values, group(result, "posterior")["mu"].values)


def test_the_model_of_the_context_and_names_to_report():
    with pm.Model():
        pm.Normal("x", 0.0, 1.0)
        pm.HalfNormal("scale", 1.0)
        drawn = sample_numba(draws=30, tune=50, chains=1, random_seed=1, var_names=["scale"], **QUIET)
    assert list(group(drawn, "posterior").data_vars) == ["scale"]
    assert ("observed_data" in group_names(drawn)) is ARVIZ_1  # empty, as PyMC has it there


def first_positions(initvals, *, jitter=True, chains=3):
    """Where each chain starts, by parameter."""
    compiled = zoo.compiled("regression")
    return compiled.split(compiled.starts(initvals, chains, 5, jitter=jitter))


def test_starts_are_jittered_by_at_most_one_and_differ():
    plain, jittered = first_positions(None, jitter=False), first_positions(None)
    for name, value in jittered.items():
        assert (np.abs(value - plain[name]) <= 1.0).all() and (value != plain[name]).all()
    assert len(np.unique(jittered["sigma_log__"])) == 3
    np.testing.assert_array_equal(plain["level"], 0.0)


def test_one_initval_for_all_chains_is_not_jittered():
    started = first_positions({"sigma": 2.0, "beta": [0.5, -0.5]})
    np.testing.assert_allclose(started["sigma_log__"], np.log(2.0))
    np.testing.assert_array_equal(started["beta"], [[0.5, -0.5]] * 3)
    assert (started["level"] != 0.0).all()


def test_initvals_for_each_chain():
    started = first_positions([{"sigma": 1.0}, None, {"sigma": 3.0, "level": np.ones(3)}], jitter=False)
    np.testing.assert_allclose(np.exp(started["sigma_log__"])[[0, 2]], [1.0, 3.0])
    np.testing.assert_array_equal(started["level"], [[0.0] * 3, [0.0] * 3, [1.0] * 3])


def test_a_start_without_slope_is_fine():
    """The gradient is zero where every coordinate starts."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0, shape=3)
    drawn = sample_numba(model, draws=50, tune=100, chains=2, jitter=False, random_seed=1, **QUIET)
    assert (group(drawn, "posterior")["x"].std(dim="draw") > 0.3).all()


def test_divergences_are_reported_where_they_are():
    """Half the plane has density zero, so trajectories that enter it diverge."""
    with pm.Model() as model:
        x = pm.Normal("x", 1.0, 1.0)
        pm.Potential("wall", pm.math.switch(x > 0.0, 0.0, -np.inf))
    drawn = sample_numba(
        model, draws=300, tune=100, chains=2, random_seed=2, idata_kwargs={"divergences": True}, **QUIET
    )
    found, stats = group(drawn, "divergences"), group(drawn, "sample_stats")
    assert found.sizes["divergence"] == stats["diverging"].sum() > 0
    assert stats["diverging"].values[found["chain_id"].values, found["draw_id"].values].all()
    assert (found["start"] > 0.0).all() and (found["end"] <= 0.0).all()
    assert (group(drawn, "posterior")["x"] > 0.0).all()


def interrupt_after(seconds: float) -> threading.Thread:
    """Press Ctrl-C that long after chains have begun to run."""

    def press():
        while not _running():
            time.sleep(0.01)
        time.sleep(seconds)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def _running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("nutmill")]


@pytest.mark.parametrize("fuse", [True, False])
def test_ctrl_c_returns_the_complete_draws(fuse):
    compiled = zoo.compiled("regression", fuse=fuse)
    presser = interrupt_after(0.5)
    drawn = sample_numba(compiled, draws=3_000_000, tune=100, chains=3, cores=2, random_seed=1, **QUIET)
    presser.join()
    posterior = group(drawn, "posterior")
    assert drawn.attrs["interrupted"] == 1
    assert 0 < posterior.sizes["draw"] < 3_000_000
    assert all(np.isfinite(values).all() for values in posterior.values())
    assert (group(drawn, "sample_stats")["n_steps"] >= 1).all()
    assert _running() == []


def test_after_ctrl_c_the_same_draws_come_again(result):
    """An interrupted run is the beginning of the run that was not interrupted."""
    compiled = zoo.compiled("regression")
    presser = interrupt_after(0.5)
    cut = group(sample_numba(compiled, draws=3_000_000, tune=200, chains=2, random_seed=3, **QUIET), "posterior")
    presser.join()
    n = min(cut.sizes["draw"], 150)
    assert n > 0
    np.testing.assert_array_equal(cut["mu"].values[:, :n], group(result, "posterior")["mu"].values[:, :n])


def test_ctrl_c_in_warmup_gives_no_draws():
    compiled = zoo.compiled("regression")
    presser = interrupt_after(0.3)
    drawn = sample_numba(compiled, draws=10, tune=1_000_000, chains=2, random_seed=1, **QUIET)
    presser.join()
    assert drawn.attrs["interrupted"] == 1
    assert group(drawn, "posterior").sizes["draw"] == 0


def test_a_generator_is_drawn_from_once():
    given, mine = np.random.default_rng(7), np.random.default_rng(7)
    drawn = sample_numba(zoo.compiled("regression"), draws=5, tune=20, chains=1, random_seed=given, **QUIET)
    assert drawn.attrs["seed"] == str(mine.integers(2**63))
    assert given.integers(2**63) == mine.integers(2**63)


def test_python_s_random_generators_are_seeds():
    seeds = (7, [7, 8], np.random.default_rng(7))
    compiled = compile_model(zoo.regression(), var_names=["sigma"])
    options = {"draws": 5, "tune": 20, "chains": 1, **QUIET}
    drawn = [
        group(sample_numba(compiled, random_seed=seed, **options), "posterior")["sigma"].values
        for seed in (*seeds, *(7, [7, 8], np.random.default_rng(7)))
    ]
    for first, second in zip(drawn[:3], drawn[3:], strict=True):
        np.testing.assert_array_equal(first, second)
    assert len({values.tobytes() for values in drawn}) == 3
