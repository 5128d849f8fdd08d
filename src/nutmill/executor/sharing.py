"""What groups of chains that run in one worker process share: compiled models, and the layout that holds there."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from nutmill.artifact import from_bytes
from nutmill.compiled import CompiledModel
from nutmill.errors import CheckpointError, LayoutError, ModelError
from nutmill.layout.pools import Applied, Layout
from nutmill.native.entry import Damaged

# A run needs one; more would hold the data of runs that are over.
_MODELS_KEPT = 2


class Source(NamedTuple):
    """Where a worker finds a compiled model.

    Attributes
    ----------
    digest : str
        Of its bytes.
    path : Path or None
        A file that workers can read; None: the bytes come with the task.
    """

    digest: str
    path: Path | None


class Models:
    """Compiled models of this process, so that each is unpacked once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._models: dict[str, CompiledModel] = {}

    def get(self, source: Source, content: bytes | None) -> CompiledModel:
        """Give a model, from `content` or from its file if it was not unpacked before.

        Raises
        ------
        ModelError
            If it cannot run here.
        CheckpointError
            If its file is not there.
        """
        with self._lock:
            if source.digest not in self._models:
                while len(self._models) >= _MODELS_KEPT:
                    del self._models[next(iter(self._models))]
                self._models[source.digest] = _unpacked(source, content)
            return self._models[source.digest]


def _unpacked(source: Source, content: bytes | None) -> CompiledModel:
    try:
        compiled = from_bytes(source.path.read_bytes() if content is None else content)
    except OSError as error:
        raise CheckpointError(
            f"{source.path} cannot be read ({error.strerror}): workers must share the disk of the run's folder."
        ) from error
    except Damaged as error:
        raise ModelError(f"the compiled model cannot be used there: {error}.") from error
    compiled.binding  # noqa: B018 (bound here, and not once more in each thread that needs it)
    return compiled


class Layouts:
    """The layout of this process: the first group applies it, the last takes it back."""

    def __init__(self):
        self._lock = threading.Lock()
        self._users = 0
        self._applied: Applied | None = None
        self._stack = ExitStack()

    @contextmanager
    def applied(self, layout: Layout) -> Iterator[Applied]:
        """Limit the thread pools of this process, as `Layout.applied` does, while any group needs it.

        Raises
        ------
        LayoutError
            If groups of another run are in this process, with another layout, or it cannot be had here.
        """
        with self._lock:
            if self._applied is None:
                self._applied = self._stack.enter_context(layout.applied())
            elif self._applied.layout != layout:
                raise LayoutError(
                    f"another run has the layout {self._applied.layout} in this process, and this one {layout}: take "
                    "workers of their own for one of them, or the same layout."
                )
            self._users += 1
            applied = self._applied
        try:
            yield applied
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._applied = None
                    self._stack.close()
