"""Sampling by an executor: groups of chains go out as tasks, come back in any order, and make one run."""

import hashlib
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nutmill.checkpoint.folder import RunFolder, part_path
from nutmill.checkpoint.manifest import MODEL, RUNNING
from nutmill.files import CODE_MODE, replace_file
from nutmill.layout.layout import Layout
from nutmill.nuts.group_size import GROUP_SIZE
from nutmill.run.checkpoints import SavedRun, Starts
from nutmill.run.ending import ALL, INTERRUPT, Deadline, StopSignals
from nutmill.run.groups import split_into_groups
from nutmill.run.run import Ending, Run
from nutmill.sampling.chosen_layout import ChosenLayout, layout_for, with_measured_library
from nutmill.sampling.executor.engines import Engine, engine_of, has_local_workers
from nutmill.sampling.executor.gathering import Gathering, GroupsProgress
from nutmill.sampling.executor.joining import join, run_without_draws
from nutmill.sampling.executor.parts import begin_parts, load_starts, read_part
from nutmill.sampling.executor.parts_so_far import PartsSoFar
from nutmill.sampling.executor.sharing import ModelSource
from nutmill.sampling.executor.worker import Answer, PartFolder, Task
from nutmill.sampling.layout_workload import idle_threads, tile_threads_of
from nutmill.sampling.numerics import keep_numerics, kept_of
from nutmill.sampling.prepared_run import PreparedRun
from nutmill.sampling.report import Report
from nutmill.sampling.request import Request

# What the manifest of a group takes over from that of its run, beside the request.
_FACTS_OF_RUN = ("model", "data", "versions", "cpu", "blas")


def sample_by_executor(prepared: PreparedRun, report: Report) -> tuple[Run, dict[str, Any]]:
    """Run groups of chains by the executor of the request; as `session.sample_here`.

    Without an executor, which is so when a run is resumed, this process samples one group after the other.
    """
    compiled, request, topology, begin = prepared
    content, folder = compiled.to_bytes(log_likelihood=request.result["log_likelihood"]), prepared.folder
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="nutmill-")))
        found = _layout_of_tasks(prepared)
        layout, notes = found.layout, [*found.notes, *keep_numerics(folder, compiled, found.layout)]
        notes += idle_threads(compiled, layout)
        starts = _begin_in_folder(begin, request, content)
        executor = request.executor or stack.enter_context(ThreadPoolExecutor(1))
        root = None if folder is None else folder.path.absolute()  # workers may be in other folders
        engine = engine_of(executor, content, None if root is None else root / MODEL, scratch)
        common = _common_task(request, ModelSource(hashlib.sha256(content).hexdigest(), engine.path), layout)
        running = (root or scratch) / RUNNING
        common = common._replace(seed=starts.seed, running=running)
        tasks = [_task(common, request, starts, part) for part in split_into_groups(request.chain_ids)]
        report.begin()
        run, workers = _sampled(engine, tasks, running, request, folder, report)
    # Reported variables are computed in this process.
    of_tasks = {"tasks": layout.as_dict(), "blas_threads": layout.blas_threads, "workers": workers, "notes": notes}
    of_tasks["tile_threads"] = tile_threads_of(compiled, layout)
    return run, {"source": "executor", "requested": {"chains_at_once": topology.n_cores}, **of_tasks}


def _begin_in_folder(begin: Starts | SavedRun, request: Request, content: bytes) -> Starts:
    """Begin a run in its folder, if it has one, or read there where its chains start."""
    if begin.folder is None:
        return begin
    if isinstance(begin, SavedRun):
        starts = load_starts(begin.folder)
        begin.folder.change(request.settings._asdict())
    else:
        starts = begin
        begin_parts(begin.folder, starts, request.settings)
    replace_file(begin.folder.path / MODEL, content, mode=CODE_MODE)
    return starts


