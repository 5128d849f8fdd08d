"""Fits one data set after the other: data bound, chains run, and what came of it."""

import threading
from collections.abc import Hashable, Mapping, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nutmill.errors import ModelError
from nutmill.layout.applied import Applied
from nutmill.many.datasets import DataSet
from nutmill.many.fit_seed import fit_seed
from nutmill.native.compiled import CompiledModel
from nutmill.native.newdata import check_names
from nutmill.run.whole_runs import WholeModel, WholeRun, WholeRuns
from nutmill.sampling.layout_workload import with_blas_of
from nutmill.sampling.request import Request, checked_request

_OF_FITS = ("draws", "tune", "chains", "cores", "target_accept", "random_seed")


def options_of_fits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take from the arguments of a function what each of its fits is made with, checked, with the seed as a number.

    Raises ArgumentError if one of them cannot be used.
    """
    options = {name: given[name] for name in _OF_FITS}
    return options | {"random_seed": checked_request(**options).seed}


@dataclass(frozen=True)
class Fit:
    """One of many fits, as `keep=` is given it; its arrays are overwritten by the next fit, so copy what you keep.

    Attributes
    ----------
    number : int
        Its place among all, from 0 on.
    key : hashable
        What the data set is called.
    seed : int
        `sample_numba(model, random_seed=seed)` gives the same draws.
    model : CompiledModel
        Bound to the data of this fit.
    run : WholeRun
        Draws on the unconstrained scale, statistics, and chains as they ended.
    """

    number: int
    key: Hashable
    seed: int
    model: CompiledModel
    run: WholeRun

    @cached_property
    def draws(self) -> Mapping[str, np.ndarray]:
        """Reported variables by name, of shape (chain, draw, ...) each."""
        return self.model.expand(self.run.draws)

    @property
    def statistics(self) -> np.ndarray:
        """Statistics of each draw as ArviZ names them, (chain, draw) structured."""
        return self.run.statistics


def _is_empty(values: Any) -> bool:
    size = getattr(values, "size", None)
    return bool((len(values) if size is None and isinstance(values, Sized) else size) == 0)


class Fitter:
    """Fits data sets; may be called from several threads.

    `request` is that of the chains of each fit; its seed is that of all fits. `names` are those of the data of all data
    sets; without them `expect` takes them from the first.
    """

    def __init__(self, compiled: CompiledModel, request: Request, names: frozenset[str] | None = None):
        self.compiled, self.request, self.names = compiled, request, names
        self._mine = threading.local()
        self._all_runs: list[WholeRuns] = []  # of all threads

    def expect(self, data: DataSet) -> None:
        """Take the names of the first data set for those of all; raises ModelError if the model lacks one."""
        check_names(self.compiled.description, data.arrays)
        self.names = frozenset(data.arrays)

    def bind(self, data: DataSet) -> CompiledModel:
        """Bind the model to a data set.

        Raises ModelError if names are not those of the others, there are no observations, or data do not fit the model.
        """
        if self.names is not None and self.names != set(data.arrays):
            missing, more = sorted(self.names - set(data.arrays)), sorted(set(data.arrays) - self.names)
            differs = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(more)}"] * bool(more)
            raise ModelError(f"It {' and '.join(differs)}, unlike the first data set: all need the same names.")
        arrays = self.compiled.description.arrays
        observed = [str(array.name) for array in arrays if array.observed and array.name in data.arrays]
        if observed and all(_is_empty(data.arrays[name]) for name in observed):
            raise ModelError(f"It holds no observations: {', '.join(observed)} is empty.")
        return self.compiled.with_data(**data.arrays)

    def fit(self, data: DataSet, applied: Applied) -> Fit:
        """Fit one data set, by the BLAS of a layout; what it gives is that of the newest call in this thread.

        Raises ModelError or SamplingError if the data do not fit the model, no start is found, or a chain has to stop.
        """
        request, model = self.request, self.bind(data)
        seed = fit_seed(request.seed, data.number)
        prior = request.starts == "prior"
        starts = model.starts(request.initvals, request.chains, seed, jitter=request.jitter, from_prior=prior)
        native = with_blas_of(model, applied)
        return Fit(data.number, data.key, seed, model, self._runs(native).run(native, starts, seed))

    def stop(self) -> None:
        """Let fits under way end after their current draws: nobody wants them any more."""
        for runs in list(self._all_runs):
            runs.stop()

    def _runs(self, native: WholeModel) -> WholeRuns:
        """Arrays of this thread for models of as many values."""
        runs: Any = getattr(self._mine, "runs", None)
        if runs is None or runs.n_dim != native.n_dim:
            if runs is not None:
                self._all_runs.remove(runs)
            self._mine.runs = runs = WholeRuns(self.request.settings, range(self.request.chains), native)
            self._all_runs.append(runs)
        return runs
