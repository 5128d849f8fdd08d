"""From the runs of groups that were sampled apart to one run."""

from collections.abc import Sequence

import numpy as np

from nutmill.run.adaptation import AdaptationState
from nutmill.run.collect import collect
from nutmill.run.groups import new_groups
from nutmill.run.run import Chains, Clock, Divergences, Ending, Run, Seconds, Settings, WarmupEnd


def join(runs: Sequence[Run], ending: Ending, wall_s: float) -> Run:
    """Join runs of one group each, in the order of chains.

    If draws are missing, chains may be left out: the number of draws and the chains are those that keep most draws.
    `ending` is that of all of them, `wall_s` what all of them took together.
    """
    n_draws = _worth_most(runs) if ending.is_interrupted else len(runs[0].draws[0])
    runs = [run for run in runs if len(run.draws[0]) >= n_draws]
    draws = _chains([run.draws for run in runs], slice(n_draws))
    # All runs have them, or none.
    warmups = [run.warmup_draws for run in runs if run.warmup_draws is not None]
    of_warmups = [run.warmup_statistics for run in runs if run.warmup_statistics is not None]
    divergences = [run.divergences for run in runs if run.divergences is not None]
    n_warmup = min((len(chain) for warmup in warmups for chain in warmup), default=0)
    last = slice(-n_warmup, None) if n_warmup else slice(0)
    warmup_wall = max(run.seconds.warmup_wall for run in runs)
    return Run(
        chain_ids=[chain_id for run in runs for chain_id in run.chain_ids],
        draws=draws,
        statistics=_chains([run.statistics for run in runs], slice(n_draws)),
        warmup_draws=_chains(warmups, last) if warmups else None,
        warmup_statistics=_chains(of_warmups, last) if of_warmups else None,
        divergences=[_first(chain, n_draws) for run in divergences for chain in run] if divergences else None,
        adaptation=_adaptation(runs, draws),
        warmup=WarmupEnd(*map(np.concatenate, zip(*(run.warmup for run in runs), strict=True))),
        n_gradients=np.concatenate([run.n_gradients for run in runs]),
        ending=ending,
        messages=[message for run in runs for message in run.messages],
        seconds=Seconds(
            warmup_wall=warmup_wall,
            warmup_cpu=sum(run.seconds.warmup_cpu for run in runs),
            sampling_wall=max(0.0, wall_s - warmup_wall),
            sampling_cpu=sum(run.seconds.sampling_cpu for run in runs),
        ),
    )


def run_without_draws(initial_points: np.ndarray, settings: Settings, seed: int, chain_ids: list[int]) -> Run:
    """Make the run of a group that has not begun."""
    groups = new_groups([], initial_points, settings, seed, chain_ids)
    clock = Clock()
    clock.stop(is_sampling=False)
    return collect(groups, settings, Ending(), clock)


def _worth_most(runs: Sequence[Run]) -> int:
    """Find the number of draws a chain with which most draws are kept."""
    counts = [len(chain) for run in runs for chain in run.draws]
    return max(sorted(set(counts)), key=lambda count: count * sum(other >= count for other in counts))


def _chains(groups: Sequence[Chains], part: slice) -> Chains:
    """A part of each chain of all groups: in one array, or in a list where they lie in files."""
    chains = [chain[part] for group in groups for chain in group]
    return np.stack(chains) if all(isinstance(group, np.ndarray) for group in groups) else chains


def _first(chain: Divergences, n_draws: int) -> Divergences:
    in_run = chain.records["draw"] < n_draws
    return Divergences(chain.records[in_run], chain.points[in_run])


def _adaptation(runs: Sequence[Run], draws: Chains) -> AdaptationState:
    joined = AdaptationState(*map(np.concatenate, zip(*(run.adaptation for run in runs), strict=True)))
    # A chain may have run ahead of the draws that are kept.
    last = [chain[-1] if len(chain) else now for chain, now in zip(draws, joined.position, strict=True)]
    return joined._replace(position=np.array(last))
