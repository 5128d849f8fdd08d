"""The same inputs give the same bytes: whatever the number of threads and groups, in both forms of fuse."""

import numpy as np
import pytest
import zoo
from assertions import MIN_P, effective_sample_size
from scipy import stats

from nutmill import sample_numba
from nutmill.results.trace import group

SETTINGS = {"draws": 200, "tune": 150, "progressbar": False, "compute_convergence_checks": False}


def draw(fuse: bool, seed: int = 11, **options) -> dict[str, np.ndarray]:
    """Draws and statistics by name, each (chains, draws, ...)."""
    compiled = zoo.compiled("regression", fuse=fuse)
    result = sample_numba(compiled, **SETTINGS | options, random_seed=seed)
    return {
        variable: values.values
        for name in ("posterior", "sample_stats")
        for variable, values in group(result, name).data_vars.items()
    }


def assert_same_bytes(first: dict[str, np.ndarray], second: dict[str, np.ndarray], chains=slice(None)) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == np.ascontiguousarray(second[name][chains]).tobytes(), name


@pytest.fixture(scope="module", params=[True, False], ids=["fused", "pointer"])
def fuse(request):
    return request.param


def test_the_same_run_twice_gives_the_same_bytes(fuse):
    assert_same_bytes(draw(fuse), draw(fuse))


def test_the_number_of_threads_changes_no_draw(fuse):
    assert_same_bytes(draw(fuse, cores=1), draw(fuse, cores=4))


def test_eight_chains_hold_the_run_of_four(fuse):
    assert_same_bytes(draw(fuse, cores=2), draw(fuse, chains=8, cores=2), slice(0, 4))


def test_adaptive_warmup_does_not_depend_on_threads(fuse):
    assert_same_bytes(draw(fuse, tune=None, cores=1), draw(fuse, tune=None, cores=4))


def test_another_seed_is_another_run(fuse):
    assert (draw(fuse)["mu"] != draw(fuse, seed=12)["mu"]).any()


def test_data_that_come_back_give_the_same_run(fuse):
    """Bound again by `with_data`, the same data give the same bytes."""
    before = zoo.compiled("regression", fuse=fuse)
    named = {a.name: a.value.copy() for a in before.description.arrays if a.name in ("x", "group_of_row", "y_data")}
    again = sample_numba(before.with_data(**named), **SETTINGS, random_seed=11)
    np.testing.assert_array_equal(group(again, "posterior")["mu"].values, draw(fuse)["mu"])


def test_both_forms_draw_from_one_distribution(seed):
    """Every eighth draw is nearly independent here; the two samples have other seeds."""
    fused, pointer = draw(True, seed=2 * seed, draws=2000), draw(False, seed=2 * seed + 1, draws=2000)
    for name in ("level", "beta", "sigma"):
        first, second = (run[name].reshape(4, 2000, -1)[:, ::8] for run in (fused, pointer))
        for k in range(first.shape[-1]):
            for values in (first[..., k], second[..., k]):
                assert effective_sample_size(values) > 0.5 * values.size
            assert stats.ks_2samp(first[..., k].ravel(), second[..., k].ravel()).pvalue > MIN_P
