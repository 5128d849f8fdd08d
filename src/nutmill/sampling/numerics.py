"""With which BLAS, and how many of its threads, the draws of a run were made: its folder remembers it."""

from collections.abc import Mapping, Sequence
from typing import Any

from nutmill.checkpoint.folder import RunFolder
from nutmill.layout.layout import Layout
from nutmill.native.compiled import CompiledModel


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
