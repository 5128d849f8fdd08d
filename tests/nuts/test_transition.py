"""One draw of the kernel: equal to the oracle's, and leaving the distribution of exact draws as it was."""

import numpy as np
import pytest
from assertions import assert_distribution
from nuts.kernel_groups import metric_root, new_plan, orthonormal, sampling_group, set_directions, target_group
from nuts.oracle import Oracle, uniform
from scipy import stats
from targets import Target, density, exact_draws, starts

N_CHAINS = 20_000


@pytest.mark.parametrize(
    ("target", "n_dim", "step_size", "max_depth", "outcomes", "stretch"),
    [
        (Target.NORMAL, 1, 0.4, 10, {"turning"}, []),
        (Target.AUTOREGRESSIVE, 5, 0.15, 10, {"turning"}, []),
        (Target.AUTOREGRESSIVE, 5, 0.1, 10, {"turning"}, [4.0, 0.2]),
        (Target.STUDENT, 3, 0.05, 4, {"turning", "depth"}, []),
        (Target.FUNNEL, 4, 1.0, 3, {"turning", "ended", "depth"}, [3.0]),
        (Target.HALF_NORMAL, 2, 0.7, 10, {"turning", "diverging"}, []),
    ],
)
def test_kernel_equals_oracle(target, n_dim, step_size, max_depth, outcomes, stretch, *, seed):
    plan = new_plan(300, max_treedepth=max_depth)
    variance = np.linspace(0.5, 1.5, n_dim)
    group = sampling_group(target, starts(target, 1, n_dim, seed), step_size, variance, plan, seed=seed)
    set_directions(group, orthonormal(len(stretch), n_dim), stretch)
    state = group.state
    oracle = Oracle(density, int(target), metric_root(state, 0), state.rng[0].copy())
    seen = set()
    for draw in range(plan.draws):
        before = state.position[0].copy()
        assert group.advance(0, 1) == 0
        jittered = step_size * (0.9 + 0.2 * uniform(oracle.state))
        point, depth, outcome = oracle.transition(before, jittered, max_depth)
        row = state.statistics[0, draw]
        found = (row["index_in_trajectory"], row["tree_depth"], row["n_steps"])
        assert found == (point.index, depth, oracle.n_steps)
        assert (row["diverging"], row["reached_max_treedepth"]) == (
            outcome == "diverging",
            outcome == "depth",
        )
        np.testing.assert_allclose(state.draws[0, draw], point.q, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(row["energy"], oracle.energy(point), rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(state.rng[0], oracle.state)
        seen.add(outcome)
    assert seen == outcomes


def test_weights_far_above_the_start_equal_the_oracles(seed):
    n_chains, plan = 40, new_plan(1, max_treedepth=4)
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(1.0, 4.0, n_chains), rng.normal(size=n_chains)])
    group = sampling_group(Target.STAIRS, points, 0.5, 1.0, plan, seed=seed)
    state = group.state
    for chain in range(n_chains):
        oracle = Oracle(density, int(Target.STAIRS), np.eye(2), state.rng[chain].copy())
        assert group.advance(chain, 1) == 0
        point, depth, _ = oracle.transition(
            points[chain], 0.5 * (0.9 + 0.2 * uniform(oracle.state)), plan.max_treedepth
        )
        row = state.statistics[chain, 0]
        assert (row["index_in_trajectory"], row["tree_depth"]) == (point.index, depth)
        np.testing.assert_allclose(state.draws[chain, 0], point.q, rtol=1e-8, atol=1e-10)
    errors = state.statistics[:, 0]["energy_error"]
    assert (errors < -1100.0).any() and ((errors < -300.0) & (errors > -500.0)).any() and (errors > -1.0).any()


def transformed(target: Target, draws: np.ndarray) -> dict[str, tuple[np.ndarray, object]]:
    """Return functions of draws (n, n_dim) with known distributions, each with its distribution function."""
    if target == Target.HALF_NORMAL:
        return {"x0": (draws[:, 0], stats.halfnorm.cdf), "x1": (draws[:, 1], stats.norm.cdf)}
    if target == Target.STUDENT:
        return {"x0": (draws[:, 0], stats.t(5).cdf)}
    if target == Target.FUNNEL:
        scaled = draws[:, 1:] / np.exp(0.5 * draws[:, :1])
        radius = (scaled**2).sum(axis=1)
        return {"x0": (draws[:, 0] / 1.5, stats.norm.cdf), "r": (radius, stats.chi2(scaled.shape[1]).cdf)}
    radius = (draws**2).sum(axis=1)
    return {"x0": (draws[:, 0], stats.norm.cdf), "r": (radius, stats.chi2(draws.shape[1]).cdf)}


