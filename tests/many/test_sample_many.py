"""Many fits: the draws of single runs, whatever runs beside them; summaries that are ArviZ's; what is kept."""

from functools import cache

import arviz as az
import numpy as np
import pymc as pm
import pytest
from many_models import effects, line, points, schools, single

import nutmill
from nutmill import ArgumentError, ModelError, fit_seed, sample_many
from nutmill.layout.applied import apply_layout
from nutmill.layout.layout import Layout
from nutmill.many.datasets import DataSet
from nutmill.many.fitting import Fitter
from nutmill.results.trace import group
from nutmill.run import whole_runs
from nutmill.sampling.request import checked_request
from nutmill.sampling.sample import with_coordinates

OPTIONS = {"draws": 60, "random_seed": 7}
QUIET = {"progressbar": False}


def many(compiled, datasets, **options):
    return sample_many(compiled, datasets, **{**OPTIONS, **QUIET, **options})


def assert_is_single(result, number, one):
    """Each byte of posterior and statistics is that of a single run."""
    for name in ("posterior", "sample_stats"):
        kept, alone = result[name], group(one, name)
        assert set(kept.data_vars) == set(alone.data_vars)
        for variable, values in alone.items():
            parts = tuple(slice(length) for length in values.shape)
            assert kept[variable].values[(number, *parts)].tobytes() == values.values.tobytes(), variable


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tune": 0},
        {"tune": 30, "metric": "diag", "centring": "off"},
        {"chains": 5, "max_treedepth": 6},
        {"chains": 1, "target_accept": 0.95, "jitter": False},
        {"starts": "prior", "initvals": {"mu": 1.0}},
    ],
    ids=["default", "no-warmup", "diag", "two-groups", "one-chain", "prior"],
)
def test_each_fit_is_a_single_run(options):
    data = effects(3)
    result = many(schools(), data, keep="draws", **options)
    for number in range(3):
        assert_is_single(result, number, single(schools(), data[number], number, **OPTIONS, **options))


@cache
def process():
    """A Gaussian process, whose covariance BLAS and LAPACK factorise."""
    x = np.linspace(0.0, 1.0, 40)
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        covariance = scale * np.exp(-8.0 * (x[:, None] - x) ** 2) + np.eye(40)
        pm.MvNormal("y", np.zeros(40), covariance, observed=np.zeros(40))
    return nutmill.compile_model(model)


def test_a_layout_says_which_blas_each_fit_calls():
    layout = Layout(2, 1, "openblas")
    data = [{"y": np.random.default_rng(number).normal(size=40)} for number in range(3)]
    result = many(process(), data, keep="draws", layout=layout)
    for number in range(3):
        assert_is_single(result, number, single(process(), data[number], number, **OPTIONS, layout=layout))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layout": "profile.json"}, "layout must be a Layout"),
        ({"layout": Layout(1, 2)}, "take a Layout with blas_threads=1 and"),
        ({"layout": Layout(2), "cores": 2}, "either layout= or cores="),
    ],
    ids=["profile", "threads", "cores"],
)
def test_layouts_that_are_none(options, said):
    with pytest.raises(ArgumentError, match=said):
        many(schools(), effects(1), **options)


def test_lengths_may_differ():
    data = points(4, 9, 2, 9)
    result = many(line(), data, keep="draws")
    for number in range(4):
        assert_is_single(result, number, single(line(), data[number], number, **OPTIONS))
    assert result["posterior"]["fitted"].dims == ("dataset", "chain", "draw", "point")
    assert np.isnan(result["posterior"]["fitted"].values[2, ..., 2:]).all()
    assert result["fits"]["n_point"].values.tolist() == [4, 9, 2, 9]


def test_neither_threads_nor_neighbours_matter():
    data = effects(70)
    one = many(schools(), data, cores=1)
    for other in (many(schools(), iter(data), cores=3), many(schools(), data[:40], cores=2)):
        for name in ("summary", "fits"):
            for variable, values in other[name].data_vars.items():
                assert values.values.tolist() == one[name][variable].values[: len(values)].tolist(), variable


