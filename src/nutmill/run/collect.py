"""From the arrays of groups to one run: chains of equal length, what warmup learned, sentences for the log."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nutmill.nuts.warmup.schedule import ADAPTIVE_WARMUP_DRAWS
from nutmill.progress.lines import ChainProgress
from nutmill.run.adaptation import AdaptationState
from nutmill.run.groups import Group, chains_of
from nutmill.run.run import Chains, Clock, Divergences, Ending, Run, Seconds, Settings, WarmupEnd

# As the gate of warmup (nuts.gate): typical spreads of the log density below the better half, and how many times as
# large, or small, squared gradients are.
_FAR_BELOW, _FORCE_RATIO = 5.0, 10.0
_LAST_DRAWS = 50
# The bound on a mode's mass, as a logarithm, below which a chain only started far away: nobody could want its draws.
_NO_MODE = -70.0


def collect(groups: list[Group], settings: Settings, ending: Ending, clock: Clock) -> Run:
    """Make the result of a run from groups whose native calls have all returned."""
    n_drawn = min(group.n_drawn(chain) for group, chain in chains_of(groups))
    n_draws = min(n_drawn, settings.draws) if ending.n_enough is None else ending.n_enough
    draws, statistics = _joined(groups, "draws", [slice(n_draws)] * len(groups))
    warmup_draws, warmup_statistics = _warmup(groups) if settings.keep_warmup else (None, None)
    warmup_wall, sampling_wall = clock.walls_s
    return Run(
        chain_ids=[chain_id for group in groups for chain_id in group.chain_ids],
        draws=draws,
        statistics=statistics,
        warmup_draws=warmup_draws,
        warmup_statistics=warmup_statistics,
        divergences=_divergences(groups, n_draws) if settings.keep_divergences else None,
        adaptation=adaptation_so_far(groups, draws),
        warmup=_warmup_end(groups),
        n_gradients=_of_chains(groups, "n_gradients"),
        ending=ending,
        messages=[message for group in groups if group.is_sampling for message in _messages(group, settings)],
        seconds=Seconds(
            warmup_wall=warmup_wall,
            warmup_cpu=sum(group.cpu_s[0] for group in groups),
            sampling_wall=sampling_wall,
            sampling_cpu=sum(group.cpu_s[1] for group in groups),
        ),
    )


def rows_at_end(run: Run, settings: Settings) -> list[ChainProgress]:
    """Give the progress of chains that have ended, by the draws that are kept: they may have made more."""
    total = settings.draws if run.ending.n_enough is None else run.ending.n_enough
    return [
        ChainProgress(
            chain=chain_id,
            phase="done" if len(statistics) == total else "sampling" if len(statistics) else "warmup",
            draw=len(statistics),
            total=total,
            limit=total,
            step_size=float(step_size),
            n_gradients=int(statistics["n_steps"].sum()),
            divergences=int(statistics["diverging"].sum()),
        )
        for chain_id, statistics, step_size in zip(run.chain_ids, run.statistics, run.adaptation.step_size, strict=True)
    ]


def _joined(groups: list[Group], kind: str, parts: list[slice]) -> Sequence[Chains]:
    """Give a part of the rows of one kind of all chains, one part a group: positions, and statistics."""
    store: Any = groups[0].store  # all are of one kind
    return store.joined([group.store for group in groups], kind, parts)


def _of_chains(groups: Sequence[Group], field: str) -> np.ndarray:
    return np.concatenate([group.state.chains[field] for group in groups])


def adaptation_so_far(groups: Sequence[Group], draws: Chains) -> AdaptationState:
    """What the chains of a run have learned, and where they are: at the last of their `draws`, if there are some."""
    states = [group.state for group in groups]
    now = np.concatenate([group.position_as_written() for group in groups])
    # A chain may have run ahead of the draws that are kept.
    position = np.array([chain[-1] if len(chain) else here for chain, here in zip(draws, now, strict=True)])
    return AdaptationState(
        step_size=np.exp(_of_chains(groups, "log_step_bar")),
        position=position,
        **{
            name: np.concatenate([getattr(state, name) for state in states])
            for name in ("variance", "directions", "stretch", "centredness")
        },
    )


def _warmup_end(groups: Sequence[Group]) -> WarmupEnd:
    n_draws = [np.minimum(group.state.chains["n_draws"], group.n_warmup) for group in groups]
    targets = [group.state.group[0]["target_accept"] for group in groups]
    return WarmupEnd(
        n_draws=np.concatenate(n_draws),
        admitted=_of_chains(groups, "admitted"),
        target_accept=np.repeat(targets, [len(group.chain_ids) for group in groups]),
        restarted_at=_of_chains(groups, "restarted_at"),
    )


def _warmup(groups: list[Group]):
    """Return the last warmup draws of all chains, as many as each of them has, and their statistics."""
    n_draws = [int(np.minimum(group.state.chains["n_draws"], group.n_warmup).min()) for group in groups]
    parts = [slice(end - min(n_draws), end) for end in n_draws]
    return _joined(groups, "warmup", parts)


def _divergences(groups: list[Group], n_draws: int) -> list[Divergences]:
    found = []
    for group, chain in chains_of(groups):
        records, points = group.store.read("divergences", chain)
        in_run = records["draw"] < n_draws
        found.append(Divergences(np.array(records[in_run]), np.array(points[in_run])))
    return found


def _messages(group: Group, settings: Settings) -> list[str]:
    """Say what went wrong in the warmup of a group."""
    messages = []
    admitted, ratios = group.state.chains["admitted"], _force_ratios(group)
    is_alike = admitted | ((ratios < _FORCE_RATIO) & (ratios > 1.0 / _FORCE_RATIO))
    behind = _far_below(group, is_alike)
    for number, chain_id in enumerate(group.chain_ids):
        if behind[number]:
            messages.append(
                f"Chain {chain_id} ended warmup in a region of much lower density than the others; it may "
                "be stuck: look at its trace, or start it elsewhere with initvals."
            )
        elif not is_alike[number] and group.n_warmup >= _LAST_DRAWS:
            size = "larger" if ratios[number] > 1.0 else "smaller"
            messages.append(
                f"Chain {chain_id} ended warmup in a region of much {size} gradients than the others, as in the neck "
                "of a hierarchy whose scale is near zero: look at its trace; another form of the model (centred or "
                "non-centred) or a longer tune= may help."
            )
        elif not admitted[number] and group.n_warmup >= _LAST_DRAWS:
            messages.append(
                f"Chain {chain_id} hardly moved at the end of warmup; its step size may not fit: look at its "
                "trace, or pass a longer tune=."
            )
    if settings.tune is None and not messages and group.n_warmup >= ADAPTIVE_WARMUP_DRAWS:
        messages.append(
            f"Chains {_listed(group.chain_ids)} did not agree in {ADAPTIVE_WARMUP_DRAWS} draws of warmup; "
            "the posterior may have several modes, or need a longer warmup: pass tune=."
        )
    return messages + _restarts(group)


def _restarts(group: Group) -> list[str]:
    """Say which chains left modes of negligible mass during warmup, if these were modes at all."""
    chains = group.state.chains
    left = np.flatnonzero((chains["restarted_at"] > 0) & (chains["log_mass"] > _NO_MODE))
    if len(left) == 0:
        return []
    who = _listed([group.chain_ids[number] for number in left])
    others = _listed([group.chain_ids[number] for number in sorted(set(chains["restarted_from"][left].tolist()))])
    share, last = np.exp(chains["log_mass"][left].max()), chains["restarted_at"][left].max()
    return [
        f"Chain{'s' * (len(left) > 1)} {who} had settled in a lesser mode, of at most {share:.0e} times the mass of "
        f"that of chain{'s' * (',' in others)} {others}, and left it for that one by draw {last} of warmup. If you "
        "expect several modes, look for further ones with other starts (initvals=, starts=)."
    ]


def _force_ratios(group: Group) -> np.ndarray:
    """Return how large squared gradients were at the end of warmup, (c,): 1 is that of most chains."""
    if group.n_warmup == 0:
        return np.ones(len(group.chain_ids))
    force = group.state.warmup_force[:, max(0, group.n_warmup - _LAST_DRAWS) : group.n_warmup]
    centre = np.median(force, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(np.exp(centre - np.sort(centre)[(len(centre) - 1) // 2]), nan=1.0)


def _far_below(group: Group, is_alike: np.ndarray) -> np.ndarray:
    """Whether the density of each chain fell far behind that of comparable ones at the end of warmup, (c,) bool."""
    if group.n_warmup == 0:
        return np.zeros(len(group.chain_ids), bool)
    lp = group.state.warmup_lp[:, max(0, group.n_warmup - _LAST_DRAWS) : group.n_warmup]
    centre = np.median(lp, axis=1)
    spread = np.median(np.median(np.abs(lp - centre[:, None]), axis=1))
    reference = np.sort(centre[is_alike])[is_alike.sum() // 2]
    return centre < reference - _FAR_BELOW * (np.sqrt(group.state.position.shape[1] / 2) + spread)


def _listed(chain_ids: list[int]) -> str:
    return ", ".join(map(str, chain_ids))
