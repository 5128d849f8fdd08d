"""Fits by an executor: batches of data sets go out as tasks, and their rows come back in order."""

import hashlib
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from nutmill.errors import ArgumentError, SamplingError
from nutmill.many.all_fits import Plan, layout_of_fits, rows_of
from nutmill.many.datasets import DataSet
from nutmill.many.fitting import Fitter
from nutmill.many.keeping import Groups, keeper_of
from nutmill.sampling.executor.engines import Engine, engine_of
from nutmill.sampling.executor.sharing import Models, ModelSource
from nutmill.sampling.request import Request

# A task takes about so long: to send one takes some milliseconds, and to a cluster more.
_TASK_S = 1.0
_MOST = 256
# Tasks that are out at a time, where an executor does not say how many workers it has.
_WORKERS = 16

_models = Models()


class FitsTask(NamedTuple):
    """A batch of data sets for a worker, and how to fit them."""

    model: ModelSource
    request: Request  # of each fit
    keep: Any  # as `sample_many` takes it
    raises: bool  # a fit that fails ends all
    sets: list[DataSet]
    names: frozenset[str] | None  # of the data of all data sets


def fit_here(task: FitsTask, content: bytes | None) -> tuple[list[Groups], float]:
    """Fit data sets in this process, a worker's; give their rows and the seconds of one."""
    begin = time.perf_counter()
    fitter = Fitter(_models.get(task.model, content), task.request, task.names)
    layout = replace(layout_of_fits(task.request), chains_at_once=1)
    plan = Plan(fitter, keeper_of(task.keep), task.raises, layout)
    rows = [row for _, row in rows_of(plan, iter(task.sets))]
    return rows, (time.perf_counter() - begin) / len(rows)


def rows_apart(
    plan: Plan, keep: str | Callable, sets: Iterator[DataSet], executor: Executor
) -> Iterator[tuple[DataSet, Groups]]:
    """Fit data sets by an executor, and give each with its row, in their order; as `all_fits.rows_of`.

    Raises ArgumentError if what is kept of a fit cannot be sent to workers, or they would need the model's priors;
    SamplingError if a worker is lost, besides what `rows_of` raises.
    """
    _check_can_be_sent(keep)
    if plan.fitter.request.starts == "prior":
        raise ArgumentError('Workers of an executor have no priors to draw starts from: leave starts="prior" out.')
    content = plan.fitter.compiled.to_bytes()
    with TemporaryDirectory(prefix="nutmill-") as scratch:
        engine = engine_of(executor, content, None, Path(scratch))
        source = ModelSource(hashlib.sha256(content).hexdigest(), engine.path)
        request = plan.fitter.request._replace(executor=None, checkpoint=None)
        task = FitsTask(source, request, keep, plan.raises, [], plan.fitter.names)
        yield from _in_order(engine, task, sets, 2 * getattr(executor, "_max_workers", _WORKERS))


def _in_order(engine: Engine, task: FitsTask, sets: Iterator[DataSet], n_out: int) -> Iterator[tuple[DataSet, Groups]]:
    out: deque[tuple[list[DataSet], Future[tuple[list[Groups], float]]]] = deque()
    size = 1
    try:
        while True:
            while len(out) < n_out and (batch := list(islice(sets, size))):
                out.append((batch, engine.send(fit_here, task._replace(sets=batch))))
            if not out:
                return
            batch, future = out.popleft()
            rows, each_s = future.result()
            size = max(1, min(_MOST, 2 * size, int(_TASK_S / max(each_s, 1e-9))))
            yield from zip(batch, rows, strict=True)
    except BrokenProcessPool as error:
        raise SamplingError(
            "A process of the executor has ended before its fits were made: memory may have run out. With checkpoint= "
            "the same call goes on with those that are missing."
        ) from error
    finally:
        for _, future in out:
            future.cancel()


def _check_can_be_sent(keep: Any) -> None:
    try:
        pickle.dumps(keep)
    except Exception as error:
        raise ArgumentError(
            f"keep goes to the workers of the executor, and {keep!r:.60} cannot: take a function of a module ({error})."
        ) from error
