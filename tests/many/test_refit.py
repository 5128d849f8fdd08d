"""Cross-validation: beside a loop of single runs and PyMC's log likelihoods, and beside closed forms."""

from functools import cache

import arviz as az
import numpy as np
import pymc as pm
import pytest
from assertions import MAX_Z
from scipy import stats
from scipy.special import logsumexp

import nutmill
from nutmill import ArgumentError, CheckpointError, fit_seed, leave_future_out, refit, reloo
from nutmill.results.elpd import pointwise_of

QUIET = {"progressbar": False}
FAST = {"draws": 50, "random_seed": 3, **QUIET}
AZ_1 = int(az.__version__.split(".")[0]) >= 1
TOTAL, P, EACH = ("elpd", "p", "elpd_i") if AZ_1 else ("elpd_loo", "p_loo", "loo_i")

Y = np.append(np.random.default_rng(2).normal(1, 1, size=8), 4.0)


@cache
def model():
    """A mean, whose posterior and predictions have closed forms."""
    with pm.Model(coords={"day": list("abcdefghi")}) as made:
        mu = pm.Normal("mu", 0, 2)
        pm.Normal("y", mu, 1, observed=Y, dims="day")
    return made


@cache
def compiled():
    return nutmill.compile_model(model(), leave_out=True, **QUIET)


def predicted(fitted, held_out):
    """Joint log density of some observations, by others."""
    variance = 1.0 / (0.25 + len(fitted))
    mean, count = variance * Y[fitted].sum(), len(held_out)
    return stats.multivariate_normal(np.full(count, mean), np.eye(count) + variance).logpdf(Y[held_out])


def by_hand(is_fitted, held_out, number, seed=3, draws=50):
    """One fold as one would do it: sample, let PyMC compute log likelihoods, take the mean."""
    run = nutmill.sample(
        compiled().with_data(is_fitted_y=is_fitted),
        draws=draws,
        random_seed=fit_seed(seed, number),
        compute_convergence_checks=False,
        **QUIET,
    )
    found = pm.compute_log_likelihood(run, model=model(), extend_inferencedata=False, **QUIET)["y"].values
    return logsumexp(found.reshape(-1, len(Y))[:, held_out], axis=0) - np.log(found.shape[0] * found.shape[1])


def test_folds_are_single_runs():
    labels = np.array([0, 1, 0, 2, 1, 2, 0, 0, 1])
    result = refit(compiled(), labels, **FAST)
    expected = np.empty(len(Y))
    for number in range(3):
        held_out = np.flatnonzero(labels == number)
        expected[held_out] = by_hand(labels != number, held_out, number)
    np.testing.assert_allclose(result[EACH].values, expected, rtol=1e-10)
    assert result[EACH].dims == ("day",)
    assert result[EACH]["day"].values.tolist() == list("abcdefghi")
    assert result[TOTAL] == pytest.approx(expected.sum(), rel=1e-10)
    assert result["se"] == pytest.approx(np.sqrt(9 * expected.var()), rel=1e-10)
    everything = by_hand(np.ones(9, bool), np.arange(9), 0)
    assert result[P] == pytest.approx((everything - expected).sum(), rel=1e-8)
    assert (result["n_samples"], result["n_data_points"], result["scale"]) == (200, 9, "log")


FOLDS = {
    "each": (9, False, [([*range(i), *range(i + 1, 9)], [i]) for i in range(9)]),
    "groups": ([0, 0, 0, 1, 1, 1, 1, 2, 2], True, [([3, 4, 5, 6, 7, 8], [0, 1, 2]), ([0, 1, 2, 7, 8], [3, 4, 5, 6])]),
    "future": (leave_future_out(9, 5), False, [(list(range(t)), [t]) for t in range(5, 9)]),
    "two-ahead": (leave_future_out(9, 7, ahead=2), True, [(list(range(7)), [7, 8]), (list(range(8)), [8])]),
}


@pytest.mark.parametrize("folds", FOLDS)
def test_predictions_have_closed_forms(folds, seed):
    given, joint, pairs = FOLDS[folds]
    given = list(given) if not isinstance(given, int) else given  # a stream ends
    result = refit(compiled(), given, joint=joint, draws=500, random_seed=seed + 1, **QUIET)
    found, fits = result[EACH].values, result["fold_fits"]["fits"]
    for number, pair in enumerate(pairs):
        # Draws of one parameter are a little correlated: half of them would do as well were they independent.
        error = np.sqrt(2.0) * float(fits["mcse"][number]) + 1e-3
        assert abs(found[number] - predicted(*map(np.array, pair))) < MAX_Z * error, pair


