"""`pm.sample(nuts_sampler="nutmill")` and Bambi's `fit`: what users of both get is what they know, by our draws."""

import json
import subprocess
import sys

import numpy as np
import pymc as pm
import pytest
from threadpoolctl import threadpool_info

import nutmill
import nutmill.pymc
from nutmill.results.trace import group

OLD = pm.__version__.startswith("5.")
RUN = {"draws": 60, "chains": 2, "random_seed": 4, "progressbar": False, "compute_convergence_checks": False}
SCHOOLS = ["Choate", "Deerfield", "Andover"]


@pytest.fixture(scope="module")
def model():
    with pm.Model(coords={"school": SCHOOLS}) as built:
        sigma = pm.Data("sigma", [15.0, 10.0, 16.0], dims="school")
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfNormal("tau", 5.0)
        theta = pm.Normal("theta", mu, tau, dims="school")
        pm.Deterministic("double", 2.0 * theta, dims="school")
        pm.Normal("y", theta, sigma, observed=[28.0, 8.0, -3.0], dims="school")
    return built


def sample(model, options=None, **changes):
    """Call pm.sample as users of its line do; `options` are those of nutmill."""
    given = {} if options is None else {"nuts_sampler_kwargs" if OLD else "nuts": options}
    with model:
        return pm.sample(nuts_sampler="nutmill", **{**RUN, **given, **changes})


@pytest.fixture(scope="module")
def result(model):
    return sample(model)


def names_of(result):
    found = result.groups
    return [name.strip("/") for name in (found() if callable(found) else found)]


def posterior(result):
    return group(result, "posterior")


def test_draws_are_those_of_sample_numba(model, result):
    again = nutmill.sample_numba(model, **{**RUN, "random_seed": int(result.attrs["seed"])})
    for name in posterior(result).data_vars:
        np.testing.assert_array_equal(posterior(result)[name].values, posterior(again)[name].values)
    np.testing.assert_array_equal(posterior(sample(model))["mu"].values, posterior(result)["mu"].values)
    assert (posterior(sample(model, random_seed=5))["mu"].values != posterior(result)["mu"].values).all()


def test_the_result_is_built_as_pymc_s(model, result):
    with model:
        theirs = pm.sample(nuts_sampler="pymc", tune=5, cores=1, **{**RUN, "draws": 5})
    assert set(names_of(theirs)) <= set(names_of(result))
    for name in ("posterior", "observed_data", "constant_data"):
        mine, their = group(result, name), group(theirs, name)
        assert {k: v.dims for k, v in mine.data_vars.items()} == {k: v.dims for k, v in their.data_vars.items()}
    assert posterior(result)["school"].values.tolist() == SCHOOLS
    for name in ("posterior", "sample_stats"):
        assert set(group(theirs, name).attrs) - {"arviz_version"} <= set(group(result, name).attrs)
    assert {"lp", "diverging", "energy", "n_steps", "step_size", "tree_depth"} <= set(group(result, "sample_stats"))


def test_tune_is_a_ceiling_unless_it_is_asked_for_exactly(model):
    assert posterior(sample(model, tune=1000)).attrs["tuning_steps"] < 1000
    assert posterior(sample(model, {"exact_tune": True}, tune=1000)).attrs["tuning_steps"] == 1000
    assert posterior(sample(model, tune=30)).attrs["tuning_steps"] == 30


def test_what_pm_sample_is_asked_for_is_done(model):
    found = sample(
        model,
        {"max_treedepth": 3},
        target_accept=0.9,
        discard_tuned_samples=False,
        initvals={model["mu"]: 3.0},
        var_names=["tau"],
        cores=1,
        idata_kwargs={"include_transformed": True},
    )
    assert set(posterior(found).data_vars) == {"tau"}
    assert {"warmup_posterior", "unconstrained_posterior"} <= set(names_of(found))
    assert group(found, "sample_stats")["tree_depth"].max() <= 3
    assert json.loads(found.attrs["cpu_layout"])["requested"]["chains_at_once"] == 1
    assert '"target_accept": 0.9' in group(found, "sample_stats").attrs["inference_library_settings"]


def test_what_is_not_used_is_reported(model):
    with pytest.warns(UserWarning, match="nutmill does not use idata_kwargs dims: it knows log_likelihood"):
        sample(model, idata_kwargs={"dims": {}})
    with pytest.warns(UserWarning, match="does not use backend or compile_kwargs.*always compiles by Numba and LLVM"):
        sample(model, compile_kwargs={"mode": "FAST_COMPILE"})
    if OLD:
        with pytest.warns(UserWarning, match="does not use callback: chains run without Python"):
            sample(model, callback=print)


