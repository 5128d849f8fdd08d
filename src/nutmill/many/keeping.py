"""What is kept of each fit: a summary of its draws, the draws, or what a function of the user's makes of it."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nutmill.errors import ArgumentError, ModelError
from nutmill.many.fitting import Fit
from nutmill.native.convergence import Summaries
from nutmill.nuts.summaries.mixing_room import SUMMARY
from nutmill.results.trace import SAMPLE_STATS

FITS = "fits"  # the group of what each fit says of itself
LENGTHS = "lengths"  # and of the lengths of its dimensions
KEPT = "kept"  # and of what a function of the user's makes of it
# A single run is told of above 1.01; of thousands of short ones too many would be, by chance alone.
_MAX_RHAT = 1.05

Arrays = Mapping[str, np.ndarray]


Groups = dict[str, Arrays]  # by the group of the result that they belong to


class TakesRows(Protocol):
    """Takes rows in their order: into memory (`gathered.Gathered`), or a folder (`zarr_rows.ZarrRows`)."""

    def add(self, key: Hashable, row: Groups) -> None:
        """Take the next row; its arrays are not to be changed any more."""
        ...

    def add_many(self, keys: Sequence[Hashable], groups: Groups) -> None:
        """Take rows that are stacked already."""
        ...


# Makes what is kept of a fit, from the fit and the summaries of its variables.
Keeper = Callable[[Fit, Arrays], Groups]


def keeper_of(keep: Any) -> Keeper:
    """Choose it by the argument `keep` of `sample_many`; raises ModelError if it is none of those known."""
    if keep == "summary":
        return lambda fit, summaries: {"summary": summaries}
    if keep == "draws":
        return lambda fit, summaries: _draws_of(fit)
    if callable(keep):
        return lambda fit, summaries: {KEPT: _as_arrays(_made_by(keep, fit))}
    raise ArgumentError(f'keep must be "summary", "draws" or a function of a fit, not {keep!r}.')


def row_of(fit: Fit, keep: Keeper) -> Groups:
    """Give what is kept of a fit, and its diagnostics."""
    summaries = _summaries(fit)
    return {**keep(fit, summaries), FITS: _diagnostics(fit, summaries), LENGTHS: _lengths(fit)}


def row_without_draws(problem: str, seed: int) -> Groups:
    """Give the row of a fit that failed."""
    return {FITS: _row(failed=True, problem=problem, seed=seed)}


_mine = threading.local()


def _summaries(fit: Fit) -> dict[str, np.ndarray]:
    """Summaries of all numbers among the reported variables, (9, *shape) each; once for each fit."""
    found: Summaries | None = getattr(_mine, "summaries", None)
    if found is None:
        found = _mine.summaries = Summaries()
    columns = {name: draws for name, draws in fit.draws.items() if draws.dtype != bool}
    shape = fit.run.draws.shape[:2]
    flat = [draws.reshape(*shape, -1) for draws in columns.values()]
    found_rows = found.of(fit.model.binding.mixing, np.concatenate(flat, axis=-1))
    summaries, first = {}, 0
    for (name, draws), column in zip(columns.items(), flat, strict=True):
        rows = found_rows[first : first + column.shape[-1]]
        summaries[name] = np.ascontiguousarray(rows.T).reshape(len(SUMMARY), *draws.shape[2:])
        first += column.shape[-1]
    return summaries


def _lengths(fit: Fit) -> dict[str, np.ndarray]:
    """Give the length of each dimension of reported variables, by its name in the result."""
    lengths = {}
    for name, draws in fit.draws.items():
        dims = fit.model.description.reported[name].dims or (None,) * (draws.ndim - 2)
        for axis, (dim, length) in enumerate(zip(dims, draws.shape[2:], strict=False)):
            lengths[f"{name}_dim_{axis}" if dim is None else dim] = np.array(length, np.int64)
    return lengths


def _draws_of(fit: Fit) -> Groups:
    stats: dict[str, np.ndarray] = {name: fit.statistics[name].astype(dtype) for name, dtype in SAMPLE_STATS.items()}
    return {"posterior": {name: draws.copy() for name, draws in fit.draws.items()}, "sample_stats": stats}


def _made_by(keep: Callable, fit: Fit) -> Any:
    """Call the user's function; raises ModelError with what it raises, so that the fit fails and no other."""
    try:
        return keep(fit)
    except Exception as error:
        raise ModelError(f"keep has raised {type(error).__name__}: {error}.") from error


