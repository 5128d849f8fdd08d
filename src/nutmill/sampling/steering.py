"""A run seen and steered while it goes on: snapshots for the user's callback and handle, and their wish to end it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nutmill.native.compiled import CompiledModel
from nutmill.nuts.state import STATISTICS
from nutmill.progress.lines import ChainProgress, ProgressView, with_rows

_INTERVAL_S = 1.0
# What ends a run, as the attribute `stopped_by` of its result has it.
CALLBACK, USER = "callback", "user"

Callback = Callable[["Snapshot"], object]


class SoFar(Protocol):
    """The first draws of all chains, at one moment."""

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy draws (chains, n, n_dim) on the unconstrained scale, and statistics (chains, n); from any thread."""


class Snapshot:
    """A run at one moment: what `callback` of `sample` gets.

    Attributes
    ----------
    chains : list of ChainProgress
        Of each chain: ``chain``, ``phase``, ``draw`` of ``total`` in that phase (None: nobody knows), ``limit`` at
        most, ``step_size``, ``n_gradients`` and ``divergences`` of that phase.
    seconds : float
        Since the chains began.
    """

    def __init__(self, chains: Sequence[ChainProgress], seconds: float, so_far: SoFar, run: Steering):
        self.chains = list(chains)
        self.seconds = seconds
        self.so_far = so_far
        self._run = run

    def __repr__(self) -> str:
        counts = f"{min(self.n_draws)} draws of each chain, {sum(self.divergences)} divergences"
        return f"<nutmill.Snapshot: {self.phase}, {counts}, {self.seconds:.0f} s>"

    @property
    def phase(self) -> str:
        """Its phase: "warmup" while one chain is in it, then "sampling", and "done" once all have their draws."""
        phases = {row.phase for row in self.chains}
        return next(phase for phase in ("warmup", "sampling", "done") if phase in phases)

    @property
    def n_draws(self) -> list[int]:
        """Draws of each chain that are kept, so far; 0 in warmup."""
        return [0 if row.phase == "warmup" else row.draw for row in self.chains]

    @property
    def divergences(self) -> list[int]:
        """Divergences of each chain, in its present phase."""
        return [row.divergences for row in self.chains]

    @property
    def step_size(self) -> list[float]:
        """Step size of each chain."""
        return [row.step_size for row in self.chains]

    def draws(self) -> Any:
        """Give the draws that all chains had at this moment, as a result; from any thread, while chains run on.

        Returns
        -------
        xarray.DataTree or arviz.InferenceData
            With posterior, statistics and data, and with 0 draws while a chain is in its warmup. What the model
            computes of its parameters is computed for all draws in each call.
        """
        return self._run.result_of(self.so_far)

    def stop(self) -> None:
        """End the run after the draws under way; its result has the draws so far."""
        self._run.stop(USER)


class Steering:
    """Takes how chains advance, tells a callback of it about once a second, and keeps who wants the run to end.

    `request` is what the user asked for (`Request.as_json`).
    """

    def __init__(self, compiled: CompiledModel, request: Mapping[str, Any], callback: Callback | None = None):
        self.snapshot: Snapshot | None = None  # the newest; None before chains begin
        self.stopped_by: str | None = None  # who wants the run to end
        self.error: Exception | None = None  # what the callback has raised
        self._blas_threads = 0  # nobody knows yet
        self._compiled = compiled
        self._request = request
        self._callback = callback
        self._so_far: Callable[[list[ChainProgress]], SoFar]
        self._begin_s = self._due_s = time.monotonic()
        self.views: dict[int, ProgressView] = {}

    def begin(self, so_far: Callable[[list[ChainProgress]], SoFar], blas_threads: int) -> None:
        """Take note that chains start, with so many BLAS threads each; `so_far` gives draws for their progress."""
        self._so_far = so_far
        self._blas_threads = blas_threads
        self._begin_s = time.monotonic()
        self._due_s = self._begin_s + _INTERVAL_S

    def update(self, rows: list[ChainProgress]) -> None:
        """Take the newest state of all chains, in the driver's thread."""
        now_s = time.monotonic()
        self.views = with_rows(self.views, rows, now_s, self._begin_s)
        self.snapshot = Snapshot(rows, now_s - self._begin_s, self._so_far(rows), self)
        if now_s >= self._due_s:
            self._call()
            self._due_s = time.monotonic() + _INTERVAL_S

    def end(self) -> None:
        """Tell the callback how the run has ended, unless it has failed before; no chain needs BLAS any more."""
        self._blas_threads = 1
        self._call()

    def stop(self, who: str) -> None:
        """Let the run end after the draws under way; the first who says so is named by the result."""
        self.stopped_by = self.stopped_by or who

    def who(self) -> str | None:
        """Tell who wants the run to end."""
        return self.stopped_by

    def draws(self) -> Any:
        """Make a result of the newest draws."""
        return self.result_of(None if self.snapshot is None else self.snapshot.so_far)

    def result_of(self, so_far: SoFar | None) -> Any:
        """Make a result of draws; None: chains have not begun."""
        from nutmill.results.result import to_result_so_far  # brings xarray

        # More threads are those of the whole process, and taking one away would change draws.
        one_blas_thread = self._blas_threads == 1
        n_chains = len(self._request["chain_ids"])
        none = np.empty((n_chains, 0, self._compiled.n_dim)), np.empty((n_chains, 0), STATISTICS)
        draws, statistics = none if so_far is None else so_far.read()
        return to_result_so_far(self._compiled, draws, statistics, self._request, one_blas_thread=one_blas_thread)

    def _call(self) -> None:
        if self._callback is None or self.snapshot is None or self.error is not None:
            return
        try:
            self._callback(self.snapshot)
        except KeyboardInterrupt:  # which is how callbacks of PyMC end a run
            self.stop(CALLBACK)
        except Exception as error:
            self.error = error
            self.stop(CALLBACK)
