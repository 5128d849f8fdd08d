"""Whether groups of chains that share an adaptation agree with each other."""

from collections.abc import Iterator

import numpy as np

from nutmill.diagnosis.finding import Finding, worst_of
from nutmill.diagnosis.parameters import MAX_RHAT
from nutmill.diagnosis.posterior_scalars import Seen
from nutmill.native.convergence import mixing_of
from nutmill.nuts.group_size import GROUP_SIZE


def groups(looked: Seen, chain_ids: np.ndarray) -> Iterator[Finding]:
    """Find scalars on which whole groups differ, by R-hat of groups in place of chains.

    Chains of a group share a metric and a step size, so that one adaptation may keep all of them out of the same part
    of the posterior: their own R-hat can't see that, other groups can (after Margossian et al. 2024). What is `looked`
    at has enough draws; `chain_ids` (n_chains,) are in ascending order.
    """
    scalars = looked.moving
    _, sizes = np.unique(chain_ids // GROUP_SIZE, return_counts=True)
    if len(sizes) < 2 or (sizes != GROUP_SIZE).any() or not len(scalars.labels):
        return
    if looked.mixed is None or looked.address is None:  # too few draws
        return
    n_draws, n = scalars.columns.shape[1:]
    between = mixing_of(looked.address, scalars.columns.reshape(len(sizes), GROUP_SIZE * n_draws, n)).rhat
    # Where chains differ as much, R-hat of chains has said so.
    bad = (between > MAX_RHAT) & (between > looked.mixed.rhat)
    said, names = worst_of(scalars.labels, between, bad, "{} {:.3f}")
    if names:
        yield Finding(
            "groups",
            f"Groups of {GROUP_SIZE} chains, each with an adaptation of its own, disagree more than their chains: "
            f"R-hat of groups is {said}. Draw longer, or reparameterize.",
            names,
        )
