"""What the chains of a group do together at a barrier of warmup: admit, share metric and step size, move on.

All of it in chain order and from draws alone, so that threads and timing do not matter.
"""

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.recentring import may_all_move
from nutmill.nuts.state import COMPARE, MOVE, SAMPLING, SEARCH, START, TERMINAL, TRY, WARMUP
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup.agreement import Trails, chains_agree
from nutmill.nuts.warmup.centredness import has_joint_sites, propose
from nutmill.nuts.warmup.gate import admit_chains
from nutmill.nuts.warmup.learning import FEWEST_DRAWS, learn_metrics
from nutmill.nuts.warmup.lesser_modes import leave_lesser_modes
from nutmill.nuts.warmup.moments import clear_block
from nutmill.nuts.warmup.pooling import (
    average_dual_averaging,
    diverges_at_its_step,
    fix_steps,
    settle_steps,
    share_first_step,
    shorten_rough_steps,
)
from nutmill.nuts.warmup.trial_coordinates import choose_compared

# Epochs in a row at whose end chains must agree: once is chance, where they are slow.
_ENOUGH_AGREEMENTS = 2


@inlined_kernel
def pool_chains(state):
    """Do what is due at the barrier that all chains of the group have reached, and begin the next stage."""
    group, chains, schedule = state.group[0], state.chains, state.schedule
    is_ready = True
    if group.phase == WARMUP:
        admit_chains(chains, state.blocks, state.warmup_lp, state.warmup_force, state.pool_work, group)
        if group.has_metric:
            average_dual_averaging(chains)
    if group.phase in (WARMUP, MOVE):
        n_learned = learn_metrics(state, group.stage_end)
        is_ready = group.phase == WARMUP and (group.has_metric or n_learned < FEWEST_DRAWS)
        group.has_metric = group.has_metric or n_learned >= FEWEST_DRAWS
        is_done = False
        if is_ready and schedule[group.stage].may_stop:
            trails = Trails(state.blocks, state.moments, state.warmup_lp, state.warmup_energy, group.stage_end)
            group.n_agreed = group.n_agreed + 1 if chains_agree(chains, trails) else 0
            is_done = group.n_agreed >= _ENOUGH_AGREEMENTS
            if not is_done:
                leave_lesser_modes(state)
        if is_done:
            group.stage = _last_stage_that_learns(schedule)
        elif not is_ready:
            group.phase = SEARCH
        elif _may_recentre(schedule[group.stage], group) and propose(state, group.stage_end):
            group.phase = COMPARE if has_joint_sites(state.joint) else TRY
            is_ready = False
    elif group.phase == TERMINAL and not diverges_at_its_step(chains):
        group.stage = schedule.shape[0] - 1  # no shorter step is needed
    elif group.phase == SEARCH:
        share_first_step(chains, state.pool_work[0])
    elif group.phase in (COMPARE, TRY, START):
        is_ready = not _goes_on_moving(state)
    if is_ready:
        _begin_next_stage(group, schedule, chains, state.blocks, state.moments)


@inlined_kernel
def _goes_on_moving(state):
    """Enter the next phase on the way to other coordinates; return whether there is one."""
    group, phase = state.group[0], state.group[0].phase
    if phase == COMPARE and choose_compared(state):
        group.phase = TRY
    elif phase == TRY and may_all_move(state.chains):
        group.phase = MOVE
    elif phase == START and state.centredness.shape[1] > 0 and not may_all_move(state.chains):
        copy_into(state.written, state.proposed)
        group.phase = MOVE
    return group.phase != phase


@kernel
def _may_recentre(stage, group):
    """Whether coordinates may change after a stage: at fixed draws, and later while the chains do not agree."""
    return stage.recentres or (stage.may_stop and group.n_agreed == 0)


@kernel
def _last_stage_that_learns(schedule):
    """Return the stage before the terminal ones."""
    last = schedule.shape[0] - 1
    while schedule[last].is_terminal:
        last -= 1
    return last


@kernel
def _is_target_raised(group, schedule):
    """Whether terminal stages have come to a higher acceptance than was asked for."""
    return schedule.shape[0] > 0 and group.target_accept > schedule[0].target_accept


@kernel
def _begin_next_stage(group, schedule, chains, blocks, moments):
    """Enter the stage after the present one, or sampling if it was the last."""
    start = group.stage_end
    group.stage += 1
    if group.stage >= schedule.shape[0]:
        group.phase = SAMPLING
        group.n_warmup = start
        fix_steps(chains, group.has_metric)
        shorten_rough_steps(chains, _is_target_raised(group, schedule))
        for chain in range(chains.shape[0]):
            chains[chain].log_step = chains[chain].log_step_bar
            chains[chain].n_warmup_gradients = chains[chain].n_gradients
        return
    stage = schedule[group.stage]
    group.phase = TERMINAL if stage.is_terminal else WARMUP
    group.stage_end = start + stage.n_draws
    if stage.is_terminal:
        group.target_accept = stage.target_accept
        settle_steps(chains, stage.n_draws)
    else:
        first = 2 * (group.stage % 2)
        middle = start + stage.n_draws // 2
        for chain in range(chains.shape[0]):
            clear_block(blocks[chain, first], moments[chain, first], start, middle)
            clear_block(blocks[chain, first + 1], moments[chain, first + 1], middle, group.stage_end)
