"""Warmup: what each barrier does, and what a whole warmup comes to, also from bad places."""

import numpy as np
import pytest
from assertions import assert_mean
from nuts.kernel_groups import advance_all, new_plan, new_target_group, run_warmup, start_all
from targets import Target, scale, starts

from nutmill.errors import Status
from nutmill.nuts.state import SEARCH, TERMINAL, WARMUP

N_DIM = 10


def scales(n_dim: int) -> np.ndarray:
    return np.array([scale(i, n_dim) for i in range(n_dim)])


def test_first_metric_is_that_of_the_gradient():
    points = starts(Target.SCALED, 1, N_DIM)
    points[0, 0] = 0.0
    group = new_target_group(Target.SCALED, points, new_plan())
    assert group.start(0) == 0
    gradient = np.abs(points[0]) / scales(N_DIM) ** 2
    expected = np.where(gradient == 0.0, 1.0, 1.0 / np.where(gradient == 0.0, 1.0, gradient))
    np.testing.assert_allclose(group.state.variance[0], expected, rtol=1e-12)


def test_phases_follow_the_schedule():
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM), new_plan(tune=50))
    start_all(group)
    seen = []
    while not group.is_sampling:
        seen.append((int(group.state.group[0]["phase"]), int(group.state.group[0]["stage_end"])))
        advance_all(group)
        assert (group.state.chains["n_draws"] == seen[-1][1]).all()
        group.pool()
    ends = [6, 8, 11, 15, 20, 27, 30]
    assert seen == [(WARMUP, 4), (SEARCH, 4), *[(WARMUP, end) for end in ends], (TERMINAL, 50)]
    assert group.state.group[0]["n_warmup"] == 50


def test_metric_is_the_ratio_of_spreads_of_the_window(seed):
    group = new_target_group(
        Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, 4, N_DIM, seed), new_plan(tune=200), seed
    )
    start_all(group)
    gradients = {}
    while group.state.group[0]["stage_end"] < 36:
        begin = group.state.chains[0]["n_draws"]
        end = group.state.group[0]["stage_end"]
        for draw in range(begin, end):
            for chain in range(4):
                assert group.advance(chain, 1) == 0
                gradients[chain, draw] = group.state.gradient[chain].copy()
        advance_all(group)  # the search, which draws nothing
        group.pool()
    # The window of the first 27 draws: the last two epochs, from 15 on. Draws that did not move do not count.
    rows = [(c, d) for c in range(4) for d in range(15, 27)]
    good = [row for row in rows if group.state.warmup_statistics[row]["index_in_trajectory"] != 0]
    x = np.array([group.state.warmup_draws[row] for row in good])
    g = np.array([gradients[row] for row in good])
    expected = x.std(axis=0) / g.std(axis=0)
    np.testing.assert_allclose(group.state.variance, np.tile(expected, (4, 1)), rtol=1e-10)


@pytest.mark.parametrize("n_chains", [1, 2, 3, 4])
def test_metric_of_independent_normals_is_their_variance(n_chains, seed):
    points = starts(Target.SCALED, n_chains, N_DIM, seed) * scales(N_DIM)
    group = new_target_group(Target.SCALED, points, new_plan(), seed)
    run_warmup(group)
    # Exact, whatever the draws: position and gradient are proportional in each coordinate.
    np.testing.assert_allclose(group.state.variance, np.tile(scales(N_DIM) ** 2, (n_chains, 1)), rtol=1e-6)
    assert group.state.chains["admitted"].all()
    assert np.ptp(group.state.chains["log_step"]) == 0.0
    # The quarters of one chain's window are short: that they agree takes longer to see.
    assert group.state.group[0]["n_warmup"] < (800 if n_chains == 1 else 400)


@pytest.mark.parametrize("target_accept", [0.6, 0.8, 0.95])
def test_step_size_reaches_its_target(target_accept, seed):
    # Of fixed length: it has one terminal stage, for the target as asked for, whatever diverges in it.
    plan = new_plan(draws=1000, tune=1000, target_accept=target_accept)
    group = new_target_group(Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, 4, N_DIM, seed), plan, seed)
    run_warmup(group)
    advance_all(group)
    reached = group.state.statistics["acceptance_rate"].mean()
    # Five times how much it varies between seeds, and half of the way to the next higher target.
    assert abs(reached - target_accept) < 0.25 * (1.0 - target_accept), reached


def test_federated_step_size_is_the_mean_of_the_chains(seed):
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 3, N_DIM, seed), new_plan(tune=100), seed)
    start_all(group)
    while group.state.group[0]["stage_end"] < 15:
        advance_all(group)
        group.pool()
    advance_all(group)
    fields = ["log_step", "log_step_bar", "log_step_centre", "shortfall"]
    before = {field: group.state.chains[field].copy() for field in fields}
    assert np.ptp(before["log_step"]) > 0.0
    group.pool()
    for field in fields:
        np.testing.assert_allclose(group.state.chains[field], before[field].mean(), rtol=1e-12)