def test_a_callback_of_nutmill_sees_the_run(model, result):
    seen = []
    found = sample(model, {"callback": seen.append})
    assert seen[-1].n_draws == [RUN["draws"]] * RUN["chains"]
    np.testing.assert_array_equal(posterior(found)["mu"].values, posterior(result)["mu"].values)
    with pytest.raises(
        nutmill.ArgumentError, match=r"for a run in the background call nutmill\.sample\(model, blocking"
    ):
        sample(model, {"blocking": False})


def test_blas_is_left_as_pymc_has_found_it(model):
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    found = sample(model, mp_ctx="spawn", blas_cores=2)  # PyMC limits the process around the call
    assert found.attrs["blas_threads"] == 1
    assert [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()] == before


def test_wrong_words_are_answered(model):
    with pytest.raises(nutmill.ArgumentError, match="nutmill has no option maxdepth; it has exact_tune, layout, "):
        sample(model, {"maxdepth": 3})
    with pytest.raises(ValueError, match=r"Sampler nutmil not found\. Is 'nutmill' meant\?"), model:
        pm.sample(nuts_sampler="nutmil", **RUN)
    with pytest.raises(ValueError, match="Sampler stan not found"), model:
        pm.sample(nuts_sampler="stan", **RUN)
    with pm.Model() as discrete:
        pm.Poisson("n", 3.0)
    with pytest.raises(ValueError, match=r"NUTS alone|differentiable"):
        sample(discrete)


def test_it_can_be_undone_and_done_twice(model):
    from pymc.sampling import mcmc

    plugged = mcmc._sample_external_nuts
    nutmill.pymc.plug_in()
    assert mcmc._sample_external_nuts is plugged
    try:
        nutmill.pymc.unplug()
        nutmill.pymc.unplug()
        assert mcmc._sample_external_nuts.__module__ == "pymc.sampling.mcmc"
        with pytest.raises(ValueError, match="Sampler nutmill not found"):
            sample(model)
    finally:
        nutmill.pymc.plug_in()
    assert sample(model).attrs["seed"]


def test_a_pymc_without_the_door_is_reported(monkeypatch):
    from pymc.sampling import mcmc

    monkeypatch.delattr(mcmc, "_sample_external_nuts")
    with pytest.raises(nutmill.NutmillError, match="takes samplers in another way than nutmill knows"):
        nutmill.pymc.plug_in()
    nutmill.pymc.unplug()


def test_the_object_of_the_contract_to_come(model, result):
    sampler = nutmill.pymc.NUTS(layout=None)
    found = sampler.sample_from_init(model=model, tune=None, **{**RUN, "random_seed": int(result.attrs["seed"])})
    np.testing.assert_array_equal(posterior(found)["mu"].values, posterior(result)["mu"].values)
    rng = np.random.RandomState(3)
    assert sampler.sample_from_init(model=model, **{**RUN, "random_seed": rng, "draws": 2}).attrs["seed"]


def test_bambi():
    bambi = pytest.importorskip("bambi")
    pd = pytest.importorskip("pandas")
    import nutmill.bambi

    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    data = pd.DataFrame({"x": x, "g": np.arange(60) % 3, "y": 1.0 + 2.0 * x + rng.normal(size=60)})
    data["g"] = data["g"].astype("category")
    fitted = bambi.Model("y ~ x + (1 | g)", data)
    found = fitted.fit(inference_method="nutmill", draws=300, chains=4, random_seed=1, progressbar=False)
    assert abs(posterior(found)["x"].mean() - 2.0) < 0.5
    assert found.attrs["cpu_layout"] and {"Intercept", "1|g", "sigma"} <= set(posterior(found).data_vars)
    nutmill.bambi.unplug()
    try:
        with pytest.raises(ValueError, match="'nutmill' is not a supported inference method"):
            fitted.fit(inference_method="nutmill", draws=5, chains=2, progressbar=False)
    finally:
        nutmill.bambi.plug_in()


@pytest.mark.parametrize(("module", "absent"), [("pymc", "pymc"), ("bambi", "bambi")])
def test_without_the_package_it_says_what_to_do(module, absent):
    code = (
        f"import sys; sys.modules[{absent!r}] = None\ntry: import nutmill.{module}\nexcept ImportError as e: print(e)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"pip install {absent}" in said
