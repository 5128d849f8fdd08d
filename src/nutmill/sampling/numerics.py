"""With which BLAS, and how many of its threads, the draws of a run were made: its folder remembers it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nutmill.checkpoint.folder import RunFolder
from nutmill.layout.blas.find import find_blas
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.native.compiled import CompiledModel
from nutmill.sampling.chosen_layout import ChosenLayout

_log = logging.getLogger("nutmill")


def kept_of(folder: RunFolder | None) -> Mapping[str, Any] | None:
    """Give the `Layout.numerics` of a run that has begun, which going on with it keeps; None for a new run."""
    used = [] if folder is None else folder.manifest.get("blas", [])
    return {name: used[-1][name] for name in ("library", "threads")} if used else None


def keep_numerics(folder: RunFolder | None, compiled: CompiledModel, layout: Layout) -> list[str]:
    """Let the manifest say, once it is written, what draws are made with from here on; notes if that has changed."""
    if folder is None or not compiled.code.calls_blas:
        return []
    used = folder.manifest.get("blas", [])
    # A name may mean another library tomorrow. SciPy's comes with SciPy, whose version is kept anyway.
    content = {} if layout.blas is None else {"digest": find_blas(layout.blas).digest}
    made_with = layout.numerics | content
    if used and layout.blas is not None and used[-1] == layout.numerics | {"digest": used[-1].get("digest", "")}:
        _warn_of_another(used[-1]["digest"], made_with["digest"], layout.blas)
    folder.manifest["blas"] = used if used[-1:] == [made_with] else [*used, made_with]
    return notes_on(folder.manifest["blas"])


def with_tile_threads(
    found: ChosenLayout, folder: RunFolder | None, compiled: CompiledModel, topology: Topology
) -> ChosenLayout:
    """Let a run go on with as many tile threads as it had, unless its layout is asked for or measured, or cores lack.

    The manifest says, once it is written, how many there are now.
    """
    if folder is None:
        return found
    before = folder.manifest.get("tile_threads", 1)
    if found.source in ("default", "kept") and found.layout.chains_at_once * before <= topology.n_cores:
        found = found._replace(layout=replace(found.layout, tile_threads=before))
    folder.manifest.pop("tile_threads", None)
    if compiled.code.has_tiles and found.layout.tile_threads > 1:
        folder.manifest["tile_threads"] = found.layout.tile_threads
    return found


def notes_on(used: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say that parts of a run's draws were made with different numbers of BLAS threads, or libraries."""
    if len(used) < 2:
        return []
    libraries = [_library_in_words(one) for one in used]
    changed = "numbers of BLAS threads" if len(set(libraries)) == 1 else "BLAS libraries"
    steps = " then ".join(f"{one['threads']} of {library}" for one, library in zip(used, libraries, strict=True))
    return [f"The draws were made with different {changed}: {steps}."]


def _library_in_words(numerics: Mapping[str, Any]) -> str:
    content = numerics.get("digest")
    return (numerics["library"] or "SciPy") + (f" (file {content[:8]})" if content else "")


def _warn_of_another(before: str, now: str, blas: str) -> None:
    if before != now:
        _log.warning(
            "%s is another library than the one that the run was begun with (file %s, now %s): draws from here on are "
            "as good, but not those of a run that nothing has stopped.",
            blas,
            before[:8],
            now[:8],
        )