def test_stuck_chain_does_not_hurt_the_others(seed):
    points = starts(Target.NORMAL, 4, N_DIM, seed)
    points[2] = 1e6
    group = new_target_group(Target.NORMAL, points, new_plan(tune=100), seed)
    start_all(group)
    while group.state.group[0]["stage_end"] <= 8:
        advance_all(group)
        group.pool()
    others = [0, 1, 3]
    assert group.state.chains["admitted"].tolist() == [True, True, False, True]
    np.testing.assert_allclose(group.state.variance[others], 1.0, rtol=1e-6)
    assert (np.exp(group.state.chains["log_step"][others]) > 0.1).all()
    while not group.is_sampling:
        advance_all(group)
        group.pool()
    advance_all(group)
    assert group.state.statistics["acceptance_rate"][others].mean() > 0.6


def test_chain_that_leaves_the_pool_starts_its_own_dual_averaging(seed):
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM, seed), new_plan(tune=100), seed)
    start_all(group)
    while group.state.group[0]["stage_end"] < 20:
        advance_all(group)
        group.pool()
    advance_all(group)
    group.state.warmup_lp[1, 8:20] -= 1e4
    group.pool()
    chain = group.state.chains[1]
    assert not chain["admitted"]
    assert chain["log_step_centre"] == chain["log_step"] == chain["log_step_bar"]
    assert (chain["n_updates"], chain["shortfall"]) == (1, 0.0)
    assert group.state.chains[[0, 2, 3]]["admitted"].all()


@pytest.mark.parametrize("in_neck", [[1], [0], [1, 3], [0, 2]], ids=str)
def test_chains_in_a_neck_do_not_spoil_the_metric_of_the_others(in_neck, seed):
    """Two hundred effects with an sd of 10^-4: the density is higher there than anywhere, and so are the gradients."""
    points = np.random.default_rng(seed).uniform(-1.0, 1.0, (4, 201))
    points[in_neck, 0] = np.log(1e-4)
    points[in_neck, 1:] *= 1e-4
    group = new_target_group(Target.NECK, points, new_plan(200, tune=200), seed)
    run_warmup(group)
    advance_all(group)
    others = [chain for chain in range(4) if chain not in in_neck]
    n_steps = group.state.statistics["n_steps"].mean(axis=1)
    assert group.state.chains["admitted"][others].all()
    assert n_steps[others].max() < 64.0
    assert np.median(group.state.variance, axis=1)[others].min() > 0.1


def test_two_modes_never_agree(seed):
    points = np.concatenate([starts(Target.TWO_MODES, 2, 2, seed) - 20.0, starts(Target.TWO_MODES, 2, 2, seed) + 20.0])
    group = new_target_group(Target.TWO_MODES, points, new_plan(), seed)
    run_warmup(group)
    assert group.state.chains["admitted"].all()
    assert group.state.group[0]["n_warmup"] >= 1000
    advance_all(group)
    np.testing.assert_array_equal(np.sign(group.state.draws[:, -1, 0]), [-1.0, -1.0, 1.0, 1.0])


def test_easy_target_stops_early(seed):
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM, seed), new_plan(), seed)
    run_warmup(group)
    assert group.state.group[0]["n_warmup"] in (220, 262, 319)


@pytest.mark.parametrize("n_chains", [1, 4])
@pytest.mark.parametrize("tune", [0, 1, 2, 5, 10, 50])
def test_tiny_warmup_still_samples(tune, n_chains, seed):
    # From the same starts for each seed: a metric guessed where a coordinate has no slope is not what this is about.
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, n_chains, 3), new_plan(6000, tune=tune), seed)
    run_warmup(group)
    assert group.state.group[0]["n_warmup"] == tune
    advance_all(group)
    # A single chain lives with the step size that its search found, of which one in forty is too long by far.
    assert group.state.statistics["acceptance_rate"].mean() > 0.01
    assert_mean(group.state.draws[:, :, 0], 0.0, min_ess=50.0)


def test_metric_rests_after_warmup(seed):
    group = new_target_group(
        Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, 2, 4, seed), new_plan(50, tune=60), seed
    )
    run_warmup(group)
    variance, steps = group.state.variance.copy(), group.state.chains["log_step"].copy()
    directions = group.state.directions.copy()
    assert group.state.chains["rank"][0] > 0
    advance_all(group)
    np.testing.assert_array_equal(group.state.directions, directions)
    np.testing.assert_array_equal(group.state.variance, variance)
    np.testing.assert_array_equal(group.state.chains["log_step"], steps)


@pytest.mark.parametrize(
    ("target", "status"), [(Target.NOWHERE, Status.NON_FINITE), (Target.CLIFF, Status.STEP_SIZE_NOT_FOUND)]
)
def test_impossible_start_has_a_status(target, status):
    group = new_target_group(target, np.zeros((1, 2)), new_plan())
    assert group.start(0) == status


def test_start_without_a_gradient_is_fine(seed):
    group = new_target_group(Target.FLAT, np.zeros((2, 2)), new_plan(2000), seed)
    run_warmup(group)
    advance_all(group)
    # E x^4 = 1/4 under exp(-x^4).
    assert_mean(group.state.draws[:, :, 0] ** 4, 0.25)


@pytest.mark.parametrize("step_size", [1e-4, 50.0])
def test_bad_step_size_is_forgotten(step_size, seed):
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM, seed), new_plan(500), seed)
    start_all(group)
    group.state.chains["log_step"] = np.log(step_size)
    while not group.is_sampling:
        advance_all(group)
        group.pool()
    advance_all(group)
    assert 0.7 < group.state.statistics["acceptance_rate"].mean() < 0.9
