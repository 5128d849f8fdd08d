"""Times gradients of large regressions beside one reading of their matrix: `python -m benchmarks.tiles --help`."""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import numpy as np
import pymc as pm
from threadpoolctl import threadpool_limits

from benchmarks.results_file import RESULTS, record
from nutmill import compile_model
from nutmill.native.teams import teams

SIZES = ("20000x50", "100000x100")
BURST_S = 0.05


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every likelihood at every size, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiles", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="rows x columns")
    parser.add_argument("--likelihoods", nargs="+", choices=LIKELIHOODS, default=list(LIKELIHOODS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1], help="numbers of tile threads, in turn as well")
    parser.add_argument("--bursts", type=int, default=30, help="of each, in turn; the least of each counts")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    names = ("sizes", "likelihoods", "threads", "bursts")
    settings = {name: getattr(options, name) for name in names}
    return record("tiles", options.out, settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for every cell: microseconds of a gradient, and of a product that reads the matrix once."""
    for size, likelihood in product(settings["sizes"], settings["likelihoods"]):
        threads = settings["threads"]
        n_rows, n_columns = map(int, size.split("x"))
        matrix = np.random.default_rng(1).normal(size=(n_rows, n_columns)) / np.sqrt(n_columns)
        with threadpool_limits(1, user_api="blas"):
            reading, gradients = _least(matrix, likelihood, threads, settings["bursts"])
        one = gradients[threads[0]]
        row = {"size": size, "likelihood": likelihood, "reading_us": reading, "gradient_us": one}
        row |= {"readings": one / reading, "load": os.getloadavg()[0]}
        if len(threads) > 1:
            row["gradient_us_by_threads"] = {str(count): us for count, us in gradients.items()}
            row["times_as_fast"] = {str(count): one / us for count, us in gradients.items()}
        print(row, flush=True)
        yield row


def _least(matrix: np.ndarray, likelihood: str, threads: list[int], bursts: int) -> tuple[float, dict[int, float]]:
    """Least microseconds of a reading, and of a gradient with so many tile threads each."""
    vector = np.ones(matrix.shape[1])
    compiled = compile_model(regression(matrix, likelihood))
    position = 0.01 * np.random.default_rng(1).normal(size=compiled.n_dim)
    with ExitStack() as stack:
        works: dict[int, Callable[[int], object]] = {0: lambda n: [matrix @ vector for _ in range(n)]}
        for count in threads:
            pool = stack.enter_context(teams(1, count))
            works[count] = compiled.binding.with_teams(pool).repeated(position)
            if works[count](1):
                raise RuntimeError("the density fails where its gradient should be timed")
        counts = {name: max(1, round(BURST_S / _seconds(work, 1))) for name, work in works.items()}
        least = dict.fromkeys(works, np.inf)
        for _ in range(bursts):
            for name, work in works.items():
                least[name] = min(least[name], _seconds(work, counts[name]) / counts[name] * 1e6)
    return least.pop(0), least


def _seconds(work: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    work(count)
    return time.perf_counter() - start


def regression(matrix: np.ndarray, likelihood: str) -> pm.Model:
    """A regression on a matrix, (rows, columns), with an intercept, of data that are drawn for it."""
    rng = np.random.default_rng(2)
    with pm.Model() as model:
        slopes, intercept = pm.Normal("slopes", shape=matrix.shape[1]), pm.Normal("intercept")
        mean = intercept + pm.Data("x", matrix) @ slopes
        LIKELIHOODS[likelihood](mean, 0.1 + matrix.mean(axis=1), rng)
    return model


def _normal(mean, linear, rng) -> None:
    pm.Normal("y", mean, pm.HalfNormal("sigma"), observed=rng.normal(linear))


def _logit(mean, linear, rng) -> None:
    pm.Bernoulli("y", logit_p=mean, observed=rng.random(len(linear)) < 1.0 / (1.0 + np.exp(-linear)))


def _poisson(mean, linear, rng) -> None:
    pm.Poisson("y", pm.math.exp(mean), observed=rng.poisson(np.exp(linear)))


def _negative_binomial(mean, linear, rng) -> None:
    pm.NegativeBinomial("y", mu=pm.math.exp(mean), alpha=pm.HalfNormal("alpha"), observed=rng.poisson(np.exp(linear)))


def _student_t(mean, linear, rng) -> None:
    nu, sigma = pm.Gamma("nu", 2.0, 0.1), pm.HalfNormal("sigma")
    pm.StudentT("y", nu=nu, mu=mean, sigma=sigma, observed=linear + rng.standard_t(4, size=len(linear)))


LIKELIHOODS = {
    "normal": _normal,
    "bernoulli-logit": _logit,
    "poisson-log": _poisson,
    "negative-binomial": _negative_binomial,
    "student-t": _student_t,
}


if __name__ == "__main__":
    main()
