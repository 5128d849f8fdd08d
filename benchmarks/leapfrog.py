"""Measures what a leapfrog step costs, as written and in chosen coordinates: `python -m benchmarks.leapfrog --help`."""

import argparse
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.goals import Goal, goals_section
from benchmarks.results_file import RESULTS, record
from benchmarks.tables import head, line
from nutmill.comparison.rounds import run_module

MODELS = ("eight_schools", "radon", "tuning/models/gp.py:model")
FIGURES = ("gradient_us", "leapfrog_us")
# The last commit before chains could choose coordinates, and how much dearer than there a step may be.
BEFORE, DEARER = "e955565", 1.03


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every model in every way, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leapfrog", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="of the suite, or file.py:name")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each line of the table, in turn")
    parser.add_argument("--bursts", type=int, default=200, help="of two milliseconds, of which the least counts")
    parser.add_argument(
        "--beside",
        default=BEFORE,
        metavar="COMMIT|FOLDER",
        help=f"sources to be measured in turn with these: of the last commit before centring ({BEFORE}), unless told "
        "of another one, of a checkout, or of none ('')",
    )
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"models": options.models, "rounds": options.rounds, "bursts": options.bursts}
    settings |= {"beside": options.beside} if options.beside else {}
    with checkout_of(options.beside or ".") as folder:
        return record("leapfrog", options.out, settings, measure(settings, folder, options.limit))


@contextmanager
def checkout_of(sources: str) -> Iterator[Path]:
    """Give the folder of a checkout: `sources` itself, or what git has of that commit, for as long as the block runs.

    Raises
    ------
    SystemExit
        If it is neither.
    """
    if Path(sources, "src").is_dir():
        yield Path(sources)
        return
    archive = subprocess.run(["git", "archive", sources, "src"], capture_output=True, check=False)
    if archive.returncode != 0:
        raise SystemExit(f"{sources} is neither a checkout nor a commit that git has here: fetch it, or --beside ''.")
    with TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


def measure(settings: dict, beside: Path, limit_s: float) -> Iterator[dict]:
    """Yield a row for every cell, each from a process of its own; `beside` is where the other sources lie."""
    ways = [{"centring": "off", "sources": "."}, {"centring": "auto", "sources": "."}]
    if "beside" in settings:
        ways.insert(0, {"centring": None, "sources": settings["beside"]})
    for number, model, way in product(range(1, settings["rounds"] + 1), settings["models"], ways):
        request = {"model": model, "bursts": settings["bursts"], "centring": way["centring"]}
        folders = [str((Path() if way["sources"] == "." else beside) / "src"), os.getcwd()]
        variables = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(folders)}
        row = {"model": model, **way, "round": number}
        row |= run_module("benchmarks.leapfrog_cell", request, variables, limit_s)
        print(row, flush=True)
        yield row


def sections(report: dict) -> list[str]:
    """Render the page: a table of the least over all rounds, and whether steps have become dearer."""
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
    ways = {way: [row["measurement"] for row in rows if _way(row) == way] for way in map(_way, rows)}
    lines += [line([*way, *_cells(measured)]) for way, measured in ways.items()]
    goals = [
        Goal(f"{model}: a step at defaults, times one of {sources}", _least(auto) / _least(measured), DEARER, True)
        for (model, sources, centring), measured in ways.items()
        if centring == "none" and (auto := ways.get((model, ".", "auto")))
    ]
    return ["\n".join(lines), *([goals_section(goals)] if goals else [])]


def _way(row: dict) -> tuple[str, str, str]:
    return row["model"], row["sources"], row["centring"] or "none"


def _least(measured: Sequence[dict], figure: str = "leapfrog_us") -> float:
    return min(each[figure] for each in measured)


def _cells(measured: Sequence[dict]) -> list[str]:
    """Write what one line of the table says of its rounds."""
    least = [f"{_least(measured, figure):.4g}" for figure in FIGURES]
    return [*least, f"{measured[0]['steps']:.2f}", str(measured[0]["between"])]


if __name__ == "__main__":
    main()
