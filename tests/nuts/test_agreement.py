"""When warmup stops: what it asks of the chains, and that it asks twice."""

import itertools

import numba
import numpy as np
import pytest
from nuts.kernel_groups import advance_all, new_plan, new_target_group, start_all
from targets import Target, starts

from nutmill.nuts.state import MEAN_POSITION, SQUARES_POSITION, TERMINAL
from nutmill.nuts.warmup import agreement as convergence
from nutmill.nuts.warmup.agreement import Trails, chains_agree


@numba.njit
def kernel_rhat(blocks, moments, lp, energy, n_draws, dimension):
    return convergence._rhat(Trails(blocks, moments, lp, energy, n_draws), dimension)


@numba.njit
def kernel_agree(chains, blocks, moments, lp, energy, n_draws):
    return chains_agree(chains, Trails(blocks, moments, lp, energy, n_draws))


def split_rhat(sequences: list[np.ndarray]) -> float:
    within = np.mean([s.var(ddof=1) for s in sequences])
    between = np.var([s.mean() for s in sequences], ddof=1)
    n = np.mean([len(s) for s in sequences])
    return np.sqrt((n - 1) / n + between / within)


@pytest.mark.parametrize(("n_chains", "bounds"), [(1, [49, 57, 66, 77, 89]), (3, [49, 66, 89])])
def test_rhat_is_that_of_the_window(n_chains, bounds, seed):
    plan = new_plan(tune=200)
    group = new_target_group(Target.AUTOREGRESSIVE, starts(Target.AUTOREGRESSIVE, n_chains, 4, seed), plan, seed)
    start_all(group)
    while group.state.group[0]["stage_end"] < 89:
        advance_all(group)
        group.pool()
    advance_all(group)
    state = group.state
    assert state.chains["admitted"].all()
    values = np.concatenate([state.warmup_draws, state.warmup_lp[:, :, None]], axis=2)[:, :89]
    moved = state.warmup_statistics["index_in_trajectory"][:, :89] != 0
    parts = [(c, slice(a, b)) for c in range(n_chains) for a, b in itertools.pairwise(bounds)]
    trails = state.blocks, state.moments, state.warmup_lp, state.warmup_energy, 89
    for i in (0, 1, 2, 3, -1):
        used = moved if i >= 0 else np.ones_like(moved)
        expected = split_rhat([values[c, part, i][used[c, part]] for c, part in parts])
        np.testing.assert_allclose(kernel_rhat(*trails, i), expected, rtol=1e-10)


def agreeing_group(seed: int):
    """Four chains of easy draws up to draw 89, whose window is that from 49 on."""
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, 5, seed), new_plan(tune=200), seed)
    start_all(group)
    while group.state.group[0]["stage_end"] < 89:
        advance_all(group)
        group.pool()
    advance_all(group)
    return group.state


def agree(state) -> bool:
    return kernel_agree(state.chains, state.blocks, state.moments, state.warmup_lp, state.warmup_energy, 89)


def test_chains_that_agree_may_stop(seed):
    assert agree(agreeing_group(seed))


@pytest.mark.parametrize("what", ["admitted", "place", "spread", "lp", "spread of lp", "energy"])
def test_chains_that_differ_in_anything_go_on(what, seed):
    state = agreeing_group(seed)
    if what == "admitted":
        state.chains[2]["admitted"] = False
    elif what == "place":
        state.moments[2, :, MEAN_POSITION, 3] += 2.0
    elif what == "spread":
        state.moments[2, :, SQUARES_POSITION, 3] *= 0.04  # a chain in a neck: the same mean, a fifth of the sd
    elif what == "lp":
        state.warmup_lp[2, 49:] += 10.0
    elif what == "spread of lp":
        state.warmup_lp[2, 49:] = state.warmup_lp[2, 49:].mean() + 0.2 * (
            state.warmup_lp[2, 49:] - state.warmup_lp[2, 49:].mean()
        )
    else:
        state.warmup_energy[2, 49:89] = 100.0 * np.sin(np.arange(40) / 6.0)  # each draw changes a sixth
    assert not agree(state)


def test_warmup_ends_after_two_epochs_that_agree(seed):
    """Not after one: from draw 80 on each may be the first."""
    group = new_target_group(Target.NORMAL, starts(Target.NORMAL, 4, 10, seed), new_plan(), seed)
    start_all(group)
    ends = []
    while group.phase != TERMINAL:
        advance_all(group)
        if group.state.group[0]["stage_end"] == 120:
            group.state.moments[0, :, MEAN_POSITION] += 10.0
        ends.append((int(group.state.group[0]["stage_end"]), int(group.state.group[0]["n_agreed"])))
        group.pool()
    # At 162 these moments are still in the window.
    assert ends[-3:] == [(162, 0), (219, 0), (296, 1)]
