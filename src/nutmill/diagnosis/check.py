"""The report at the end of a run: all findings on its draws, in order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import xarray as xr

from nutmill.diagnosis import chains, parameters
from nutmill.diagnosis.divergences import divergences
from nutmill.diagnosis.finding import Finding, count_of
from nutmill.diagnosis.posterior_scalars import Named, Seen, seen
from nutmill.diagnosis.sampler_stats import known
from nutmill.progress.stderr import unheard
from nutmill.results.trace import group

if TYPE_CHECKING:
    import arviz

# Divergent draws are looked for at the ends of so many scalars; hyperparameters come first.
_MAX_PLACES = 500

_log = logging.getLogger("nutmill")


def look(
    data: arviz.InferenceData | xr.DataTree, var_names: Sequence[str] | None = None, address: int | None = None
) -> Seen:
    """Look at all scalars of the group ``posterior`` once, for `check`.

    `var_names` are the variables whose scalars are looked at, by default all: the free ones of the model. Of more than
    `posterior_scalars.MAX_PARAMETERS` scalars a part is looked at, the small variables first, and the report says so.
    `address` is that of the kernel's `mixing`; None looks for a kernel.
    """
    posterior = group(data, "posterior")
    return seen(posterior, [str(name) for name in posterior] if var_names is None else var_names, address)


def mixing(
    data: arviz.InferenceData | xr.DataTree, var_names: Sequence[str] | None = None, address: int | None = None
) -> Named | None:
    """Compute R-hat and effective sample sizes; None of fewer than `scalars.MIN_DRAWS` draws. See `look`."""
    return look(data, var_names, address).mixed


def check(
    data: arviz.InferenceData | xr.DataTree, looked: Seen | None = None, *, notes: Iterable[str] = ()
) -> list[Finding]:
    """Look for signs that the draws should not be trusted; returns what was found, an empty list if nothing was.

    `data` has the groups ``posterior`` and ``sample_stats``; `looked` is what `look` gave, by default for all
    variables. `notes` are sentences of the sampler itself, for example on a chain that was not admitted; they come
    first.
    """
    posterior = group(data, "posterior")
    stats = known(group(data, "sample_stats"), posterior)
    looked = look(data) if looked is None else looked
    scalars, finite = looked.scalars, looked.scalars.chosen(looked.is_finite)
    findings = [Finding("note", note) for note in notes]
    findings += [*divergences(stats, finite.first(_MAX_PLACES)), *chains.tree_depth(stats)]
    n_chains, n_draws = posterior.sizes["chain"], posterior.sizes["draw"]
    if looked.mixed is None:
        message = f"{count_of(n_draws, 'draw')} per chain: too few for R-hat and effective sample sizes."
        return [*findings, Finding("too_few", message)]
    if n_chains == 1:
        message = "Only one chain: whether chains agree cannot be checked. Sample four or more."
        findings.append(Finding("too_few", message))
    findings += [*chains.energy(stats), *chains.log_density(stats), *parameters.not_finite(looked)]
    findings += [*parameters.slow(looked.mixed, n_chains), *parameters.groups(looked, posterior["chain"].values)]
    findings += parameters.without_mean(looked.moving)
    if scalars.n_all > (n := len(scalars.labels)):
        findings.append(Finding("sampled", f"R-hat and ESS were computed for {n} of {scalars.n_all} parameters."))
    return findings


def report(findings: Iterable[Finding]) -> None:
    """Log each finding as one warning of the logger ``nutmill``, which Python shows on stderr by default."""
    for finding in findings:
        with unheard():
            _log.warning(finding.message)
