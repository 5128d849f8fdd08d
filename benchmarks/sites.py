"""Measures what sites cost, to compile and per gradient, by kinds of models: `python -m benchmarks.sites --help`."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks.goals import Goal, goals_section
from benchmarks.results_file import RESULTS, record
from benchmarks.site_models import MODELS
from benchmarks.tables import head, line
from nutmill.comparison.rounds import run_module

COMPILE_CPU_S, DEARER = 0.3, 1.15


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every model, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sites", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=4, help="processes per model; every other compiles sites first")
    parser.add_argument("--bursts", type=int, default=200, help="of two milliseconds, of which the least counts")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"models": options.models, "rounds": options.rounds, "bursts": options.bursts}
    return record("sites", options.out, settings, measure(settings, options.limit))


def measure(settings: dict, limit_s: float) -> Iterator[dict]:
    """Yield a row for every model and round, each from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        variables = os.environ | {"NUTMILL_CACHE_DIR": folder}
        for number, model in product(range(1, settings["rounds"] + 1), settings["models"]):
            cell = {"model": model, "sites_first": number % 2 == 0, "bursts": settings["bursts"]}
            row = {"model": model, "round": number} | run_module("benchmarks.sites_cell", cell, variables, limit_s)
            print(row, flush=True)
            yield row


def sections(report: dict) -> list[str]:
    """Render the page: a table of the least over all rounds, and which goals are met."""
    note = (
        "CPU seconds of compiling and CPU microseconds of a gradient, the least over all rounds: as if the model had "
        "no sites, and with them; of gradients in the coordinates of the model as it is written, and at a centredness "
        "of 0.4."
    )
    ways = ("without", "as_written", "between")
    titles = ["model", "compile without, s", "sites add, s", "gradient without, us", "as written", "between"]
    lines, goals = [note, "", *head(titles)], []
    for model in report["settings"]["models"]:
        measured = [row["measurement"] for row in report["rows"] if row["model"] == model and "measurement" in row]
        if not measured:
            continue
        without, added = _compile_s(measured)
        bare, *others = (min(each["gradient_us"][way] for each in measured) for way in ways)
        ratios = [other / bare for other in others]
        lines.append(line([model, f"{without:.2f}", f"{added:.2f}", f"{bare:.4g}", *(f"x {r:.2f}" for r in ratios)]))
        goals.append(Goal(f"{model}: compiling sites, CPU s", added, COMPILE_CPU_S, True))
        goals.append(Goal(f"{model}: a gradient as written, times one without sites", ratios[0], DEARER, True))
    return ["\n".join(lines), *([goals_section(goals)] if goals else [])]


def _compile_s(measured: list[dict]) -> tuple[float, float]:
    """CPU seconds of compiling without sites, and what sites add."""
    without, whole = (min(each["compile_cpu_s"][name] for each in measured) for name in ("without", "with"))
    return without, whole - without


if __name__ == "__main__":
    main()