def test_arviz_compares():
    with pm.Model() as worse:
        pm.Normal("y", pm.Normal("mu", 0, 0.1), 1, observed=Y)
    fits = {"good": refit(compiled(), 9, **FAST), "bad": refit(worse, 9, **FAST)}
    table = az.compare(fits)
    assert list(table.index) == ["good", "bad"]
    assert "9" in str(fits["good"])


def test_a_part_of_the_observations_is_numbered():
    result = refit(compiled(), [([0, 1, 2], [8, 4])], **FAST)
    assert result[EACH]["observation"].values.tolist() == [4, 8]
    assert result["n_data_points"] == 2


def test_a_file_does_as_well(tmp_path):
    compiled().save(tmp_path / "m.nut", log_likelihood=True)
    one, other = refit(compiled(), 3, **FAST), refit(nutmill.load(tmp_path / "m.nut"), 3, **FAST)
    assert one[EACH].values.tobytes() == other[EACH].values.tobytes()


def test_neither_threads_nor_a_stop_matter(tmp_path):
    one = refit(compiled(), 5, cores=1, **FAST)[EACH].values.tobytes()
    assert refit(compiled(), 5, cores=3, checkpoint=tmp_path / "fits", every=1e-9, **FAST)[EACH].values.tobytes() == one
    sorted((tmp_path / "fits").glob("rows-*"))[-1].unlink()
    assert refit(compiled(), 5, checkpoint=tmp_path / "fits", **FAST)[EACH].values.tobytes() == one
    with pytest.raises(CheckpointError, match="on other data"):
        refit(compiled(), list(range(9)), checkpoint=tmp_path / "fits", **FAST)


def test_folds_that_overlap_are_refused():
    with pytest.raises(ArgumentError, match="Observation 8 is predicted by 2 folds"):
        refit(compiled(), leave_future_out(9, 7, ahead=2), **FAST)


def sampled():
    options = {"idata_kwargs": {"log_likelihood": True}, "compute_convergence_checks": False}
    return nutmill.sample(model(), draws=100, random_seed=4, **options, **QUIET)


@pytest.fixture(scope="module")
def loo():
    return az.loo(sampled(), pointwise=True)


def test_bad_points_are_fitted_again(loo):
    before = pointwise_of(loo)
    threshold = np.sort(before.pareto_k)[-3:-1].mean()
    bad = np.flatnonzero(before.pareto_k > threshold)
    result = reloo(compiled(), loo, k_threshold=threshold, **FAST)
    expected = before.elpd.copy()
    for number, each in enumerate(bad):
        expected[each] = by_hand(np.arange(9) != each, [each], number)[0]
    np.testing.assert_allclose(pointwise_of(result).elpd, expected, rtol=1e-10)
    assert len(bad) == 2
    assert pointwise_of(result).pareto_k[bad].tolist() == [0.0, 0.0]
    assert result[TOTAL] == pytest.approx(expected.sum(), rel=1e-10)
    assert result[P] == pytest.approx(loo[P] + before.elpd.sum() - expected.sum(), rel=1e-10)
    np.testing.assert_array_equal(pointwise_of(loo).elpd, before.elpd)  # the user's own stays as it was


def test_without_bad_points_nothing_is_fitted(loo):
    assert reloo(None, loo, k_threshold=np.inf) is loo


def test_what_is_no_loo_is_refused(loo):
    with pytest.raises(ArgumentError, match="loo must be what"):
        reloo(compiled(), 3.0)
    with pm.Model() as other:
        pm.Normal("y", pm.Normal("mu"), 1, observed=Y[:4])
    with pytest.raises(ArgumentError, match="is of 9 observations, and y has 4"):
        reloo(other, loo, k_threshold=0.0, **FAST)


def test_scales_of_arviz_are_kept(loo):
    if AZ_1:
        pytest.skip("ArviZ 1 has the scale log alone")
    deviance = az.loo(sampled(), pointwise=True, scale="deviance")
    result = reloo(compiled(), deviance, k_threshold=np.sort(deviance.pareto_k)[-2], **FAST)
    assert (result["pareto_k"] == 0.0).sum() == 1
    np.testing.assert_allclose(-2 * pointwise_of(result).elpd, result["loo_i"].values)
    assert result["elpd_loo"] == pytest.approx(result["loo_i"].values.sum())
