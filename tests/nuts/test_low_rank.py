"""Directions of the metric: what is fitted equals the oracle's, and what is not confirmed is not believed."""

import numba
import numpy as np
import pytest
from nuts.directions_by_hand import new_room, proven, window_by_hand
from nuts.kernel_groups import metric_root, new_plan, new_target_group, run_warmup
from scipy import linalg
from targets import Target, scale, starts

from nutmill.nuts.metric import Metric, draw_momentum_into, prepare
from nutmill.nuts.rng import normals_into
from nutmill.nuts.warmup import low_rank
from nutmill.nuts.warmup.window import BOTH, Window, gather_rows

PRIOR = 0.1


@numba.njit
def fit(room, n_rows, n_proven):
    rows, matrices, found, stretch, squares, proven = room
    return low_rank._fit(low_rank.Room(rows, matrices, found, stretch, squares, proven), n_rows, n_proven)


@numba.njit
def gather(chains, blocks, rows, n_draws, half, out):
    return gather_rows(Window(chains, blocks, rows, n_draws), half, out)


def geometric_mean(positions: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return Sigma with Sigma B Sigma = A, for A and B with the prior, by square roots of matrices."""
    prior = PRIOR * np.eye(positions.shape[1])
    a, b = positions.T @ positions + prior, gradients.T @ gradients + prior
    root = linalg.sqrtm(b).real
    inverse = np.linalg.inv(root)
    return inverse @ linalg.sqrtm(root @ a @ root).real @ inverse


def assert_furthest(n_found, found, stretch, values, vectors) -> None:
    """Those of the eigenvalues that are furthest from 1 were found, with their eigenvectors."""
    order = np.argsort(-np.abs(np.log(values)))[:n_found]
    largest_unseen = np.log(2.0) * (0.5 if found.shape[1] <= 64 else 1.0)
    assert n_found == min(len(stretch), (np.abs(np.log(values)) > largest_unseen).sum()) > 0
    np.testing.assert_allclose(stretch[:n_found], values[order], rtol=1e-7)
    np.testing.assert_allclose(found[:n_found] @ found[:n_found].T, np.eye(n_found), atol=1e-13)
    along = np.abs((found[:n_found] * vectors[:, order].T).sum(axis=1))
    np.testing.assert_allclose(along, 1.0, atol=1e-6)


@pytest.mark.parametrize(("n_rows", "n_dim"), [(40, 6), (20, 40), (10, 60)], ids=["whole", "square", "in the span"])
def test_fit_is_the_geometric_mean(n_rows, n_dim, seed):
    rng = np.random.default_rng([n_dim, seed])
    scales = np.ones(n_dim)
    scales[:3] = [6.0, 3.0, 0.2]
    turn = linalg.qr(rng.normal(size=(n_dim, n_dim)))[0]
    positions = rng.normal(size=(n_rows, n_dim)) * scales @ turn
    gradients = rng.normal(size=(n_rows, n_dim)) / scales @ turn
    room = new_room(n_rows, n_dim)
    work, _, found, stretch, *_ = room
    work[: 2 * n_rows : 2], work[1 : 2 * n_rows : 2] = positions, gradients
    n_found = fit(room, n_rows, 0)
    values, vectors = np.linalg.eigh(geometric_mean(positions, gradients))
    assert_furthest(n_found, found, stretch, values, vectors)


def test_fit_in_the_span_of_the_proven_is_the_geometric_mean_there(seed):
    rng = np.random.default_rng([7, seed])
    positions, gradients = rng.normal(size=(2, 60, 90)) * np.where(np.arange(90) < 4, 5.0, 1.0)
    gradients /= np.where(np.arange(90) < 4, 25.0, 1.0)
    room = new_room(60, 90, size=80)
    work, _, found, stretch, _, proven = room
    work[:120:2], work[1:120:2] = positions, gradients
    proven[:6] = rng.normal(size=(6, 90)) + np.eye(90)[:6] * 10.0
    basis = linalg.orth(proven[:6].T)
    n_found = fit(room, 60, 6)
    values, vectors = np.linalg.eigh(geometric_mean(positions @ basis, gradients @ basis))
    assert_furthest(n_found, found, stretch, values, basis @ vectors)


@pytest.mark.parametrize("span", ["sums", "all", "proven"])
def test_fit_is_the_geometric_mean_in_a_span(span, seed):
    """Of sums of draws and gradients; of all, where these are large in most of it; of what halves have proven."""
    rng = np.random.default_rng([8, seed])
    scales = np.array([6.0, 3.0, 0.2, 0.3, *[1.0] * 86])
    turn = linalg.qr(rng.normal(size=(90, 90)))[0]
    normals, noise = rng.normal(size=(60, 90)), 2.0 if span == "all" else 0.1
    positions, gradients = normals * scales @ turn, (noise * rng.normal(size=(60, 90)) - normals) / scales @ turn
    room = new_room(60, 90, size=90)
    work, _, found, stretch, _, proven = room
    work[:120:2], work[1:120:2] = positions, gradients
    proven[:6] = rng.normal(size=(6, 90)) + turn[:6] * 10.0
    n_found = fit(room, 60, 6 if span == "proven" else 0)
    _, sizes, sums = linalg.svd(positions + gradients, full_matrices=False)
    sums = sums[sizes**2 > 0.1 * 60]
    assert (span == "all") == (len(sums) > 15)
    basis = {"sums": sums.T, "all": np.eye(90), "proven": linalg.orth(proven[:6].T)}[span]
    values, vectors = np.linalg.eigh(geometric_mean(positions @ basis, gradients @ basis))
    assert_furthest(n_found, found, stretch, values, basis @ vectors)


def test_the_few_that_are_proven_are_fitted_to_the_draws_of_both_halves(seed):
    """In the span of what halves have proven, which is nearer to the truth than what each of them has."""
    state, unit = window_by_hand([3.0] * 4, seed, n_dim=100)
    state.rows[:, :, :, 1] += np.random.default_rng(seed).normal(scale=0.1, size=state.rows[:, :, :, 1].shape)
    window = state.chains, state.blocks, state.rows, 40, np.ones(100)
    rooms = [new_room(4 * 64, 100, size=100) for _ in range(2)]
    *_, found, _, _, confirmed = rooms[0]
    assert proven(*window, rooms[0]) == 1
    halves = np.abs(confirmed[:2] @ unit)
    assert abs(found[0] @ unit) > halves.max() > halves.min() > 0.9
    # Without room for them it is fitted in all dimensions, to as good as the same.
    assert proven(*window, (*rooms[1][:-1], np.zeros((0, 100)))) == 1
    assert abs(found[0] @ rooms[1][2][0]) > 0.99


@pytest.mark.parametrize(
    ("tilts", "rank"), [([5.0] * 4, 1), ([5.0, 5.0], 1), ([5.0], 1), ([5.0, 1.0, 5.0, 1.0], 0), ([1.0] * 4, 0)]
)
def test_a_direction_needs_a_second_witness(tilts, rank, seed):
    state, unit = window_by_hand(tilts, seed)
    n_dim = len(unit)
    room = new_room(4 * 64, n_dim)
    assert proven(state.chains, state.blocks, state.rows, 40, np.ones(n_dim), room) == rank
    if rank > 0:
        _, _, found, stretch, *_ = room
        assert abs(found[0] @ unit) > 0.99
        assert 0.75 < stretch[0] / 25.0 < 1.0  # less, and less still from few draws: the prior pulls it to 1


def test_rows_are_those_of_the_window_by_turns_and_centred():
    state, _ = window_by_hand([1.0, 2.0, 3.0, 4.0])
    state.blocks[:, 0]["end"] = 15  # before the window of 40 draws, which begins at 20
    state.chains[3]["member"] = False
    for half, chains in ((BOTH, [0, 1, 2]), (0, [0, 2]), (1, [1])):
        out = np.zeros((600, 30))
        n_rows = gather(state.chains, state.blocks, state.rows, 40, half, out)
        expected = state.rows[chains][:, 1:].reshape(-1, 2, 30)
        expected = expected - expected.mean(axis=0)
        assert n_rows == len(expected)
        np.testing.assert_allclose(out[: 2 * n_rows], expected.reshape(-1, 30), atol=1e-12)


def test_kept_rows_are_spread_over_their_block(seed):
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 1, 300, seed), new_plan(tune=400), seed)
    n_rows = group.state.rows.shape[2]
    assert group.start(0) == 0
    group.pool()
    while group.state.group[0]["stage_end"] < 400:
        assert group.advance(0, group.n_missing(0)) == 0
        last = group.state.blocks[0, 2 * (group.state.group[0]["stage"] % 2)].copy()
        rows = group.state.rows[0, 2 * (group.state.group[0]["stage"] % 2)].copy()
        group.pool()
    # Of the last block that teaches: every draw whose turn it is, or none where the chain did not move.
    stride = -(-(last["end"] - last["start"]) // n_rows)
    draws = group.state.warmup_draws[0, last["start"] : last["end"] : stride]
    assert stride > 1 and 0 < last["n_rows"] <= n_rows
    moved = group.state.warmup_statistics[0, last["start"] : last["end"] : stride]["index_in_trajectory"] != 0
    np.testing.assert_array_equal(rows[: last["n_rows"], 0], draws[moved])
    assert last["n_rows"] == moved.sum()


def whitened_spread(state, chain: int, covariance: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of the covariance in the units of a chain's metric."""
    inverse = np.linalg.inv(metric_root(state, chain))
    return np.linalg.eigvalsh(inverse @ covariance @ inverse.T)


@pytest.mark.parametrize("n_chains", [1, 2, 4])
def test_correlations_are_found(n_chains, seed):
    n_dim = 20
    points = starts(Target.AUTOREGRESSIVE, n_chains, n_dim, seed)
    group = new_target_group(Target.AUTOREGRESSIVE, points, new_plan(), seed)
    run_warmup(group)
    covariance = 0.9 ** np.abs(np.subtract.outer(np.arange(n_dim), np.arange(n_dim)))
    spread = whitened_spread(group.state, 0, covariance)
    before = np.linalg.eigvalsh(covariance / np.sqrt(np.outer(*[group.state.variance[0]] * 2)))
    assert spread[-1] / spread[0] < 12.0 < before[-1] / before[0] / 10.0
    assert (group.state.chains["rank"] == group.state.chains["rank"][0]).all()
    np.testing.assert_array_equal(group.state.directions, group.state.directions[:1].repeat(n_chains, axis=0))


@pytest.mark.parametrize("n_dim", [40, 400])
@pytest.mark.parametrize("target", [Target.NORMAL, Target.SCALED, Target.STUDENT])
def test_nothing_is_found_where_there_is_nothing(target, n_dim, seed):
    """In few dimensions, and in more than draws, where sample covariances have large directions."""
    points = starts(target, 4, n_dim, seed)
    if target == Target.SCALED:
        points *= [scale(i, n_dim) for i in range(n_dim)]
    group = new_target_group(target, points, new_plan(), seed)
    run_warmup(group)
    assert (group.state.chains["rank"] == 0).all()


@pytest.fixture(scope="module")
def dense():
    """Chains that have learned a hundred correlated dimensions, most of which stretch or shrink by a factor of two."""
    group = new_target_group(Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, 4, 100), new_plan(1000))
    run_warmup(group)
    return group


