"""Findings on whole chains, from the statistics of each draw: energy, log density, trajectories that were cut off."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from nutmill.diagnosis.finding import Finding, chains_named

MAX_SHARE_AT_TREE_LIMIT = 0.05
NEARLY_ALL = 0.9
MIN_BFMI = 0.3
# A chain in a mode of its own lies many deviations below the rest; one that only mixes slowly does not.
MAX_LP_GAP = 5.0


def tree_depth(stats: xr.Dataset) -> Iterator[Finding]:
    """Find chains whose trajectories are cut off."""
    reached = stats["reached_max_treedepth"].values
    if reached.size == 0 or (share := reached.mean(axis=1)).max() <= MAX_SHARE_AT_TREE_LIMIT:
        return
    no_end = " So many are cut off where a posterior has no end: look for flat priors that the data do not bound."
    yield Finding(
        "tree_depth",
        f"The maximum tree depth cut off {share.max():.0%} of the trajectories of the worst chain "
        f"({chains_named(stats, share > MAX_SHARE_AT_TREE_LIMIT)}): draws are costly, and near those before them; "
        f"R-hat and effective sample sizes tell what they are worth. Rescale or reparameterize the model, or raise "
        f"max_treedepth.{no_end if share.max() > NEARLY_ALL else ''}",
    )


def energy(stats: xr.Dataset) -> Iterator[Finding]:
    """Find chains whose energy moves slowly (Betancourt 2016)."""
    energy = stats["energy"].values
    moving = energy.std(axis=1) > 0  # a chain that stands still has no BFMI; R-hat and ESS name it
    bfmi = np.full(len(energy), np.inf)
    bfmi[moving] = (np.diff(energy[moving], axis=1) ** 2).mean(axis=1) / energy[moving].var(axis=1, ddof=1)
    if (low := bfmi < MIN_BFMI).any():
        yield Finding(
            "bfmi",
            f"The energy mixes slowly: BFMI is {bfmi.min():.2f}, below {MIN_BFMI} ({chains_named(stats, low)}). "
            "Heavy tails or a scale that varies along the posterior do this: reparameterize.",
        )


def log_density(stats: xr.Dataset) -> Iterator[Finding]:
    """Find chains that sit far below the others: the sign of a mode of little weight."""
    lp = stats["lp"].values
    if len(lp) == 1:
        return
    medians = np.median(lp, axis=1)
    best = lp[medians.argmax()]
    gap = medians.max() - medians
    spread = np.maximum(best.std(), lp.std(axis=1))
    if (low := gap > MAX_LP_GAP * spread).any():
        yield Finding(
            "lp",
            f"The log density lies {gap.max():.3g} below that of the best chain ({chains_named(stats, low)}): "
            "the chains are in separate modes. Look at the chains one by one, or give initvals.",
        )
