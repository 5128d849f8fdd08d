"""The map between coordinates: by its formula, whatever the scales, and exact where nothing changes."""

import numba
import numpy as np
import pytest

from nutmill.nuts import recentring


@numba.njit
def recentre(old, new, location, log_scale, position, out):
    return recentring.recentre_into(old, new, location, log_scale, position, out)


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
