"""Times gradients of large regressions beside one reading of their matrix: `python -m benchmarks.tiles --help`."""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pymc as pm
from threadpoolctl import threadpool_limits

from benchmarks import programs
from benchmarks.results_file import RESULTS, record

SIZES = ("20000x50", "100000x100")
BURST_S = 0.05


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every likelihood at every size, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiles", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="rows x columns")
    parser.add_argument("--likelihoods", nargs="+", choices=LIKELIHOODS, default=list(LIKELIHOODS))
    parser.add_argument("--bursts", type=int, default=30, help="of both, in turn; the least of each counts")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"sizes": options.sizes, "likelihoods": options.likelihoods, "bursts": options.bursts}
    return record("tiles", options.out, settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for every cell: microseconds of a gradient, and of a product that reads the matrix once."""
    for size, likelihood in product(settings["sizes"], settings["likelihoods"]):
        n_rows, n_columns = map(int, size.split("x"))
        matrix = np.random.default_rng(1).normal(size=(n_rows, n_columns)) / np.sqrt(n_columns)
        with threadpool_limits(1, user_api="blas"):
            times = _least(matrix, likelihood, settings["bursts"])
        row = {"size": size, "likelihood": likelihood, **times, "readings": times["gradient_us"] / times["reading_us"]}
        print(row, flush=True)
        yield row


def _least(matrix: np.ndarray, likelihood: str, bursts: int) -> dict[str, float]:
    vector = np.ones(matrix.shape[1])
    loop = _gradients(matrix, likelihood)
    works: dict[str, Callable[[int], object]] = {
        "reading_us": lambda n: [matrix @ vector for _ in range(n)],
        "gradient_us": loop,
    }
    counts = {name: max(1, round(BURST_S / _seconds(work, 1))) for name, work in works.items()}
    least = dict.fromkeys(works, np.inf)
    for _ in range(bursts):
        for name, work in works.items():
            least[name] = min(least[name], _seconds(work, counts[name]) / counts[name] * 1e6)
    return least


def _seconds(work: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    work(count)
    return time.perf_counter() - start


def _gradients(matrix: np.ndarray, likelihood: str) -> Callable[[int], int]:
    model = regression(matrix, likelihood)
    size = sum(np.size(value) for value in model.initial_point().values())
    loop = programs.load("nutmill")(model).bind(0.01 * np.random.default_rng(1).normal(size=size))
    if loop(1):
        raise RuntimeError("the density fails where its gradient should be timed")
    return loop


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
