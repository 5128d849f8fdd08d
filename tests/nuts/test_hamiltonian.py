"""The leapfrog: reversible, of second order, volume-preserving, and true to its metric."""

import ctypes

import numba
import numpy as np
import pytest
from nuts.kernel_groups import metric_root, new_plan, orthonormal, sampling_group, set_directions
from targets import Target, density, exact_draws

from nutmill.nuts import hamiltonian
from nutmill.nuts.chain import trajectory_of
from nutmill.nuts.entry import no_sites
from nutmill.nuts.group import seed_stream
from nutmill.nuts.metric import prepare
from nutmill.nuts.state import (
    GRADIENT,
    MOMENTUM,
    POSITION,
    address_table,
)
from nutmill.nuts.table import group_state

N_DIM = 6


@numba.cfunc(
    numba.int32(numba.types.CPointer(numba.int64), numba.int64, numba.int64, numba.float64),
    error_model="numpy",
    _nrt=False,
)
def walk_entry(table, data, n_steps, step_size):
    """Take `n_steps` leapfrog steps from point 0, point by point; a first step is given a new momentum."""
    state = group_state(table)
    trajectory = trajectory_of(density, no_sites, data, state, 0)
    if n_steps == 0:
        prepare(trajectory.metric)
        hamiltonian.begin(trajectory, step_size)
    for step in range(n_steps):
        status = hamiltonian.leapfrog(trajectory, step, step + 1, step_size)
        if status != 0:
            return status
    return 0


walk = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 3, ctypes.c_double)(walk_entry.address)


@pytest.fixture(params=[[], [5.0, 0.1]], ids=["diagonal", "two directions"])
def state(request):
    points = exact_draws(Target.AUTOREGRESSIVE, 1, N_DIM)
    group = sampling_group(Target.AUTOREGRESSIVE, points, 0.1, np.linspace(0.3, 2.0, N_DIM), new_plan(1))
    set_directions(group, orthonormal(len(request.param), N_DIM), request.param)
    assert take_steps(group.state, 0, 0.0) == 0
    return group.state


def with_directions(state, point):
    """Of the vectors of a point, (3, room) float64, a copy of what is filled."""
    filled = point[:, : N_DIM + state.chains[0]["rank"]].copy()
    filled[POSITION, N_DIM:] = 0.0
    return filled


def assert_along_directions(state, point):
    rank = state.chains[0]["rank"]
    for kind in (MOMENTUM, GRADIENT):
        along = state.directions[0, :rank] @ point[kind, :N_DIM]
        np.testing.assert_allclose(point[kind, N_DIM : N_DIM + rank], along, rtol=0, atol=1e-12)


def take_steps(state, n_steps: int, step_size: float) -> int:
    return walk(address_table(state).ctypes.data, int(Target.AUTOREGRESSIVE), n_steps, step_size)


def test_start_has_the_current_draw_and_a_momentum_of_the_metric(state, seed):
    point, root = state.vectors[0, 0], metric_root(state, 0)
    np.testing.assert_array_equal(point[POSITION, :N_DIM], state.position[0])
    np.testing.assert_array_equal(point[GRADIENT, :N_DIM], state.gradient[0])
    assert_along_directions(state, point)
    state.rng[0] = seed_stream(1 + seed, 0)
    momenta = []
    for _ in range(2000):
        take_steps(state, 0, 0.0)
        momenta.append(state.vectors[0, 0, MOMENTUM, :N_DIM].copy())
    normals = np.array(momenta) @ root
    excess = normals.T @ normals / len(normals) - np.eye(N_DIM)
    z = excess / np.sqrt((1.0 + np.eye(N_DIM)) / len(normals))
    assert (np.abs(z) < 4.5).all()


def test_reversible(state):
    n_steps = 30
    start = with_directions(state, state.vectors[0, 0])
    take_steps(state, n_steps, 0.1)
    end = with_directions(state, state.vectors[0, n_steps])
    assert np.abs(end[POSITION] - start[POSITION]).max() > 0.1
    state.vectors[0, 0, :, : end.shape[1]] = end
    take_steps(state, n_steps, -0.1)
    np.testing.assert_allclose(with_directions(state, state.vectors[0, n_steps]), start, rtol=0, atol=1e-10)


def test_energies_are_those_of_the_metric(state):
    take_steps(state, 30, 0.1)
    points = state.vectors[0, :31]
    for point in points:
        assert_along_directions(state, point)
    kinetic = 0.5 * ((points[:, MOMENTUM, :N_DIM] @ metric_root(state, 0)) ** 2).sum(axis=1)
    np.testing.assert_allclose(state.points[0, 1:31]["energy"] + state.points[0, 1:31]["lp"], kinetic[1:], rtol=1e-12)


def test_energy_error_is_of_second_order(state):
    errors = []
    for n_steps in (4, 8, 16, 32):
        take_steps(state, n_steps, 0.4 / n_steps)
        errors.append(abs(state.points[0, n_steps]["energy"] - state.tree[0]["initial_energy"]))
    orders = np.diff(np.log2(errors))
    assert abs(orders[-1] + 2.0) < 0.05, orders


def test_volume_is_preserved(state):
    start = state.vectors[0, 0, :, :N_DIM].copy()
    rank = state.chains[0]["rank"]

    def flow(phase: np.ndarray) -> np.ndarray:
        position, momentum = phase[:N_DIM], phase[N_DIM:]
        gradient = np.zeros(N_DIM)
        density(position.copy(), gradient, int(Target.AUTOREGRESSIVE))
        point = np.array([position, momentum, gradient])
        state.vectors[0, 0, :, :N_DIM] = point
        state.vectors[0, 0, :, N_DIM : N_DIM + rank] = point @ state.directions[0, :rank].T
        take_steps(state, 5, 0.2)
        return state.vectors[0, 5, [POSITION, MOMENTUM], :N_DIM].ravel()

    phase, step = start[[POSITION, MOMENTUM]].ravel(), 1e-3
    # The flow of a quadratic density is linear, so that central differences are exact up to rounding.
    jacobian = [(flow(phase + step * e) - flow(phase - step * e)) / (2 * step) for e in np.eye(2 * N_DIM)]
    np.testing.assert_allclose(np.linalg.det(jacobian), 1.0, rtol=0, atol=1e-9)
