"""Draws become ArviZ objects: names, types, labels; on disk and back; under ArviZ's tools."""

import datetime
import json
import warnings

import arviz as az
import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from nutmill.native.labels import label_array
from nutmill.results.trace import SAMPLE_STATS, DivergencesGroup, Draws, ModelData, group, to_arviz

matplotlib.use("Agg")

N_CHAINS, N_DRAWS = 2, 60
ARVIZ_1 = int(az.__version__.split(".")[0]) >= 1
STATS_DTYPE = np.dtype([("position", "f8"), *SAMPLE_STATS.items()], align=True)


def stats(n_draws=N_DRAWS, seed=1):
    """Sample stats as the kernel leaves them: one record a draw, with more fields than ArviZ gets."""
    rng = np.random.default_rng(seed)
    record = np.zeros((N_CHAINS, n_draws), STATS_DTYPE)
    for name, dtype in SAMPLE_STATS.items():
        record[name] = rng.normal(size=record.shape) if dtype == np.float64 else rng.integers(0, 2, record.shape)
    return record


def draws(n_draws=N_DRAWS, seed=2):
    """Draws of eight schools, with a whole-number and a truth-valued Deterministic."""
    rng = np.random.default_rng(seed)
    sample = (N_CHAINS, n_draws)
    mu, theta = rng.normal(size=sample), rng.normal(size=(*sample, 3))
    return Draws(
        posterior={"mu": mu, "theta": theta, "best": theta.argmax(-1), "is_positive": mu > 0},
        stats=stats(n_draws),
        unconstrained={"mu": mu, "tau_log__": rng.normal(size=sample)},
        log_likelihood={"y": rng.normal(size=(*sample, 3))},
    )


def divergences(n):
    """Give `n` divergences of a model of four dimensions."""
    points = np.arange(4.0 * n).reshape(n, 4)
    chains = np.arange(n, dtype=np.int32) % N_CHAINS
    return DivergencesGroup(chains, 10 * chains, points, points + 1, points + 2, np.full(n, np.inf))


MODEL = ModelData(
    observed={"y": np.array([28.0, 8.0, -3.0])},
    constant={"sigma": np.array([15, 10, 16])},
    coords={"school": ("Choate", "Deerfield", "St. Paul's"), "unused": ("a",), "unlabelled": None},
    dims={"theta": ("school",), "y": ("school",), "sigma": ("school",)},
)
ATTRS = {
    "/": {"interrupted": True},
    "posterior": {"sampling_time": 1.5, "tuning_steps": np.int64(200), "nothing": None},
    "sample_stats": {"cpu_layout": {"cores": np.array([0, 1]), "started": datetime.date(2026, 11, 22)}},
}


@pytest.fixture
def trace():
    """Eight schools with everything that can be stored."""
    return to_arviz(draws(), MODEL, warmup=draws(20, seed=3), divergences=divergences(3), attrs=ATTRS)


def group_names(data):
    """List the groups of either kind of ArviZ object."""
    return set(data.children) if ARVIZ_1 else set(data.groups())


def test_it_is_what_this_arviz_works_with(trace):
    assert isinstance(trace, xr.DataTree if ARVIZ_1 else az.InferenceData)


def test_a_result_has_the_groups_of_the_schema(trace):
    sampled = {"posterior", "sample_stats", "unconstrained_posterior", "log_likelihood"}
    rest = {"observed_data", "constant_data", "divergences"}
    assert group_names(trace) == sampled | {f"warmup_{name}" for name in sampled} | rest


def test_only_what_was_given_is_there():
    sample = Draws({"mu": np.zeros((2, 5))}, stats(5))
    of_pymc_6 = {"observed_data"} if ARVIZ_1 else set()  # empty where nothing is observed
    assert group_names(to_arviz(sample, ModelData())) == {"posterior", "sample_stats"} | of_pymc_6


def test_sample_stats_have_arviz_names_and_types(trace):
    dataset = group(trace, "sample_stats")
    assert {name: values.dtype for name, values in dataset.items()} == {
        name: np.dtype(dtype) for name, dtype in SAMPLE_STATS.items()
    }
    for name, values in dataset.items():
        assert values.dims == ("chain", "draw")
        np.testing.assert_array_equal(values, stats()[name])


def test_draws_keep_their_values_types_and_dimensions(trace):
    posterior = group(trace, "posterior")
    for name, values in draws().posterior.items():
        assert posterior[name].dtype == values.dtype
        np.testing.assert_array_equal(posterior[name], values)
    assert posterior["mu"].dims == ("chain", "draw")
    assert posterior["theta"].dims == ("chain", "draw", "school")
    assert posterior["school"].values.tolist() == ["Choate", "Deerfield", "St. Paul's"]
    assert posterior["draw"].values.tolist() == list(range(N_DRAWS))
    assert "unused" not in posterior.coords and "unlabelled" not in posterior.coords