def test_nearly_all_directions_are_found(dense):
    covariance = 0.9 ** np.abs(np.subtract.outer(np.arange(100), np.arange(100)))
    scaled = np.linalg.eigvalsh(covariance / np.sqrt(np.outer(*[dense.state.variance[0]] * 2)))
    wanted = int((np.abs(np.log(scaled)) > np.log(2.0)).sum())
    assert wanted > 75
    assert dense.state.chains["rank"][0] > 0.9 * wanted
    spread = whitened_spread(dense.state, 0, covariance)
    assert spread[-1] / spread[0] < 12.0 < scaled[-1] / scaled[0] / 10.0
    assert dense.state.chains["n_warmup_gradients"].sum() < 40_000


@numba.njit
def momentum_into(variance, directions, stretch, rng, weights, momentum):
    metric = Metric(variance, directions, stretch, weights, np.empty_like(variance))
    prepare(metric)
    draw_momentum_into(metric, rng, momentum, np.empty_like(variance))


@numba.njit
def standard_normals_into(rng, out):
    normals_into(rng, out)


def assert_metric_is_sound(state, lengths: float) -> None:
    """Directions are orthonormal, and p.v is the squared length of the normals that the momentum was made of."""
    rank = state.chains[0]["rank"]
    variance, directions, stretch = state.variance[0], state.directions[0, :rank], state.stretch[0, :rank]
    units = directions / np.sqrt(variance)
    np.testing.assert_allclose(np.diag(units @ units.T), 1.0, atol=1e-10)
    np.testing.assert_allclose(units @ units.T, np.eye(rank), atol=1e-8)
    z, (weights, momentum) = np.zeros(len(variance)), np.zeros((2, len(variance) + rank))
    for draw in range(1, 21):
        rng = np.array([draw, 2, 3, 4], np.uint64)
        standard_normals_into(rng.copy(), z)
        momentum_into(variance, directions, stretch, rng, weights, momentum)
        np.testing.assert_allclose(weights @ momentum**2, z @ z, rtol=lengths)


