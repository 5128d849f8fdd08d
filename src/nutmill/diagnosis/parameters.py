"""Findings on single scalars: chains that disagree, too few effective draws, means that do not exist."""

from collections.abc import Iterator

import numpy as np

from nutmill.diagnosis.finding import Finding, count_of, first_of
from nutmill.diagnosis.scalars import Named, Scalars
from nutmill.diagnosis.tails import heavy_tails

MAX_RHAT = 1.01
MIN_ESS_PER_CHAIN = 100
# Above it neither a mean nor its error converges at a useful rate (Vehtari et al. 2024).
MAX_PARETO_K = 0.7


def not_finite(scalars: Scalars, finite: np.ndarray) -> Iterator[Finding]:
    """Name scalars that are infinite or NaN somewhere."""
    if not finite.all():
        bad = tuple(scalars.labels[~finite])
        message = f"Draws of {first_of(bad)} are not finite. Bound what they are computed from in the model."
        yield Finding("not_finite", message, bad)


def slow(found: Named, n_chains: int) -> Iterator[Finding]:
    """Name the scalars whose chains disagree, and those with too few effective draws in the bulk or the tails."""
    n = count_of(len(found.labels), "parameter")
    order = _worst(found.rhat, found.rhat > MAX_RHAT, largest=True)
    if order.size:
        worst = [f"{found.labels[i]} {found.rhat[i]:.3f}" for i in order]
        yield Finding(
            "rhat",
            f"R-hat is above {MAX_RHAT} for {order.size} of {n}, worst {first_of(worst)}: the chains disagree. "
            "Draw longer, or reparameterize.",
            tuple(found.labels[order]),
        )
    wanted = MIN_ESS_PER_CHAIN * n_chains
    few = found.ess_bulk < wanted
    few_in_tails = (found.ess_tail < wanted) & ~few  # where both are few, one sentence is enough
    for kind, ess, bad, of in (
        ("ess", found.ess_bulk, few, ""),
        ("tail_ess", found.ess_tail, few_in_tails, " of the tails (the 5 % and 95 % quantiles)"),
    ):
        order = _worst(ess, bad, largest=False)
        if order.size:
            worst = [f"{found.labels[i]} {ess[i]:.0f}" for i in order]
            yield Finding(
                kind,
                f"The effective sample size{of} is below {wanted} ({MIN_ESS_PER_CHAIN} per chain) for "
                f"{order.size} of {n}, worst {first_of(worst)}. Take more draws.",
                tuple(found.labels[order]),
            )


def without_mean(scalars: Scalars) -> Iterator[Finding]:
    """Name scalars whose tails are so heavy that their means are worth nothing."""
    k = heavy_tails(scalars.columns)
    order = _worst(k, k > MAX_PARETO_K, largest=True)
    if order.size:
        worst = [f"{scalars.labels[i]} (Pareto k {k[i]:.2f})" for i in order]
        yield Finding(
            "no_mean",
            f"The tails are too heavy for a mean or a standard deviation of {first_of(worst)}: report medians and "
            "intervals instead.",
            tuple(scalars.labels[order]),
        )


def _worst(values: np.ndarray, bad: np.ndarray, *, largest: bool) -> np.ndarray:
    order = np.argsort(-values if largest else values, kind="stable")
    return order[bad[order]]
