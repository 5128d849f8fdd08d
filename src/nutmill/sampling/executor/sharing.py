"""Compiled models, which groups of chains that run in one worker process share."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nutmill.errors import CheckpointError, ModelError
from nutmill.native.compiled import CompiledModel, from_bytes
from nutmill.native.container import Damaged

# A run needs one; more would hold the data of runs that are over.
_MODELS_KEPT = 2


class ModelSource(NamedTuple):
    """Where a worker finds a compiled model."""

    digest: str  # of its bytes
    path: Path | None  # a file that workers can read; None: the bytes come with the task


class Models:
    """Compiled models of this process, so that each is unpacked once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._models: dict[str, CompiledModel] = {}

    def get(
        self, source: ModelSource, content: bytes | None, while_waiting: Callable[[], object] | None = None
    ) -> CompiledModel:
        """Give a model, bound, from `content` or from its file if it was not unpacked before.

        Binding may have to wait for other runs; `while_waiting` is as in `apply_layout`. Raises ModelError if it
        cannot run here; CheckpointError if its file is not there.
        """
        with self._lock:
            if source.digest not in self._models:
                while len(self._models) >= _MODELS_KEPT:
                    del self._models[next(iter(self._models))]
                self._models[source.digest] = _unpacked(source, content)
            compiled = self._models[source.digest]
        if not compiled.is_bound:
            with compiled.one_blas_thread(while_waiting=while_waiting), self._lock:
                compiled.binding  # noqa: B018 (bound here, and not once more in each thread that needs it)
        return compiled


def _unpacked(source: ModelSource, content: bytes | None) -> CompiledModel:
    try:
        if content is None and source.path is not None:
            content = source.path.read_bytes()
        return from_bytes(content or b"")
    except OSError as error:
        raise CheckpointError(
            f"{source.path} cannot be read ({error.strerror}): workers must share the disk of the run's folder."
        ) from error
    except Damaged as error:
        raise ModelError(f"the compiled model cannot be used there: {error}.") from error