def test_momenta_have_the_right_length_under_many_directions(dense):
    assert dense.state.chains["rank"][0] > 75
    assert_metric_is_sound(dense.state, 1e-10)


def test_momenta_have_the_right_length_under_the_longest_stretch(seed):
    group = new_target_group(Target.RIDGE, starts(Target.RIDGE, 4, 5, seed), new_plan(), seed)
    run_warmup(group)
    stretch = group.state.stretch[0]
    assert stretch.max() > 1e6 and stretch.min() < 1e-6
    assert_metric_is_sound(group.state, 1e-6)


def test_stuck_chain_learns_no_directions_of_the_others(seed):
    points = starts(Target.AUTOREGRESSIVE, 4, 10, seed)
    points[2] = 1e6
    group = new_target_group(Target.AUTOREGRESSIVE, points, new_plan(tune=100), seed)
    run_warmup(group)
    ranks = group.state.chains["rank"]
    assert not group.state.chains[2]["admitted"]
    assert ranks[0] == ranks[1] == ranks[3] > 0
    assert not np.array_equal(group.state.directions[2], group.state.directions[0])


def test_diagonal_stays_diagonal():
    plan = new_plan(metric="diag")
    group = new_target_group(Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, 4, 10), plan)
    run_warmup(group)
    assert group.state.directions.shape == (4, 0, 10)
    assert (group.state.chains["rank"] == 0).all()