def check_ranks(row: Groups, known: dict[str, int], key: Hashable) -> None:
    """Raise ModelError if an array of the user's has other axes than in rows before, whose numbers `known` holds."""
    for name, array in row.get(KEPT, {}).items():
        if array.ndim != known.setdefault(name, array.ndim):
            raise ModelError(
                f"keep must return arrays of as many dimensions for each fit: {name} has {array.ndim} for "
                f"data set {key!r}, and {known[name]} for those before."
            )


def _as_arrays(made: Any) -> Arrays:
    if not isinstance(made, Mapping):
        raise ModelError(f"keep must return a mapping from names to numbers or arrays, not {made!r:.60}.")
    arrays = {}
    for name, value in made.items():
        if "/" in str(name):  # which parts groups of a result from their variables
            raise ModelError(f"keep must return names without a slash, not {name!r}.")
        try:
            arrays[str(name)] = array = np.array(value)
        except ValueError as error:
            raise ModelError(f"keep must return numbers or arrays of them, and {name} is {value!r:.60}.") from error
        if array.dtype.kind not in "fiub":
            raise ModelError(f"keep must return numbers or arrays of them, and {name} is {value!r:.60}.")
    return arrays


def _diagnostics(fit: Fit, summaries: Arrays) -> dict[str, np.ndarray]:
    run = fit.run
    divergences = int(run.chains["n_divergences"].sum())
    worst = {
        "max_r_hat": _worst(summaries, "r_hat", np.nanmax),
        "min_ess_bulk": _worst(summaries, "ess_bulk", np.nanmin),
        "min_ess_tail": _worst(summaries, "ess_tail", np.nanmin),
    }
    n_draws = run.statistics.size
    problems = []
    if divergences:
        problems.append(f"{divergences} of {n_draws} draws diverged")
    if worst["max_r_hat"] > _MAX_RHAT:
        problems.append(f"R-hat is {worst['max_r_hat']:.3f}")
    return _row(
        failed=False,
        problem="; ".join(problems),
        seed=fit.seed,
        divergences=divergences,
        n_warmup=int(run.n_warmup.max()),
        n_gradients=int(run.chains["n_gradients"].sum()),
        step_size=float(np.exp(run.chains["log_step_bar"]).mean()),
        **worst,
    )


def _worst(summaries: Arrays, statistic: str, which: Callable) -> float:
    values = np.concatenate([summary[SUMMARY.index(statistic)].ravel() for summary in summaries.values()])
    return float(which(values)) if np.isfinite(values).any() else np.nan


def _row(*, failed: bool, problem: str, seed: int, **known: float) -> dict[str, np.ndarray]:
    """Lay out what each fit says of itself; numbers that are not known are NaN or 0."""
    return {
        "failed": np.array(failed),
        "problem": np.array(problem),
        "seed": np.array(seed, np.uint64),
        "divergences": np.array(known.get("divergences", 0), np.int64),
        "max_r_hat": np.array(known.get("max_r_hat", np.nan)),
        "min_ess_bulk": np.array(known.get("min_ess_bulk", np.nan)),
        "min_ess_tail": np.array(known.get("min_ess_tail", np.nan)),
        "n_warmup": np.array(known.get("n_warmup", 0), np.int64),
        "n_gradients": np.array(known.get("n_gradients", 0), np.int64),
        "step_size": np.array(known.get("step_size", np.nan)),
    }
