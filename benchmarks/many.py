"""Measures many fits of one model beside loops of single ones: `python -m benchmarks.many`; writes JSON and a page.

Rounds of all ways alternate, and the least of each is told: what else runs on the machine only adds. CPU seconds are
those of all threads. The peer loops over its compiled model's `with_data`, without any diagnostics.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pymc as pm

import nutmill
from benchmarks.models import radon
from benchmarks.results_file import RESULTS, record
from benchmarks.tables import head, line

_QUIET = {"progressbar": False}
SCHOOL_ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
_N_RADON, _N_COUNTIES = 900, 300
_PILOTED = "summary, as a pilot chose"  # which costs 24 to 48 fits once, not measured here


class Case(NamedTuple):
    """A model, data sets of it, and how many fits each way makes in a round."""

    build: Callable[[], pm.Model]
    datasets: Callable[[int], list[dict[str, np.ndarray]]]
    counts: dict[str, int]


def schools() -> pm.Model:
    """Build eight schools, non-centred: ten parameters."""
    with pm.Model(coords={"school": range(8)}) as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        z = pm.Normal("z", dims="school")
        pm.Normal("effect", mu + tau * z, SCHOOL_ERRORS, observed=pm.Data("measured", np.zeros(8)))
    return model


def school_data(count: int) -> list[dict[str, np.ndarray]]:
    """Draw effects of schools."""
    rng = np.random.default_rng(1)
    return [{"measured": rng.normal(rng.normal(5, 5, 8), SCHOOL_ERRORS)} for _ in range(count)]


def counties() -> pm.Model:
    """Build a hierarchy of 300 counties with 900 rows."""
    county, floor, log_radon = radon.arrays(_N_RADON).values()
    county = county % _N_COUNTIES
    with pm.Model(coords={"county": range(_N_COUNTIES)}) as model:
        mu, tau, sigma = pm.Normal("mu"), pm.HalfNormal("tau"), pm.HalfNormal("sigma")
        z = pm.Normal("z", dims="county")
        level = (mu + tau * z)[county] + pm.Normal("floor") * floor
        pm.Normal("log_radon", level, sigma, observed=pm.Data("measured", log_radon))
    return model


def county_data(count: int) -> list[dict[str, np.ndarray]]:
    """Draw measurements around those of one data set."""
    measured = radon.arrays(_N_RADON)["log_radon"]
    rng = np.random.default_rng(1)
    return [{"measured": measured + 0.1 * rng.normal(size=_N_RADON)} for _ in range(count)]


CASES = {
    "schools": Case(
        schools, school_data, {"summary": 400, _PILOTED: 400, "summary, one core": 200, "single": 20, "nutpie": 5}
    ),
    "counties": Case(counties, county_data, {"summary": 8, _PILOTED: 8, "single": 2, "nutpie": 2}),
}


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=500, help="of each of four chains")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of fits of each way")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="fit so many eight schools, and tell memory")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    path = record("many", options.out, {"rounds": options.rounds, "draws": options.draws}, _rows(options))
    page = path.with_suffix(".md")
    page.write_text(_page(path))
    print(page.read_text())
    return path


def _rows(options: argparse.Namespace) -> Iterator[dict]:
    for name, case in CASES.items():
        ways = _ways(case, options.draws)
        best: dict[str, dict] = {}
        for _ in range(options.rounds):
            for way, fit in ways.items():
                count = max(1, round(case.counts[way] * options.scale))
                found = _timed(partial(fit, case.datasets(count)), count)
                known = best.setdefault(way, found)
                best[way] = {key: min(known[key], found[key]) for key in found}
        yield from ({"case": name, "way": way, **found} for way, found in best.items())
    yield {
        "case": "schools",
        "way": "sbc",
        **_timed(lambda: nutmill.sbc(schools(), n=1000, random_seed=1, **_QUIET), 1),
    }
    if options.memory:
        yield _memory(options.memory)


def _ways(case: Case, draws: int) -> dict[str, Callable[[list], object]]:
    """Make the ways to fit data sets; all compile before anything is measured."""
    import nutpie

    model = case.build()
    compiled, theirs = nutmill.compile_model(model, progressbar=False), nutpie.compile_pymc_model(model)
    options = {"draws": draws, "random_seed": 1, **_QUIET}

    tried = nutmill.sample_many(compiled, case.datasets(16), pilot=16, **options).attrs
    way = {"metric": tried["metric"], "tune": None if tried["tune"] == "auto" else int(tried["tune"])}

    def single(datasets: list) -> None:
        for data in datasets:
            nutmill.sample(compiled.with_data(**data), **options)

    def peer(datasets: list) -> None:
        for data in datasets:
            nutpie.sample(theirs.with_data(**data), draws=draws, chains=4, seed=1, progress_bar=False)

    ways = {
        "summary": lambda datasets: nutmill.sample_many(compiled, datasets, **options),
        _PILOTED: lambda datasets: nutmill.sample_many(compiled, datasets, **options, **way),
        "summary, one core": lambda datasets: nutmill.sample_many(compiled, datasets, cores=1, **options),
        "single": single,
        "nutpie": peer,
    }
    return {way: fit for way, fit in ways.items() if way in case.counts}


def _timed(fit: Callable[[], object], count: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    fit()
    return {"wall_s": (time.perf_counter() - wall) / count, "cpu_s": (time.process_time() - cpu) / count}


def _memory(count: int) -> dict:
    """Fit a stream of data sets, and tell the memory of this process before and at its most."""
    compiled = nutmill.compile_model(schools(), progressbar=False)
    nutmill.sample_many(compiled, school_data(200), draws=20, random_seed=1, **_QUIET)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stream = (data for _ in range(-(-count // 1000)) for data in school_data(1000))
    found = _timed(lambda: nutmill.sample_many(compiled, stream, draws=20, tune=20, random_seed=1, **_QUIET), count)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"case": "schools", "way": f"{count} fits of 20 draws", **found, "before_mb": before, "most_mb": most}


def _page(path: Path) -> str:
    """Write a table of what was measured."""
    report = json.loads(path.read_text())
    about = report["machine"]
    heads = ["model", "way", "fits a second", "ms of wall a fit", "ms of CPU a fit"]
    rows = [
        [row["case"], row["way"], f"{1 / row['wall_s']:.3g}", f"{1e3 * row['wall_s']:.3g}", f"{1e3 * row['cpu_s']:.3g}"]
        for row in report["rows"]
    ]
    notes = [
        f"{row['way']}: {row['most_mb']:.0f} MB at most, {row['before_mb']:.0f} MB before."
        for row in report["rows"]
        if "most_mb" in row
    ]
    load, settings = report["load_average_start"][0], report["settings"]
    title = (
        f"# Many fits, {report['date'][:10]}\n\n{about['cpu']}, Python {about['python']}, load average {load:.2g} at "
        f"the start; 4 chains of {settings['draws']} draws, least of {settings['rounds']} rounds. `sbc`: a thousand "
        "fits, all together, with the compile.\n"
    )
    return "\n".join([title, *head(heads), *map(line, rows), "", *notes]) + "\n"


if __name__ == "__main__":
    main()
