"""The report at the end of a run: all findings on its draws, in order."""

import logging
from collections.abc import Iterable

import xarray as xr

from nutmill.diagnosis import chains, parameters
from nutmill.diagnosis.divergences import divergences
from nutmill.diagnosis.finding import Finding, count_of
from nutmill.diagnosis.posterior_scalars import ScalarFacts
from nutmill.progress.stderr import unheard

# Divergent draws are looked for at the ends of so many scalars; hyperparameters come first.
_MAX_PLACES = 500

_log = logging.getLogger("nutmill")


def check(posterior: xr.Dataset, stats: xr.Dataset, facts: ScalarFacts, *, notes: Iterable[str] = ()) -> list[Finding]:
    """Look for signs that the draws should not be trusted; returns what was found, an empty list if nothing was.

    `stats` is what `sampler_stats.known` gave, `facts` what `posterior_scalars.scalar_facts` did: of more than
    `posterior_scalars.MAX_PARAMETERS` scalars a part, and the report says so. `notes` are sentences of the sampler
    itself, for example on a chain that was not admitted; they come first.
    """
    scalars, finite = facts.scalars, facts.scalars.chosen(facts.is_finite)
    findings = [Finding("note", note) for note in notes]
    findings += [*divergences(stats, finite.first(_MAX_PLACES)), *chains.tree_depth(stats)]
    n_chains, n_draws = posterior.sizes["chain"], posterior.sizes["draw"]
    if facts.mixed is None:
        message = f"{count_of(n_draws, 'draw')} per chain: too few for R-hat and effective sample sizes."
        return [*findings, Finding("too_few", message)]
    if n_chains == 1:
        message = "Only one chain: whether chains agree cannot be checked. Sample four or more."
        findings.append(Finding("too_few", message))
    findings += [*chains.energy(stats), *chains.log_density(stats), *parameters.not_finite(facts)]
    chain_ids = posterior["chain"].values
    findings += [*parameters.slow(facts.mixed, scalars, chain_ids), *parameters.groups(facts, chain_ids)]
    findings += parameters.without_mean(facts.moving)
    if scalars.n_all > (n := len(scalars.labels)):
        findings.append(Finding("sampled", f"R-hat and ESS were computed for {n} of {scalars.n_all} parameters."))
    return findings


def report(findings: Iterable[Finding]) -> None:
    """Log each finding as one warning of the logger ``nutmill``, which Python shows on stderr by default."""
    for finding in findings:
        with unheard():
            _log.warning(finding.message)
