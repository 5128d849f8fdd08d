"""Measures the suite and writes a dated JSON file: `python -m benchmarks.run --help`."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import models
from benchmarks.budget import Budget, known_times, seconds_of
from benchmarks.caches import INSTALLED, STATES, WARM, Caches
from benchmarks.figures import OURS, PEERS
from benchmarks.plan import Cell, Settings, cells, left
from benchmarks.results_file import RESULTS, record, resume
from nutmill.comparison import samplers
from nutmill.comparison.rounds import run_sampler
from nutmill.comparison.samplers.contract import Size

QUICK = {"models": ["eight_schools", "kidiq"], "samplers": ["nutmill", "nutpie"], "seeds": 1, "draws": 250}


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every cell, and return the path of the JSON file."""
    options = _parse(arguments)
    if options.resume:
        return _resumed(options.resume)
    settings = Settings(
        models.FURTHER if options.models == ["further"] else tuple(options.models),
        tuple(options.samplers),
        tuple(state for state in STATES if state in options.states),
        options.seeds,
        options.draws,
        options.chains,
        options.cores,
        options.limit,
        options.minutes,
    )
    return record("suite", Path(options.out), settings._asdict(), measure(settings, list(cells(settings))))


def _resumed(path: Path) -> Path:
    """Measure what an interrupted run has left, in the time that it has left, and add it to the rows in its file."""
    report = json.loads(path.read_text())
    settings = Settings(*(tuple(value) if isinstance(value, list) else value for value in report["settings"].values()))
    todo = left(settings, report["rows"])
    again = {(cell.model, cell.seed) for cell in todo}
    report["rows"] = [row for row in report["rows"] if (row["model"], row["seed"]) not in again]
    used_s = sum(seconds_of(row, settings.limit_s) for row in report["rows"] if "skipped" not in row)
    return resume(path, report, measure(settings._replace(minutes=settings.minutes - used_s / 60.0), todo))


def measure(settings: Settings, planned: Sequence[Cell]) -> Iterator[dict]:
    """Yield a row for every cell, one process at a time, with caches in a temporary folder.

    A cell for which there is no time has a row with `skipped`, a sentence.
    """
    budget = Budget(planned, known_times(), 60.0 * settings.minutes, settings.limit_s)
    with tempfile.TemporaryDirectory(prefix="nutmill-bench-") as scratch:
        caches = Caches(Path(scratch))
        for sampler in settings.samplers:
            if samplers.SAMPLERS[sampler].reads_program:
                continue  # nothing but a program's own code is compiled
            _run(Cell(models.PRIMING, sampler, 1, WARM), settings, caches.primed(sampler))
        for cell in planned:
            limit_s = budget.limit_of(cell)
            if limit_s is None:
                yield cell._asdict() | {"skipped": f"no time was left of {settings.minutes:.0f} minutes"}
                continue
            folder = caches.folder(cell.model, cell.sampler, cell.caches)
            row = _run(cell, settings._replace(limit_s=limit_s), folder)
            budget.note(cell, row["seconds"])
            yield row


def _run(cell: Cell, settings: Settings, folder: Path) -> dict:
    size = Size(settings.draws, settings.chains, settings.cores, cell.seed)
    options = models.stan_files(cell.model, folder) if samplers.SAMPLERS[cell.sampler].reads_program else {}
    own = {"limit_s": settings.limit_s, "options": options}
    begin = time.monotonic()
    measured = run_sampler("benchmarks.cell", cell.model, cell.sampler, size, folder, **own)
    row = cell._asdict() | {"seconds": time.monotonic() - begin} | measured
    _say(row)
    return row


def _say(row: dict) -> None:
    cell = "{model:18} {sampler:15} seed {seed} {caches:9} {seconds:6.1f} s".format_map(row)
    if "failure" in row:
        print(f"{cell}  failed: {row['failure']}", flush=True)
        return
    measured = row["measurement"]
    cpu = sum(measured[phase]["cpu"] for phase in ("imported", "compiled", "sampled"))
    bulk, tail = (measured["quality"][least] for least in ("ess_bulk_min", "ess_tail_min"))
    print(f"{cell}  {cpu:6.1f} CPU s, least ESS: bulk {bulk:6.0f}, tail {tail:6.0f}", flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "--models", nargs="+", choices=(*models.MODELS, *models.FURTHER, "further"), default=list(models.MODELS)
    )
    parser.add_argument(
        "--samplers",
        nargs="+",
        choices=samplers.SAMPLERS,
        default=[name for name in (OURS, *PEERS) if not samplers.SAMPLERS[name].missing()],
    )
    parser.add_argument("--states", nargs="+", choices=STATES, default=[INSTALLED, WARM], help="of the compile caches")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each sampler on each model")
    parser.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that one process may take")
    parser.add_argument(
        "--minutes",
        type=float,
        default=120.0,
        help="that the run may take: nutmill and nutpie are run on every model, others where time is left",
    )
    parser.add_argument("--out", default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="measure what the run of this JSON file has left")
    parser.add_argument("--quick", action="store_true", help="a smoke run: two models, one seed, few draws")
    preset, _ = parser.parse_known_args(arguments)
    if preset.quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
