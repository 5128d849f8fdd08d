"""Directions that stretch by less than two: taken in few dimensions, where other draws are sure of them."""

import numba
import numpy as np
import pytest
from nuts.directions_by_hand import new_room, proven, window_by_hand

from nutmill.nuts.warmup import low_rank


@numba.njit
def log_stretch_seen(rows, direction):
    return low_rank._log_stretch_seen(rows, direction)


@pytest.mark.parametrize(("stretch", "few", "many"), [(1.25, 0, 0), (1.6, 1, 0), (1 / 1.6, 1, 0), (2.3, 1, 1)])
def test_weak_directions_are_taken_in_few_dimensions(stretch, few, many, seed):
    for n_dim, rank in ((64, few), (65, many)):
        state, _ = window_by_hand([np.sqrt(stretch)] * 4, seed, n_dim)
        room = new_room(4 * 64, n_dim, size=n_dim)
        assert proven(state.chains, state.blocks, state.rows, 40, np.ones(n_dim), room) == rank


@pytest.mark.parametrize("correlation", [0.0, -0.9])
def test_the_error_of_a_stretch_is_what_it_varies_by(correlation):
    """Over repetitions: within five standard errors of a standard deviation that two thousand of them tell."""
    rng, n_draws = np.random.default_rng(3), 100
    seen = []
    for _ in range(2000):
        rows = np.zeros((2 * n_draws, 1))
        rows[::2, 0] = rng.normal(size=n_draws)
        rows[1::2, 0] = correlation * rows[::2, 0] + np.sqrt(1 - correlation**2) * rng.normal(size=n_draws)
        seen.append(log_stretch_seen(rows, np.ones(1)))
    values, errors = np.array(seen).T
    assert abs(values.mean()) < 5 * values.std() / np.sqrt(len(values))
    # To first order in 1 / n_draws, which is as much as the delta method gives.
    assert abs(errors.mean() / values.std() - 1) < 5 / np.sqrt(2 * len(values)) + 2 / n_draws


def test_the_error_of_a_stretch_is_nothing_where_gradients_are_proportional(seed):
    rows = np.repeat(np.random.default_rng(seed).normal(size=(50, 3)), 2, axis=0)
    rows[1::2] /= -4.0
    value, error = log_stretch_seen(rows, np.array([0.0, 0.6, 0.8]))
    assert value == pytest.approx(np.log(4.0), rel=1e-12) and error < 1e-7
