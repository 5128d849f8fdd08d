"""Whether groups of chains that share an adaptation agree with each other."""

from collections.abc import Iterator

import numpy as np

from nutmill.diagnosis.finding import Finding, first_of
from nutmill.diagnosis.parameters import MAX_RHAT
from nutmill.diagnosis.scalars import Named, Scalars
from nutmill.native.mixing import mixing_of
from nutmill.nuts.state import GROUP_SIZE


def groups(scalars: Scalars, chain_ids: np.ndarray, mixed: Named, address: int) -> Iterator[Finding]:
    """Find scalars on which whole groups differ, by R-hat of groups in place of chains.

    Chains of a group share a metric and a step size, so that one adaptation may keep all of them out of the same
    part of the posterior: their own R-hat can't see that, other groups can (after Margossian et al. 2024).

    Parameters
    ----------
    scalars
        Finite and moving, those of `mixed`.
    chain_ids : (n_chains,) int
        In ascending order.
    """
    _, sizes = np.unique(chain_ids // GROUP_SIZE, return_counts=True)
    if len(sizes) < 2 or (sizes != GROUP_SIZE).any() or not len(scalars.labels):
        return
    n_draws, n = scalars.columns.shape[1:]
    between = mixing_of(address, scalars.columns.reshape(len(sizes), GROUP_SIZE * n_draws, n)).rhat
    # Where chains differ as much, R-hat of chains has said so.
    order = np.argsort(-between, kind="stable")
    order = order[((between > MAX_RHAT) & (between > mixed.rhat))[order]]
    if order.size:
        worst = [f"{scalars.labels[i]} {between[i]:.3f}" for i in order]
        yield Finding(
            "groups",
            f"Groups of {GROUP_SIZE} chains, each with an adaptation of its own, disagree more than their chains: "
            f"R-hat of groups is {first_of(worst)}. Draw longer, or reparameterize.",
            tuple(scalars.labels[order]),
        )
