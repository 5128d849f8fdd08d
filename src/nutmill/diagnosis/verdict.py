"""What is said of a result: its worst numbers, and all findings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from nutmill.diagnosis.check import check
from nutmill.diagnosis.finding import Finding
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.diagnosis.sampler_stats import known
from nutmill.errors import ArgumentError
from nutmill.results.trace import group
from nutmill.units import duration, ranges, time_span

if TYPE_CHECKING:
    import arviz

    from nutmill.diagnosis.posterior_scalars import Named


class Verdict(NamedTuple):
    """What is said of a result; `print` shows it in lines.

    Attributes
    ----------
    chain_ids : list of int
    n_draws : int
        Of each chain.
    seconds : float or None
        That sampling took, warmup included; None where the result does not say.
    n_divergences : int
    n_parameters : int
        Scalars whose R-hat and effective sample size were computed.
    rhat, ess, ess_tail : (float, str) or None
        The worst value, and the parameter that has it; None where it cannot be computed. ESS is that of the bulk.
    findings : list of Finding
    """

    chain_ids: list[int]
    n_draws: int
    seconds: float | None
    n_divergences: int
    n_parameters: int
    rhat: tuple[float, str] | None
    ess: tuple[float, str] | None
    ess_tail: tuple[float, str] | None
    findings: list[Finding]

    @property
    def is_doubtful(self) -> bool:
        """Whether something says that the draws should not be trusted."""
        # That not every parameter was looked at is no fault of the draws.
        return any(finding.kind != "sampled" for finding in self.findings)

    def as_dict(self) -> dict:
        """Give all of it as plain values for JSON."""
        return {
            "chain_ids": self.chain_ids,
            "draws": self.n_draws,
            "seconds": self.seconds,
            "divergences": self.n_divergences,
            "parameters": self.n_parameters,
            "max_rhat": _worst(self.rhat),
            "min_ess": _worst(self.ess),
            "min_ess_tail": _worst(self.ess_tail),
            "findings": [finding._asdict() for finding in self.findings],
        }

    def summary(self) -> str:
        """Say in one line how many draws there are, and their worst numbers."""
        n_chains = len(self.chain_ids)
        which = "" if self.chain_ids == list(range(n_chains)) else f" ({ranges(self.chain_ids)})"
        time = "" if self.seconds is None else f" in {_span(self.seconds)}"
        chains = f"{n_chains} chain{'s' * (n_chains != 1)}{which}"
        said = [f"{chains} x {self.n_draws} draws{time}, {self.n_divergences} divergent"]
        if self.rhat is not None:
            said.append(f"largest R-hat {self.rhat[0]:.3f} ({self.rhat[1]})")
        tail, ess = self.ess_tail, self.ess
        if ess is not None and tail is not None:
            said.append(f"least effective sample size {ess[0]:.0f} ({ess[1]}), of tails {tail[0]:.0f} ({tail[1]})")
        return "; ".join(said)

    def lines(self) -> list[str]:
        """Say all of it in lines."""
        said = [finding.message for finding in self.findings] or ["No problem was found."]
        return [f"{self.summary()}.", *said]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:  # what a notebook or a prompt shows
        return str(self)


def judge(
    result: arviz.InferenceData | xr.DataTree,
    *,
    var_names: Sequence[str] | None = None,
    notes: Iterable[str] = (),
    address: int | None = None,
) -> Verdict:
    """Compute diagnostics of a result; see `posterior_scalars.scalar_facts` and `check.check` for the arguments."""
    posterior = _group(result, "posterior")
    stats = known(_group(result, "sample_stats"), posterior)
    facts = scalar_facts(posterior, var_names, address)
    mixed = facts.mixed
    rhat = ess = ess_tail = None
    if mixed is not None and len(mixed.labels) > 0:
        ess, ess_tail = (_at(mixed, values, int(values.argmin())) for values in (mixed.ess_bulk, mixed.ess_tail))
        if len(posterior["chain"]) > 1:
            rhat = _at(mixed, mixed.rhat, int(mixed.rhat.argmax()))
    return Verdict(
        chain_ids=posterior["chain"].values.tolist(),
        n_draws=posterior.sizes["draw"],
        seconds=_seconds(posterior.attrs.get("sampling_time")),
        n_divergences=int(stats["diverging"].values.sum()),
        n_parameters=0 if mixed is None else len(mixed.labels),
        rhat=rhat,
        ess=ess,
        ess_tail=ess_tail,
        findings=check(posterior, stats, facts, notes=notes),
    )


def diagnose(result: arviz.InferenceData | xr.DataTree, *, var_names: Sequence[str] | None = None) -> Verdict:
    """Say what R-hat, effective sample sizes, divergences and the like tell of draws.

    Parameters
    ----------
    result
        Of `sample_numba`, or of another sampler (PyMC's, nutpie, NumPyro, BlackJAX): the groups ``posterior`` and
        ``sample_stats``.
    var_names
        Variables to look at; None: all.

    Returns
    -------
    Verdict
        ``print`` shows it. ``findings`` lists what says that the draws should not be trusted, and what to do.

    Raises
    ------
    ArgumentError
        If it is no result, or lacks one of the groups.
    """
    return judge(result, var_names=var_names)


def _group(result: arviz.InferenceData | xr.DataTree, name: str) -> xr.Dataset:
    """Give a group of what the user says is a result; raises ArgumentError if it has none of this name."""
    try:
        found = group(result, name)
    except (TypeError, LookupError):
        found = None
    if not isinstance(found, xr.Dataset):
        raise ArgumentError(
            f"What is diagnosed is a result with groups posterior and sample_stats; this {type(result).__name__} has "
            f"no {name}."
        )
    return found


def _seconds(known: object) -> float | None:
    """Read a time that some sampler, or a file, has written."""
    return float(known) if isinstance(known, Real) and 0.0 <= float(known) < math.inf else None


def _span(seconds: float) -> str:
    return duration(seconds) if seconds < 60.0 else time_span(seconds)


def _at(mixed: Named, values: np.ndarray, place: int) -> tuple[float, str]:
    return float(values[place]), str(mixed.labels[place])


def _worst(found: tuple[float, str] | None) -> dict | None:
    # JSON knows no infinity: the R-hat of a chain that never moved is null.
    return None if found is None else {"value": found[0] if math.isfinite(found[0]) else None, "parameter": found[1]}
