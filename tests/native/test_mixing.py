"""How chains mix by compiled code: equal to ArviZ, for draws of every kind, and for lengths that are awkward."""

import arviz
import numpy as np
import pytest
import xarray as xr

from nutmill.model.lowering.kernel import kernel_object
from nutmill.native.convergence import Mixing, mixing_of, precision_of
from nutmill.native.processor import target


def mixing(draws: np.ndarray) -> Mixing:
    return mixing_of(kernel_object(target()).address("mixing"), draws)


@pytest.fixture
def plain_arviz():
    """ArviZ 0.23 fails at the error of an sd if it uses Numba."""
    if hasattr(arviz, "Numba"):
        arviz.Numba.disable_numba()
        yield
        arviz.Numba.enable_numba()
    else:
        yield


def draws_of_every_kind(n_chains: int, n_draws: int) -> np.ndarray:
    """Independent and correlated, alternating, tied, rounded, repeated, with heavy tails, apart, of unlike scales."""
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(n_chains, n_draws, 12))
    for draw in range(1, n_draws):
        for k, correlation in enumerate([0.5, 0.9, 0.99, 0.999, -0.5]):
            kept, new = correlation * draws[:, draw - 1, k], np.sqrt(1.0 - correlation**2) * draws[:, draw, k]
            draws[:, draw, k] = kept + new
    draws[..., 5] = rng.integers(0, 5, size=(n_chains, n_draws))
    draws[..., 6] = np.sinh(5.0 * draws[..., 6])
    draws[0, :, 7] += 3.0
    draws[..., 8] *= np.arange(1, n_chains + 1)[:, None]
    draws[..., 9] = np.round(draws[..., 9], 1)
    draws[..., 10] = np.repeat(draws[:, : n_draws // 3 + 1, 10], 3, axis=1)[:, :n_draws]
    draws[..., 11] *= 1e-200
    return draws


@pytest.mark.parametrize(("n_chains", "n_draws"), [(4, 1000), (4, 1003), (3, 129), (2, 7), (2, 4), (5, 70)])
def test_it_is_arviz_s(n_chains, n_draws):
    draws = draws_of_every_kind(n_chains, n_draws)
    dataset = xr.Dataset({"x": (("chain", "draw", "parameter"), draws)})
    found = mixing(draws)
    np.testing.assert_allclose(found.rhat, arviz.rhat(dataset)["x"].values, rtol=1e-10)
    np.testing.assert_allclose(found.ess_bulk, arviz.ess(dataset)["x"].values, rtol=1e-10)
    tail = arviz.ess(dataset, method="tail", prob=(0.05, 0.95))["x"].values
    np.testing.assert_allclose(found.ess_tail, tail, rtol=1e-10)


@pytest.mark.parametrize(("n_chains", "n_draws"), [(4, 1000), (4, 1003), (3, 129), (2, 7), (2, 4), (5, 70)])
def test_standard_errors_are_arviz_s(n_chains, n_draws, plain_arviz):
    draws = draws_of_every_kind(n_chains, n_draws)
    given = draws.copy()
    found = precision_of(kernel_object(target()).address("mixing"), draws)
    np.testing.assert_array_equal(draws, given)
    draws[..., 11] *= 1e200  # ArviZ takes what moves so little for what stands still
    unit = np.r_[np.ones(11), 1e-200]
    dataset = xr.Dataset({"x": (("chain", "draw", "parameter"), draws)})
    np.testing.assert_allclose(found.mean, draws.mean(axis=(0, 1)) * unit, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.sd[:-1], draws.std(axis=(0, 1), ddof=1)[:-1], rtol=1e-10)
    for mine, method in (
        (found.mcse_mean, {"method": "mean"}),
        (found.mcse_sd, {"method": "sd"}),
        (found.mcse_low, {"method": "quantile", "prob": 0.05}),
        (found.mcse_median, {"method": "median"}),
        (found.mcse_high, {"method": "quantile", "prob": 0.95}),
    ):
        theirs = arviz.mcse(dataset, **method)["x"].values
        np.testing.assert_allclose(mine[:-1], theirs[:-1], rtol=1e-10, err_msg=str(method))


def test_errors_of_what_is_not_finite_and_of_what_never_moves():
    draws = draws_of_every_kind(4, 100)
    draws[1, 7, 4], draws[..., 5] = np.inf, 3.0
    found = precision_of(kernel_object(target()).address("mixing"), draws)
    assert all(np.isnan(values[4]) for values in found)
    assert [values[5] for values in found] == [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_one_chain_has_no_rhat():
    found = mixing(draws_of_every_kind(1, 50))
    assert np.isnan(found.rhat).all() and (found.ess_bulk > 0.0).all()


def test_draws_that_are_not_finite_are_not_judged():
    draws = draws_of_every_kind(4, 100)
    whole = mixing(draws)
    draws[2, 50, 3], draws[1, 7, 4] = np.nan, -np.inf
    found = mixing(draws)
    for before, after, worst in zip(whole, found, (np.inf, 0.0, 0.0), strict=True):
        assert (after[[3, 4]] == worst).all()
        np.testing.assert_array_equal(np.delete(after, [3, 4]), np.delete(before, [3, 4]))


def test_chains_that_never_move():
    draws = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 100, 1))
    found = mixing(draws)
    assert found.rhat == np.inf and 0.0 < found.ess_bulk < 10.0
    assert mixing(np.zeros((4, 100, 1))).ess_bulk == 400.0


def numbers_of_all_kinds(rng) -> np.ndarray:
    """Signs, zeros of both signs, subnormal numbers and all exponents."""
    return np.concatenate([[0.0, -0.0, 5e-324, -5e-324], *(s * 10.0 ** rng.uniform(-300, 300, 198) for s in (1, -1))])


def numbers_with_the_same_first_bits(rng) -> np.ndarray:
    """All but one are alike but for their last digits."""
    return np.concatenate([[-1.0], 1e9 + 1e-6 * rng.uniform(-100, 100, 399)])


@pytest.mark.parametrize("numbers", [numbers_of_all_kinds, numbers_with_the_same_first_bits])
def test_the_order_of_numbers_by_their_bits(numbers):
    """The ranks are those of the values."""
    rng = np.random.default_rng(2)
    values = rng.permutation(numbers(rng))
    ranks = np.unique(values, return_inverse=True)[1].astype(float)
    by_value, by_rank = (mixing(x.reshape(4, 100, 1)) for x in (values, ranks))
    assert by_value.ess_bulk == by_rank.ess_bulk and by_value.ess_tail == by_rank.ess_tail
