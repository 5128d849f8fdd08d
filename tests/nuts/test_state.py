"""The state of a group is bytes: a copy of them goes on to the same draws, wherever it was taken."""

import ctypes

import numba
import numpy as np
import pytest
from nuts.kernel_groups import new_plan, new_target_group, run_warmup
from targets import Target, starts

from nutmill.nuts.group import learning_room, low_rank_sizes
from nutmill.nuts.state import GroupState, address_table
from nutmill.nuts.table import group_state

# The fields that the next draw depends on; the rest are outputs and work space.
CHECKPOINT = GroupState._fields[: GroupState._fields.index("warmup_lp") + 1]


def copy_of(group, target: Target):
    """Make a new group and give it the checkpoint of another, as bytes."""
    points = np.full_like(group.state.position, np.nan)
    other = new_target_group(target, points, new_plan(60, tune=100), seed=999)
    for field in CHECKPOINT:
        array = getattr(other.state, field)
        array[...] = np.frombuffer(getattr(group.state, field).tobytes(), array.dtype).reshape(array.shape)
    return other


def finish(group):
    while not group.is_sampling:
        for chain in range(len(group.chain_ids)):
            assert group.advance(chain, group.n_missing(chain)) == 0
        group.pool()
    for chain in range(len(group.chain_ids)):
        assert group.advance(chain, group.n_missing(chain)) == 0


@pytest.mark.parametrize("n_draws", [0, 3, 40, 95])
def test_copy_taken_in_warmup_goes_on_to_the_same_draws(n_draws):
    group = new_target_group(Target.FUNNEL, starts(Target.FUNNEL, 3, 4), new_plan(60, tune=100))
    for chain in range(3):
        assert group.start(chain) == 0
    group.pool()
    while group.state.group[0]["stage_end"] <= n_draws:
        for chain in range(3):
            assert group.advance(chain, group.n_missing(chain)) == 0
        group.pool()
    # In the middle of a stage, where chains are at different draws.
    assert group.advance(1, 1) == 0
    other = copy_of(group, Target.FUNNEL)
    finish(group)
    finish(other)
    assert group.state.draws.tobytes() == other.state.draws.tobytes()
    assert group.state.statistics.tobytes() == other.state.statistics.tobytes()


def test_copy_taken_in_sampling_goes_on_to_the_same_draws():
    group = new_target_group(Target.FUNNEL, starts(Target.FUNNEL, 3, 4), new_plan(60, tune=100))
    run_warmup(group)
    for chain in range(3):
        assert group.advance(chain, 10 * chain) == 0
    other = copy_of(group, Target.FUNNEL)
    finish(group)
    finish(other)
    for chain in range(3):
        assert group.state.draws[chain, 10 * chain :].tobytes() == other.state.draws[chain, 10 * chain :].tobytes()


@numba.cfunc(numba.int64(numba.types.CPointer(numba.int64)), _nrt=False)
def stamp_entry(table):
    """Write to the last element of the last field of each rank and kind, as compiled code sees them."""
    state = group_state(table)
    state.stop[-1] = 1
    state.unkept[-1].n_steps = 2
    state.pool_work[-1, -1] = 3.0
    state.slots[-1, -1].chosen = 4
    state.momentum_sums[-1, -1, -1] = 5.0
    state.vectors[-1, -1, -1, -1] = 6.0
    state.rng[-1, -1] = 7
    return 0


def test_table_gives_compiled_code_the_same_arrays():
    state = new_target_group(Target.NORMAL, starts(Target.NORMAL, 3, 2), new_plan(7, tune=11)).state
    table = address_table(state)
    ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(stamp_entry.address)(table.ctypes.data)
    assert state.stop[-1] == 1
    assert state.unkept[-1]["n_steps"] == 2
    assert state.pool_work[-1, -1] == 3.0
    assert state.slots[-1, -1]["chosen"] == 4
    assert state.momentum_sums[-1, -1, -1] == 5.0
    assert state.vectors[-1, -1, -1, -1] == 6.0
    assert state.rng[-1, -1] == 7


@pytest.mark.parametrize("n_dim", [1, 3, 128, 256, 257, 512, 513, 2000, 10_000, 100_000])
def test_room_is_bounded(n_dim):
    for n_chains in (1, 2, 4):
        sizes = low_rank_sizes(n_chains, n_dim)
        n_rows = 4 * n_chains * sizes.rows_per_block
        assert sizes.matrix_size <= min(n_dim, 256)
        assert n_dim <= sizes.matrix_size or 2 * n_rows <= max(sizes.matrix_size, 32)
        assert sizes.max_rank * n_dim <= max(40_000, 2 * n_dim)
        assert sizes.max_rank == n_dim or n_dim > 200
        assert sizes.matrix_size**2 * n_dim <= 2**25
        one = learning_room(new_plan(), n_dim)
        assert one.low_rank_rows.shape[0] >= sizes.n_work_rows
