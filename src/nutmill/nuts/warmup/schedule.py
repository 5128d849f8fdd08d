"""Warmup as data: the stages that a group goes through, each a number of draws with its rules."""

import numpy as np

from nutmill.nuts.state import STAGE

ADAPTIVE_WARMUP_DRAWS = 1000
# Of each of four chains: what diverges once in a hundred draws is hardly missed.
ADAPTIVE_TERMINAL_DRAWS = 100
_FIRST_EPOCH, _GROWTH = 4, 1.35
_EARLIEST_AGREEMENT = 80  # and so the second at draw 120
# Where epochs end after which coordinates may change; later ones may too, while chains do not agree (`nuts.warmup`).
_RECENTRING = (20, 49, 89)
_EARLY_TREEDEPTH, _EARLY_FRACTION, _EARLY_DRAWS = 7, 0.3, 120
_TERMINAL_FRACTION, _TERMINAL_DRAWS = 0.15, 20
_CAUTIOUS_STAGES = 2


def epoch_ends(n_draws: int) -> list[int]:
    """Return the draw counts at which the metric is learned anew; the last is `n_draws`."""
    ends, end = [], _FIRST_EPOCH
    while end < n_draws:
        ends.append(end)
        end = max(end + 2, round(_GROWTH * end))
    return [*ends, n_draws] if n_draws > 0 else ends


def terminal_draws(tune: int) -> int:
    """Return how many draws at the end of a warmup of fixed length tune the step size alone."""
    wanted = max(_TERMINAL_DRAWS, round(_TERMINAL_FRACTION * tune))
    return min(wanted, tune - tune // 2)


def warmup_schedule(tune: int | None, max_treedepth: int, target_accept: float) -> np.ndarray:
    """Build the stages of warmup.

    Parameters
    ----------
    tune : int or None
        Exact number of warmup draws; None stops when the chains agree, after at most 1000.

    Returns
    -------
    (n_stages,) STAGE
        At the end stands a terminal stage, where the metric rests. Where the length of warmup is free more follow,
        each for a target halfway to 1 from the one before, to be skipped once nothing diverges. No stage at all for
        `tune` = 0.
    """
    total = ADAPTIVE_WARMUP_DRAWS if tune is None else tune
    if total == 0:
        return np.zeros(0, STAGE)
    terminal = ADAPTIVE_TERMINAL_DRAWS if tune is None else terminal_draws(tune)
    early = min(_EARLY_DRAWS, _EARLY_FRACTION * total)
    stages, start = [], 0
    for end in epoch_ends(total - terminal):
        depth = min(max_treedepth, _EARLY_TREEDEPTH) if end <= early else max_treedepth
        may_stop = tune is None and end >= _EARLIEST_AGREEMENT
        stages.append((end - start, depth, target_accept, False, end in _RECENTRING, may_stop))
        start = end
    for _ in range(1 + (_CAUTIOUS_STAGES if tune is None else 0)):
        stages.append((terminal, max_treedepth, target_accept, True, False, False))
        target_accept = 1.0 - 0.5 * (1.0 - target_accept)
    return np.array(stages, STAGE)