def _layout_of_tasks(prepared: PreparedRun) -> ChosenLayout:
    """Choose the layout within one task, which has one core unless the user says more.

    Where workers are on this machine, "auto" takes the library of a profile. On others it may not be there, and draws
    must not depend on which worker made them.
    """
    compiled, request, topology, _ = prepared
    chosen, cores, kept = request.layout, request.cores, kept_of(prepared.folder)
    n_chains, is_auto = min(GROUP_SIZE, len(request.chain_ids)), chosen == "auto"
    if chosen is None or is_auto:
        chosen, cores = None, cores or (1 if request.executor is not None else topology.n_cores)
    found = layout_for(
        compiled, chosen, chains=n_chains, draws=request.draws, cores=cores, topology=topology, kept=kept
    )
    if is_auto and kept is None and has_local_workers(request.executor):
        return with_measured_library(found, compiled, n_chains, topology)
    return found


def _common_task(request: Request, model: ModelSource, layout: Layout) -> Task:
    """What the tasks of all groups have in common."""
    return Task(
        model=model,
        chain_ids=[],
        initial=np.empty((0, 0)),
        settings=request.settings,
        seed=request.seed,
        layout=layout,
        adaptation=None,
        part_folder=None,
        end_s=None if request.max_time is None else time.time() + request.max_time,
        running=None,
        host=platform.node(),
    )


def _task(common: Task, request: Request, starts: Starts, part: slice) -> Task:
    """The task of one group, whose chains have these places among all."""
    chain_ids, folder = request.chain_ids[part], starts.folder
    adaptation, part_folder = starts.adaptation, None
    if adaptation is not None:  # four rows, from which a group of fewer chains, too, picks those with its ids
        first = chain_ids[0] - chain_ids[0] % GROUP_SIZE
        adaptation = adaptation.of_chains(range(first, first + GROUP_SIZE))
    if folder is not None:
        facts = {name: folder.manifest[name] for name in _FACTS_OF_RUN if name in folder.manifest}
        of_part = {**folder.manifest["request"], "chain_ids": chain_ids}
        path = part_path(folder.path.absolute(), chain_ids)
        part_folder = PartFolder(path, {"request": of_part, **facts}, request.every)
    initial = starts.positions[part]
    return common._replace(chain_ids=chain_ids, initial=initial, adaptation=adaptation, part_folder=part_folder)


def _sampled(
    engine: Engine,
    tasks: Sequence[Task],
    running: Path,
    request: Request,
    folder: RunFolder | None,
    report: Report,
) -> tuple[Run, dict[str, Any]]:
    """Run the tasks: what all chains have drawn, and what took effect of the layout in each worker."""
    begin_s = time.perf_counter()
    gathering = Gathering(engine, tasks, running, engine.is_local or folder is not None, _how_to_go_on(folder))
    answers, steering = gathering.answers, report.steering
    if steering is not None:
        steering.begin(lambda rows: PartsSoFar(tasks, answers, rows), tasks[0].layout.blas_threads)
    paths = [None if task.part_folder is None else task.part_folder.path for task in tasks]
    progress = GroupsProgress([task.chain_ids for task in tasks], paths, tasks[0].settings, report.update)
    with StopSignals(INTERRUPT if folder is None else ALL) as signals:
        stopped_by = gathering.gather(
            signals,
            Deadline(request.max_time),
            lambda: progress.update({number: answer.run for number, answer in answers.items()}),
            called_off_by=lambda: None if steering is None else steering.who(),
        )
    runs = [_run_of(task, answers.get(number)) for number, task in enumerate(tasks)]
    workers = {answer.worker: answer.layout for answer in answers.values() if answer.layout is not None}
    return join(runs, Ending(stopped_by), time.perf_counter() - begin_s), workers


def _run_of(task: Task, answer: Answer | None) -> Run:
    """What the chains of a task have drawn."""
    if task.part_folder is not None:
        ending = Ending() if answer is None or answer.ending is None else answer.ending
        run = read_part(task.part_folder.path, task.chain_ids, ending)
    else:
        run = None if answer is None else answer.run
    return run or run_without_draws(task.initial, task.settings, task.seed, task.chain_ids)


def _how_to_go_on(folder: RunFolder | None) -> str:
    if folder is None:
        return "nothing is kept of them; with checkpoint= such a run can be resumed."
    return f'nutmill.resume("{folder.path}", executor=...) goes on from what was saved, with an executor that works.'
