"""From the arrays of groups to one run: chains of equal length, what warmup learned, what to tell."""

import numpy as np

from nutmill.nuts.schedule import ADAPTIVE_WARMUP_DRAWS
from nutmill.run.groups import Group
from nutmill.run.results import Adaptation, Divergences, Run, Seconds, Settings

# As the gate of warmup (nuts.gate): typical spreads of the log density below the better half.
_FAR_BELOW = 5.0
_LAST_DRAWS = 50


def collect(groups: list[Group], outputs, settings: Settings, interrupted: bool, clock) -> Run:
    """Make the result of a run from groups whose native calls have all returned.

    Parameters
    ----------
    groups : list of Group
    outputs : draws (chains, draws, n_dim) float64 and their statistics (chains, draws)
        What the groups have written.
    settings : Settings
    interrupted : bool
    clock : driver.Clock
    """
    n_draws = min(group.n_drawn(chain) for group in groups for chain in range(len(group.chain_ids)))
    warmup_draws, warmup_statistics = _warmup(groups) if settings.keep_warmup else (None, None)
    draws, statistics = outputs
    return Run(
        chain_ids=[chain_id for group in groups for chain_id in group.chain_ids],
        draws=draws[:, :n_draws],
        statistics=statistics[:, :n_draws],
        warmup_draws=warmup_draws,
        warmup_statistics=warmup_statistics,
        divergences=_divergences(groups, n_draws) if settings.keep_divergences else None,
        adaptation=_adaptation(groups),
        n_gradients=_of_chains(groups, "n_gradients"),
        interrupted=interrupted,
        messages=[message for group in groups if group.is_sampling for message in _messages(group, settings)],
        seconds=Seconds(
            warmup_wall=clock.sampling - clock.begin,
            warmup_cpu=sum(group.cpu_s[0] for group in groups),
            sampling_wall=clock.end - clock.sampling,
            sampling_cpu=sum(group.cpu_s[1] for group in groups),
        ),
    )


def _of_chains(groups: list[Group], field: str) -> np.ndarray:
    return np.concatenate([group.state.chains[field] for group in groups])


def _adaptation(groups: list[Group]) -> Adaptation:
    n_warmup = [np.minimum(group.state.chains["n_draws"], group.n_warmup) for group in groups]
    return Adaptation(
        step_size=np.exp(_of_chains(groups, "log_step_bar")),
        variance=np.concatenate([group.state.variance for group in groups]),
        n_warmup=np.concatenate(n_warmup),
        admitted=_of_chains(groups, "admitted"),
    )


def _warmup(groups: list[Group]) -> tuple[np.ndarray, np.ndarray]:
    """Return the last warmup draws of all chains, as many as each of them has, and their statistics."""
    n_draws = [int(np.minimum(group.state.chains["n_draws"], group.n_warmup).min()) for group in groups]
    n = min(n_draws)
    parts = [(group.state, slice(end - n, end)) for group, end in zip(groups, n_draws, strict=True)]
    return (
        np.concatenate([state.warmup_draws[:, part] for state, part in parts]),
        np.concatenate([state.warmup_statistics[:, part] for state, part in parts]),
    )


def _divergences(groups: list[Group], n_draws: int) -> list[Divergences]:
    found = []
    for group in groups:
        for chain in range(len(group.chain_ids)):
            n_kept = min(group.state.chains[chain]["n_divergences"], group.state.divergences.shape[1])
            records = group.state.divergences[chain, :n_kept]
            kept = records["draw"] < n_draws
            found.append(Divergences(records[kept], group.state.divergence_points[chain, :n_kept][kept]))
    return found


def _messages(group: Group, settings: Settings) -> list[str]:
    """Say what went wrong in the warmup of a group."""
    messages = []
    behind = _far_below(group)
    for chain_id, is_behind, is_admitted in zip(group.chain_ids, behind, group.state.chains["admitted"], strict=True):
        if is_behind:
            messages.append(
                f"Chain {chain_id} ended warmup in a region of much lower density than the others; it may "
                "be stuck: look at its trace, or start it elsewhere with initvals."
            )
        elif not is_admitted and group.n_warmup >= _LAST_DRAWS:
            messages.append(
                f"Chain {chain_id} hardly moved at the end of warmup; its step size may not fit: look at its "
                "trace, or pass a longer tune=."
            )
    if settings.tune is None and not messages and group.n_warmup == ADAPTIVE_WARMUP_DRAWS:
        messages.append(
            f"Chains {_listed(group.chain_ids)} did not agree in {ADAPTIVE_WARMUP_DRAWS} draws of warmup; "
            "the posterior may have several modes, or need a longer warmup: pass tune=."
        )
    return messages


def _far_below(group: Group) -> np.ndarray:
    """Whether the density of each chain fell far behind in the last draws of warmup, (c,) bool."""
    if group.n_warmup == 0:
        return np.zeros(len(group.chain_ids), bool)
    lp = group.state.warmup_lp[:, max(0, group.n_warmup - _LAST_DRAWS) : group.n_warmup]
    centre = np.median(lp, axis=1)
    spread = np.median(np.median(np.abs(lp - centre[:, None]), axis=1))
    reference = np.sort(centre)[len(centre) // 2]
    return centre < reference - _FAR_BELOW * (np.sqrt(group.state.position.shape[1] / 2) + spread)


def _listed(chain_ids: list[int]) -> str:
    return ", ".join(map(str, chain_ids))