def test_summaries_are_those_of_arviz():
    data = effects(2)
    result, draws = many(schools(), data, draws=101), many(schools(), data, draws=101, keep="draws")
    for number in range(2):
        for variable in ("mu", "theta"):
            values = draws["posterior"][variable].values[number]
            for scalar in np.ndindex(values.shape[2:]):
                found = result["summary"][variable][(number, slice(None), *scalar)]
                assert_summarises(found, values[(..., *scalar)])


def assert_summarises(found, values):
    """Compare with NumPy and ArviZ, number by number."""
    posterior = group(az.from_dict({"posterior": {"x": values}}) if AZ_1 else az.from_dict({"x": values}), "posterior")
    expected = {
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "mcse_mean": az.mcse(posterior, method="mean")["x"],
        "q5": np.quantile(values, 0.05),
        "median": np.median(values),
        "q95": np.quantile(values, 0.95),
        "r_hat": az.rhat(posterior)["x"],
        "ess_bulk": az.ess(posterior, method="bulk")["x"],
        "ess_tail": az.ess(posterior, method="tail", prob=(0.05, 0.95))["x"],
    }
    assert list(found["statistic"].values) == list(expected)
    np.testing.assert_allclose(found.values, [float(value) for value in expected.values()], rtol=1e-9)


AZ_1 = int(az.__version__.split(".")[0]) >= 1


def test_a_function_keeps_what_it_returns():
    def keep(fit):
        return {
            "above": (fit.draws["mu"] > 0).mean(),
            "theta": fit.draws["theta"].mean((0, 1)),
            "seed": fit.seed % 1000,
        }

    data = effects(3)
    kept, draws = many(schools(), data, keep=keep)["kept"], many(schools(), data, keep="draws")["posterior"]
    assert kept["theta"].dims == ("dataset", "school")
    np.testing.assert_array_equal(kept["theta"], draws["theta"].values.mean((1, 2)))
    np.testing.assert_array_equal(kept["above"], (draws["mu"].values > 0).mean((1, 2)))
    assert kept["seed"].values.tolist() == [fit_seed(7, number) % 1000 for number in range(3)]


@pytest.mark.parametrize("returned", [3, {"x": "text"}, {"x": [[1], [1, 2]]}, {"a/b": 1.0}])
def test_what_cannot_be_kept_is_refused(returned):
    with pytest.raises(ModelError, match="keep must return"):
        many(schools(), effects(1), keep=lambda fit: returned, on_error="raise")


def test_a_function_that_raises_spoils_its_fit_alone():
    def keep(fit):
        return {"x": 1 / (fit.number - 1)}

    result = many(schools(), effects(3), keep=keep)
    np.testing.assert_array_equal(result["kept"]["x"], [-1.0, np.nan, 1.0])
    assert result["fits"]["problem"].values[1] == "keep has raised ZeroDivisionError: division by zero."
    with pytest.raises(ModelError, match="Data set 1: keep has raised ZeroDivisionError"):
        many(schools(), effects(3), keep=keep, on_error="raise")


def test_streams_are_read_as_they_are_needed():
    ahead = []

    def stream():
        for number, data in enumerate(effects(400)):
            ahead.append(number)
            yield data

    seen = []
    many(
        schools(), stream(), cores=1, draws=4, tune=0, keep=lambda fit: seen.append(len(ahead) - fit.number) or {"x": 0}
    )
    assert len(ahead) == 400
    assert max(seen) < 300  # batches of 64 at most, two for each thread


def test_an_interrupt_ends_fits_under_way(monkeypatch):
    """A fit that is asked to stop makes no further draw, in whichever phase it is."""
    renew = whole_runs.renew_group

    def renewed(state, *start):
        renew(state, *start)
        fitter.stop()

    fitter = Fitter(schools(), with_coordinates(checked_request(draws=50, random_seed=1), schools()))
    monkeypatch.setattr(whole_runs, "renew_group", renewed)
    with apply_layout(Layout(1)) as applied:
        fit = fitter.fit(DataSet(0, "a", effects(1)[0]), applied)
    assert fit.run.chains["n_draws"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupt_reaches_the_user(after):
    def stream():
        yield from effects(after)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        many(schools(), stream())
