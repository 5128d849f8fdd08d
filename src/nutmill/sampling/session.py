"""One session of sampling: chains in threads of this process or by an executor, progress, result and report."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nutmill.checkpoint.folder import RunFolder, has_parts
from nutmill.layout.applied import apply_layout
from nutmill.native.compiled import CompiledModel
from nutmill.progress.show import open_progress
from nutmill.progress.stderr import say, unheard
from nutmill.run.driver import drive
from nutmill.run.groups import Group
from nutmill.run.run import Run
from nutmill.run.so_far import DrawsSoFar
from nutmill.sampling.chosen_layout import layout_for
from nutmill.sampling.layout_workload import idle_threads, natives_for, tile_threads_of
from nutmill.sampling.numerics import keep_numerics, kept_of, with_tile_threads
from nutmill.sampling.prepared_run import PreparedRun
from nutmill.sampling.report import Report
from nutmill.sampling.request import Request
from nutmill.sampling.steering import Steering

_log = logging.getLogger("nutmill")

# Runs the chains: returns what they drew, and what the result says of the layout that they had.
Sampler = Callable[[PreparedRun, Report], tuple[Run, dict[str, Any]]]


def sample_session(prepared: PreparedRun, steering: Steering | None = None):
    """Sample the chains of a run to its end, and make the result."""
    request, folder, sample = prepared.request, prepared.folder, _sampler(prepared)
    progress = open_progress(request.progressbar, in_background=not request.blocking)
    with Report(folder, progress, steering) as report:
        run, layout = sample(prepared, report)
        report.all_shown()
        _log_ending(run, folder)
        if steering is not None and steering.error is not None:
            _log_callback(steering.error)
        result = finish(prepared.compiled, run, request, layout, folder)
        report.end(run)
    return result


def _sampler(prepared: PreparedRun) -> Sampler:
    folder = prepared.folder
    if prepared.request.executor is None and (folder is None or not has_parts(folder.manifest)):
        return sample_here
    # It brings multiprocessing, which other runs need not pay for.
    from nutmill.sampling.executor.parent import sample_by_executor

    return sample_by_executor


def sample_here(prepared: PreparedRun, report: Report) -> tuple[Run, dict[str, Any]]:
    """Run chains in threads of this process."""
    compiled, request, topology, begin = prepared
    folder, steering = prepared.folder, report.steering
    found = layout_for(
        compiled,
        request.layout,
        chains=len(request.chain_ids),
        draws=request.draws,
        cores=request.cores,
        topology=topology,
        kept=kept_of(folder),
    )
    found = with_tile_threads(found, folder, compiled, topology)
    notes = [*found.notes, *keep_numerics(folder, compiled, found.layout), *idle_threads(compiled, found.layout)]
    beat = None if folder is None else folder.beat
    with (
        apply_layout(found.layout, beat, calls_blas=compiled.code.calls_blas) as applied,
        natives_for(compiled, applied) as natives,
    ):
        report.begin()
        run = drive(
            natives,
            begin,
            request.settings,
            threads=found.layout.chains_at_once,
            on_worker=applied.enter_worker,
            on_progress=report.update,
            limits=request.limits,
            called_off_by=None if steering is None else steering.who,
            on_begin=None if steering is None else lambda groups: _see(steering, groups, found.layout.blas_threads),
        )
    facts = {"source": found.source, "tile_threads": tile_threads_of(compiled, found.layout)}
    return run, facts | applied.effective | {"notes": notes + applied.notes}


def _see(steering: Steering, groups: Sequence[Group], blas_threads: int) -> None:
    steering.begin(lambda rows: DrawsSoFar(groups, rows), blas_threads)


def finish(
    compiled: CompiledModel, run: Run, request: Request, layout: Mapping[str, Any], folder: RunFolder | None = None
):
    """Make the result of a run, and report what looks wrong in it."""
    # It brings xarray, which takes as long to load as a short run.
    from nutmill.results.result import centring_in_words, to_result

    with compiled.one_blas_thread():  # once, so that no run that needs another number begins between two blocks
        result = to_result(compiled, run, request.as_json(), layout, None if folder is None else folder.result_path)
    if chosen := centring_in_words(compiled, run):
        _log.info("%s", chosen)
    if request.check:
        from nutmill.diagnosis.check import report
        from nutmill.diagnosis.verdict import judge

        described = compiled.description
        free = [p.rv_name for p in described.parameters if p.rv_name in described.reported]
        verdict = judge(result, var_names=free, notes=run.messages, address=compiled.binding.mixing)
        report(verdict.findings)
        if request.progressbar:
            say(f"{verdict.summary()}.")
    return result


def _log_callback(error: Exception) -> None:
    """Log what a callback has raised, and where."""
    with unheard():
        _log.warning("callback has raised %s: %s", type(error).__name__, error, exc_info=error)


def _log_ending(run: Run, folder: RunFolder | None) -> None:
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
