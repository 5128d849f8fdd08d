"""Step sizes that the admitted chains of a group share: each tunes its own, and barriers average."""

import math

from nutmill._jit import kernel
from nutmill.nuts.vectors import median
from nutmill.nuts.warmup import stepsize

# Final step sizes that differ by more than this are no longer taken for estimates of the same.
_COMMON_STEP_RATIO = 1.5
# After fewer updates dual averaging still swings, and what the search found is better: half of it, because
# the search may have ended beyond the target.
_FEWEST_UPDATES = 10
# What steps are shortened by where some were rough, and where some came near a divergence: about what raises an
# acceptance of 0.8 to 0.85, and to 0.9. Of divergences the first leaves one in ten.
_LOG_SHORTENING, _LOG_SHORTENING_NEAR = math.log(0.88), math.log(0.75)


@kernel
def share_first_step(chains, work):
    """Begin dual averaging at the median of the step sizes that the admitted chains have just found."""
    n_admitted = 0
    for chain in range(chains.shape[0]):
        if chains[chain].admitted:
            work[n_admitted] = chains[chain].log_step
            n_admitted += 1
    log_step = median(work[:n_admitted])
    for chain in range(chains.shape[0]):
        if chains[chain].admitted:
            stepsize.restart_after_search(chains[chain], log_step)


@kernel
def average_dual_averaging(chains):
    """Give all admitted chains the mean of the members' dual averaging states, and the largest of their counts.

    A chain that has just been admitted again is no member: its steps were those of another place.
    """
    n_members, n_updates, n_averaged = 0, 0, 0
    log_step, log_step_bar, log_step_centre, shortfall = 0.0, 0.0, 0.0, 0.0
    for number in range(chains.shape[0]):
        chain = chains[number]
        if chain.member:
            n_members += 1
            n_updates = max(n_updates, chain.n_updates)
            n_averaged = max(n_averaged, chain.n_averaged)
            log_step += chain.log_step
            log_step_bar += chain.log_step_bar
            log_step_centre += chain.log_step_centre
            shortfall += chain.shortfall
    for number in range(chains.shape[0]):
        chain = chains[number]
        if chain.admitted and n_members > 0:
            chain.log_step = log_step / n_members
            chain.log_step_bar = log_step_bar / n_members
            chain.log_step_centre = log_step_centre / n_members
            chain.shortfall = shortfall / n_members
            chain.n_updates = n_updates
            chain.n_averaged = n_averaged


@kernel
def settle_steps(chains, n_draws):
    """Begin the terminal stage of `n_draws` draws; one too short to tune anything goes on as before."""
    for chain in range(chains.shape[0]):
        chains[chain].shortest_divergence = math.inf
        chains[chain].shortest_near = chains[chain].shortest_rough = math.inf
        if n_draws >= _FEWEST_UPDATES:
            stepsize.settle(chains[chain])


@kernel
def diverges_at_its_step(chains):
    """Whether a draw of the terminal stage diverged at a step no longer than its chain would now sample with.

    While a step size is tuned it swings, and at long ones any target diverges: that says nothing about the chosen one.
    """
    for chain in range(chains.shape[0]):
        longest = _longest_to_come(chains[chain])
        if chains[chain].shortest_divergence <= longest:
            return True
    return False


@kernel
def _longest_to_come(chain):
    """Return the logarithm of the longest step that sampling would take now."""
    return chain.log_step_bar + stepsize.LARGEST_LOG_JITTER


@kernel
def fix_steps(chains, has_metric):
    """Fix `log_step_bar` for sampling: a common one, unless those of the chains differ too much.

    Then each chain keeps its own if that is shorter than the mean: one that was tuned in a tail, where long steps are
    accepted, would take steps too long for the body; one that was tuned in a neck needs its short ones.
    """
    shortest, longest, total, n_admitted = math.inf, -math.inf, 0.0, 0
    for number in range(chains.shape[0]):
        chain = chains[number]
        if chain.n_averaged < _FEWEST_UPDATES:
            chain.log_step_bar = stepsize.log_step_found(chain) - math.log(2.0)
        if chain.admitted:
            shortest = min(shortest, chain.log_step_bar)
            longest = max(longest, chain.log_step_bar)
            total += chain.log_step_bar
            n_admitted += 1
    if not has_metric:
        return
    is_common = longest - shortest < math.log(_COMMON_STEP_RATIO)
    for number in range(chains.shape[0]):
        chain = chains[number]
        if chain.admitted and (is_common or chain.log_step_bar > total / n_admitted):
            chain.log_step_bar = total / n_admitted


@kernel
def shorten_rough_steps(chains, is_target_raised):
    """Take shorter steps for sampling where energy errors of the terminal stage say that some would diverge.

    That costs no draws, where one more terminal stage costs a tenth of all gradients. At a raised target steps are
    short already, and mere roughness shortens them no more.
    """
    is_rough, is_near, log_factor = False, False, 0.0
    for number in range(chains.shape[0]):
        chain = chains[number]
        is_rough = is_rough or chain.shortest_rough <= _longest_to_come(chain)
        is_near = is_near or chain.shortest_near <= _longest_to_come(chain)
    if is_near:
        log_factor = _LOG_SHORTENING if is_target_raised else _LOG_SHORTENING_NEAR
    elif is_rough and not is_target_raised:
        log_factor = _LOG_SHORTENING
    for number in range(chains.shape[0]):
        chains[number].log_step_bar += log_factor
