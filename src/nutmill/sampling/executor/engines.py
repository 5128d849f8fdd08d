"""What kinds of executors can do: how a compiled model gets to their workers, and what their errors mean."""

import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from nutmill.files import replace_file
from nutmill.sampling.executor.worker import Answer, Task, identity_task, run_task

T = TypeVar("T")
R = TypeVar("R")

# Dask warns of tasks above 10 MB; this one is sent once, and can be sent again when all workers are lost.
_WARN_ABOVE = "distributed.admin.large-graph-warning-threshold"


class Engine:
    """An executor of which nothing is known: the model goes with every task, unless it lies in a file.

    `content` is the compiled model, `path` a file with it on a disk that workers share.
    """

    is_local = False  # whether workers are surely on this machine
    cancels_running = False  # whether `Future.cancel` throws away what a worker has begun

    def __init__(self, executor: Executor, content: bytes, path: Path | None):
        self.path = path
        self._executor: Any = executor  # Dask's takes more than others
        self._content = content if path is None else None

    def submit(self, task: Task) -> Future[Answer]:
        """Hand out the task of a group of chains."""
        return self.send(run_task, task)

    def send(self, function: Callable[[T, bytes | None], R], task: T) -> Future[R]:
        """Let a worker call a function with a task and the model, None if it lies in a file."""
        return self._executor.submit(function, task, self._content)

    def is_final(self, error: BaseException) -> bool:
        """Whether an error of the executor means that it should not get the task once more."""
        return False


class LocalEngine(Engine):
    """Processes or threads of this machine: they find the model in a file in `scratch`."""

    is_local = True

    def __init__(self, executor: Executor, content: bytes, path: Path | None, scratch: Path):
        if path is None:
            path = scratch / "model.nut"
            replace_file(path, content)
        super().__init__(executor, content, path)


class DaskEngine(Engine):
    """Workers of Dask: the model is the result of a task, which they hand on among themselves."""

    cancels_running = True

    def __init__(self, executor: Any, content: bytes, path: Path | None):
        super().__init__(executor, content, path)
        self._model_future = None
        if path is None:
            import dask

            # Scattered, it would be gone with the workers that hold it; what a task gives is made again.
            with dask.config.set({_WARN_ABOVE: "1 PiB"}):
                self._model_future = executor._client.submit(identity_task, content, pure=False)

    def send(self, function: Callable[[T, bytes | None], R], task: T) -> Future[R]:
        """Let a worker call a function with a task and the model, None if it lies in a file."""
        # Not pure: the same task may be sent again, after its worker was lost or in another run.
        return self._executor.submit(function, task, self._model_future, pure=False)

    def is_final(self, error: BaseException) -> bool:
        """Whether Dask itself has given up: it moves the tasks of lost workers to others a few times."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker)


def has_local_workers(executor: Executor | None) -> bool:
    """Whether the workers of an executor are surely on this machine; without one, this process is the worker."""
    return executor is None or isinstance(executor, ProcessPoolExecutor | ThreadPoolExecutor)


def engine_of(executor: Executor, content: bytes, path: Path | None, scratch: Path) -> Engine:
    """Make an executor an engine, with the model's content, or a file with it on a disk that workers share.

    `scratch` is a folder of this machine that lives as long as the run.
    """
    if has_local_workers(executor):
        return LocalEngine(executor, content, path, scratch)
    dask = sys.modules.get("distributed")  # whoever has such an executor has imported it
    if dask is not None and isinstance(executor, dask.cfexecutor.ClientExecutor):
        return DaskEngine(executor, content, path)
    return Engine(executor, content, path)
