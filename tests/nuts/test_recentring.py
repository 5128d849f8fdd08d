"""The map between coordinates: by its formula, whatever the scales, and exact where nothing changes."""

import numba
import numpy as np
import pytest

from nutmill.nuts import recentring, turning
from nutmill.nuts.site_basis import Basis, turned_back
from nutmill.nuts.state import ALONE, TURNING


@numba.njit
def recentre(old, new, location, log_scale, position, out):
    return recentring.recentre_into(old, new, location, log_scale, position, out)


@numba.njit
def turn(basis, places, log_scale, out):
    turning.turn(basis, places, log_scale, out)


@pytest.mark.parametrize("widest", [0.0, 0.9, 30.0, 290.0])
@pytest.mark.parametrize("n_equal", [1, 7, 700])
def test_elements_move_by_their_own_scales(widest, n_equal):
    rng = np.random.default_rng(n_equal)
    n = 2 * n_equal + 3
    log_scale = (
        np.repeat(rng.uniform(-widest, widest, 5), n_equal)[:n] if n_equal > 1 else rng.uniform(-widest, widest, n)
    )
    n = len(log_scale)
    old, new = rng.choice([0.0, 0.3, 1.0], (2, n))
    location, position, out = rng.normal(size=n), rng.normal(size=n), np.full(n, np.nan)
    growth = recentre(old, new, location, log_scale, position, out)
    square = np.exp(2.0 * log_scale)
    further = np.sqrt((1.0 - new + new * square) / (1.0 - old + old * square))
    expected = new * location + (position - old * location) * further
    np.testing.assert_allclose(
        out, np.where(old == new, position, expected), rtol=1e-12, atol=1e-12 * np.abs(expected).max()
    )
    np.testing.assert_array_equal(out[old == new], position[old == new])
    np.testing.assert_allclose(growth, np.log(further).sum(), rtol=1e-10, atol=1e-10 * n)


def reflection(n: int) -> np.ndarray:
    """The orthogonal matrix whose first row takes the mean, times the root of n, by its definition."""
    normal = np.eye(n)[0] - 1.0 / np.sqrt(n)
    return np.eye(n) - 2.0 * np.outer(normal, normal) / (normal @ normal)


def test_the_mean_of_few_effects_becomes_the_first_of_them():
    for n in (2, 5, 16):
        turned = reflection(n)
        np.testing.assert_allclose(turned[0], 1.0 / np.sqrt(n), rtol=1e-12)
        np.testing.assert_allclose(turned @ turned, np.eye(n), atol=1e-14)


@pytest.mark.parametrize("written", [0.0, 1.0])
def test_sites_are_turned_where_they_are_not_as_written(written):
    """Of two that may be turned, one that has too many elements, one that has but one, and one of another kind."""
    rng, lengths, kinds = np.random.default_rng(4), [5, 3, 17, 1, 4], [TURNING] * 4 + [ALONE]
    sites, joint = np.repeat(np.arange(5), lengths), np.repeat(kinds, lengths)
    log_scale, n = np.repeat(rng.normal(size=5), lengths), len(sites)
    basis = Basis(sites, joint, np.full(n, written))
    old, new = np.full(n, written), rng.uniform(0.1, 0.9, n)
    new[5:8] = written  # the second stays
    deviates = rng.normal(size=n)
    width = np.sqrt(1.0 - new + new * np.exp(2.0 * log_scale))
    expected = deviates.copy()
    expected[:5] = reflection(5) @ deviates[:5]
    out = deviates * width
    turn(basis, (old, new), log_scale, out)
    np.testing.assert_allclose(out, expected * width, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(out[5:], (deviates * width)[5:])
    there = out.copy()
    turn(basis, (new, new[::-1].copy() * 0.5), log_scale, there)
    np.testing.assert_array_equal(there[:5], out[:5])  # from one place to another that is as little as written


def test_the_driver_turns_chains_back_as_the_kernel_does():
    rng, n = np.random.default_rng(5), 9
    basis = Basis(np.repeat([0, 1], [5, 4]), np.full(n, TURNING), np.zeros(n))
    now = np.array([rng.uniform(size=n), np.zeros(n)])
    now[0, 5:] = 0.0
    position = rng.normal(size=(2, n))
    back = turned_back(basis, now, position)
    for chain in range(2):
        out = position[chain].copy()
        turn(basis, (now[chain], np.zeros(n)), np.zeros(n), out)
        np.testing.assert_allclose(back[chain], out, rtol=1e-12, atol=1e-14)
    assert not np.allclose(back[0, :5], position[0, :5])