def test_data_and_likelihood_share_the_labels_of_the_model(trace):
    for name in ("observed_data", "log_likelihood", "warmup_log_likelihood"):
        dataset = group(trace, name)
        assert dataset["y"].dims[-1] == "school"
        assert dataset["school"].values.tolist() == list(MODEL.coords["school"])


def test_divergences_are_ragged(trace):
    dataset = group(trace, "divergences")
    assert dataset["start"].dims == ("divergence", "unconstrained_parameter")
    assert dataset["chain_id"].values.tolist() == [0, 1, 0]
    assert dataset["draw_id"].values.tolist() == [0, 10, 0]
    assert dataset["chain_id"].dtype == dataset["draw_id"].dtype == np.int64
    np.testing.assert_array_equal(dataset["gradient"], divergences(3).gradient)
    assert not {"chain", "draw"} & set(dataset.variables)


def test_attributes_say_what_made_each_group(trace):
    assert trace.attrs["interrupted"] == 1
    for name in group_names(trace):
        attrs = group(trace, name).attrs
        assert attrs["inference_library"] == "nutmill"
        assert datetime.datetime.fromisoformat(attrs["created_at"]).tzinfo is not None
    posterior, sample_stats = group(trace, "posterior").attrs, group(trace, "sample_stats").attrs
    assert (posterior["sampling_time"], posterior["tuning_steps"]) == (1.5, 200)
    assert "nothing" not in posterior
    assert json.loads(sample_stats["cpu_layout"]) == {"cores": [0, 1], "started": "2026-11-22"}


