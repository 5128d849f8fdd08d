"""The tree on integers: its transition matrix leaves the weights unchanged, whatever turns or diverges."""

from typing import NamedTuple

import numba
import numpy as np
import pytest

from nutmill.nuts.tree import DIVERGED, TURNING, Verbs, grow, weigh

N_POINTS, MAX_DEPTH = 15, 3


class Orbit(NamedTuple):
    """A trajectory of integers; a slot holds the exact distribution of its chosen point."""

    weights: np.ndarray  # (n_points,)
    divergent: np.ndarray  # (n_points,) bool
    turning: np.ndarray  # (n_points, n_points) bool: by first and last point
    first: np.ndarray  # (n_slots,) int64
    last: np.ndarray
    weight: np.ndarray
    chosen: np.ndarray  # (n_slots, n_points): probabilities
    faults: np.ndarray  # (3,) int64: calls that break the contract of a verb


@numba.njit
def set_leaf(orbit, slot, point):
    orbit.first[slot] = orbit.last[slot] = point
    orbit.weight[slot] = orbit.weights[point]
    orbit.chosen[slot] = 0.0
    orbit.chosen[slot, point] = 1.0


@numba.njit
def leaf(orbit, slot, forward):
    point = orbit.last[slot - 1] + 1 if forward else orbit.first[slot - 1] - 1
    if point < 0 or point >= orbit.divergent.shape[0] or orbit.divergent[point]:
        return False
    set_leaf(orbit, slot, point)
    return True


@numba.njit
def is_turning(orbit, older, newer, forward, has_inner_ends):
    earlier, later = (older, newer) if forward else (newer, older)
    orbit.faults[0] += orbit.last[earlier] + 1 != orbit.first[later]
    orbit.faults[1] += has_inner_ends != (orbit.last[earlier] > orbit.first[earlier])
    return orbit.turning[orbit.first[earlier], orbit.last[later]]


@numba.njit
def combine(orbit, older, newer, forward, biased):
    orbit.faults[2] += biased != (older == 0)
    weight, probability = weigh(orbit.weight[older], orbit.weight[newer], biased)
    for point in range(orbit.chosen.shape[1]):
        orbit.chosen[older, point] += probability * (orbit.chosen[newer, point] - orbit.chosen[older, point])
    orbit.weight[older] = weight
    if forward:
        orbit.last[older] = orbit.last[newer]
    else:
        orbit.first[older] = orbit.first[newer]


@numba.njit
def transition_matrix(orbit, max_depth, matrix, outcomes):
    """Average over all directions, from every start that has weight."""
    verbs = Verbs(leaf, is_turning, combine)
    n_directions = 1 << max_depth
    for start in range(matrix.shape[0]):
        if orbit.divergent[start]:
            continue
        for directions in range(n_directions):
            set_leaf(orbit, 0, start)
            _, outcome = grow(orbit, verbs, np.uint64(directions), max_depth)
            outcomes[outcome] += 1
            matrix[start] += orbit.chosen[0] / n_directions


def new_orbit(seed: int) -> Orbit:
    n_slots = MAX_DEPTH + 2
    return Orbit(
        weights=np.exp(np.random.default_rng(seed).normal(0.0, 2.0, N_POINTS)),
        divergent=np.zeros(N_POINTS, bool),
        turning=np.zeros((N_POINTS, N_POINTS), bool),
        first=np.zeros(n_slots, np.int64),
        last=np.zeros(n_slots, np.int64),
        weight=np.zeros(n_slots),
        chosen=np.zeros((n_slots, N_POINTS)),
        faults=np.zeros(3, np.int64),
    )


def assert_stationary(orbit: Orbit) -> np.ndarray:
    """Check sum_i w_i P_ij = w_j to rounding; return how often each outcome came."""
    matrix, outcomes = np.zeros((N_POINTS, N_POINTS)), np.zeros(3, np.int64)
    transition_matrix(orbit, MAX_DEPTH, matrix, outcomes)
    weights = np.where(orbit.divergent, 0.0, orbit.weights)
    np.testing.assert_allclose(matrix.sum(axis=1), (~orbit.divergent).astype(float), rtol=0, atol=1e-12)
    np.testing.assert_allclose(weights @ matrix, weights, rtol=0, atol=1e-12 * weights.sum())
    assert orbit.faults.tolist() == [0, 0, 0]
    return outcomes


def test_free_orbit_is_stationary():
    assert_stationary(new_orbit(0))


@pytest.mark.parametrize("size", [2, 4, 8])
def test_stationary_with_a_turn_at_every_place(size):
    for first in range(N_POINTS - size + 1):
        orbit = new_orbit(size)
        orbit.turning[first, first + size - 1] = True
        assert assert_stationary(orbit)[TURNING] > 0


def test_stationary_with_a_divergence_at_every_place():
    for point in range(N_POINTS):
        orbit = new_orbit(point)
        orbit.divergent[point] = True
        assert assert_stationary(orbit)[DIVERGED] > 0


def test_stationary_with_turns_and_divergences_at_random():
    rng = np.random.default_rng(1)
    for seed in range(300):
        orbit = new_orbit(seed)
        orbit.divergent[:] = rng.random(N_POINTS) < 0.1
        orbit.turning[:] = rng.random((N_POINTS, N_POINTS)) < rng.uniform(0.0, 0.6)
        assert_stationary(orbit)


def test_biased_choice_leaves_the_start_more_often_than_the_weights_say():
    orbit = new_orbit(3)
    orbit.weights[:] = 1.0
    matrix, outcomes = np.zeros((N_POINTS, N_POINTS)), np.zeros(3, np.int64)
    transition_matrix(orbit, 1, matrix, outcomes)
    # Of two equal weights the newer is always taken; only a neighbour outside the orbit keeps the start.
    np.testing.assert_array_equal(np.diag(matrix)[1:-1], 0.0)
    np.testing.assert_array_equal(np.diag(matrix)[[0, -1]], 0.5)
