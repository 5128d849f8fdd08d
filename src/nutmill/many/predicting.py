"""Fits without some observations, and how probable these are by their draws: in blocks, in native code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nutmill.errors import ArgumentError, ModelError
from nutmill.many.fitting import Fit
from nutmill.many.sample_many import sample_many
from nutmill.native.compiled import CompiledModel
from nutmill.results.result import BLOCK_BYTES
from nutmill.results.trace import group
from nutmill.sampling.sample import compiled_of

if TYPE_CHECKING:
    import xarray as xr

_IS_FITTED = "is_fitted_"  # what the names of data begin with that say which observations count


class Observations(NamedTuple):
    """The variable whose observations are left out and predicted."""

    compiled: CompiledModel  # the model, in which each observation may be left out
    name: str
    shape: tuple[int, ...]  # of its log likelihood

    @property
    def size(self) -> int:
        """How many there are."""
        return int(np.prod(self.shape))


class LogDensities(NamedTuple):
    """How probable observations are by the draws of a fit."""

    value: np.ndarray  # (n,) float64: log of the mean density; ``-inf`` where no draw allows what was observed
    # (n,) float64: its Monte Carlo standard error, as if draws were independent: large where few draws carry the mean.
    mcse: np.ndarray


class Question(NamedTuple):
    """One fit, and the log densities that are wanted of its draws."""

    key: Any  # what the fit is called
    is_fitted: np.ndarray  # (n,) bool: which observations it is fitted to
    # (k,) int arrays: for each log density that is wanted, the observations whose joint one it is.
    wanted: Sequence[np.ndarray]


class Answers(NamedTuple):
    """The log densities that were wanted, and how the fits went."""

    values: list[np.ndarray]  # for each question (k,) float64
    # What each fit says of itself, with the largest Monte Carlo standard error of its values as ``mcse``.
    fits: xr.Dataset

    @property
    def are_doubtful(self) -> bool:
        """Whether a fit has divergences or a large R-hat."""
        return bool((self.fits["problem"].values != "").any())


def observations(model: Any, var_name: str | None, *, progressbar: bool) -> Observations:
    """Compile a model so that observations may be left out, unless it is, and find the variable.

    Raises ArgumentError if the variable is not named and there are several, or it is none of them, or the model was
    compiled without ``leave_out=True``; ModelError if nothing is observed, or it was saved without its log likelihood.
    """
    options: dict[str, Any] = {"leave_out": True, "progressbar": progressbar}
    if hasattr(model, "free_RVs"):
        # Others would be summarised for nothing: a Deterministic may have as many values as there are observations.
        options["var_names"] = [variable.name for variable in model.free_RVs]
    compiled = compiled_of(model, **options)
    shapes = {array.name: array.value.shape for array in compiled.description.arrays}
    found = {name: shapes[_IS_FITTED + name] for name in compiled.description.observed if _IS_FITTED + name in shapes}
    if not found:
        raise ArgumentError("No observation of this compiled model can be left out: compile it with leave_out=True.")
    if var_name is None and len(found) > 1:
        raise ArgumentError(f"The model observes {', '.join(found)}: var_name= must say which of them is predicted.")
    name = next(iter(found)) if var_name is None else var_name
    if name not in found:
        raise ArgumentError(f"The model observes no {name!r}: var_name= may be {', '.join(found)}.")
    _ = compiled.likelihood  # what cannot be computed is known before a fit is made
    return Observations(compiled, name, found[name])


def answers(observed: Observations, questions: Sequence[Question], options: Mapping[str, Any]) -> Answers:
    """Make the fits and ask them; `options` are those of `sample_many`.

    Raises ModelError or SamplingError if a fit fails, or a log density is NaN.
    """
    name, shape = _IS_FITTED + observed.name, observed.shape

    def datasets() -> Iterator[tuple[Any, dict[str, np.ndarray]]]:
        for question in questions:
            yield question.key, {name: question.is_fitted.reshape(shape)}

    def keep(fit: Fit) -> dict[str, np.ndarray]:
        return log_densities(observed, fit.run.draws, questions[fit.number].wanted)._asdict()

    tree = sample_many(observed.compiled, datasets(), keep=keep, on_error="raise", **options)
    kept, fits = group(tree, "kept"), group(tree, "fits")
    # Of each fit that of what it knows least about.
    fits = fits.assign(mcse=("dataset", np.nanmax(kept["mcse"].values, axis=1)))
    rows = zip(kept["value"].values, questions, strict=True)
    return Answers([row[: len(question.wanted)] for row, question in rows], fits)


def log_densities(observed: Observations, draws: np.ndarray, wanted: Sequence[np.ndarray]) -> LogDensities:
    """Predict observations by draws (chains, n, n_dim) on the unconstrained scale, block by block.

    `wanted` says for each density which observations (k,) it is the joint one of. Raises ModelError if a log likelihood
    is NaN.
    """
    rows = draws.reshape(-1, draws.shape[-1])
    step = max(1, BLOCK_BYTES // (8 * max(1, observed.size)))
    firsts, chosen = np.cumsum([0, *(len(each) for each in wanted)])[:-1], np.concatenate(list(wanted))
    most = np.full(len(wanted), -np.inf)
    total, squares = np.zeros((2, len(wanted)))  # of exp(log density - most)
    for first in range(0, len(rows), step):
        block = np.ascontiguousarray(rows[first : first + step])
        found = observed.compiled.log_likelihood(block)[observed.name].reshape(len(block), -1)[:, chosen]
        _check_not_nan(observed.name, found, chosen)
        joint = np.add.reduceat(found, firsts, axis=1)
        higher = np.maximum(most, joint.max(axis=0))
        base = _finite(higher)
        shrunk, density = np.exp(most - base), np.exp(joint - base)
        total = total * shrunk + density.sum(axis=0)
        squares = squares * shrunk**2 + (density**2).sum(axis=0)
        most = higher
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _finite(most) + np.log(total) - np.log(len(rows))
        mcse = np.sqrt(np.maximum(0.0, squares / total**2 - 1.0 / len(rows)))
    return LogDensities(value, mcse)


def _finite(most: np.ndarray) -> np.ndarray:
    """Take 0 for what no draw allowed so far: -inf less -inf is no number."""
    return np.where(np.isfinite(most), most, 0.0)


def _check_not_nan(name: str, found: np.ndarray, chosen: np.ndarray) -> None:
    if np.isnan(found).any():
        where = int(chosen[np.isnan(found).any(axis=0).argmax()])
        raise ModelError(f"The log likelihood of observation {where} of {name} is NaN for some draws: check its model.")
