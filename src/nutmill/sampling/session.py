"""One session of sampling: layout, progress, chains, result and report, with the folder of the run if it has one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from nutmill.checkpoint.folder import RunFolder
from nutmill.layout.applied import apply_layout
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.native.compiled import CompiledModel
from nutmill.progress.show import open_progress
from nutmill.progress.status import StatusFile
from nutmill.progress.stderr import say, unheard
from nutmill.run.driver import OnProgress, drive
from nutmill.run.run import Run, Settings
from nutmill.sampling.chosen_layout import layout_for, natives_for
from nutmill.sampling.request import Request
from nutmill.units import duration

_log = logging.getLogger("nutmill")


def settings_of(request: Request) -> Settings:
    """Give the driver's part of a request."""
    return Settings(
        draws=request.draws,
        tune=request.tune,
        target_accept=request.target_accept,
        metric=request.metric,
        centring=request.centring,
        max_treedepth=request.max_treedepth,
        keep_warmup=request.keep_warmup,
        keep_divergences=request.result["divergences"],
    )


def sample_session(
    compiled: CompiledModel,
    request: Request,
    topology: Topology,
    *,
    initial: np.ndarray | None = None,
    folder: RunFolder | None = None,
):
    """Sample chains from `initial` (chains, n_dim), None for those that wait in `folder`, and make the result."""
    found = layout_for(
        compiled,
        request.layout,
        chains=len(request.chain_ids),
        draws=request.draws,
        cores=request.cores,
        topology=topology,
        kept=kept_of(folder),
    )
    notes = [*found.notes, *keep_numerics(folder, compiled, found.layout)]
    with ExitStack() as stack:
        limits = stack.enter_context(ExitStack())
        beat = None if folder is None else folder.beat
        applied = limits.enter_context(apply_layout(found.layout, beat, calls_blas=compiled.code.calls_blas))
        progress = stack.enter_context(open_progress(request.progressbar))
        status = None if folder is None else stack.enter_context(StatusFile(folder.path, lambda: folder.last_saved_s))
        run = drive(
            natives_for(compiled, applied),
            initial,
            settings_of(request),
            request.seed,
            threads=found.layout.chains_at_once,
            on_worker=applied.enter_worker,
            on_progress=reporter(progress.update, status, folder),
            chain_ids=request.chain_ids,
            adaptation=request.adaptation_state,
            folder=folder,
            limits=request.limits,
        )
        limits.close()
        told = {"source": found.source} | applied.effective | {"notes": notes + applied.notes}
        result = finish(compiled, run, request, told, folder)
        if status is not None:
            status.end("stopped" if run.interrupted else "finished", run.ending.stopped_by)
    tell(run, folder)
    return result


def kept_of(folder: RunFolder | None) -> Mapping[str, Any] | None:
    """Tell what the last bits of a run's draws depend on, which going on with it keeps; None for a new run."""
    used = [] if folder is None else folder.manifest.get("blas", [])
    return used[-1] if used else None


def keep_numerics(folder: RunFolder | None, compiled: CompiledModel, layout: Layout) -> list[str]:
    """Let the manifest say, once it is written, what draws are made with from here on; notes if that has changed."""
    if folder is None or not compiled.code.calls_blas:
        return []
    used = folder.manifest.get("blas", [])
    folder.manifest["blas"] = used if used[-1:] == [layout.numerics] else [*used, layout.numerics]
    return notes_on(folder.manifest["blas"])


def notes_on(used: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say that parts of a run's draws were made with different numbers of BLAS threads, or libraries."""
    if len(used) < 2:
        return []
    told = " then ".join(f"{one['threads']} of {one['library'] or 'SciPy'}" for one in used)
    return [f"The draws were made with different numbers of BLAS threads: {told}."]


def _turns(chosen: Mapping[str, np.ndarray]) -> str:
    """Tell the scales above which elements are rather centred than not."""
    with np.errstate(divide="ignore"):
        turns = {name: np.sqrt((1.0 - c) / c) for name, c in chosen.items()}
    return "; ".join(
        f"{name} {at.min():.3g} to {at.max():.3g}, median {np.median(at):.3g}" for name, at in turns.items()
    )


def finish(
    compiled: CompiledModel, run: Run, request: Request, layout: Mapping[str, Any], folder: RunFolder | None = None
):
    """Make the result of a run, and report what looks wrong in it."""
    from nutmill.results.result import (  # brings xarray, which takes as long to load as a short run
        centredness_of,
        to_result,
    )

    with compiled.one_blas_thread():  # once, so that no run that needs another number begins between two blocks
        result = to_result(compiled, run, request, layout, None if folder is None else folder.result_path)
    if chosen := centredness_of(compiled, run):
        _log.info("centredness: centred above a scale of (inf: never, 0: always) %s", _turns(chosen))
    if request.check:
        from nutmill.diagnosis.check import report
        from nutmill.diagnosis.verdict import judge

        described = compiled.description
        free = [p.rv_name for p in described.parameters if p.rv_name in described.reported]
        verdict = judge(result, var_names=free, notes=run.messages, address=compiled.binding.mixing)
        report(verdict.findings)
        if request.progressbar:
            wall_s = run.seconds.warmup_wall + run.seconds.sampling_wall
            say(f"{verdict.summary()}; sampled in {duration(wall_s)}.")
    return result


def reporter(show: OnProgress, status: StatusFile | None, folder: RunFolder | None) -> OnProgress:
    """Make what shows the progress of a run, and writes it to the folder of a run that has one."""
    if folder is None or status is None:
        return show

    def report(rows) -> None:
        show(rows)
        status.update(rows)
        folder.beat()

    return report


def tell(run: Run, folder: RunFolder | None) -> None:
    """Log why a run ended before its last draw."""
    if run.interrupted:
        where = "" if folder is None else f'; nutmill.resume("{folder.path}") goes on to the same draws'
        with unheard():
            _log.warning(
                "Stopped by %s after %d draws of each chain%s.", run.ending.stopped_by, len(run.draws[0]), where
            )
    elif run.ending.n_enough is not None:
        with unheard():
            _log.info("Draws were enough after %d of each chain.", run.ending.n_enough)
