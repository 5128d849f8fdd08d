"""How a run is doing, for other processes: a small file that is replaced every few seconds."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nutmill.checkpoint.form import Misfit, each, maybe, number, one_of, parsed, record, text, whole
from nutmill.checkpoint.lock import is_alive, read_owner
from nutmill.checkpoint.manifest import LOCK, STATUS, read_manifest
from nutmill.checkpoint.records import as_checkpoint_error
from nutmill.errors import CheckpointError, path_of
from nutmill.files import read_plain, replace_file
from nutmill.progress.lines import ChainProgress, Line, ProgressView, chain_line, with_rows

INTERVAL_S = 2.0
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_TIME = maybe(text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"))
_CHAIN = record(
    {
        "chain": whole(),
        "phase": one_of("warmup", "sampling", "done"),
        "draw": whole(),
        "total": maybe(whole()),
        "step_size": maybe(number()),
        "gradients": whole(),
        "divergences": whole(),
    }
)
_FORM = record(
    {
        "phase": one_of("warmup", "sampling", "finished", "stopped", "failed"),
        "draws": whole(),
        "divergences": whole(),
        "gradients_per_s": maybe(number()),
        "left_s": maybe(number()),
        "stopped_by": maybe(text(r"\w{1,20}")),
        "last_checkpoint": _TIME,
        "updated": _TIME,
        "chains": each(_CHAIN),
    }
)


class StatusFile:
    """Writes status.json; used within a `with`, of which an error ends the run.

    `last_saved_s` gives when the newest checkpoint was saved, in seconds since 1970, None if there is none.
    """

    def __init__(self, folder: Path, last_saved_s: Callable[[], float | None]):
        self._path = folder / STATUS
        self._last_saved_s = last_saved_s
        self._start_s = time.monotonic()
        self._written_s = -math.inf
        self._views: dict[int, ProgressView] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            with suppress(CheckpointError):
                self.end("failed" if isinstance(error, Exception) else "stopped")  # Ctrl-C and the like are no failures

    def update(self, rows: Sequence[ChainProgress]) -> None:
        """Take the state of all chains, and write it unless the file is too fresh; cheap enough to be called often."""
        now_s = time.monotonic()
        self._views = with_rows(self._views, rows, now_s, self._start_s)
        if now_s - self._written_s >= INTERVAL_S:
            self._written_s = now_s
            self._write("warmup" if any(row.phase == "warmup" for row in rows) else "sampling")

    def end(self, phase: str, stopped_by: str | None = None) -> None:
        """Write how it ended: "finished", "stopped" (can be resumed) or "failed"; and by what (`Ending`)."""
        self._write(phase, stopped_by)

    def _write(self, phase: str, stopped_by: str | None = None) -> None:
        saved_s = self._last_saved_s()
        content = facts(self._views, phase, stopped_by) | {
            "last_checkpoint": None if saved_s is None else time.strftime(_FORMAT, time.gmtime(saved_s)),
            "updated": time.strftime(_FORMAT, time.gmtime()),
        }
        with as_checkpoint_error(self._path.parent):
            replace_file(self._path, json.dumps(content, indent=1).encode(), sync=False)


def facts(views: Mapping[int, ProgressView], phase: str, stopped_by: str | None = None) -> dict[str, Any]:
    """Say how a run is doing, in numbers that JSON knows; see `status`."""
    lines = [chain_line(view) for view in views.values()]
    rates = [line.gradients_per_draw * line.draws_per_s for line in lines if line.phase != "done" and line.draw]
    left = [line.left_s for line in lines if line.phase != "done"]
    return {
        "phase": phase,
        "draws": min((line.draw for line in lines), default=0) if _all_sample(lines) else 0,
        "divergences": sum(line.divergences for line in lines),
        "gradients_per_s": _finite(sum(rates)),
        "left_s": _finite(max(left, default=0.0)),
        "stopped_by": stopped_by,
        "chains": [_of_chain(chain, view) for chain, view in sorted(views.items())],
    }


def _all_sample(lines: Sequence[Line]) -> bool:
    return all(line.phase != "warmup" for line in lines)


def _of_chain(chain: int, view: ProgressView) -> dict[str, Any]:
    row = view.row
    return {
        "chain": chain,
        "phase": row.phase,
        "draw": row.draw,
        "total": row.total,
        "step_size": _finite(row.step_size),
        "gradients": row.n_gradients,
        "divergences": row.divergences,
    }


def _finite(value: float) -> float | None:
    """Give a number that JSON knows."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def read_status(path: Path) -> dict[str, Any] | None:
    """Read what was last written of the run in a folder; None: nothing yet.

    Raises CheckpointError if it cannot be read.
    """
    try:
        return parsed(read_plain(path / STATUS), _FORM)
    except FileNotFoundError:
        return None
    except (OSError, Misfit) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(
            f"{path / STATUS} cannot be read ({said}): delete it; it is written anew when the run goes on."
        ) from error


def status(path: str | os.PathLike) -> dict[str, Any]:
    """Tell how the run in a folder is doing; works while another process samples it.

    Parameters
    ----------
    path
        The folder that `checkpoint=` named.

    Returns
    -------
    dict
        ``phase``: "waiting" (nothing is known yet), "warmup", "sampling", "finished", "stopped" (resume it) or
        "failed". ``stopped_by``: as in the result, "until" for draws that were enough. ``is_running``: whether a
        process works on it; a run that was killed keeps its last phase. ``draws`` that all chains have, of
        ``draws_requested``, and once it has finished those of its result; ``divergences`` among them;
        ``gradients_per_s``; ``left_s`` of the present phase, None if nobody knows; ``last_checkpoint`` and ``updated``
        (UTC); ``owner`` with host and pid, or None; ``chains``: a dict each with chain, phase, draw, total, step_size,
        gradients, divergences.

    Raises
    ------
    CheckpointError
        If the folder holds no run, or what it says of it cannot be read.
    """
    path = path_of(path, "path", "a run's folder")
    manifest = read_manifest(path)
    known = read_status(path)
    if known is None:
        known = {"phase": "waiting", "draws": 0, "divergences": 0, "gradients_per_s": None, "left_s": None}
        known |= {"stopped_by": None, "last_checkpoint": None, "updated": None, "chains": []}
    owner = read_owner(path / LOCK)
    return {
        **known,
        "draws_requested": manifest["settings"]["draws"],
        "is_running": owner is not None and is_alive(owner, path / LOCK),
        "owner": None if owner is None else {"host": owner.host, "pid": owner.pid},
    }
