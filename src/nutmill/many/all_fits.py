"""All fits, one after the other: threads, failures, what is said meanwhile."""

import itertools
import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

from nutmill.errors import ArgumentError, ModelError, SamplingError
from nutmill.layout.applied import Applied, apply_layout
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.many.datasets import DataSet
from nutmill.many.fit_seed import fit_seed
from nutmill.many.fitting import Fitter
from nutmill.many.keeping import FITS, Groups, Keeper, row_of, row_without_draws
from nutmill.many.side_by_side import in_order
from nutmill.progress.stderr import say, unheard
from nutmill.sampling.request import Request
from nutmill.units import duration

_log = logging.getLogger("nutmill")

_SAID_EVERY_S = 5.0


class Plan(NamedTuple):
    """How to fit."""

    fitter: Fitter
    keep: Keeper
    raises: bool  # a fit that fails ends all; False: its row says so
    layout: Layout  # as many fits at a time as it has chains at once, and the BLAS of each


def layout_of_fits(request: Request) -> Layout:
    """Choose the layout of fits: the one that was asked for, or a fit for each core with one BLAS thread.

    Raises ArgumentError if another kind of layout was asked for, cores beside it, or several BLAS threads.
    """
    if request.layout is None or request.layout == "auto":
        return Layout(request.cores or topology().n_cores)
    if not isinstance(request.layout, Layout):
        raise ArgumentError(f"layout must be a Layout or None for many fits, not {request.layout!r}.")
    if request.layout.blas_threads > 1 or request.layout.tile_threads > 1:
        # What surrounds a fit is computed with one, while others run, and a library has one limit for all.
        raise ArgumentError(
            "Many fits keep all cores busy with one thread each: take a Layout with blas_threads=1 and tile_threads=1, "
            "or fit large models by sample, one after the other."
        )
    if request.cores is not None:
        raise ArgumentError("Pass either layout= or cores=: a layout says how many fits run at once.")
    return request.layout


def rows_of(plan: Plan, sets: Iterator[DataSet]) -> Iterator[tuple[DataSet, Groups]]:
    """Fit data sets in threads, and give each with its row, in their order.

    Raises ModelError or SamplingError if a stream of data sets raises, or a fit fails and the plan says so.
    """
    layout, numbers = plan.layout, itertools.count()
    with apply_layout(layout, calls_blas=plan.fitter.compiled.code.calls_blas) as applied:

        def fitted(data: DataSet) -> tuple[DataSet, Groups]:
            return data, _row(plan, data, applied)

        def begin() -> None:
            applied.enter_worker(next(numbers))

        yield from in_order(fitted, sets, layout.chains_at_once, begin, stop=plan.fitter.stop)


def _row(plan: Plan, data: DataSet, applied: Applied) -> Groups:
    try:
        return row_of(plan.fitter.fit(data, applied), plan.keep)
    except (ModelError, SamplingError) as error:
        if plan.raises:
            raise type(error)(f"Data set {data.key!r}: {error}") from error
        return row_without_draws(str(error), fit_seed(plan.fitter.request.seed, data.number))


class ReportOfFits:
    """Says on stderr how far the fits are, and in the log at the end what became of them."""

    def __init__(self, progressbar: bool, n_all: int | None):
        self.n_before = 0  # fits that were made by an earlier call
        self._shows, self._n_all = progressbar, n_all
        self._begin = self._said = time.monotonic()
        self._n_done = self._n_failed = self._n_doubtful = 0

    def take(self, row: Groups) -> None:
        """Count a row."""
        self._n_done += 1
        fits = row[FITS]
        self._n_failed += bool(fits["failed"])
        self._n_doubtful += bool(str(fits["problem"])) and not bool(fits["failed"])
        now = time.monotonic()
        if self._shows and now - self._said >= _SAID_EVERY_S:
            self._said = now
            of = "" if self._n_all is None else f" of {self._n_all}"
            rate = self._n_done / (now - self._begin)
            say(f"{self.n_before + self._n_done}{of} data sets fitted, {rate:.3g} a second.")

    def end(self) -> None:
        """Say how many fits failed, and how many are doubtful."""
        if self._shows:
            before = f", {self.n_before} before" if self.n_before else ""
            say(f"{self._n_done} data sets fitted in {duration(time.monotonic() - self._begin)}{before}.")
        counted = [
            f"{count} of {self._n_done} fits {what}"
            for count, what in ((self._n_failed, "failed"), (self._n_doubtful, "have divergences or a large R-hat"))
            if count
        ]
        if counted:
            with unheard():
                _log.warning("%s: the variable problem in the group fits says why.", ", and ".join(counted))
