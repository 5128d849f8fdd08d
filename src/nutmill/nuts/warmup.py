"""What the chains of a group do together at a barrier of warmup: admit, share metric and step size, decide what is next.

All of it in chain order and from draws alone, so that threads, blocks and machines do not matter (SAMPLER.md 2).
"""

import math

from nutmill._jit import kernel
from nutmill.nuts import stepsize
from nutmill.nuts.convergence import largest_rhat
from nutmill.nuts.gate import admit_chains
from nutmill.nuts.metric import fisher_variance
from nutmill.nuts.moments import clear_block, in_window, merge
from nutmill.nuts.order import median
from nutmill.nuts.state import (
    MEAN_GRADIENT,
    MEAN_POSITION,
    N_BLOCKS,
    SAMPLING,
    SEARCH,
    SQUARES_GRADIENT,
    SQUARES_POSITION,
    START,
    TERMINAL,
    WARMUP,
)

_CONVERGED_RHAT = 1.1
# Final step sizes that differ by more than this are left to each chain.
_COMMON_STEP_RATIO = 1.5
_FEWEST_GOOD_DRAWS = 3


@kernel
def pool_chains(state):
    """Do what is due at the barrier that all chains of the group have reached, and begin the next stage."""
    phase = state.group[0].phase
    if phase == START:
        _begin_next_stage(state)
    elif phase == SEARCH:
        _share_first_step(state)
        _begin_next_stage(state)
    elif phase == WARMUP:
        _end_epoch(state)
    elif phase == TERMINAL:
        _end_terminal(state)


@kernel
def _end_epoch(state):
    group = state.group[0]
    had_metric = group.has_metric
    n_draws = group.stage_end
    admit_chains(state, n_draws)
    n_learned = _learn_metrics(state, n_draws)
    if had_metric:
        _average_dual_averaging(state)
    elif n_learned >= _FEWEST_GOOD_DRAWS:
        group.has_metric = True
        group.phase = SEARCH
        return
    if state.schedule[group.stage].may_stop and _all_agree(state, n_draws):
        group.stage = state.schedule.shape[0] - 2
    _begin_next_stage(state)


@kernel
def _all_agree(state, n_draws):
    for chain in range(state.chains.shape[0]):
        if not state.chains[chain].admitted:
            return False
    return largest_rhat(state, n_draws) < _CONVERGED_RHAT


@kernel
def _learn_metrics(state, n_draws):
    """Give the admitted chains one metric and each of the others its own; return the number of draws behind the first."""
    n_chains = state.chains.shape[0]
    n_learned = _learn_metric(state, n_draws, 0, n_chains, True)
    for chain in range(n_chains):
        if not state.chains[chain].admitted:
            _learn_metric(state, n_draws, chain, chain + 1, False)
    return n_learned


@kernel
def _learn_metric(state, n_draws, first, last, admitted):
    """Learn the metric of the chains from `first` up to `last` that are `admitted` or not, from their draws together."""
    n_good = 0
    for chain in range(first, last):
        for block in range(N_BLOCKS):
            if state.chains[chain].admitted == admitted and in_window(state.blocks[chain, block], n_draws):
                n_good += state.blocks[chain, block].n_good
    if n_good < _FEWEST_GOOD_DRAWS:
        return n_good
    for i in range(state.position.shape[1]):
        positions, gradients = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        for chain in range(first, last):
            for block in range(N_BLOCKS):
                if state.chains[chain].admitted == admitted and in_window(
                    state.blocks[chain, block], n_draws
                ):
                    moments = state.moments[chain, block]
                    count = float(state.blocks[chain, block].n_good)
                    positions = merge(
                        positions, (count, moments[MEAN_POSITION, i], moments[SQUARES_POSITION, i])
                    )
                    gradients = merge(
                        gradients, (count, moments[MEAN_GRADIENT, i], moments[SQUARES_GRADIENT, i])
                    )
        for chain in range(first, last):
            if state.chains[chain].admitted == admitted:
                state.variance[chain, i] = fisher_variance(
                    positions[2], gradients[2], state.variance[chain, i]
                )
    return n_good


@kernel
def _share_first_step(state):
    """Begin dual averaging at the median of the step sizes that the admitted chains have just found."""
    steps = state.pool_work[0]
    n_admitted = 0
    for chain in range(state.chains.shape[0]):
        if state.chains[chain].admitted:
            steps[n_admitted] = state.chains[chain].log_step
            n_admitted += 1
    log_step = median(steps[:n_admitted])
    for chain in range(state.chains.shape[0]):
        if state.chains[chain].admitted:
            stepsize.restart_after_search(state.chains[chain], log_step)


@kernel
def _average_dual_averaging(state):
    """Give all admitted chains the mean of their dual averaging states, and the largest of its counts."""
    n_admitted, n_updates, n_averaged = 0, 0, 0
    log_step, log_step_bar, log_step_centre, shortfall = 0.0, 0.0, 0.0, 0.0
    for number in range(state.chains.shape[0]):
        chain = state.chains[number]
        if chain.admitted:
            n_admitted += 1
            n_updates = max(n_updates, chain.n_updates)
            n_averaged = max(n_averaged, chain.n_averaged)
            log_step += chain.log_step
            log_step_bar += chain.log_step_bar
            log_step_centre += chain.log_step_centre
            shortfall += chain.shortfall
    for number in range(state.chains.shape[0]):
        chain = state.chains[number]
        if chain.admitted:
            chain.log_step = log_step / n_admitted
            chain.log_step_bar = log_step_bar / n_admitted
            chain.log_step_centre = log_step_centre / n_admitted
            chain.shortfall = shortfall / n_admitted
            chain.n_updates = n_updates
            chain.n_averaged = n_averaged


@kernel
def _end_terminal(state):
    """Fix the step sizes for sampling: one for all admitted chains, unless they differ too much."""
    shortest, longest, total, n_admitted = math.inf, -math.inf, 0.0, 0
    for number in range(state.chains.shape[0]):
        chain = state.chains[number]
        if chain.admitted:
            shortest = min(shortest, chain.log_step_bar)
            longest = max(longest, chain.log_step_bar)
            total += chain.log_step_bar
            n_admitted += 1
    is_common = state.group[0].has_metric and longest - shortest < math.log(_COMMON_STEP_RATIO)
    for number in range(state.chains.shape[0]):
        chain = state.chains[number]
        if chain.admitted and is_common:
            chain.log_step_bar = total / n_admitted
    _begin_next_stage(state)


@kernel
def _begin_next_stage(state):
    """Enter the stage after the present one, or sampling if it was the last."""
    group = state.group[0]
    start = group.stage_end
    group.stage += 1
    if group.stage >= state.schedule.shape[0]:
        group.phase = SAMPLING
        group.n_warmup = start
        for chain in range(state.chains.shape[0]):
            state.chains[chain].log_step = state.chains[chain].log_step_bar
        return
    stage = state.schedule[group.stage]
    group.phase = TERMINAL if stage.is_terminal else WARMUP
    group.stage_end = start + stage.n_draws
    if not stage.is_terminal:
        pair = 2 * (group.stage % 2)
        middle = start + stage.n_draws // 2
        for chain in range(state.chains.shape[0]):
            clear_block(state.blocks[chain, pair], state.moments[chain, pair], start, middle)
            clear_block(
                state.blocks[chain, pair + 1], state.moments[chain, pair + 1], middle, group.stage_end
            )
