"""What ArviZ's diagnostics say of a result: the numbers, the findings, and the exit code that follows."""

import math
from typing import TYPE_CHECKING, NamedTuple

from nutmill.cli.exits import Exit
from nutmill.cli.values import ranges

if TYPE_CHECKING:
    import arviz
    import numpy as np
    import xarray as xr

    from nutmill.diagnosis.finding import Finding
    from nutmill.diagnosis.scalars import Named


class Verdict(NamedTuple):
    """What is said of a result.

    Attributes
    ----------
    chain_ids : list of int
    n_draws : int
        Of each chain.
    n_divergences : int
    n_parameters : int
        Scalars whose R-hat and effective sample size were computed.
    rhat, ess, ess_tail : (float, str) or None
        The worst value, and the parameter that has it; None where it cannot be computed. ESS is that of the bulk.
    findings : list of Finding
    """

    chain_ids: list[int]
    n_draws: int
    n_divergences: int
    n_parameters: int
    rhat: tuple[float, str] | None
    ess: tuple[float, str] | None
    ess_tail: tuple[float, str] | None
    findings: "list[Finding]"

    def exit_code(self, *, strict: bool) -> Exit:
        """Choose the code of a command that has finished with this."""
        # That not every parameter was looked at is no fault of the draws.
        doubtful = any(finding.kind != "sampled" for finding in self.findings)
        return Exit.NOT_CONVERGED if strict and doubtful else Exit.GOOD

    def as_dict(self) -> dict:
        """Give all of it in a form that JSON can hold."""
        return {
            "chain_ids": self.chain_ids,
            "draws": self.n_draws,
            "divergences": self.n_divergences,
            "parameters": self.n_parameters,
            "max_rhat": _worst(self.rhat),
            "min_ess": _worst(self.ess),
            "min_ess_tail": _worst(self.ess_tail),
            "findings": [finding._asdict() for finding in self.findings],
        }

    def lines(self) -> list[str]:
        """Say all of it in lines."""
        n_chains = len(self.chain_ids)
        chains = f"{n_chains} chain{'s' * (n_chains != 1)} ({ranges(self.chain_ids)})"
        said = [f"{chains} of {self.n_draws} draws, {self.n_divergences} divergent"]
        if self.rhat is not None:
            said.append(f"largest R-hat {self.rhat[0]:.4g} ({self.rhat[1]})")
        if self.ess is not None:
            tail, ess = self.ess_tail, self.ess
            said.append(f"least effective sample size {ess[0]:.0f} ({ess[1]}), of tails {tail[0]:.0f} ({tail[1]})")
        told = [finding.message for finding in self.findings] or [
            "Nothing says that these draws should not be trusted."
        ]
        return [f"{'; '.join(said)}.", *told]


def judge(result: "arviz.InferenceData | xr.DataTree") -> Verdict:
    """Compute diagnostics of a result."""
    from nutmill.diagnosis.check import MIN_DRAWS, check, mixing
    from nutmill.trace import group

    posterior, stats = group(result, "posterior"), group(result, "sample_stats")
    n_draws = posterior.sizes["draw"]
    mixed = mixing(result) if n_draws >= MIN_DRAWS else None
    rhat = ess = ess_tail = None
    if mixed is not None and len(mixed.labels) > 0:
        ess, ess_tail = (_at(mixed, values, values.argmin()) for values in (mixed.ess_bulk, mixed.ess_tail))
        if len(posterior["chain"]) > 1:
            rhat = _at(mixed, mixed.rhat, mixed.rhat.argmax())
    return Verdict(
        chain_ids=posterior["chain"].values.tolist(),
        n_draws=n_draws,
        n_divergences=int(stats["diverging"].sum()),
        n_parameters=0 if mixed is None else len(mixed.labels),
        rhat=rhat,
        ess=ess,
        ess_tail=ess_tail,
        findings=check(result, mixed=mixed),
    )


def _at(mixed: "Named", values: "np.ndarray", place: int) -> tuple[float, str]:
    return float(values[place]), str(mixed.labels[place])


def _worst(found: tuple[float, str] | None) -> dict | None:
    # JSON knows no infinity: the R-hat of a chain that never moved is null.
    return None if found is None else {"value": found[0] if math.isfinite(found[0]) else None, "parameter": found[1]}
