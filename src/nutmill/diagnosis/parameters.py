"""Findings on single scalars: chains or groups that disagree, too few effective draws, means that do not exist."""

from collections.abc import Iterator

import numpy as np

from nutmill.diagnosis.finding import Finding, chains_in_words, count_of, first_of, worst_of
from nutmill.diagnosis.posterior_scalars import Named, ScalarFacts, Scalars
from nutmill.diagnosis.tails import heavy_tails
from nutmill.native.convergence import mixing_of
from nutmill.nuts.group_size import GROUP_SIZE

MAX_RHAT = 1.01
MIN_ESS_PER_CHAIN = 100
# Above it neither a mean nor its error converges at a useful rate (Vehtari et al. 2024).
MAX_PARETO_K = 0.7


def not_finite(facts: ScalarFacts) -> Iterator[Finding]:
    """Name scalars that are infinite or NaN somewhere."""
    if not facts.is_finite.all():
        bad = tuple(facts.scalars.labels[~facts.is_finite])
        message = f"Draws of {first_of(bad)} are not finite. Bound what they are computed from in the model."
        yield Finding("not_finite", message, bad)


def slow(found: Named, scalars: Scalars, chain_ids: np.ndarray) -> Iterator[Finding]:
    """Name the scalars whose chains disagree, and those with too few effective draws in the bulk or the tails.

    `scalars` are the draws of all that is `found`; `chain_ids` (n_chains,) name their chains.
    """
    n = count_of(len(found.labels), "parameter")
    said, names = worst_of(found.labels, found.rhat, found.rhat > MAX_RHAT, "{} {:.3f}")
    if names:
        message = f"R-hat is above {MAX_RHAT} for {len(names)} of {n}, worst {said}: the chains disagree. "
        worst = scalars.columns[:, :, np.flatnonzero(scalars.labels == names[0])[0]]
        yield Finding("rhat", message + _what_to_do(names[0], worst, chain_ids), names)
    wanted = MIN_ESS_PER_CHAIN * len(chain_ids)
    few = found.ess_bulk < wanted
    few_in_tails = (found.ess_tail < wanted) & ~few  # where both are few, one sentence is enough
    for kind, ess, bad, of in (
        ("ess", found.ess_bulk, few, ""),
        ("tail_ess", found.ess_tail, few_in_tails, " of the tails (the 5 % and 95 % quantiles)"),
    ):
        said, names = worst_of(found.labels, ess, bad, "{} {:.0f}", least=True)
        if names:
            message = f"The effective sample size{of} is below {wanted} ({MIN_ESS_PER_CHAIN} per chain) for "
            yield Finding(kind, f"{message}{len(names)} of {n}, worst {said}. Take more draws.", names)


def _what_to_do(label: str, draws: np.ndarray, chain_ids: np.ndarray) -> str:
    """Say what to do about chains that disagree on a scalar, of which `draws` are (n_chains, n_draws)."""
    apart = chains_apart(draws)
    if not apart.any():
        return "Draw longer, or reparameterize."
    named = f"{chains_in_words(chain_ids[apart])} {'lie' if apart.sum() > 1 else 'lies'}"
    return (
        f"In {label} {named} apart from the others: the posterior may have several modes there, and more draws do not "
        "help. Give what may change places an order (pm.distributions.transforms.ordered), or look at the chains one "
        "by one."
    )


def chains_apart(draws: np.ndarray) -> np.ndarray:
    """Tell the chains (n_chains,) whose middle 80 % lie apart from those of all others; of two parts the smaller one.

    `draws` are (n_chains, n_draws). Of no chain if they lie in one part.
    """
    low, high = np.quantile(draws, [0.1, 0.9], axis=1)
    order = np.argsort(low)
    gaps = low[order][1:] - np.maximum.accumulate(high[order])[:-1]
    apart = np.zeros(len(draws), dtype=bool)
    if len(gaps) and gaps.max() > 0.0:
        k = int(gaps.argmax()) + 1
        apart[order[k:] if 2 * k >= len(draws) else order[:k]] = True
    return apart


def groups(facts: ScalarFacts, chain_ids: np.ndarray) -> Iterator[Finding]:
    """Find scalars on which whole groups differ, by R-hat of groups in place of chains.

    Chains of a group share a metric and a step size, so that one adaptation may keep all of them out of the same part
    of the posterior: their own R-hat can't see that, other groups can (after Margossian et al. 2024).
    `chain_ids` (n_chains,) are in ascending order.
    """
    scalars = facts.moving
    _, sizes = np.unique(chain_ids // GROUP_SIZE, return_counts=True)
    if len(sizes) < 2 or (sizes != GROUP_SIZE).any() or not len(scalars.labels):
        return
    if facts.mixed is None or facts.address is None:  # too few draws
        return
    n_draws, n = scalars.columns.shape[1:]
    between = mixing_of(facts.address, scalars.columns.reshape(len(sizes), GROUP_SIZE * n_draws, n)).rhat
    # Where chains differ as much, R-hat of chains has said so.
    bad = (between > MAX_RHAT) & (between > facts.mixed.rhat)
    said, names = worst_of(scalars.labels, between, bad, "{} {:.3f}")
    if names:
        yield Finding(
            "groups",
            f"Groups of {GROUP_SIZE} chains, each with an adaptation of its own, disagree more than their chains: "
            f"R-hat of groups is {said}. Draw longer, or reparameterize.",
            names,
        )


def without_mean(scalars: Scalars) -> Iterator[Finding]:
    """Name scalars whose tails are so heavy that their means are worth nothing."""
    k = heavy_tails(scalars.columns)
    said, names = worst_of(scalars.labels, k, k > MAX_PARETO_K, "{} (Pareto k {:.2f})")
    if names:
        message = f"The tails are too heavy for a mean or a standard deviation of {said}: report medians and intervals "
        yield Finding("no_mean", f"{message}instead.", names)
