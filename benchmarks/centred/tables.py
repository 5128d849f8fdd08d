"""How well chains mix on hierarchies, as a Markdown table, and how many runs were lost."""

import numpy as np

# A run is lost beyond this, whatever its effective sample sizes say; a chain with more divergences sits in a neck.
LOST_RHAT, NECK_DIVERGENCES = 1.1, 20


def sections(report: dict) -> list[str]:
    """Render the page: one table."""
    return [table(report["rows"]).rstrip()]


def table(rows: list[dict]) -> str:
    """Render medians and worst values over the seeds of each model, and how many runs were lost."""
    lines = [
        "| model | R-hat, worst | median | bulk ESS, least | median | tail ESS, least | divergences | warmup | "
        "1000 gradients | ESS / 1000 gradients |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == name]
        of = {key: np.array([row[key] for row in mine]) for key in mine[0] if key not in ("model", "divergences")}
        divergences = ", ".join(str(sum(row["divergences"])) for row in mine[:10])
        cells = [
            name,
            f"{of['rhat'].max():.3f}",
            f"{np.median(of['rhat']):.3f}",
            f"{of['ess_bulk'].min():.0f}",
            f"{np.median(of['ess_bulk']):.0f}",
            f"{of['ess_tail'].min():.0f}",
            divergences,
            f"{np.median(of['n_warmup']):.0f}",
            f"{np.median(of['gradients']) / 1000:.0f}",
            f"{np.median(1000.0 * of['ess_bulk'] / of['gradients']):.3g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    n_lost = sum(row["rhat"] > LOST_RHAT for row in rows)
    n_necks = sum(max(row["divergences"]) > NECK_DIVERGENCES for row in rows)
    lines += ["", f"{len(rows)} runs: {n_lost} with R-hat above {LOST_RHAT}, {n_necks} with more than "]
    lines[-1] += f"{NECK_DIVERGENCES} divergences in one chain."
    return "\n".join(lines) + "\n"
