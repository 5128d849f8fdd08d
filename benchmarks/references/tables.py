"""Posteriors with references as a Markdown page: a table for each sampler, and how many are right and clean."""

from collections.abc import Sequence

from benchmarks.tables import head, line, skipped_of
from benchmarks.validation.judging import MAX_Z, MOMENTS, moments, z_scores
from nutmill.comparison.quality import MIN_ESS
from nutmill.diagnosis.parameters import MAX_RHAT

# The least ESS and the largest R-hat of a clean run are those of `nutmill compare`.
_HEADS = ("posterior", "runs", "clean", "means: furthest z", "sds: furthest z", "R-hat", "bulk ESS", "tail ESS")
_COSTS = ("divergences", "CPU s to compile", "to sample")


def is_clean(measured: dict) -> bool:
    """Say whether a reader would find nothing to complain of in this run."""
    enough = measured["ess_bulk"] >= MIN_ESS and measured["ess_tail"] >= MIN_ESS
    return enough and measured["rhat"] <= MAX_RHAT and measured["divergences"] == 0


def is_right(measured: dict) -> bool:
    """Say whether every mean and every standard deviation lies near its reference."""
    return all(abs(moment) <= MAX_Z for each in measured["distances"].values() for moment in each.values())


def sections(report: dict) -> list[str]:
    """Render samplers side by side, then a table for each, with the counts above it; what is worst is of all seeds."""
    rows = [row for row in report["rows"] if "measurement" in row]
    samplers = report["settings"]["samplers"]
    opening = [skipped_of([{"caches": "in one process"} | row for row in report["rows"]])]
    opening += [_side_by_side(rows, samplers)] if len(samplers) > 1 else []
    return [*filter(None, opening), *(_of_sampler(rows, sampler) for sampler in samplers)]


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


def _side_by_side(rows: Sequence[dict], samplers: Sequence[str]) -> str:
    """Render for each posterior the furthest z-score of means and deviations, and whether all runs are clean."""
    heads = [f"{sampler}: {what}" for sampler in samplers for what in ("furthest z", "clean", "least ESS")]
    lines = ["## Side by side", "", *head(["posterior", *heads])]
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = [model]
        for sampler in samplers:
            cells += _in_short([row for row in rows if (row["model"], row["sampler"]) == (model, sampler)])
        lines.append(line(cells))
    return "\n".join(lines)


def _in_short(rows: Sequence[dict]) -> list[str]:
    if not rows:
        return ["not measured", "", ""]
    runs = [row["measurement"] for row in rows]
    z = max((moments(z_scores(rows, moment)).furthest for moment in MOMENTS), key=abs)
    least = min(min(each["ess_bulk"], each["ess_tail"]) for each in runs)
    return [_z(z), _yes(sum(map(is_clean, runs)), len(runs)), f"{least:.0f}"]


def _z(z: float) -> str:
    return f"{z:+.1f}" if abs(z) <= MAX_Z else f"**{z:+.1f}**"


def _yes(n_clean: int, n_runs: int) -> str:
    return "yes" if n_clean == n_runs else f"**{n_clean or 'no'}**"


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
        _yes(n_clean, len(runs)),
        *map(_z, far),
        f"{max(each['rhat'] for each in runs):.3f}",
        *(f"{min(each[ess] for each in runs):.0f}" for ess in ("ess_bulk", "ess_tail")),
        str(sum(each["divergences"] for each in runs)),
        *(f"{max(each[cost] for each in runs):.1f}" for cost in ("compiled_cpu_s", "sampled_cpu_s")),
    ]
