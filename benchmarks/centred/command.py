"""Samples centred hierarchies at defaults, each compiled once, and prints how well the chains mix.

Counts of gradients do not depend on how busy the machine is, so this needs no quiet hour.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pymc as pm

import nutmill
from benchmarks import models
from benchmarks.centred import hierarchies, steady
from benchmarks.centred.tables import table
from benchmarks.results_file import RESULTS, record
from nutmill import sample_numba
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.results.trace import group

CENTRED: dict[str, Callable[[], pm.Model]] = {
    "eight_schools_centred": hierarchies.eight_schools_centred,
    "funnel": hierarchies.funnel,
    "radon_centred": hierarchies.radon_centred,
    "crossed": hierarchies.crossed,
    "variance_at_zero": hierarchies.variance_at_zero,
    "horseshoe_centred": hierarchies.horseshoe_centred,
    "binomial": hierarchies.binomial,
    "over_dispersed": hierarchies.over_dispersed,
    "multilevel_logistic": hierarchies.multilevel_logistic,
}
STEADY: dict[str, Callable[[], pm.Model]] = {
    "eight_schools": partial(models.build, "eight_schools"),
    "kidiq": partial(models.build, "kidiq"),
    "independent_400": steady.independent,
    "dense_gaussian_100": partial(steady.dense_gaussian, 100),
    "dense_gaussian_200": partial(steady.dense_gaussian, 200),
    "dense_gaussian_400": partial(steady.dense_gaussian, 400),
    "logistic": steady.logistic,
    "dense_t": steady.dense_t,
    "irt_small": steady.irt,
}
MODELS = CENTRED | STEADY


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, print the table, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.centred", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(CENTRED))
    parser.add_argument("--steady", action="store_true", help="the models that must not get worse, in their place")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each model")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=1000, help="kept draws of each of four chains")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    settings = vars(parser.parse_args(arguments))
    if settings.pop("steady"):
        settings["models"] = list(STEADY)
    rows: list[dict] = []
    path = record("centred", settings.pop("out"), settings, _noted(measure(settings), rows))
    print(table(rows))
    return path


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for each model and seed."""
    for name in settings["models"]:
        compiled = nutmill.compile_model(MODELS[name]())
        for seed in range(settings["first_seed"], settings["first_seed"] + settings["seeds"]):
            yield {"model": name, "seed": seed} | run(compiled, seed, settings["draws"], settings["cores"])


def run(compiled: nutmill.CompiledModel, seed: int, draws: int = 1000, cores: int = 2) -> dict:
    """Sample at defaults: the worst diagnostics of all scalars, divergences by chain, gradients with warmup."""
    trace = sample_numba(
        compiled,
        draws=draws,
        chains=4,
        cores=cores,
        random_seed=seed,
        progressbar=False,
        compute_convergence_checks=False,
        discard_tuned_samples=False,
    )
    stats, warmup = (group(trace, name) for name in ("sample_stats", "warmup_sample_stats"))
    found = scalar_facts(group(trace, "posterior")).mixed
    return {
        "rhat": float(found.rhat.max()),
        "ess_bulk": float(found.ess_bulk.min()),
        "ess_tail": float(found.ess_tail.min()),
        "divergences": stats["diverging"].values.sum(axis=1).tolist(),
        "n_warmup": int(warmup.sizes["draw"]),
        "warmup_gradients": int(warmup["n_steps"].values.sum()),
        "gradients": int(stats["n_steps"].values.sum()) + int(warmup["n_steps"].values.sum()),
    }


def _noted(rows: Iterator[dict], seen: list[dict]) -> Iterator[dict]:
    for row in rows:
        print(row, flush=True)
        seen.append(row)
        yield row


if __name__ == "__main__":
    main()
