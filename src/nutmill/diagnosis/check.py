"""The report at the end of a run: all findings on its draws, in order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nutmill.diagnosis import chains, parameters
from nutmill.diagnosis.divergences import divergences
from nutmill.diagnosis.finding import Finding, count_of
from nutmill.diagnosis.groups import groups
from nutmill.diagnosis.scalars import Named, Scalars, kernel_mixing, named_mixing, scalars_of
from nutmill.stderr import unheard
from nutmill.trace import group

if TYPE_CHECKING:
    import arviz

# A chain is split in two halves, and each needs two draws to have a variance.
MIN_DRAWS = 4
# Divergent draws are looked for at the ends of so many scalars; hyperparameters come first.
_MAX_PLACES = 500

_log = logging.getLogger("nutmill")


def mixing(
    data: arviz.InferenceData | xr.DataTree, var_names: Sequence[str] | None = None, address: int | None = None
) -> Named:
    """Compute R-hat and effective sample sizes; see `check` for the arguments. Needs `MIN_DRAWS` draws a chain."""
    posterior = group(data, "posterior")
    scalars = scalars_of(posterior, list(posterior) if var_names is None else var_names)
    return named_mixing(_moving(scalars.chosen(_finite(scalars))), kernel_mixing() if address is None else address)


def check(
    data: arviz.InferenceData | xr.DataTree,
    *,
    var_names: Sequence[str] | None = None,
    notes: Iterable[str] = (),
    address: int | None = None,
    mixed: Named | None = None,
) -> list[Finding]:
    """Look for signs that the draws should not be trusted.

    Parameters
    ----------
    data
        Holds the groups ``posterior`` and ``sample_stats``.
    var_names
        The variables whose scalars are looked at: the free ones of the model. Default: all. Of more than
        `scalars.MAX_PARAMETERS` scalars a part is looked at, the small variables first, and the report says so.
    notes
        Sentences of the sampler itself, for example on a chain that was not admitted; they come first.
    address
        Of the kernel's `mixing`; None looks for a kernel.
    mixed
        What `mixing` gave for the same variables, where that is at hand.

    Returns
    -------
    What was found, an empty list if nothing was.
    """
    posterior, stats = group(data, "posterior"), group(data, "sample_stats")
    scalars = scalars_of(posterior, list(posterior) if var_names is None else var_names)
    finite = _finite(scalars)
    findings = [Finding("note", note) for note in notes]
    findings += [*divergences(stats, scalars.chosen(finite).first(_MAX_PLACES)), *chains.tree_depth(stats)]
    n_chains, n_draws = posterior.sizes["chain"], posterior.sizes["draw"]
    if n_draws < MIN_DRAWS:
        message = f"{count_of(n_draws, 'draw')} per chain: too few for R-hat and effective sample sizes."
        return [*findings, Finding("too_few", message)]
    if n_chains == 1:
        message = "Only one chain: whether chains agree cannot be checked. Sample four or more."
        findings.append(Finding("too_few", message))
    findings += [*chains.energy(stats), *chains.log_density(stats), *parameters.not_finite(scalars, finite)]
    address = kernel_mixing() if address is None else address
    findings += _of_scalars(scalars.chosen(finite), posterior["chain"].values, address, mixed)
    if scalars.n_all > (n := len(scalars.labels)):
        findings.append(Finding("sampled", f"R-hat and ESS were computed for {n} of {scalars.n_all} parameters."))
    return findings


def report(findings: Iterable[Finding]) -> None:
    """Log each finding as one warning of the logger ``nutmill``, which Python shows on stderr by default."""
    for finding in findings:
        with unheard():
            _log.warning(finding.message)


def _finite(scalars: Scalars) -> np.ndarray:
    return np.isfinite(scalars.columns).all(axis=(0, 1))


def _moving(scalars: Scalars) -> Scalars:
    # What never changes in any chain (the diagonal of a correlation matrix) has no R-hat, and needs none.
    return scalars.chosen(np.ptp(scalars.columns, axis=(0, 1)) > 0)


def _of_scalars(scalars: Scalars, chain_ids: np.ndarray, address: int, mixed: Named | None) -> Iterator[Finding]:
    """Look at finite scalars."""
    moving = _moving(scalars)
    if mixed is None:
        mixed = named_mixing(moving, address)
    yield from parameters.slow(mixed, len(chain_ids))
    yield from groups(moving, chain_ids, mixed, address)
    yield from parameters.without_mean(moving)
