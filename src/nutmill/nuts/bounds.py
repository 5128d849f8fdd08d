"""Whether a saved state keeps native code within its arrays, which it indexes and loops by the counts in them."""

from collections.abc import Mapping

import numpy as np

from nutmill.nuts.state import SAMPLING, START, TERMINAL, WARMUP, GroupState


def misfit(saved: Mapping[str, np.ndarray], like: GroupState) -> str | None:
    """Say which count cannot be, None if all can.

    `saved` are arrays by the names of GroupState, with the types and shapes of those of `like`, a new group of the same
    settings; `moments` and `rows` may be missing once warmup is over.
    """
    for name in ("settings", "schedule"):  # no code writes there
        if not np.array_equal(saved[name], getattr(like, name)):
            return name
    group, chains = saved["group"][0], saved["chains"]
    if not _is_stage(group, like):
        return "stage"
    if group["phase"] != SAMPLING and "rows" not in saved:
        return "rows"
    if not _are_draws(chains["n_draws"], group, like):
        return "n_draws"
    counts = ("n_updates", "n_averaged", "n_gradients", "n_warmup_gradients", "n_divergences", "n_warmup_divergences")
    for name in counts:
        if (chains[name] < 0).any():
            return name
    if (chains["rank"] < 0).any() or (chains["rank"] > like.directions.shape[1]).any():
        return "rank"
    if not _are_blocks(saved["blocks"], chains["n_draws"], group, like):
        return "blocks"
    if not ((saved["centredness"] >= 0.0) & (saved["centredness"] <= 1.0)).all():
        return "centredness"
    if (saved["rng"] == 0).all(axis=1).any():  # from which no random number comes
        return "rng"
    return None


def _is_stage(group: np.void, like: GroupState) -> bool:
    """Whether the phase, the row of the schedule and the next barrier are those of one moment of warmup, or after."""
    phase, stage, end = (int(group[name]) for name in ("phase", "stage", "stage_end"))
    schedule, n_stages = like.schedule, len(like.schedule)
    if group["n_dim"] != like.position.shape[1] or not 0 <= end <= like.warmup_lp.shape[1]:
        return False
    if phase == START:
        return (stage, end, group["n_warmup"]) == (-1, 0, 0)
    if phase == SAMPLING:
        return (stage, group["n_warmup"]) == (n_stages, end)
    if phase not in (WARMUP, TERMINAL) or not 0 <= stage < n_stages or group["n_warmup"] != 0:
        return False
    # A warmup that stops early has fewer draws behind it, never more.
    planned = int(schedule["n_draws"][: stage + 1].sum())
    return bool(schedule[stage]["is_terminal"]) == (phase == TERMINAL) and _start(group, like) >= 0 and end <= planned


def _start(group: np.void, like: GroupState) -> int:
    """Draw at which the present stage of warmup began."""
    return int(group["stage_end"] - like.schedule[group["stage"]]["n_draws"])


def _are_draws(n_draws: np.ndarray, group: np.void, like: GroupState) -> bool:
    """Whether all chains are in the present stage."""
    if group["phase"] == SAMPLING:
        return bool((n_draws >= group["n_warmup"]).all())
    first = 0 if group["phase"] == START else _start(group, like)
    return bool(((n_draws >= first) & (n_draws <= group["stage_end"])).all())


def _are_blocks(blocks: np.ndarray, n_draws: np.ndarray, group: np.void, like: GroupState) -> bool:
    """Whether blocks cover draws of warmup, and keep no more rows than their turns up to now."""
    start, end = blocks["start"], blocks["end"]
    if (start < 0).any() or (start > end).any() or (end > like.warmup_lp.shape[1]).any():
        return False
    if group["phase"] == WARMUP:
        first, begin = 2 * (int(group["stage"]) % 2), _start(group, like)
        middle = begin + int(like.schedule[group["stage"]]["n_draws"]) // 2
        wanted = [(begin, middle), (middle, int(group["stage_end"]))]
        found = [set(blocks[:, first + half][["start", "end"]].tolist()) for half in range(2)]
        if found != [{wanted[0]}, {wanted[1]}]:
            return False
    done = np.clip(n_draws[:, None] - start, 0, end - start)
    if (blocks["n_good"] < 0).any() or (blocks["n_good"] > done).any():
        return False
    turns = np.zeros_like(done)
    if capacity := like.rows.shape[2]:
        turns = -(-done // np.maximum(1, -(-(end - start) // capacity)))
    return bool(((blocks["n_rows"] >= 0) & (blocks["n_rows"] <= turns)).all())
