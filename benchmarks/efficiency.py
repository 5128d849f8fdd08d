"""Measures ESS per gradient over many seeds, each model compiled once: `python -m benchmarks.efficiency --help`.

Counts of gradients do not depend on how busy the machine is, so this needs no quiet hour.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import models
from benchmarks.comparison import Ratio, geometric_mean, ratio
from benchmarks.results_file import RESULTS, record
from nutmill.comparison.rounds import run_module

SAMPLERS = ("nutmill", "nutpie")
FLOOR, GOAL = 0.85, 1.2
LIMIT_S = 1200.0


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.efficiency", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=(*models.MODELS, *models.FURTHER), default=list(models.MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"models": options.models, "samplers": list(SAMPLERS), "seeds": options.seeds}
    return record("efficiency", options.out, settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for each model, sampler and seed."""
    for model in settings["models"]:
        for sampler in settings["samplers"]:
            request = {"model": model, "sampler": sampler, "seeds": settings["seeds"]}
            answer = run_module("benchmarks.efficiency_cell", request, dict(os.environ), LIMIT_S)
            for row in answer.get("measurement", [answer]):
                print(model, sampler, row, flush=True)
                yield {"model": model, "sampler": sampler} | row


def table(rows: list[dict], names: list[str]) -> str:
    """Render ESS per 1000 gradients of both samplers, their ratio, divergences, and the geometric means."""
    lines = [
        "Least bulk ESS of the free variables per 1000 gradients, warmup included: geometric means over seeds.",
        "Divergences of four chains of 1000 draws, and R-hat: the largest of all seeds.",
        "",
        "| model | nutmill | nutpie | ratio | divergences: nutmill | nutpie | R-hat: nutmill | nutpie |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ratios: dict[str, Ratio] = {}
    for name in names:
        values = {sampler: _efficiencies(rows, name, sampler) for sampler in SAMPLERS}
        if not all(values.values()):
            lines.append(f"| {name} | not measured | | | | | | |")
            continue
        ratios[name] = ratio(values["nutmill"], values["nutpie"])
        means = [f"{np.exp(np.mean(np.log(values[sampler]))):.3g}" for sampler in SAMPLERS]
        miss = " (below the floor)" if ratios[name].surely_below(FLOOR) else ""
        worst = [_largest(rows, name, sampler, "n_divergences") for sampler in SAMPLERS]
        worst += [f"{_largest(rows, name, sampler, 'rhat_max'):.3f}" for sampler in SAMPLERS]
        cells = [name, *means, f"{_text(ratios[name])}{miss}", *map(str, worst)]
        lines.append(f"| {' | '.join(cells)} |")
    for title, chosen in (("posteriordb", models.POSTERIORDB), ("all", models.MODELS)):
        found = [ratios[name] for name in chosen if name in ratios]
        if found:
            lines.append(
                f"| **geometric mean, {title}** (goal {GOAL}) | | | **{_text(geometric_mean(found))}** | | | | |"
            )
    return "\n".join(lines) + "\n"


def _efficiencies(rows: list[dict], model: str, sampler: str) -> list[float]:
    return [
        1000.0 * row["ess_bulk_min"] / row["n_gradients"]
        for row in rows
        if (row["model"], row["sampler"]) == (model, sampler) and "ess_bulk_min" in row
    ]


def _largest(rows: list[dict], model: str, sampler: str, figure: str) -> float:
    return max(row[figure] for row in rows if (row["model"], row["sampler"]) == (model, sampler) and figure in row)


def _text(value: Ratio) -> str:
    return f"{value.value:.2f} ± {value.value * value.log_error:.2f}"


if __name__ == "__main__":
    main()
