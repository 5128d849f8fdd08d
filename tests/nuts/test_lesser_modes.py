"""Chains leave modes of negligible mass, and no others: whatever the heights, widths and shapes of modes are."""

import numba
import numpy as np
import pytest
from nuts.kernel_groups import advance_all, new_plan, new_target_group, run_warmup, start_all
from targets import Target, starts

from nutmill.nuts.state import BLOCK
from nutmill.nuts.warmup.lesser_modes import heaviest

N_DIM = 10


@numba.njit
def heaviest_of(number, blocks, n_dim, n_draws, room):
    """Call the kernel's function, which has no door for Python."""
    return heaviest(number, blocks, n_dim, n_draws, room)


def two_and_two(target: Target, seed: int, n_dim: int = N_DIM):
    """Make a group with two chains in the mode at -20 and two in that at 20."""
    points = starts(target, 4, n_dim, seed) + np.array([-20.0, -20.0, 20.0, 20.0])[:, None]
    return new_target_group(target, points, new_plan(200), seed)


def signs(group) -> list[float]:
    """Return in which mode each chain ends."""
    advance_all(group)
    return np.sign(group.state.draws[:, -1, 0]).tolist()


@pytest.mark.parametrize("n_dim", [1, N_DIM])
def test_a_negligible_mode_is_left(n_dim, seed):
    group = two_and_two(Target.LESSER_MODE, seed, n_dim)
    run_warmup(group)
    chains = group.state.chains
    # The earliest end of two epochs in a row; and warmup then comes to its usual end.
    assert chains["restarted_at"].tolist()[2:] == [0, 0] and (chains["restarted_at"][:2] >= 120).all()
    assert set(chains["restarted_from"][:2].tolist()) <= {2, 3}
    assert group.n_warmup < 1000
    assert signs(group) == [1.0] * 4
    # The bound is exact for independent normals, but for room for errors: 7 at most.
    assert (chains["log_mass"][:2] > -31.5).all() and (chains["log_mass"][:2] < -20.0).all()


@pytest.mark.parametrize("target", [Target.TWO_MODES, Target.NARROW_MODE])
@pytest.mark.parametrize("n_dim", [1, N_DIM])
def test_modes_of_equal_mass_stay(target, n_dim, seed):
    """Even where the log density of one is higher by n log 10: here 23."""
    group = two_and_two(target, seed, n_dim)
    run_warmup(group)
    assert (group.state.chains["restarted_at"] == 0).all()
    assert group.n_warmup >= 1000
    assert signs(group) == [-1.0, -1.0, 1.0, 1.0]


def test_one_epoch_is_not_enough(seed):
    group = two_and_two(Target.LESSER_MODE, seed)
    start_all(group)
    while group.state.group[0]["stage_end"] <= 89:
        advance_all(group)
        group.pool()
    assert group.state.chains["n_lesser"].tolist() == [1, 1, 0, 0]
    assert (group.state.chains["restarted_at"] == 0).all()


def test_a_chain_that_starts_anew_forgets_and_has_what_the_other_has(seed):
    group = two_and_two(Target.LESSER_MODE, seed)
    start_all(group)
    while not (group.state.chains["restarted_at"] > 0).any():
        advance_all(group)
        group.pool()
    state = group.state
    left, other = 0, int(state.chains[0]["restarted_from"])
    for name in ("position", "gradient", "variance", "directions", "stretch"):
        np.testing.assert_array_equal(getattr(state, name)[left], getattr(state, name)[other])
    for name in ("lp", "log_step", "log_step_bar", "rank", "admitted"):
        assert state.chains[left][name] == state.chains[other][name]
    assert (state.rng[left] != state.rng[other]).any()
    assert state.blocks[left]["n_good"].sum() == 0 and state.blocks[other]["n_good"].sum() > 0


def test_a_chain_of_few_draws_proves_nothing():
    blocks, room = np.zeros((2, 4), BLOCK), np.zeros((4, 2))
    blocks["end"], blocks["start"] = 40, 20
    room[:2] = [25.0, 0.0]  # energies: the log density of the first chain is 25 lower
    found = {}
    for n_good in (0, 1, 10, 100):
        blocks["n_good"] = n_good
        found[n_good] = [heaviest_of(number, blocks, 10, 40, room)[0] for number in range(2)]
    assert found == {0: [-1, -1], 1: [-1, -1], 10: [1, -1], 100: [1, -1]}
