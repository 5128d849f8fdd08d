"""The last steps of warmup: which energy errors ask for shorter ones, and how much shorter."""

import numpy as np
import pytest
from nuts.kernel_groups import advance_all, new_plan, new_target_group, run_warmup, start_all
from targets import Target, starts

from nutmill.nuts.state import TERMINAL
from nutmill.nuts.warmup.schedule import terminal_draws

N_DIM = 10


def test_divergences_at_the_end_ask_for_shorter_steps(seed):
    """A divergence at a step that sampling would take asks for a stage with a higher target, twice at most."""
    found = {}
    for n_diverging in range(4):
        group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM, seed), new_plan(500), seed)
        start_all(group)
        n_terminal = 0
        while not group.is_sampling:
            advance_all(group)
            if group.phase == TERMINAL:
                n_terminal += 1
                # In the first stages as long as sampling may take, then just beyond.
                too_long = 1.09 if n_terminal <= n_diverging else 1.11
                group.state.chains[1]["shortest_divergence"] = group.state.chains[1]["log_step_bar"] + np.log(too_long)
            group.pool()
        advance_all(group)
        assert group.state.group[0]["target_accept"] == pytest.approx([0.8, 0.9, 0.95, 0.95][n_diverging])
        found[n_diverging] = n_terminal, group.state.statistics["acceptance_rate"].mean()
    assert [n_terminal for n_terminal, _ in found.values()] == [1, 2, 3, 3]
    for n_diverging, target_accept in enumerate([0.8, 0.9, 0.95]):
        assert abs(found[n_diverging][1] - target_accept) < 0.04, found


def test_shortest_steps_that_diverged_and_that_were_rough_are_kept(seed):
    """And one that came near it; of the terminal stage alone: longer steps diverged before."""
    group = new_target_group(Target.HALF_NORMAL, starts(Target.HALF_NORMAL, 4, 3, seed), new_plan(tune=100), seed)
    run_warmup(group)
    last = slice(100 - terminal_draws(100), 100)
    statistics = group.state.warmup_statistics[:, last]
    for kept, limit in (("shortest_rough", 10.0), ("shortest_near", 50.0), ("shortest_divergence", np.inf)):
        counts = statistics["diverging"] | (statistics["max_energy_error"] > limit)
        steps = np.where(counts, np.log(statistics["step_size"]), np.inf).min(axis=1)
        np.testing.assert_allclose(group.state.chains[kept], steps, rtol=1e-12)
        assert np.isfinite(steps).any()
    before = group.state.warmup_statistics[:, : last.start]
    assert np.log(before["step_size"][before["diverging"]]).min() < steps.min()


@pytest.mark.parametrize("tune", [None, 100])
@pytest.mark.parametrize(("kept", "factor"), [("shortest_rough", 0.88), ("shortest_near", 0.75)])
def test_rough_steps_are_shortened_for_sampling(tune, kept, factor, seed):
    """At a step that sampling would take, by an eighth or a quarter, for all chains; no draw is spent on it."""
    found = {}
    for too_long in (np.inf, 1.11, 1.09):
        group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM, seed), new_plan(500, tune), seed)
        start_all(group)
        while not group.is_sampling:
            advance_all(group)
            is_last = group.phase == TERMINAL
            if is_last:
                # Steps of the chains differ before they share one: what counts is that.
                common = group.state.chains["log_step_bar"].mean()
                group.state.chains[kept] = [np.inf, np.inf, common + np.log(too_long), np.inf]
            group.pool()
        assert is_last
        np.testing.assert_array_equal(group.state.chains["log_step"], group.state.chains["log_step_bar"])
        found[too_long] = np.exp(group.state.chains["log_step"]), group.n_warmup
    steps, n_warmup = found[np.inf]
    assert steps.min() == steps.max()
    np.testing.assert_array_equal(found[1.11][0], steps)
    np.testing.assert_allclose(found[1.09][0], factor * steps, rtol=1e-12)
    assert {n for _, n in found.values()} == {n_warmup}


@pytest.mark.parametrize(("kept", "factor"), [("shortest_rough", 1.0), ("shortest_near", 0.88)])
def test_at_a_raised_target_roughness_alone_shortens_nothing(kept, factor, seed):
    found = []
    for step in (np.inf, -np.inf):
        group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, N_DIM, seed), new_plan(500), seed)
        start_all(group)
        n_terminal = 0
        while not group.is_sampling:
            advance_all(group)
            if group.phase == TERMINAL:
                n_terminal += 1
                group.state.chains["shortest_divergence"] = -np.inf if n_terminal == 1 else np.inf
                group.state.chains[kept] = step if n_terminal == 2 else np.inf
            group.pool()
        assert n_terminal == 2
        found.append(np.exp(group.state.chains["log_step"]))
    np.testing.assert_allclose(found[1], factor * found[0], rtol=1e-12)


def test_stable_steps_are_not_rough(seed):
    """Independent normals of many dimensions have energy errors, too, but none beyond those of stable steps."""
    group = new_target_group(Target.SCALED, starts(Target.SCALED, 4, 100, seed), new_plan(500), seed)
    run_warmup(group)
    steps = group.state.chains["log_step_bar"]
    assert (group.state.chains["shortest_rough"] > steps + np.log(1.1)).all()
    advance_all(group)
    assert abs(group.state.statistics["acceptance_rate"].mean() - 0.8) < 0.04
