"""Which runs on posted kinds of models are clean, by model and sampler, as a Markdown table."""

import numpy as np

from nutmill.comparison.quality import MIN_ESS
from nutmill.diagnosis.parameters import MAX_RHAT


def sections(report: dict) -> list[str]:
    """Render the page: how many runs of each sampler are clean, and a row for each model and sampler."""
    rows = [row for row in report["rows"] if "rhat" in row]
    samplers = list(dict.fromkeys(row["sampler"] for row in rows))
    totals = [f"{name}: {sum(map(is_clean, mine))} of {len(mine)} runs" for name, mine in _by(rows, "sampler").items()]
    lines = [
        f"Clean: R-hat at most {MAX_RHAT}, bulk and tail ESS of all free scalars at least {MIN_ESS:.0f}, no "
        f"divergence. {'; '.join(totals)}.",
        "",
        "| model | sampler | clean | R-hat, worst | bulk ESS, least | tail ESS, least | divergences | slowest | "
        "1000 gradients | ESS / 1000 gradients |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    for model, of_model in _by(rows, "model").items():
        for sampler in samplers:
            if mine := [row for row in of_model if row["sampler"] == sampler]:
                lines.append(f"| {model} | {sampler} | {_cells(mine)} |")
    return ["\n".join(lines)]


def is_clean(row: dict) -> bool:
    """Whether nothing speaks against a run."""
    enough = row["ess_bulk"] >= MIN_ESS and row["ess_tail"] >= MIN_ESS
    return enough and row["rhat"] <= MAX_RHAT and row["divergences"] == 0


def _cells(rows: list[dict]) -> str:
    of = {key: np.array([row[key] for row in rows]) for key in ("rhat", "ess_bulk", "ess_tail", "gradients")}
    return " | ".join(
        [
            f"{sum(map(is_clean, rows))} of {len(rows)}",
            f"{of['rhat'].max():.3f}",
            f"{of['ess_bulk'].min():.0f}",
            f"{of['ess_tail'].min():.0f}",
            ", ".join(str(row["divergences"]) for row in rows),
            rows[int(of["ess_bulk"].argmin())]["slowest"],
            f"{np.median(of['gradients']) / 1000:.0f}",
            f"{np.median(1000.0 * of['ess_bulk'] / of['gradients']):.3g}",
        ]
    )


def _by(rows: list[dict], key: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found
