"""Measures what diagnostics cost, in CPU seconds, beside ArviZ's: `python -m benchmarks.diagnostics`.

ArviZ is given a part of the scalars, because it takes milliseconds for each.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime

import arviz
import numpy as np
import xarray as xr

from nutmill import diagnose
from nutmill.comparison import machine
from nutmill.model.lowering.kernel import kernel_object
from nutmill.native.convergence import mixing_of, precision_of
from nutmill.native.processor import target
from nutmill.results.trace import SAMPLE_STATS, Draws, ModelData, to_arviz

_CORRELATIONS = (0.0, 0.6, 0.9, 0.97)
_HEADS = "correlation | R-hat, bulk and tail ESS | ArviZ | standard errors | the whole report"


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnostics", description=__doc__)
    parser.add_argument("--scalars", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=1000, help="of each of four chains")
    parser.add_argument("--arviz", type=int, default=200, help="scalars that ArviZ is given")
    options = parser.parse_args(arguments)
    about = machine.identity()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {about['cpu']}, Python {about['python']}: CPU s for {options.scalars} scalars"
    )
    print(_HEADS)
    for correlation in _CORRELATIONS:
        print(" | ".join(_row(correlation, options.draws, options.scalars, options.arviz)), flush=True)


def _row(correlation: float, n_draws: int, n_scalars: int, n_arviz: int) -> list[str]:
    """Measure draws whose neighbours are so correlated."""
    draws, address = _draws(correlation, n_draws, n_scalars), kernel_object(target()).address("mixing")
    part = xr.Dataset({"x": (("chain", "draw", "parameter"), draws[..., :n_arviz])})
    stats = np.zeros(draws.shape[:2], list(SAMPLE_STATS.items()))
    stats["energy"], stats["lp"] = draws[..., 0], draws[..., 0]
    result = to_arviz(Draws({"x": draws}, stats), ModelData())
    theirs = _cpu_s(lambda: _arviz(part)) * n_scalars / n_arviz
    mine = [lambda: mixing_of(address, draws), lambda: precision_of(address, draws), lambda: diagnose(result)]
    mixing, precision, report = (_cpu_s(function) for function in mine)
    return [f"{correlation:g}", *(f"{seconds:.2f}" for seconds in (mixing, theirs, precision, report))]


def _draws(correlation: float, n_draws: int, n_scalars: int) -> np.ndarray:
    draws = np.random.default_rng(1).normal(size=(4, n_draws, n_scalars))
    for draw in range(1, n_draws):
        draws[:, draw] *= np.sqrt(1.0 - correlation**2)
        draws[:, draw] += correlation * draws[:, draw - 1]
    return draws


def _arviz(dataset: xr.Dataset) -> None:
    arviz.rhat(dataset)
    arviz.ess(dataset)
    arviz.ess(dataset, method="tail", prob=(0.05, 0.95))


def _cpu_s(function: Callable[[], object]) -> float:
    """Take the least of three; the first may compile."""
    times = []
    for _ in range(3):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main()