@pytest.mark.parametrize(
    ("target", "step_size", "max_depth", "diverges", "refines"),
    [
        (Target.NORMAL, 0.3, 10, False, False),
        (Target.NORMAL, 1.95, 3, False, True),  # at the edge of what is stable: beyond it with half of the jitter
        (Target.NORMAL, 2.4, 8, False, True),  # unstable: most trajectories end in a divergence, if not refined
        (Target.STUDENT, 0.8, 2, False, False),
        (Target.FUNNEL, 0.7, 5, False, True),
        (Target.HALF_NORMAL, 0.5, 10, True, False),
    ],
)
def test_kernel_leaves_exact_draws_exact(target, step_size, max_depth, diverges, refines, seed):
    n_steps = 2
    points = exact_draws(target, N_CHAINS, 2, seed=5 + seed)
    group = sampling_group(target, points, step_size, 1.0, new_plan(n_steps, max_treedepth=max_depth), seed=seed)
    for chain in range(N_CHAINS):
        assert group.advance(chain, n_steps) == 0
    after = group.state.draws[:, -1]
    statistics = group.state.statistics
    assert (statistics["diverging"].mean() > 0.02) == diverges
    assert ((statistics["n_steps"] >= 2 ** (statistics["tree_depth"] + 1)).mean() > 0.02) == refines
    assert (after[:, 0] != points[:, 0]).mean() > 0.2
    for values, cdf in transformed(target, after).values():
        assert_distribution(values, cdf)


def test_divergence_is_recorded_where_it_happened(seed):
    group = sampling_group(
        Target.HALF_NORMAL, starts(Target.HALF_NORMAL, 1, 2, seed), 0.7, 1.0, new_plan(200), seed=seed
    )
    assert group.advance(0, 200) == 0
    state, n_divergences = group.state, group.state.chains[0]["n_divergences"]
    records, points = state.divergences[0, :n_divergences], state.divergence_points[0, :n_divergences]
    np.testing.assert_array_equal(records["draw"], np.flatnonzero(state.statistics[0]["diverging"]))
    assert (points[:, 0, 0] >= 0.0).all()
    assert (points[:, 1, 0] < 0.0).all()
    np.testing.assert_array_equal(points[:, 2], -points[:, 0])
    assert np.isposinf(records["energy_error"]).all()


def test_divergences_are_counted_when_there_is_no_room_to_keep_them(seed):
    plan = new_plan(200, n_divergences=3)
    group = sampling_group(Target.HALF_NORMAL, starts(Target.HALF_NORMAL, 1, 2, seed), 0.7, 1.0, plan, seed=seed)
    assert group.advance(0, 200) == 0
    assert group.state.chains[0]["n_divergences"] == group.state.statistics[0]["diverging"].sum() > 3


@pytest.mark.parametrize(("target", "status"), [(Target.NAN_GRADIENT, 0), (Target.FAILS, 2)])
def test_trouble_of_the_density_is_a_divergence(target, status, seed):
    group = sampling_group(target, starts(target, 1, 2, seed), 0.5, 1.0, new_plan(500), seed=seed)
    assert group.advance(0, 500) == 0
    records = group.state.divergences[0, : group.state.chains[0]["n_divergences"]]
    assert len(records) > 5
    assert (records["status"] == status).all()
    assert (group.state.draws[0, :, 0] <= 2.0).all()


def test_negative_status_leaves_the_draw_unchanged(seed):
    points = starts(Target.STOPS, 1, 2, seed)
    # It starts on the same density without a stop, which the search for a step size may meet.
    group = sampling_group(Target.NORMAL, points, 0.5, 1.0, new_plan(500), seed=seed)
    group = target_group(Target.STOPS, group.state)
    assert group.advance(0, 500) == -1
    n_draws = group.n_drawn(0)
    assert n_draws < 500
    position = group.state.draws[0, n_draws - 1] if n_draws > 0 else points[0]
    np.testing.assert_array_equal(group.state.position[0], position)


def test_statistics_are_consistent(seed):
    group = sampling_group(
        Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, 1, 5, seed), 0.3, 1.0, new_plan(300), seed=seed
    )
    before = group.state.chains[0]["n_gradients"]
    assert group.advance(0, 300) == 0
    rows, draws = group.state.statistics[0], group.state.draws[0]
    gradient = np.zeros(5)
    np.testing.assert_allclose([density(q, gradient, 2)[1] for q in draws], rows["lp"], rtol=1e-12)
    assert rows["n_steps"].sum() == group.state.chains[0]["n_gradients"] - before
    assert (np.abs(rows["energy_error"]) <= np.abs(rows["max_energy_error"])).all()
    assert (np.abs(rows["index_in_trajectory"]) <= rows["n_steps"]).all()
    assert (rows["n_steps"] >= 2 ** rows["tree_depth"] - 1).all()
    assert ((rows["step_size"] >= 0.27) & (rows["step_size"] < 0.33)).all()
    np.testing.assert_allclose(rows["step_size"].mean(), 0.3, atol=4.5 * 0.06 / np.sqrt(12 * 300))
