"""Posteriors with references as a Markdown page: a table for each sampler, and how many are right and clean."""

from collections.abc import Sequence

from benchmarks.tables import head, line
from benchmarks.validation.judging import MAX_Z, MOMENTS, moments, z_scores

# What counts as clean, of all scalars; and no divergence.
MAX_RHAT, MIN_ESS = 1.01, 400.0

_HEADS = ("posterior", "runs", "clean", "means: furthest z", "sds: furthest z", "R-hat", "bulk ESS", "tail ESS")
_COSTS = ("divergences", "CPU s to compile", "to sample")


def is_clean(measured: dict) -> bool:
    """Say whether a reader would find nothing to complain of in this run."""
    least = min(measured["ess_bulk"], measured["ess_tail"])
    return measured["rhat"] <= MAX_RHAT and least >= MIN_ESS and measured["divergences"] == 0


def is_right(measured: dict) -> bool:
    """Say whether every mean and every standard deviation lies near its reference."""
    return all(abs(moment) <= MAX_Z for each in measured["distances"].values() for moment in each.values())


def sections(report: dict) -> list[str]:
    """Render a table for each sampler, with the counts above it; what is worst is that of all seeds."""
    return [_of_sampler(report["rows"], sampler) for sampler in report["settings"]["samplers"]]


def verdict(rows: Sequence[dict]) -> str:
    """Count the posteriors all of whose runs are right, and clean, and name the others; then the runs."""
    by_model: dict[str, list[dict]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row["measurement"])
    told = []
    for holds, what in ((is_right, f"within {MAX_Z:g} standard errors of their references"), (is_clean, "clean")):
        others = [name for name, runs in by_model.items() if not all(map(holds, runs))]
        n_runs = sum(holds(row["measurement"]) for row in rows)
        told.append(
            f"{len(by_model) - len(others)} of {len(by_model)} are {what}{_but(others)}; {n_runs} of {len(rows)} runs."
        )
    z = [moments(z_scores(rows, moment)) for moment in MOMENTS]
    rms = " and ".join(f"{each.rms:.2f} ({each.count} {name}s)" for name, each in zip(MOMENTS, z, strict=True))
    meaning = (
        f"Clean: R-hat at most {MAX_RHAT:g}, bulk and tail ESS of all scalars at least {MIN_ESS:g}, no divergence."
    )
    return " ".join([*told, f"The rms of z-scores is {rms}.", meaning])


def _but(names: Sequence[str]) -> str:
    return f" (not {', '.join(names)})" if names else ""


def _of_sampler(rows: Sequence[dict], sampler: str) -> str:
    mine = [row for row in rows if row["sampler"] == sampler]
    if not mine:
        return f"## {sampler}\n\nNothing was measured."
    lines = [f"## {sampler}", "", verdict(mine), "", *head([*_HEADS, *_COSTS])]
    return "\n".join([*lines, *(line(_cells(mine, model)) for model in dict.fromkeys(row["model"] for row in mine))])


def _cells(rows: Sequence[dict], model: str) -> list[str]:
    runs = [row["measurement"] for row in rows if row["model"] == model]
    n_clean = sum(map(is_clean, runs))
    far = [moments(z_scores(rows, moment, model)).furthest for moment in MOMENTS]
    return [
        model,
        str(len(runs)),
        "yes" if n_clean == len(runs) else f"**{n_clean or 'no'}**",
        *(f"{z:+.1f}" if abs(z) <= MAX_Z else f"**{z:+.1f}**" for z in far),
        f"{max(each['rhat'] for each in runs):.3f}",
        *(f"{min(each[ess] for each in runs):.0f}" for ess in ("ess_bulk", "ess_tail")),
        str(sum(each["divergences"] for each in runs)),
        *(f"{max(each[cost] for each in runs):.1f}" for cost in ("compiled_cpu_s", "sampled_cpu_s")),
    ]