def assert_same(stored, trace):
    """Compare what came back from a file with what was saved."""
    assert group_names(stored) == group_names(trace)
    assert stored.attrs["interrupted"] == 1
    for name in group_names(trace):
        before, after = group(trace, name), group(stored, name)
        assert dict(before.sizes) == dict(after.sizes)
        for variable in before.variables:
            kind = before[variable].dtype.kind
            assert after[variable].dtype.kind in ("UOT" if kind == "U" else kind)
            np.testing.assert_array_equal(before[variable].values, after[variable].values)
        assert before.attrs == {name: np.asarray(value).tolist() for name, value in after.attrs.items()}


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("n_draws", [N_DRAWS, 0])
def test_netcdf_gives_it_back(tmp_path, engine, n_draws):
    trace = to_arviz(draws(n_draws), MODEL, divergences=divergences(n_draws // 20), attrs=ATTRS)
    trace.to_netcdf(tmp_path / "trace.nc", engine=engine)
    if ARVIZ_1:
        with xr.open_datatree(tmp_path / "trace.nc", engine=engine) as stored:
            assert_same(stored, trace)
    else:
        assert_same(az.from_netcdf(tmp_path / "trace.nc", engine=engine), trace)


@pytest.mark.parametrize("n_draws", [N_DRAWS, 0])
def test_zarr_gives_it_back(tmp_path, n_draws):
    trace = to_arviz(draws(n_draws), MODEL, divergences=divergences(n_draws // 20), attrs=ATTRS)
    # ArviZ 0.23 itself refuses Zarr 3, and says to go through a DataTree.
    tree = trace if ARVIZ_1 else trace.to_datatree()
    tree.to_zarr(tmp_path / "trace.zarr", consolidated=False)
    stored = xr.open_datatree(tmp_path / "trace.zarr", engine="zarr", consolidated=False)
    assert_same(stored if ARVIZ_1 else az.from_datatree(stored), trace)


def test_no_draws_at_all():
    trace = to_arviz(draws(0), MODEL, warmup=draws(), divergences=divergences(0))
    assert dict(group(trace, "posterior").sizes) == {"chain": 2, "draw": 0, "school": 3}
    assert group(trace, "posterior")["best"].dtype == np.int64
    assert group(trace, "divergences").sizes["divergence"] == 0
    assert group(trace, "warmup_posterior").sizes["draw"] == N_DRAWS


def test_nothing_is_padded(trace):
    for name in group_names(trace) - {"divergences"}:
        for values in group(trace, name).values():
            assert np.isfinite(values.values).all()


def test_axes_without_dimensions_get_arviz_names():
    sample = Draws({"x": np.zeros((2, 5, 3, 2))}, stats(5))
    posterior = group(to_arviz(sample, ModelData(dims={"x": (None, "side")})), "posterior")
    assert posterior["x"].dims == ("chain", "draw", "x_dim_0", "side")
    assert posterior["side"].values.tolist() == [0, 1]


def test_a_dimension_that_does_not_fit_is_named_and_the_draws_are_kept():
    sample = Draws({"x": np.zeros((2, 5, 4))}, stats(5))
    with pytest.warns(UserWarning, match=r"'x' do not fit its shape \(4,\)"):
        trace = to_arviz(sample, ModelData(coords={"school": ("a", "b")}, dims={"x": ("school",)}))
    assert group(trace, "posterior")["x"].dims == ("chain", "draw", "x_dim_0")


def test_two_variables_of_different_length_cannot_share_a_dimension():
    sample = Draws({"x": np.zeros((2, 5, 4)), "z": np.zeros((2, 5, 3))}, stats(5))
    with pytest.warns(UserWarning, match="'z' do not fit"):
        trace = to_arviz(sample, ModelData(coords={"city": None}, dims={"x": ("city",), "z": ("city",)}))
    assert group(trace, "posterior")["x"].dims == ("chain", "draw", "city")
    assert group(trace, "posterior")["z"].dims == ("chain", "draw", "z_dim_0")


def test_unconstrained_variables_may_be_shorter_than_their_dimension():
    model = ModelData(coords={"k": range(3)}, dims={"p": ("k",), "p_simplex__": ("k",)})
    sample = Draws({"p": np.zeros((2, 5, 3))}, stats(5), {"p_simplex__": np.zeros((2, 5, 2))})
    trace = to_arviz(sample, model)
    assert group(trace, "unconstrained_posterior")["p_simplex__"].dims[-1] == "p_simplex___dim_0"


def test_a_matrix_over_one_dimension_twice():
    sample = Draws({"cov": np.arange(40.0).reshape(2, 5, 2, 2)}, stats(5))
    trace = to_arviz(sample, ModelData(coords={"asset": ("a", "b")}, dims={"cov": ("asset", "asset")}))
    assert group(trace, "posterior")["cov"].dims == ("chain", "draw", "asset", "cov_dim_1")


def test_a_variable_called_like_its_dimension_keeps_its_values():
    model = ModelData(observed={"city": np.array([3.0, 4.0])}, coords={"city": ("a", "b")}, dims={"city": ("city",)})
    with pytest.warns(UserWarning, match="'city' do not fit"):
        trace = to_arviz(Draws({"mu": np.zeros((2, 5))}, stats(5)), model)
    assert group(trace, "observed_data")["city"].values.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("labels", "dtype", "expected"),
    [
        (("a", "bc"), "<U2", ["a", "bc"]),
        (range(3), np.int64, [0, 1, 2]),
        ((0.5, 1), np.float64, [0.5, 1.0]),
        ((True, False), bool, [True, False]),
        ((1, "a"), "<U1", ["1", "a"]),
        ((("north", 3), ("south", 4)), "<U8", ["north, 3", "south, 4"]),
        (pd.MultiIndex.from_product([["n", "s"], [1]]), "<U4", ["n, 1", "s, 1"]),
        (pd.Categorical(["x", "y"]), "<U1", ["x", "y"]),
        ((None, "a"), "<U4", ["None", "a"]),
        ((), np.float64, []),
    ],
)
def test_labels_keep_their_values_and_kind(labels, dtype, expected):
    array = label_array(labels)
    assert array.tolist() == expected
    assert array.dtype.kind == np.dtype(dtype).kind


@pytest.mark.parametrize(
    "days",
    [
        pd.date_range("2026-01-01", periods=2),
        tuple(pd.date_range("2026-01-01", periods=2)),
        (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
        (datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2)),
        np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"),
    ],
)
def test_days_are_times_on_disk_too(tmp_path, days):
    model = ModelData(coords={"day": days}, dims={"x": ("day",)})
    trace = to_arviz(Draws({"x": np.zeros((2, 5, 2))}, stats(5)), model)
    trace.to_netcdf(tmp_path / "trace.nc")
    expected = np.array(["2026-01-01", "2026-01-02"], "datetime64[ns]")
    with xr.open_dataset(tmp_path / "trace.nc", group="posterior") as stored:
        for dataset in (stored, group(trace, "posterior")):
            np.testing.assert_array_equal(dataset["day"].values, expected)


def test_arviz_tables_and_diagnostics(trace):
    summary = az.summary(trace, var_names=["mu", "theta"])
    assert list(summary.index) == ["mu", *(f"theta[{school}]" for school in MODEL.coords["school"])]
    assert group({"rhat": az.rhat(trace)}, "rhat")["theta"].shape == (3,)
    assert np.isfinite(az.bfmi(group(trace, "sample_stats")["energy"].values)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these likelihoods are noise, and ArviZ says so
        assert np.isfinite(float(az.loo(trace).elpd if ARVIZ_1 else az.loo(trace).elpd_loo))


def test_arviz_plots_show_divergences(trace):
    assert group(trace, "sample_stats")["diverging"].any()
    if ARVIZ_1:
        az.plot_trace_dist(trace, var_names=["mu", "theta"], backend="matplotlib")
        az.plot_pair(trace, var_names=["mu", "theta"], visuals={"divergence": True}, backend="matplotlib")
        az.plot_energy(trace, backend="matplotlib")
    else:
        az.plot_trace(trace, var_names=["mu", "theta"], divergences="bottom")
        az.plot_pair(trace, var_names=["mu", "theta"], divergences=True)
        az.plot_energy(trace)
    matplotlib.pyplot.close("all")
