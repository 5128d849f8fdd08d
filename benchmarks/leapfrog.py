"""Measures what a leapfrog step costs, as written and in chosen coordinates: `python -m benchmarks.leapfrog --help`."""

import argparse
import os
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from benchmarks.results_file import RESULTS, record
from benchmarks.tables import head, line
from nutmill.comparison.rounds import run_module

MODELS = ("eight_schools", "radon", "tuning/models/gp.py:model")
FIGURES = ("gradient_us", "leapfrog_us")


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every model in every way, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leapfrog", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="of the suite, or file.py:name")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each line of the table, in turn")
    parser.add_argument("--bursts", type=int, default=200, help="of two milliseconds, of which the least counts")
    parser.add_argument("--beside", type=Path, help="another checkout of nutmill, to be measured in turn with this one")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"models": options.models, "rounds": options.rounds, "bursts": options.bursts}
    settings |= {"beside": str(options.beside)} if options.beside else {}
    return record("leapfrog", options.out, settings, measure(settings, options.limit))


def measure(settings: dict, limit_s: float) -> Iterator[dict]:
    """Yield a row for every cell, each from a process of its own."""
    ways = [{"centring": "off", "sources": "."}, {"centring": "auto", "sources": "."}]
    if "beside" in settings:
        ways.insert(0, {"centring": None, "sources": settings["beside"]})
    for number, model, way in product(range(1, settings["rounds"] + 1), settings["models"], ways):
        request = {"model": model, "bursts": settings["bursts"], "centring": way["centring"]}
        folders = [str(Path(way["sources"]) / "src"), os.getcwd()]
        variables = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(folders)}
        row = {"model": model, **way, "round": number}
        row |= run_module("benchmarks.leapfrog_cell", request, variables, limit_s)
        print(row, flush=True)
        yield row


def sections(report: dict) -> list[str]:
    """Render the page: a table of the least over all rounds."""
    note = (
        "CPU microseconds, the least of all bursts of all rounds: of a gradient of the model as it is written, and of "
        "a leapfrog step in trajectories of seven, with the tree and the keeping of draws. *Between* is how many "
        "elements have a centredness that is neither 0 nor 1."
    )
    lines = [
        note,
        "",
        *head(["model", "sources", "centring", "gradient, us", "leapfrog, us", "steps a draw", "between"]),
    ]
    rows = [row for row in report["rows"] if "measurement" in row]
    for way in dict.fromkeys(_way(row) for row in rows):
        lines.append(line([*way, *_least([row["measurement"] for row in rows if _way(row) == way])]))
    return ["\n".join(lines)]


def _way(row: dict) -> tuple[str, str, str]:
    return row["model"], row["sources"], row["centring"] or "none"


def _least(measured: Sequence[dict]) -> list[str]:
    """Write what one line of the table says of its rounds."""
    least = [f"{min(each[name] for each in measured):.4g}" for name in FIGURES]
    return [*least, f"{measured[0]['steps']:.2f}", str(measured[0]["between"])]


if __name__ == "__main__":
    main()
